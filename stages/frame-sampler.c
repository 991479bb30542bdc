/* frame-sampler: a video's path in, some of its frames out. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/item.h"
#include "lib/data/tensor.h"
#include "lib/flow/stage.h"
#include "lib/media/video.h"

enum sampler_mode {
    MODE_EVEN,
    MODE_RANDOM,
    MODE_EVERY,
    MODE_FPS,
    MODE_INDEX,
    MODE_ALL
};

struct sampler {
    int mode, deinterlace;
    int64_t count, every, seed, max_side, threads;
    double rate;
    struct stage_floats indices;
};

/* One input item while it is sampled. */
struct task {
    const struct sampler *c;
    struct stage *s;
    const struct item *in;
};

/* ---- choosing; N is the clip's number of frames ---- */

/* k (N-1) / (count-1) rounded: first and last included; the middle one where
 * only one is asked for; all where there are no more than asked for. */
static size_t choose_even(int64_t frames, int64_t count, int64_t *out)
{
    if (count >= frames) {
        for (int64_t i = 0; i < frames; i++)
            out[i] = i;
        return (size_t)frames;
    }
    if (count == 1) {
        out[0] = (frames - 1) / 2;
        return 1;
    }
    for (int64_t k = 0; k < count; k++)
        out[k] = (2 * k * (frames - 1) + count - 1) / (2 * (count - 1));
    return (size_t)count;
}

/* `count` of N, each set equally likely (selection sampling; Knuth, The Art of
 * Computer Programming 3.4.2 S). */
static size_t choose_random(int64_t frames, int64_t count, uint64_t seed,
                            int64_t *out)
{
    struct rng r;
    size_t n = 0;
    rng_seed(&r, seed);
    for (int64_t i = 0; i < frames && (int64_t)n < count; i++)
        if (rng_below(&r, (uint64_t)(frames - i)) <
            (uint64_t)(count - (int64_t)n))
            out[n++] = i;
    return n;
}

/* Seconds from the first frame to frame i; by the average rate in clips whose
 * time stamps cannot be used. */
static double seconds_to(const struct video *v, int64_t i)
{
    int64_t at = video_pts_ns(v, i), start = video_pts_ns(v, 0), ns;
    if (at == VIDEO_NO_TIME || start == VIDEO_NO_TIME)
        return (double)i / video_info(v)->fps;
    if (__builtin_sub_overflow(at, start, &ns))
        return ((double)at - (double)start) * 1e-9;
    return (double)ns * 1e-9;
}

/* The frames on the screen at 0, 1/rate, 2/rate ... seconds after the first;
 * each once. ERR_DATA where nothing tells when frames are shown. */
