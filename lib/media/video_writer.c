/* Writing MP4 files that appear whole or not at all. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libavutil/opt.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/media/video_internal.h"

#define DEFAULT_CRF 18
#define MPEG4_QUALITY 3 /* quantiser where there is no H.264 encoder */

struct video_writer {
    char *path, *temporary, *url;
    AVFormatContext *fmt;
    AVCodecContext *codec;
    AVStream *stream;
    AVFrame *frame;
    AVPacket *pkt;
    struct SwsContext *sws;
    uint8_t *rgb; /* a frame, padded: sws_scale reads past the last row */
    int64_t height, width, next;
    bool failed; /* an error is out: close gives up */
};

#define SWS_PADDING 64

static void writer_free(struct video_writer **w)
{
    struct video_writer *p = *w;
    if (!p)
        return;
    avcodec_free_context(&p->codec);
    av_frame_free(&p->frame);
    av_packet_free(&p->pkt);
    sws_freeContext(p->sws);
    if (p->fmt) {
        if (p->fmt->pb)
            avio_closep(&p->fmt->pb);
        avformat_free_context(p->fmt);
    }
    mem_free(p->rgb);
    mem_free(p->path);
    mem_free(p->temporary);
    mem_free(p->url);
    mem_free(p);
    *w = NULL;
}

/* path, and ".tmp-<name>-<process>" in the same folder. */
static enum err_code name_files(struct video_writer *w, const char *path,
                                struct err *e)
{
    const char *base = path_base(path);
    w->path = mem_strdup(path);
    char *stem = file_temporary_stem(path);
    w->temporary = stem ? mem_printf("%s%ld", stem, (long)getpid()) : NULL;
    mem_free(stem);
    if (!w->path || !w->temporary ||
        !(w->url = mem_printf("file:%s", w->temporary)))
        return err_set(e, ERR_NOMEM, "no memory to write '%s'", path);
    if (base == path)
        return OK;
    char *folder = mem_strndup(path, (size_t)(base - path));
    if (!folder)
        return err_set(e, ERR_NOMEM, "no memory to write '%s'", path);
    enum err_code rc = file_mkdirs(folder, e);
    mem_free(folder);
    return rc;
}

static int open_encoder(struct video_writer *w,
                        const struct video_writer_options *o)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    bool h264 = codec != NULL;
    if (!codec)
        codec = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
    if (!codec)
        return AVERROR_ENCODER_NOT_FOUND;
    AVCodecContext *c = w->codec = avcodec_alloc_context3(codec);
    if (!c)
        return AVERROR(ENOMEM);
    bool odd = (w->height | w->width) & 1;
    AVRational rate = av_d2q(o->fps, 100000);
    c->width = (int)w->width;
    c->height = (int)w->height;
    c->pix_fmt = odd && h264 ? AV_PIX_FMT_YUV444P : AV_PIX_FMT_YUV420P;
    c->time_base = av_inv_q(rate);
    c->framerate = rate;
    c->sample_aspect_ratio = (AVRational){1, 1};
    c->color_range = AVCOL_RANGE_MPEG;
    c->colorspace = AVCOL_SPC_SMPTE170M;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->thread_count = o->threads > 0 ? o->threads : 1;
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    if (w->fmt->oformat->flags & AVFMT_GLOBALHEADER)
        c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (h264) {
        av_opt_set(c->priv_data, "preset", "veryfast", 0);
        av_opt_set_double(c->priv_data, "crf",
                          o->crf < 0 ? DEFAULT_CRF : o->crf, 0);
        /* With AVX-512, x264's macroblock tree depends on what lay in memory
         * before: other bytes for the same frames. */
        av_opt_set_int(c->priv_data, "mbtree", 0, 0);
    } else {
        c->flags |= AV_CODEC_FLAG_QSCALE;
        c->global_quality = MPEG4_QUALITY * FF_QP2LAMBDA;
    }
    return avcodec_open2(c, codec, NULL);
}

static int open_file(struct video_writer *w)
{
    w->stream = avformat_new_stream(w->fmt, NULL);
    if (!w->stream)
        return AVERROR(ENOMEM);
    int r = avcodec_parameters_from_context(w->stream->codecpar, w->codec);
    if (r < 0)
        return r;
    w->stream->time_base = w->codec->time_base;
    w->stream->avg_frame_rate = w->codec->framerate;
    w->stream->sample_aspect_ratio = w->codec->sample_aspect_ratio;
    r = avio_open(&w->fmt->pb, w->url, AVIO_FLAG_WRITE);
    if (r < 0)
        return r;
    AVDictionary *options = NULL;
    av_dict_set(&options, "movflags", "+faststart", 0);
    r = avformat_write_header(w->fmt, &options);
    av_dict_free(&options);
    return r;
}

static int open_frame(struct video_writer *w)
{
    w->frame = av_frame_alloc();
    w->pkt = av_packet_alloc();
    if (!w->frame || !w->pkt)
        return AVERROR(ENOMEM);
    w->frame->format = w->codec->pix_fmt;
    w->frame->width = w->codec->width;
    w->frame->height = w->codec->height;
    w->rgb =
        mem_calloc(1, (size_t)w->codec->width * 3 * (size_t)w->codec->height +
                          SWS_PADDING);
    if (!w->rgb)
        return AVERROR(ENOMEM);
    w->sws = sws_getContext(
        w->codec->width, w->codec->height, AV_PIX_FMT_RGB24, w->codec->width,
        w->codec->height, w->codec->pix_fmt,
        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP | SWS_BITEXACT,
        NULL, NULL, NULL);
    if (!w->sws)
        return AVERROR(ENOMEM);
    return av_frame_get_buffer(w->frame, 0);
}

