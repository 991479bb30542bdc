/* Where FFmpeg's versions differ: 5 to 7, and none of the calls that 8 and 9
 * have dropped. Inside lib/media/video*.c only. */
#ifndef FACET_MEDIA_VIDEO_COMPAT_H
#define FACET_MEDIA_VIDEO_COMPAT_H

#include <stdbool.h>
#include <stddef.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

/* Side data of a stream, owned by it; NULL with *n 0 if it has none. It moved
 * from AVStream to its codec parameters in FFmpeg 6.1. */
static inline const uint8_t *
video_stream_side_data(const AVStream *st, enum AVPacketSideDataType type,
                       size_t *n)
{
    *n = 0;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVPacketSideData *d = av_packet_side_data_get(
        st->codecpar->coded_side_data, st->codecpar->nb_coded_side_data, type);
    if (!d)
        return NULL;
    *n = d->size;
    return d->data;
#else
    return av_stream_get_side_data(st, type, n);
#endif
}

/* Fields of their own became flags in FFmpeg 6.1. */
static inline bool video_frame_interlaced(const AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    return f->flags & AV_FRAME_FLAG_INTERLACED;
#else
    return f->interlaced_frame;
#endif
}

static inline bool video_frame_top_first(const AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    return f->flags & AV_FRAME_FLAG_TOP_FIELD_FIRST;
#else
    return f->top_field_first;
#endif
}

#endif
