/* The packets of a stream, read without decoding: how many frames they will
 * give, when each is shown, and where decoding can start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/media/video_internal.h"

void video_index_free(struct video_index *x)
{
    mem_free(x->packets);
    mem_free(x->frames);
    memset(x, 0, sizeof *x);
}

/* Room for one more element; p is the array. */
static bool grow(void **p, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 256;
    void *q = mem_resize(*p, more, size);
    if (!q)
        return false;
    *p = q;
    *cap = more;
    return true;
}

enum err_code video_index_frame(struct video_index *x, int64_t pts,
                                uint32_t packet, struct err *e)
{
    void *p = x->frames;
    if (x->n_frames >= VIDEO_MAX_PACKETS)
        return err_set(e, ERR_UNSUPPORTED, "more than %zu frames",
                       VIDEO_MAX_PACKETS);
    if (!grow(&p, x->n_frames, &x->cap_frames, sizeof *x->frames))
        return err_set(e, ERR_NOMEM, "no memory to list frames");
    x->frames = p;
    x->frames[x->n_frames++] = (struct video_entry){pts, packet};
    return OK;
}

static enum err_code add_packet(struct video_index *x, const AVPacket *pkt,
                                struct err *e)
{
    void *p = x->packets;
    if (x->n_packets >= VIDEO_MAX_PACKETS)
        return err_set(e, ERR_UNSUPPORTED, "more than %zu packets",
                       VIDEO_MAX_PACKETS);
    if (!grow(&p, x->n_packets, &x->cap_packets, sizeof *x->packets))
        return err_set(e, ERR_NOMEM, "no memory to list packets");
    x->packets = p;
    bool hidden = pkt->flags & AV_PKT_FLAG_DISCARD;
    x->packets[x->n_packets] =
        (struct video_packet){pkt->pts, pkt->flags & AV_PKT_FLAG_KEY, hidden};
    if (!hidden) {
        enum err_code rc =
            video_index_frame(x, pkt->pts, (uint32_t)x->n_packets, e);
        if (rc)
            return rc;
    }
    x->n_packets++;
    return OK;
}

static void distrust(struct video_index *x, const char *why)
{
    x->trusted = false;
    if (!x->why[0])
        snprintf(x->why, sizeof x->why, "%s", why);
}

static int by_time(const void *a, const void *b)
{
    const struct video_entry *p = a, *q = b;
    return p->pts < q->pts ? -1 : p->pts > q->pts;
}

/* Sort into the order of presentation and look for what cannot be right. */
static void check(struct video_index *x)
{
    if (x->n_frames == 0) {
        distrust(x, "no packets");
        return;
    }
    if (!x->packets[0].key)
        distrust(x, "the first packet is no key frame");
    qsort(x->frames, x->n_frames, sizeof *x->frames, by_time);
    for (size_t i = 0; i < x->n_frames; i++)
        if (x->frames[i].pts == AV_NOPTS_VALUE ||
            (i && x->frames[i].pts == x->frames[i - 1].pts)) {
            distrust(x, "time stamps are missing or doubled");
            return;
        }
}

enum err_code video_index_packets(struct video_index *x, struct video_input *in,
                                  const struct video_options *o, struct err *e)
{
    AVPacket *pkt = av_packet_alloc();
    enum err_code rc = OK;
    int r = 0, stuck = 0;
    if (!pkt)
        return err_set(e, ERR_NOMEM, "no memory for a packet");
    x->trusted = true;
    while (!rc) {
        r = av_read_frame(in->fmt, pkt);
        if (r == AVERROR(EAGAIN) && ++stuck < 1000)
            continue;
        if (r < 0)
            break;
        stuck = 0;
        if (pkt->stream_index == in->stream) {
            if (pkt->flags & AV_PKT_FLAG_CORRUPT)
                distrust(x, "packets are damaged");
            rc = add_packet(x, pkt, e);
        }
        av_packet_unref(pkt);
        if (o->stopping && o->stopping(o->stopping_arg))
            rc = err_set(e, ERR_CANCEL, "stopped");
    }
    av_packet_free(&pkt);
    if (rc)
        return rc;
    if (in->io_errno)
        return err_errno(e, ERR_IO, in->io_errno, "read error");
    /* A nonsense size shows as "no memory" too. */
    if (r != AVERROR_EOF)
        distrust(x, "the file is damaged or ends early");
    check(x);
    return OK;
}
