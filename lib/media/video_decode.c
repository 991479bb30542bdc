/* One pass over a file: packets to the decoder as a plan says, frames out. */
#include <stdio.h>
#include <string.h>

#include "lib/media/video_internal.h"

struct decoder {
    struct video_pass *p;
    struct video_input in;
    AVCodecContext *codec;
    AVPacket *pkt;
    AVFrame *frame;
    bool stop;
};

static void decoder_close(struct decoder *d)
{
    avcodec_free_context(&d->codec);
    av_packet_free(&d->pkt);
    av_frame_free(&d->frame);
    video_input_close(&d->in);
}

static enum err_code decoder_open(struct decoder *d, struct err *e)
{
    struct video_pass *p = d->p;
    enum err_code rc = video_input_open(&d->in, p->path, p->thorough, e);
    if (rc)
        return rc;
    const AVCodecParameters *par =
        p->thorough ? d->in.fmt->streams[d->in.stream]->codecpar : p->par;
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (!codec)
        return err_set(e, ERR_UNSUPPORTED, "no decoder for %s in '%s'",
                       avcodec_get_name(par->codec_id), p->path);
    d->pkt = av_packet_alloc();
    d->frame = av_frame_alloc();
    d->codec = avcodec_alloc_context3(codec);
    if (!d->pkt || !d->frame || !d->codec)
        return err_set(e, ERR_NOMEM, "no memory to decode '%s'", p->path);
    int r = avcodec_parameters_to_context(d->codec, par);
    if (r >= 0) {
        d->codec->pkt_timebase = d->in.fmt->streams[d->in.stream]->time_base;
        d->codec->thread_count = p->threads;
        d->codec->max_pixels = VIDEO_MAX_PIXELS;
        r = avcodec_open2(d->codec, codec, NULL);
    }
    if (r < 0)
        return video_error(e, ERR_UNSUPPORTED, r, "start the decoder for",
                           p->path);
    return OK;
}

/* Hand on what the decoder has ready. */
static enum err_code take_frames(struct decoder *d, struct err *e)
{
    struct video_pass *p = d->p;
    while (!d->stop) {
        int r = avcodec_receive_frame(d->codec, d->frame);
        if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
            return OK;
        if (r == AVERROR(ENOMEM))
            return err_set(e, ERR_NOMEM, "no memory to decode '%s'", p->path);
        if (r < 0) {
            p->bad_packets++;
            continue;
        }
        if (d->frame->decode_error_flags ||
            (d->frame->flags & AV_FRAME_FLAG_CORRUPT))
            p->damaged_frames++;
        p->delivered++;
        enum err_code rc = p->frame(p->arg, d->frame, &d->stop, e);
        av_frame_unref(d->frame);
        if (rc)
            return rc;
    }
    return OK;
}

/* pkt NULL empties the decoder. */
static enum err_code feed(struct decoder *d, const AVPacket *pkt, struct err *e)
{
    for (int tries = 0; tries < 4 && !d->stop; tries++) {
        int r = avcodec_send_packet(d->codec, pkt);
        if (r == AVERROR(ENOMEM))
            return err_set(e, ERR_NOMEM, "no memory to decode '%s'",
                           d->p->path);
        if (r < 0 && r != AVERROR(EAGAIN) && r != AVERROR_EOF)
            d->p->bad_packets++;
        enum err_code rc = take_frames(d, e);
        if (rc || r != AVERROR(EAGAIN))
            return rc;
    }
    return OK;
}

static enum err_code one_packet(struct decoder *d, size_t k, struct err *e)
{
    const struct video_pass *p = d->p;
    int action = PLAN_WANT;
    if (p->plan)
        action = k < p->n_plan ? p->plan[k] : PLAN_SKIP;
    if (action == PLAN_SKIP)
        return OK;
    d->codec->skip_frame = p->skip_unreferenced && !(action & PLAN_WANT)
                               ? AVDISCARD_NONREF
                               : AVDISCARD_DEFAULT;
    enum err_code rc = feed(d, d->pkt, e);
    if (!rc && (action & PLAN_DRAIN)) {
        rc = feed(d, NULL, e);
        avcodec_flush_buffers(d->codec);
    }
    return rc;
}

/* The last packet of the plan that is not skipped, plus one. */
static size_t plan_end(const struct video_pass *p)
{
    size_t n = p->n_plan;
    while (n && p->plan[n - 1] == PLAN_SKIP)
        n--;
    return n;
}

static enum err_code read_and_decode(struct decoder *d, struct err *e)
{
    struct video_pass *p = d->p;
    size_t k = 0, end = p->plan ? plan_end(p) : SIZE_MAX;
    enum err_code rc = OK;
    int stuck = 0;
    while (!rc && !d->stop && k < end) {
        int r = av_read_frame(d->in.fmt, d->pkt);
        if (r == AVERROR(EAGAIN) && ++stuck < 1000)
            continue;
        if (r < 0) {
            p->read_error = r != AVERROR_EOF;
            break;
        }
        stuck = 0;
        if (d->pkt->stream_index == d->in.stream)
            rc = one_packet(d, k++, e);
        av_packet_unref(d->pkt);
        if (!rc && p->o->stopping && p->o->stopping(p->o->stopping_arg))
            rc = err_set(e, ERR_CANCEL, "stopped");
    }
    if (!rc && !d->stop && !p->plan)
        rc = feed(d, NULL, e);
    return rc;
}

enum err_code video_decode_pass(struct video_pass *p, struct err *e)
{
    struct decoder d = {.p = p};
    p->bad_packets = p->damaged_frames = p->delivered = 0;
    p->read_error = false;
    enum err_code rc = decoder_open(&d, e);
    uint64_t before = video_log_errors();
    if (!rc)
        rc = read_and_decode(&d, e);
    p->log_errors = video_log_errors() - before;
    snprintf(p->complaint, sizeof p->complaint, "%s",
             p->log_errors ? video_log_first() : "");
    decoder_close(&d);
    return rc;
}
