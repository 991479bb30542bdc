/* Chosen frames of an open video: only what they need is decoded. */
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/media/video_internal.h"

/* Chosen frames up to this many bytes are held until all of them are known to
 * be there; longer lists are decoded twice instead, so that memory does not
 * grow with the clip. */
#define HOLD_BYTES ((size_t)192 << 20)

/* ---- planning ---- */

/* The last key packet up to packet `k` that is not shown after it; `least` if
 * there is none after that. */
static size_t key_before(const struct video *v, size_t k, size_t least)
{
    const struct video_packet *p = v->index.packets;
    size_t i = v->key_start ? k : least;
    while (i > least && !(p[i].key && p[i].pts <= p[k].pts))
        i--;
    return i;
}

/* Actions for the chosen frames: runs from a key packet to the last wanted
 * packet before the next key packet that serves. */
static void make_plan(const struct video *v, const int64_t *list, size_t n,
                      uint8_t *plan)
{
    const struct video_packet *p = v->index.packets;
    size_t count = v->index.n_packets, last = 0;
    for (size_t i = 0; i < n; i++)
        plan[v->index.frames[list[i]].packet] = PLAN_WANT;
    bool open = false;
    size_t start = 0;
    for (size_t k = 0; k < count; k++) {
        if (plan[k] != PLAN_WANT)
            continue;
        size_t s = key_before(v, k, last);
        if (!open || s > last) {
            if (open)
                plan[last] |= PLAN_DRAIN;
            start = s;
            open = true;
        } else {
            s = last + 1;
        }
        /* Pictures shown before the key picture refer to what was skipped. */
        for (size_t i = s; i < k; i++)
            if (start == 0 || i == start || p[i].pts == AV_NOPTS_VALUE ||
                p[i].pts > p[start].pts)
                plan[i] = PLAN_FEED;
        last = k;
    }
    if (open)
        plan[last] |= PLAN_DRAIN;
}

/* ---- sampling ---- */

struct sampling {
    struct video *v;
    video_choose_fn choose;
    video_frame_fn deliver;
    void *arg;
    int64_t *list;
    size_t n;
    struct tensor **held; /* n, or NULL: deliver at once */
    size_t next;          /* of list, when delivering at once */
    int64_t ordinal;      /* frames seen */
    int64_t last;         /* frame that came last, -1 before */
    bool misfit;          /* a frame that the packets do not tell of */
};

static int64_t frame_pts(const AVFrame *f)
{
    return f->pts != AV_NOPTS_VALUE ? f->pts : f->best_effort_timestamp;
}

/* Position in presentation of the frame with this time stamp; -1: none. */
static int64_t find_frame(const struct video_index *x, int64_t pts)
{
    size_t lo = 0, hi = x->n_frames;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (x->frames[mid].pts < pts)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < x->n_frames && x->frames[lo].pts == pts ? (int64_t)lo : -1;
}

/* The place of frame `index` in the list; n if it is not chosen. */
static size_t find_chosen(const struct sampling *s, int64_t index)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->list[mid] < index)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n && s->list[lo] == index ? lo : s->n;
}

static enum err_code hand_on(struct sampling *s, size_t i, struct tensor *t,
                             struct err *e)
{
    struct video *v = s->v;
    struct video_frame f = {s->list[i], video_pts_ns(v, s->list[i]), t};
    return s->deliver(s->arg, v, &f, i, s->n, e);
}

/* Frames known by their time stamps, kept until all are there. */
static enum err_code hold_frame(void *arg, const AVFrame *f, bool *stop,
                                struct err *e)
{
    struct sampling *s = arg;
    int64_t index = find_frame(&s->v->index, frame_pts(f));
    if (index <= s->last) { /* unknown, or out of order */
        s->misfit = *stop = true;
        return OK;
    }
    s->last = index;
    size_t i = find_chosen(s, index);
    if (i == s->n)
        return OK;
    if (s->held[i]) {
        s->misfit = *stop = true;
        return OK;
    }
    return video_convert(&s->v->converter, &s->v->shape, f, &s->held[i], e);
}

/* Frames known by counting, handed on at once. */
static enum err_code pass_frame(void *arg, const AVFrame *f, bool *stop,
                                struct err *e)
{
    struct sampling *s = arg;
    struct tensor *t = NULL;
    if (s->ordinal++ != s->list[s->next])
        return OK;
    enum err_code rc = video_convert(&s->v->converter, &s->v->shape, f, &t, e);
    if (!rc)
        rc = hand_on(s, s->next, t, e);
    tensor_free(&t);
    *stop = ++s->next == s->n;
    return rc;
}