enum err_code video_writer_open(const char *path, int64_t height, int64_t width,
                                const struct video_writer_options *o,
                                struct video_writer **out, struct err *e)
{
    *out = NULL;
    if (height < 2 || width < 2 || height > VIDEO_MAX_SIDE ||
        width > VIDEO_MAX_SIDE)
        return err_set(e, ERR_ARG, "cannot write a video of %lld x %lld pixels",
                       (long long)width, (long long)height);
    if (!(o->fps > 0) || o->fps > 1000 || o->crf > 51)
        return err_set(e, ERR_ARG,
                       "cannot write a video of %g frames a second, crf %d",
                       o->fps, o->crf);
    video_log_init();
    struct video_writer *w = mem_calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "no memory to write '%s'", path);
    w->height = height;
    w->width = width;
    enum err_code rc = name_files(w, path, e);
    int r = 0;
    if (!rc) {
        r = avformat_alloc_output_context2(&w->fmt, NULL, "mp4", w->url);
        if (r >= 0) {
            w->fmt->flags |= AVFMT_FLAG_BITEXACT;
            r = open_encoder(w, o);
        }
        if (r >= 0)
            r = open_frame(w);
        if (r >= 0)
            r = open_file(w);
        if (r < 0)
            rc = video_error(e, ERR_IO, r, "write", path);
    }
    if (rc)
        video_writer_abort(&w);
    *out = w;
    return rc;
}

/* frame NULL: what the encoder still holds. */
static enum err_code encode(struct video_writer *w, const AVFrame *frame,
                            struct err *e)
{
    int r = avcodec_send_frame(w->codec, frame);
    while (r >= 0) {
        r = avcodec_receive_packet(w->codec, w->pkt);
        if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
            return OK;
        if (r < 0)
            break;
        if (w->pkt->duration == 0)
            w->pkt->duration = 1;
        av_packet_rescale_ts(w->pkt, w->codec->time_base, w->stream->time_base);
        w->pkt->stream_index = w->stream->index;
        r = av_interleaved_write_frame(w->fmt, w->pkt);
    }
    w->failed = true;
    return video_error(e, ERR_IO, r, "write", w->path);
}

enum err_code video_writer_put(struct video_writer *w,
                               const struct tensor *frame, struct err *e)
{
    char text[64];
    if (frame->dtype != DT_U8 || frame->ndim != 3 || frame->shape[2] != 3 ||
        frame->shape[0] != w->height || frame->shape[1] != w->width)
        return err_set(e, ERR_ARG, "'%s' takes u8[%lld,%lld,3], not %s",
                       w->path, (long long)w->height, (long long)w->width,
                       tensor_describe(frame, text, sizeof text));
    if (w->failed)
        return err_set(e, ERR_STATE, "writing '%s' has failed before", w->path);
    if (av_frame_make_writable(w->frame) < 0)
        return err_set(e, ERR_NOMEM, "no memory to write '%s'", w->path);
    memcpy(w->rgb, frame->data, frame->bytes);
    const uint8_t *planes[4] = {w->rgb, NULL, NULL, NULL};
    int pitch[4] = {(int)w->width * 3, 0, 0, 0};
    if (sws_scale(w->sws, planes, pitch, 0, (int)w->height, w->frame->data,
                  w->frame->linesize) != (int)w->height)
        return err_set(e, ERR_IO, "cannot convert a frame for '%s'", w->path);
    w->frame->pts = w->next++;
    return encode(w, w->frame, e);
}

static enum err_code publish(struct video_writer *w, struct err *e)
{
    enum err_code rc = file_sync(w->temporary, e);
    return rc ? rc : file_publish(w->temporary, w->path, e);
}

enum err_code video_writer_close(struct video_writer **w, struct err *e)
{
    struct video_writer *p = *w;
    enum err_code rc = OK;
    if (p->failed)
        rc = err_set(e, ERR_STATE, "writing '%s' has failed before", p->path);
    else if (p->next == 0)
        rc = err_set(e, ERR_STATE, "no frame was given for '%s'", p->path);
    if (!rc)
        rc = encode(p, NULL, e);
    if (!rc) {
        int r = av_write_trailer(p->fmt);
        if (r >= 0)
            r = avio_closep(&p->fmt->pb);
        if (r < 0)
            rc = video_error(e, ERR_IO, r, "write", p->path);
    }
    if (!rc)
        rc = publish(p, e);
    if (rc)
        video_writer_abort(w);
    else
        writer_free(w);
    return rc;
}

void video_writer_abort(struct video_writer **w)
{
    if (!*w)
        return;
    if ((*w)->fmt && (*w)->fmt->pb)
        avio_closep(&(*w)->fmt->pb);
    if ((*w)->temporary)
        unlink((*w)->temporary);
    writer_free(w);
}
