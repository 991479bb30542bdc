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
    x->frames[x->n_frames++] =
        (struct video_entry){.pts = pts, .packet = packet};
    return OK;
}

static enum err_code add_packet(struct video_index *x, const AVPacket *pkt,
                                int64_t order, struct err *e)
{
    void *p = x->packets;
    if (x->n_packets >= VIDEO_MAX_PACKETS)
        return err_set(e, ERR_UNSUPPORTED, "more than %zu packets",
                       VIDEO_MAX_PACKETS);
    if (!grow(&p, x->n_packets, &x->cap_packets, sizeof *x->packets))
        return err_set(e, ERR_NOMEM, "no memory to list packets");
    x->packets = p;
    bool hidden = pkt->flags & AV_PKT_FLAG_DISCARD;
    x->packets[x->n_packets] = (struct video_packet){
        pkt->pts, pkt->dts, order, pkt->flags & AV_PKT_FLAG_KEY, hidden};
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
    for (size_t i = 0; i < x->n_frames; i++) {
        const struct video_entry *f = x->frames;
        if (f[i].pts == AV_NOPTS_VALUE || (i && f[i].pts == f[i - 1].pts)) {
            distrust(x, "time stamps are missing or doubled");
            return;
        }
        if (i &&
            x->packets[f[i].packet].order < x->packets[f[i - 1].packet].order) {
            distrust(x, "time stamps contradict the order of display");
            return;
        }
    }
}

/* ---- time ---- */

int64_t video_ns(int64_t pts, AVRational time_base)
{
    if (pts == AV_NOPTS_VALUE || time_base.num <= 0 || time_base.den <= 0)
        return INT64_MIN;
    return av_rescale_q(pts, time_base, (AVRational){1, 1000000000});
}

static bool increase(const struct video_index *x, AVRational tb, bool guesses)
{
    int64_t before = INT64_MIN;
    for (size_t i = 0; i < x->n_frames; i++) {
        const struct video_entry *f = &x->frames[i];
        int64_t ns = video_ns(guesses ? f->guess : f->pts, tb);
        if (ns <= before || ns == INT64_MAX)
            return false;
        before = ns;
    }
    return true;
}

bool video_index_timed(const struct video_index *x, AVRational time_base)
{
    return x->times != VIDEO_TIMES_ABSENT && increase(x, time_base, false);
}

/* The times of decoding, in place of those of presentation. */
static bool take_dts(struct video_index *x)
{
    size_t n = 0;
    for (size_t k = 0; k < x->n_packets; k++)
        n += !x->packets[k].hidden;
    if (n != x->n_frames)
        return false;
    n = 0;
    for (size_t k = 0; k < x->n_packets; k++)
        if (!x->packets[k].hidden)
            x->frames[n++].guess = x->packets[k].dts;
    return true;
}

/* H.264 lets a picture wait for 16 others. */
#define MOST_MOVED 16

static int by_value(const void *a, const void *b)
{
    int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return p < q ? -1 : p > q;
}

/* The file's own time stamps in ascending order; *fits if none is missing or
 * doubled and none moves far (a clock that jumps back is another matter). */
static enum err_code take_sorted(struct video_index *x, bool *fits,
                                 struct err *e)
{
    size_t n = x->n_frames;
    int64_t *sorted = mem_array(n, sizeof *sorted);
    if (!sorted)
        return err_set(e, ERR_NOMEM, "no memory to sort time stamps");
    for (size_t i = 0; i < n; i++)
        sorted[i] = x->frames[i].pts;
    qsort(sorted, n, sizeof *sorted, by_value);
    *fits = sorted[0] != AV_NOPTS_VALUE;
    for (size_t i = 0; *fits && i < n; i++) {
        size_t from = i > MOST_MOVED ? i - MOST_MOVED : 0;
        size_t to = n - i > MOST_MOVED ? i + MOST_MOVED : n - 1;
        int64_t pts = x->frames[i].pts;
        *fits = pts >= sorted[from] && pts <= sorted[to];
        x->frames[i].guess = sorted[i];
    }
    mem_free(sorted);
    return OK;
}

enum err_code video_index_settle(struct video_index *x, AVRational time_base,
                                 struct err *e)
{
    bool contradict = false, sorted = false;
    int64_t last = AV_NOPTS_VALUE;
    x->times = VIDEO_TIMES_GOOD;
    if (increase(x, time_base, false))
        return OK;
    for (size_t i = 0; i < x->n_frames; i++) {
        int64_t pts = x->frames[i].pts;
        if (pts == AV_NOPTS_VALUE)
            continue;
        contradict |= last != AV_NOPTS_VALUE && pts <= last;
        last = pts;
    }
    if (contradict) {
        enum err_code rc = take_sorted(x, &sorted, e);
        if (rc)
            return rc;
    }
    bool good = (!contradict || sorted) && increase(x, time_base, true);
    if (good)
        x->times = sorted ? VIDEO_TIMES_SORTED : VIDEO_TIMES_GOOD;
    else if (take_dts(x) && increase(x, time_base, true))
        x->times = contradict ? VIDEO_TIMES_DTS : VIDEO_TIMES_GOOD;
    else
        x->times = VIDEO_TIMES_ABSENT;
    for (size_t i = 0; x->times != VIDEO_TIMES_ABSENT && i < x->n_frames; i++)
        x->frames[i].pts = x->frames[i].guess;
    return OK;
}

/* ---- reading ---- */

enum err_code video_index_packets(struct video_index *x, struct video_input *in,
                                  const struct video_options *o, struct err *e)
{
    AVPacket *pkt = av_packet_alloc();
    struct video_order *order =
        video_order_new(in->fmt->streams[in->stream]->codecpar);
    enum err_code rc = OK;
    int r = 0, stuck = 0;
    if (!pkt || !order)
        rc = err_set(e, ERR_NOMEM, "no memory for a packet");
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
            int64_t at = 0;
            const char *odd =
                x->trusted ? video_order_packet(order, pkt, &at) : "";
            if (odd)
                distrust(x, odd);
            rc = add_packet(x, pkt, at, e);
        }
        av_packet_unref(pkt);
        if (o->stopping && o->stopping(o->stopping_arg))
            rc = err_set(e, ERR_CANCEL, "stopped");
    }
    av_packet_free(&pkt);
    video_order_free(&order);
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