/* Frames counted and their time stamps kept. */
static enum err_code count_frame(void *arg, const AVFrame *f, bool *stop,
                                 struct err *e)
{
    struct video_index *x = arg;
    (void)stop;
    enum err_code rc = video_index_frame(x, f->pts, 0, e);
    if (!rc)
        x->frames[x->n_frames - 1].guess = f->best_effort_timestamp;
    return rc;
}

static struct video_pass new_pass(struct video *v, int threads)
{
    return (struct video_pass){
        .path = v->path, .o = &v->o, .par = v->par, .threads = threads};
}

static enum err_code ask(struct sampling *s, struct err *e)
{
    struct video *v = s->v;
    mem_free(s->list);
    s->list = NULL;
    s->n = 0;
    enum err_code rc = s->choose(s->arg, v, &s->list, &s->n, e);
    for (size_t i = 0; !rc && i < s->n; i++)
        if (s->list[i] < 0 || s->list[i] >= v->info.frames ||
            (i && s->list[i] <= s->list[i - 1]))
            rc = err_set(e, ERR_ARG, "frames must be chosen in order, once");
    return rc;
}

static void add_note(struct video *v, const char *text)
{
    size_t n = strlen(v->note);
    snprintf(v->note + n, sizeof v->note - n, "%s%s", n ? "; " : "", text);
}

/* What is wrong with the file, for the person; "" where only counting by
 * packets failed but nothing is missing. */
static void write_note(struct video *v, const struct video_pass *p,
                       int64_t expected)
{
    char text[128];
    long long frames = v->info.frames, bad = p->bad_packets;
    snprintf(v->note, sizeof v->note, "%s", v->file_note);
    if (bad || p->damaged_frames || expected > frames || p->read_error) {
        snprintf(text, sizeof text, "%lld of %lld frames decoded", frames,
                 expected > frames ? (long long)expected : frames);
        add_note(v, text);
    }
    if (p->read_error)
        add_note(v, "file ends early");
    if (bad) {
        snprintf(text, sizeof text, "%lld packets unreadable", bad);
        add_note(v, text);
    }
    if (p->damaged_frames) {
        snprintf(text, sizeof text, "%lld frames damaged",
                 (long long)p->damaged_frames);
        add_note(v, text);
    }
    if (p->log_errors && p->complaint[0]) {
        snprintf(text, sizeof text, "FFmpeg: %s", p->complaint);
        add_note(v, text);
    }
    switch (v->index.times) {
    case VIDEO_TIMES_GOOD:
        break;
    case VIDEO_TIMES_SORTED:
        add_note(v, "time stamps contradict the order of display: the "
                    "decoder's order is taken, time stamps sorted");
        break;
    case VIDEO_TIMES_DTS:
        add_note(v, "time stamps contradict the order of display: the "
                    "decoder's order and times of decoding are taken");
        break;
    case VIDEO_TIMES_ABSENT:
        add_note(v, "no usable time stamps: frames in the decoder's order");
        break;
    }
}

/* Decode all to learn what there is. With errors on one thread, where
 * concealment gives the same bytes each time. */
static enum err_code count_all(struct video *v, struct err *e)
{
    struct video_index fresh;
    struct video_pass p;
    enum err_code rc;
    int64_t expected =
        v->promised > v->info.packets ? v->promised : v->info.frames;
    for (;;) {
        memset(&fresh, 0, sizeof fresh);
        p = new_pass(v, v->threads_full);
        p.thorough = true;
        p.frame = count_frame;
        p.arg = &fresh;
        rc = video_decode_pass(&p, e);
        bool clean = !p.bad_packets && !p.damaged_frames && !p.log_errors;
        if (rc || clean || v->threads_full == 1)
            break;
        v->threads_full = 1;
        video_index_free(&fresh);
    }
    fresh.packets = v->index.packets;
    fresh.n_packets = v->index.n_packets;
    mem_free(v->index.frames);
    v->index = fresh;
    v->index.trusted = false;
    v->info.decoded = true;
    if (!rc)
        rc = video_index_settle(&v->index, v->time_base, e);
    video_set_counts(v);
    v->info.packets = (int64_t)fresh.n_packets;
    if (rc)
        return rc;
    write_note(v, &p, expected);
    if (v->info.frames == 0)
        return err_set(e, ERR_DATA,
                       "'%s': no frame can be decoded (%s, %lld packets read, "
                       "%lld unreadable)",
                       v->path, v->info.codec, (long long)v->info.packets,
                       (long long)p.bad_packets);
    return OK;
}

