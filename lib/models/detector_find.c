/* The face detector in use: plans by size of picture, boxes from maps. */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/models/detector.h"

#define KEPT 4 /* plans of different sizes */
#define OVERLAP 0.4

struct plan {
    struct nn_net *net;
    int64_t h, w;
    float *maps[DETECTOR_LEVELS];
    uint64_t used;
};

struct detector {
    struct nn_params *weights; /* lent by their file */
    struct nn_options options;
    int width;
    struct plan plan[KEPT];
    uint64_t clock;
};

static enum err_code decode_level(const struct detector_level *l,
                                  const float *m, int64_t h, int64_t w,
                                  double least, struct scored_box *out,
                                  size_t *n, struct err *e)
{
    int64_t cells = h * w;
    for (int64_t c = 0; c < cells; c++) {
        if (!((double)m[c] >= least))
            continue;
        if (*n == 2 * DETECTOR_MAX_CELLS) { /* keep the better half */
            enum err_code r = boxes_sort(out, *n, e);
            if (r)
                return r;
            *n = DETECTOR_MAX_CELLS;
        }
        struct scored_box *b = &out[(*n)++];
        const float v[4] = {m[cells + c], m[2 * cells + c], m[3 * cells + c],
                            m[4 * cells + c]};
        detector_box(l, c % w, c / w, v, b->box);
        b->score = (float)(1 / (1 + exp(-(double)m[c])));
        if (!isfinite(b->box[0] + b->box[1] + b->box[2] + b->box[3]))
            --*n;
    }
    return OK;
}

enum err_code detector_decode(const float *const maps[DETECTOR_LEVELS],
                              int64_t h, int64_t w, double min_score,
                              struct scored_box *out, size_t max, size_t *n,
                              struct err *e)
{
    double p = fmin(fmax(min_score, 1e-6), 1 - 1e-6), least = log(p / (1 - p));
    struct scored_box *all = mem_array(2 * DETECTOR_MAX_CELLS, sizeof *all);
    enum err_code r = all ? OK : err_set(e, ERR_NOMEM, "no memory for boxes");
    size_t found = 0;
    *n = 0;
    for (int i = 0; i < DETECTOR_LEVELS && !r; i++) {
        const struct detector_level *l = &detector_level[i];
        r = decode_level(l, maps[i], h / l->stride, w / l->stride, least, all,
                         &found, e);
    }
    if (!r)
        r = boxes_sort(all, found, e);
    if (!r) {
        found = found < DETECTOR_MAX_CELLS ? found : DETECTOR_MAX_CELLS;
        found = boxes_nms(all, found, OVERLAP, BOXES_SPAN);
        *n = found < max ? found : max;
        if (*n)
            memcpy(out, all, *n * sizeof *out);
    }
    mem_free(all);
    return r;
}

enum err_code detector_new(struct safetensors *w, const struct nn_options *o,
                           struct detector **out, struct err *e)
{
    struct detector *d = mem_calloc(1, sizeof *d);
    *out = NULL;
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory for the face detector");
    d->options = *o;
    enum err_code r = detector_read(w, "", &d->width, e);
    if (!r) {
        d->weights = nn_params_new(0, e);
        r = d->weights ? OK : ERR_NOMEM;
    }
    /* Missing tensors are found now, not at the first picture. */
    if (!r) {
        int level[DETECTOR_LEVELS];
        struct nn_graph *g = nn_graph_new(e);
        nn_params_lend(d->weights, w, NULL);
        struct nn_scope s = nn_scope(g, d->weights);
        r = !g ? ERR_NOMEM : OK;
        if (g && !detector_net(&s, nn_input(g, 3, DETECTOR_STEP, DETECTOR_STEP),
                               d->width, level))
            r = nn_graph_status(g, e);
        nn_params_lend(d->weights, NULL, NULL);
        nn_graph_free(&g);
    }
    if (r)
        detector_free(&d);
    *out = d;
    return r;
}

static void plan_free(struct plan *p)
{
    nn_net_free(&p->net);
    mem_free(p->maps[0]);
    *p = (struct plan){.h = 0};
}

void detector_free(struct detector **d)
{
    if (!d || !*d)
        return;
    for (int i = 0; i < KEPT; i++)
        plan_free(&(*d)->plan[i]);
    nn_params_free(&(*d)->weights);
    mem_free(*d);
    *d = NULL;
}

static enum err_code plan_make(struct detector *d, struct plan *p, int64_t h,
                               int64_t w, struct err *e)
{
    int level[DETECTOR_LEVELS];
    size_t cells = 0, at = 0;
    struct nn_graph *g = nn_graph_new(e);
    if (!g)
        return ERR_NOMEM;
    struct nn_scope s = nn_scope(g, d->weights);
    if (detector_net(&s, nn_input(g, 3, h, w), d->width, level))
        for (int i = 0; i < DETECTOR_LEVELS; i++)
            nn_output(g, level[i]);
    struct nn_options o = d->options;
    for (int i = 0; i < KEPT; i++)
        o.like = d->plan[i].net ? d->plan[i].net : o.like;
    enum err_code r = nn_plan(g, &o, &p->net, e);
    nn_graph_free(&g);
    for (int i = 0; i < DETECTOR_LEVELS; i++)
        cells += (size_t)(h / detector_level[i].stride) *
                 (size_t)(w / detector_level[i].stride);
    float *maps =
        r ? NULL : mem_aligned(cells * DETECTOR_CHANNELS * sizeof *maps);
    if (!r && !maps)
        r = err_set(e, ERR_NOMEM, "no memory for the detector's maps");
    for (int i = 0; i < DETECTOR_LEVELS && !r; i++) {
        p->maps[i] = maps + at;
        at += DETECTOR_CHANNELS * (size_t)(h / detector_level[i].stride) *
              (size_t)(w / detector_level[i].stride);
    }
    p->h = h;
    p->w = w;
    if (r)
        plan_free(p);
    return r;
}

/* The plan for this size; the one that was not used for longest makes room. */
static enum err_code plan_for(struct detector *d, int64_t h, int64_t w,
                              struct plan **out, struct err *e)
{
    struct plan *oldest = &d->plan[0];
    for (int i = 0; i < KEPT; i++) {
        struct plan *p = &d->plan[i];
        if (p->net && p->h == h && p->w == w) {
            p->used = ++d->clock;
            *out = p;
            return OK;
        }
        if (p->used < oldest->used)
            oldest = p;
    }
    plan_free(oldest);
    enum err_code r = plan_make(d, oldest, h, w, e);
    oldest->used = r ? 0 : ++d->clock;
    *out = oldest;
    return r;
}

enum err_code detector_find(struct detector *d, const float *picture, int64_t h,
                            int64_t w, double min_score, struct scored_box *out,
                            size_t max, size_t *n, struct err *e)
{
    struct plan *p;
    *n = 0;
    if (h < DETECTOR_STEP || w < DETECTOR_STEP || h % DETECTOR_STEP ||
        w % DETECTOR_STEP || h > 16384 || w > 16384)
        return err_set(e, ERR_ARG, "detector: a picture of %lld x %lld",
                       (long long)w, (long long)h);
    enum err_code r = plan_for(d, h, w, &p, e);
    const float *in[] = {picture};
    if (!r)
        r = nn_run(p->net, in, p->maps, e);
    const float *const maps[] = {p->maps[0], p->maps[1], p->maps[2]};
    return r ? r : detector_decode(maps, h, w, min_score, out, max, n, e);
}