static enum err_code choose_fps(const struct video *v, double rate,
                                int64_t *out, size_t *n, struct err *e)
{
    int64_t frames = video_info(v)->frames, last_tick = -1;
    if (frames > 1 && video_pts_ns(v, 0) == VIDEO_NO_TIME &&
        !(video_info(v)->fps > 0))
        return err_set(e, ERR_DATA,
                       "no time stamps and no rate: mode fps cannot choose");
    for (int64_t i = 0; i < frames; i++) {
        /* the last tick before the next frame comes */
        bool more = i + 1 < frames;
        double until = seconds_to(v, more ? i + 1 : i);
        int64_t tick = more ? (int64_t)ceil(until * rate - 1e-6) - 1
                            : (int64_t)floor(until * rate + 1e-6);
        if (frames == 1)
            tick = 0;
        if (tick > last_tick) {
            out[(*n)++] = i;
            last_tick = tick;
        }
    }
    return OK;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Named indices, sorted, each once; negative ones count from the end. */
static enum err_code choose_named(const struct stage_floats *f, int64_t frames,
                                  int64_t *out, size_t *n, struct err *e)
{
    size_t used = 0;
    for (size_t i = 0; i < f->n; i++) {
        int64_t k = (int64_t)f->v[i];
        if (k < 0)
            k += frames;
        if (k < 0 || k >= frames)
            return err_set(e, ERR_DATA,
                           "frame %lld is asked for, the clip has %lld",
                           (long long)f->v[i], (long long)frames);
        out[used++] = k;
    }
    /* insertion: the lists are short and mostly in order */
    for (size_t i = 1; i < used; i++)
        for (size_t j = i; j > 0 && compare(&out[j - 1], &out[j]) > 0; j--) {
            int64_t t = out[j];
            out[j] = out[j - 1];
            out[j - 1] = t;
        }
    *n = 0;
    for (size_t i = 0; i < used; i++)
        if (i == 0 || out[i] != out[i - 1])
            out[(*n)++] = out[i];
    return OK;
}

static enum err_code choose(void *arg, const struct video *v, int64_t **list,
                            size_t *n, struct err *e)
{
    const struct task *t = arg;
    const struct sampler *c = t->c;
    int64_t frames = video_info(v)->frames;
    size_t most = c->mode == MODE_INDEX ? c->indices.n : (size_t)frames;
    int64_t *out = mem_array(most, sizeof *out);
    *list = out;
    if (!out)
        return err_set(e, ERR_NOMEM, "no memory for a list of frames");
    *n = 0;
    switch ((enum sampler_mode)c->mode) {
    case MODE_EVEN:
        *n = choose_even(frames, c->count, out);
        break;
    case MODE_RANDOM:
        *n = choose_random(frames, c->count,
                           item_seed(t->in, "frame-sampler") ^
                               (uint64_t)c->seed * 0x9e3779b97f4a7c15u,
                           out);
        break;
    case MODE_EVERY:
        for (int64_t i = 0; i < frames; i += c->every)
            out[(*n)++] = i;
        break;
    case MODE_FPS:
        return choose_fps(v, c->rate, out, n, e);
    case MODE_INDEX:
        return choose_named(&c->indices, frames, out, n, e);
    case MODE_ALL:
        *n = choose_even(frames, frames, out);
        break;
    }
    return OK;
}

static enum err_code deliver(void *arg, const struct video *v,
                             const struct video_frame *f, size_t i, size_t n,
                             struct err *e)
{
    const struct task *t = arg;
    const struct video_info *info = video_info(v);
    struct item *it = item_child(t->in, e);
    if (!it)
        return ERR_NOMEM;
    enum err_code rc = item_set_tensor(it, "frame", tensor_ref(f->picture), e);
    if (!rc)
        rc = item_set_i64(it, "frame_index", f->index, e);
    if (!rc)
        rc = item_set_i64(it, "n_frames", (int64_t)n, e);
    if (!rc)
        rc = item_set_i64(it, "sample", (int64_t)i, e);
    if (!rc && f->pts_ns != VIDEO_NO_TIME)
        rc = item_set_i64(it, "pts_ns", f->pts_ns, e);
    if (!rc)
        rc = item_set_i64(it, "clip_frames", info->frames, e);
    if (!rc)
        rc = item_set_f64(it, "fps", info->fps, e);
    if (!rc && info->note[0])
        rc = item_set_str(it, "decode_note", info->note, e);
    if (rc) {
        item_free(&it);
        return rc;
    }
    return stage_emit(t->s, "out", it, e);
}

static bool stopping(void *arg)
{
    return stage_stopping(arg);
}

static enum err_code sampler_open(void *ctx, struct stage *s, struct err *e)
{
    const struct sampler *c = ctx;
    (void)s;
    if (c->mode == MODE_INDEX && c->indices.n == 0)
        return err_set(e, ERR_ARG, "mode index needs the parameter indices");
    for (size_t i = 0; i < c->indices.n; i++)
        if (c->indices.v[i] < trunc(c->indices.v[i]) ||
            c->indices.v[i] > trunc(c->indices.v[i]))
            return err_set(e, ERR_ARG, "indices: %g is not a whole number",
                           c->indices.v[i]);
    return OK;
}

static enum err_code sampler_transform(void *ctx, struct stage *s,
                                       struct item *const *in, size_t n,
                                       struct err *e)
{
    const struct sampler *c = ctx;
    struct task t = {c, s, in[0]};
    (void)n; /* batches of one */
    const char *path = item_str(in[0], "path", "");
    struct video_options o = {
        .threads = (int)(c->threads ? c->threads : stage_threads(s)),
        .max_side = c->max_side,
        .deinterlace =
            c->deinterlace ? VIDEO_DEINTERLACE_OFF : VIDEO_DEINTERLACE_AUTO,
        .stopping = stopping,
        .stopping_arg = s,
    };
    struct video *v;
    enum err_code rc = video_open(path, &o, &v, e);
    if (rc)
        return rc;
    rc = video_sample(v, choose, deliver, &t, e);
    if (!rc && video_info(v)->note[0])
        log_warn("'%s': %s", path, video_info(v)->note);
    video_close(&v);
    return rc;
}

#define AT(member) offsetof(struct sampler, member)

static const struct stage_param params[] = {
    {"mode", PARAM_ENUM, AT(mode), "even", 0, 0,
     "even|random|every|fps|index|all", NULL,
     "even: `count` frames, evenly spaced, first and last included; random: "
     "`count`, drawn by `seed` and the item's id; every: each `every`-th; "
     "fps: those on the screen `rate` times a second; index: those named; "
     "all. No frame comes twice"},
    {"count", PARAM_INT, AT(count), "5", 1, 1e9, NULL, "frames",
     "of a clip, for even and random; a clip with fewer gives all it has"},
    {"every", PARAM_INT, AT(every), "1", 1, 1e9, NULL, "frames",
     "step of mode every"},
    {"rate", PARAM_FLOAT, AT(rate), "1", 1e-6, 1e6, NULL, "1/s", "of mode fps"},
    {"indices", PARAM_FLOATS, AT(indices), "", -1e15, 1e15, NULL, NULL,
     "frames of mode index, 0 the first, -1 the last"},
    {"seed", PARAM_INT, AT(seed), "0", 0, 0, NULL, NULL, "of mode random"},
    {"max-side", PARAM_INT, AT(max_side), "0", 0, 32768, NULL, "px",
     "larger frames are scaled down to this longer side; 0: as they are"},
    {"deinterlace", PARAM_ENUM, AT(deinterlace), "auto", 0, 0, "auto|off", NULL,
     "auto: frames marked as interlaced are freed of combing"},
    {"threads", PARAM_INT, AT(threads), "0", 0, 64, NULL, NULL,
     "of the decoder; 0: this process's share of the cores"},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};

static const struct stage_port in_ports[] = {
    {"in", "path str", "videos, gifs or pictures, told by their content"},
    {NULL, NULL, NULL},
};

static const struct stage_port out_ports[] = {
    {"out",
     "frame u8[H,W,3], frame_index i64, n_frames i64, sample i64, "
     "pts_ns i64?, clip_frames i64, fps f64, decode_note str?",
     "upright frames with square pixels; sample counts 0..n_frames-1 within "
     "the clip, decode_note says what is wrong with its file"},
    {NULL, NULL, NULL},
};

static const struct stage_desc desc = {
    .name = "frame-sampler",
    .help = "Takes frames out of videos. Decodes no more than the chosen "
            "frames need; nothing is emitted before all of a clip's chosen "
            "frames are known to be there.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .aside = "threads",
    .ctx_size = sizeof(struct sampler),
    .open = sampler_open,
    .transform = sampler_transform,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