/* Decode all, count, then once more for the chosen ones. */
static enum err_code sample_counted(struct sampling *s, struct err *e)
{
    struct video *v = s->v;
    enum err_code rc = v->info.decoded ? OK : count_all(v, e);
    if (!rc)
        rc = ask(s, e);
    if (rc || s->n == 0)
        return rc;
    struct video_pass p = new_pass(v, v->threads_full);
    p.thorough = true;
    p.frame = pass_frame;
    p.arg = s;
    s->ordinal = 0;
    s->next = 0;
    rc = video_decode_pass(&p, e);
    if (!rc && s->next < s->n)
        rc = err_set(e, ERR_DATA,
                     "'%s': decoding again gave %zu of %zu chosen frames",
                     v->path, s->next, s->n);
    return rc;
}

/* Decode what the chosen frames need; *fits tells whether all came as the
 * packets promised. Nothing is delivered. */
static enum err_code hold_chosen(struct sampling *s, bool *fits, struct err *e)
{
    struct video *v = s->v;
    uint8_t *plan = mem_calloc(v->index.n_packets, 1);
    s->held = mem_calloc(s->n, sizeof(struct tensor *));
    *fits = false;
    if (!plan || !s->held) {
        mem_free(plan);
        return err_set(e, ERR_NOMEM, "no memory to plan the decoding");
    }
    make_plan(v, s->list, s->n, plan);
    struct video_pass p = new_pass(v, v->o.threads);
    p.plan = plan;
    p.n_plan = v->index.n_packets;
    p.skip_unreferenced = v->skippable;
    p.frame = hold_frame;
    p.arg = s;
    s->misfit = false;
    s->last = -1;
    enum err_code rc = video_decode_pass(&p, e);
    mem_free(plan);
    *fits = !rc && !s->misfit && !p.bad_packets && !p.damaged_frames &&
            !p.log_errors && !p.read_error;
    for (size_t i = 0; *fits && i < s->n; i++)
        *fits = s->held[i] != NULL;
    if (!rc && !*fits)
        log_debug("'%s': frames do not come as its packets promise; "
                  "decoding all of it",
                  v->path);
    return rc;
}

static void drop_held(struct sampling *s)
{
    for (size_t i = 0; s->held && i < s->n; i++)
        tensor_free(&s->held[i]);
    mem_free(s->held);
    s->held = NULL;
}

/* Bytes of n frames at the stream's own size, near enough. */
static bool may_hold(const struct video *v, size_t n)
{
    size_t one = (size_t)v->par->width * (size_t)v->par->height * 3;
    size_t all;
    int64_t most = v->o.max_side;
    if (most > 0 && (size_t)(most * most) * 3 < one)
        one = (size_t)(most * most) * 3;
    return size_mul(one ? one : 1, n, &all) && all <= HOLD_BYTES;
}

static enum err_code sample_still(struct sampling *s, struct err *e)
{
    enum err_code rc = ask(s, e);
    if (!rc && s->n)
        rc = hand_on(s, 0, s->v->still, e);
    return rc;
}

static enum err_code sample_video(struct sampling *s, struct err *e)
{
    struct video *v = s->v;
    if (!v->index.trusted)
        return sample_counted(s, e);
    enum err_code rc = ask(s, e);
    if (rc || s->n == 0)
        return rc;
    if (!may_hold(v, s->n))
        return sample_counted(s, e);
    bool fits = false;
    rc = hold_chosen(s, &fits, e);
    for (size_t i = 0; !rc && fits && i < s->n; i++)
        rc = hand_on(s, i, s->held[i], e);
    drop_held(s);
    if (rc || fits)
        return rc;
    v->threads_full = 1; /* something is wrong: the careful way at once */
    return sample_counted(s, e);
}

enum err_code video_sample(struct video *v, video_choose_fn choose,
                           video_frame_fn deliver, void *arg, struct err *e)
{
    struct sampling s = {
        .v = v, .choose = choose, .deliver = deliver, .arg = arg};
    enum err_code rc = v->still ? sample_still(&s, e) : sample_video(&s, e);
    mem_free(s.list);
    return rc;
}
