/* Passes over activations, element by element, channel by channel, and sums
 * over channels. */
#include "lib/base/clones.h"

#include "lib/nn/elementwise.h"

#include <string.h>

#define ACC 64         /* sums side by side where a pixel has 1 or 16 lanes */
#define PART_RUNS 16   /* runs whose sum is one number in double */
#define PART_PIXELS 64 /* and no fewer pixels than these */
#define ADDS 32        /* f32 additions before a sum goes into a double */

/* Where chunk i of NN_ROW elements ends. */
static int64_t chunk(int64_t total, int64_t at)
{
    return total - at < NN_ROW ? total - at : NN_ROW;
}

void nn_each1(const struct nn_view *a, const struct nn_view *dst, bool add,
              nn_fn1 *f, const void *arg)
{
    int64_t total = dst->batch * nn_view_stride(dst);
#pragma omp parallel for schedule(static) if (total >= NN_PARALLEL)
    for (int64_t at = 0; at < total; at += NN_ROW) {
        float from[NN_ROW], to[NN_ROW];
        int64_t n = chunk(total, at);
        const float *p = nn_row_get(a, at, n, from);
        float *d = add ? to : nn_row_at(dst, at, to);
        f(p, d, n, arg);
        nn_row_put(dst, at, n, d, add);
    }
}

void nn_each2(const struct nn_view *a, const struct nn_view *b,
              const struct nn_view *dst, bool add, nn_fn2 *f, const void *arg)
{
    int64_t total = dst->batch * nn_view_stride(dst);
#pragma omp parallel for schedule(static) if (total >= NN_PARALLEL)
    for (int64_t at = 0; at < total; at += NN_ROW) {
        float one[NN_ROW], two[NN_ROW], to[NN_ROW];
        int64_t n = chunk(total, at);
        const float *p = nn_row_get(a, at, n, one);
        const float *q = nn_row_get(b, at, n, two);
        float *d = add ? to : nn_row_at(dst, at, to);
        f(p, q, d, n, arg);
        nn_row_put(dst, at, n, d, add);
    }
}

/* ---- runs ---- */

struct nn_segs nn_segs_of(const struct nn_view *v)
{
    struct nn_segs s = {.pictures = v->batch,
                        .planes = nn_view_planes(v),
                        .lane = nn_view_lane(v),
                        .stride = nn_view_stride(v)};
    s.plane = v->shape.h * v->shape.w * s.lane;
    s.wide = s.lane > NN_ROW;
    if (s.wide) {
        s.step = NN_ROW;
        s.per_plane = v->shape.h * v->shape.w * ((s.lane - 1) / NN_ROW + 1);
    } else {
        s.step = NN_ROW / s.lane * s.lane;
        s.per_plane = (s.plane - 1) / s.step + 1;
    }
    return s;
}

struct nn_seg nn_seg_at(const struct nn_segs *s, int64_t b, int64_t p,
                        int64_t i)
{
    struct nn_seg r = {.b = b,
                       .at = b * s->stride + p * s->plane,
                       .c = p * s->lane,
                       .period = s->lane};
    int64_t from = i * s->step, end = s->plane;
    if (s->wide) {
        int64_t each = (s->lane - 1) / NN_ROW + 1;
        r.c = i % each * NN_ROW;
        from = i / each * s->lane + r.c;
        end = (i / each + 1) * s->lane;
    }
    r.at += from;
    r.n = end - from < s->step ? end - from : s->step;
    return r;
}

void nn_repeat(float *row, const float *v, int64_t period, int64_t n)
{
    if (period == 1) {
        for (int64_t i = 0; i < n; i++)
            row[i] = v[0];
        return;
    }
    int64_t have = period < n ? period : n;
    memcpy(row, v, (size_t)have * sizeof *row);
    while (have < n) {
        int64_t more = n - have < have ? n - have : have;
        memcpy(row + have, row, (size_t)more * sizeof *row);
        have += more;
    }
}

/* The constants of the channels of a run, kept while runs of the same
 * channels follow each other. */
struct constants {
    float row[NN_CHANNEL_ROWS][NN_ROW];
    const float *p[NN_CHANNEL_ROWS];
    int64_t b, c, n;
};

static void constants_of(struct constants *s, const struct nn_seg *r,
                         const float *const *k, int n_k, int64_t k_stride)
{
    int64_t b = k_stride ? r->b : 0;
    if (s->b == b && s->c == r->c && s->n >= r->n)
        return;
    s->b = b;
    s->c = r->c;
    s->n = r->n;
    for (int j = 0; j < n_k; j++) {
        const float *v = k[j] + b * k_stride + r->c;
        s->p[j] = v;
        if (r->period < r->n) {
            nn_repeat(s->row[j], v, r->period, r->n);
            s->p[j] = s->row[j];
        }
    }
}

static void channel_run(const struct nn_view *a, const struct nn_view *b,
                        const struct nn_view *dst, bool add, nn_fn_channel *f,
                        const void *arg, const struct nn_seg *r,
                        const struct constants *s)
{
    float one[NN_ROW], two[NN_ROW], to[NN_ROW];
    const float *p = nn_row_get(a, r->at, r->n, one);
    const float *q = b ? nn_row_get(b, r->at, r->n, two) : NULL;
    float *d = add ? to : nn_row_at(dst, r->at, to);
    f(p, q, d, s->p, r->n, arg);
    nn_row_put(dst, r->at, r->n, d, add);
}

void nn_each_channel(const struct nn_view *a, const struct nn_view *b,
                     const struct nn_view *dst, bool add, nn_fn_channel *f,
                     const void *arg, const float *const *k, int n_k,
                     int64_t k_stride)
{
    struct nn_segs s = nn_segs_of(dst);
    int64_t total = s.pictures * s.planes * s.per_plane;
#pragma omp parallel if (s.pictures * s.stride >= NN_PARALLEL)
    {
        struct constants c = {.b = -1};
#pragma omp for schedule(static)
        for (int64_t i = 0; i < total; i++) {
            int64_t plane = i / s.per_plane;
            struct nn_seg r = nn_seg_at(&s, plane / s.planes, plane % s.planes,
                                        i % s.per_plane);
            constants_of(&c, &r, k, n_k, k_stride);
            channel_run(a, b, dst, add, f, arg, &r, &c);
        }
    }
}

/* ---- sums ---- */

struct parts {
    struct nn_segs segs;
    int64_t runs, per_plane; /* runs of a part; parts of a plane */
};

static struct parts parts_of(const struct nn_view *v)
{
    struct parts p = {.segs = nn_segs_of(v), .runs = PART_RUNS};
    int64_t pixels = PART_PIXELS * p.segs.lane / p.segs.step;
    if (p.runs < pixels)
        p.runs = pixels;
    p.per_plane = (p.segs.per_plane - 1) / p.runs + 1;
    return p;
}

size_t nn_sum_scratch(const struct nn_view *a, int n_sums)
{
    struct parts p = parts_of(a);
    return (size_t)(p.segs.pictures * p.segs.planes * p.per_plane *
                    p.segs.lane) *
           (size_t)n_sums;
}

CLONES
static void sum_products(const float *a, const float *b, float *restrict sum,
                         int64_t width, int64_t n)
{
    for (int64_t i = 0; i < n; i += width) {
        int64_t m = n - i < width ? n - i : width;
        for (int64_t j = 0; j < m; j++)
            sum[j] += a[i + j] * b[i + j];
    }
}

void nn_sum_products(const float *a, const float *b, const float *const *k,
                     float *const *acc, int64_t width, int64_t n,
                     const void *arg)
{
    (void)k;
    (void)arg;
    sum_products(a, b, acc[0], width, n);
}

/* Add acc to the part's doubles and clear it. */
static void flush(float *acc, int64_t width, double *to, int64_t period)
{
    if (period == 1) {
        double sum = 0;
        for (int64_t i = 0; i < width; i++)
            sum += (double)acc[i];
        to[0] += sum;
    } else {
        for (int64_t i = 0; i < width; i += period) {
            for (int64_t c = 0; c < period && i + c < width; c++)
                to[c] += (double)acc[i + c];
        }
    }
    memset(acc, 0, (size_t)width * sizeof *acc);
}

/* One part's sums: to[j][lane]. */
static void sum_part(const struct nn_sum_spec *s, const struct parts *parts,
                     int64_t b, int64_t plane, int64_t part, double *to)
{
    float one[NN_ROW], two[NN_ROW], row[NN_CHANNEL_ROWS][ACC];
    float sums[NN_SUMS][NN_ROW];
    float *acc[NN_SUMS];
    const float *k[NN_CHANNEL_ROWS];
    const struct nn_segs *g = &parts->segs;
    bool narrow = g->lane == 1 || g->lane == 16;
    int64_t width = narrow ? ACC : g->wide ? NN_ROW : g->lane;
    int64_t every = g->wide ? 1 : (ADDS * width - 1) / g->step + 1;
    int64_t end = (part + 1) * parts->runs;
    if (end > g->per_plane)
        end = g->per_plane;
    memset(to, 0, (size_t)(s->n_sums * g->lane) * sizeof *to);
    for (int j = 0; j < s->n_sums; j++) {
        acc[j] = sums[j];
        memset(sums[j], 0, (size_t)width * sizeof(float));
    }
    for (int64_t i = part * parts->runs; i < end; i++) {
        struct nn_seg r = nn_seg_at(g, b, plane, i);
        const float *p = nn_row_get(s->a, r.at, r.n, one);
        const float *q = s->b ? nn_row_get(s->b, r.at, r.n, two) : NULL;
        for (int j = 0; j < s->n_k; j++) {
            k[j] = s->k[j] + b * s->k_stride + r.c;
            if (narrow) {
                nn_repeat(row[j], k[j], g->lane, ACC);
                k[j] = row[j];
            }
        }
        s->f(p, q, k, acc, width, r.n, s->arg);
        if (i + 1 < end && (i + 1) % every)
            continue;
        int64_t c = g->wide ? r.c : 0;
        for (int j = 0; j < s->n_sums; j++)
            flush(acc[j], g->wide ? r.n : width, to + j * g->lane + c,
                  g->wide ? r.n : g->lane);
    }
}

void nn_sum_channels(const struct nn_sum_spec *s, double *scratch, double *sum)
{
    struct parts parts = parts_of(s->a);
    const struct nn_segs *g = &parts.segs;
    int64_t channels = g->planes * g->lane, each = s->n_sums * g->lane;
    int64_t total = g->pictures * g->planes * parts.per_plane;
#pragma omp parallel for schedule(static) if (g->pictures * g->stride >=       \
                                              NN_PARALLEL)
    for (int64_t i = 0; i < total; i++) {
        int64_t plane = i / parts.per_plane;
        sum_part(s, &parts, plane / g->planes, plane % g->planes,
                 i % parts.per_plane, scratch + i * each);
    }
    int64_t out = (s->each_picture ? g->pictures : 1) * s->n_sums * channels;
    memset(sum, 0, (size_t)out * sizeof *sum);
    for (int64_t i = 0; i < total; i++) {
        int64_t plane = i / parts.per_plane, b = plane / g->planes;
        double *to = sum + plane % g->planes * g->lane;
        if (s->each_picture)
            to += b * s->n_sums * channels;
        for (int j = 0; j < s->n_sums; j++) {
            for (int64_t c = 0; c < g->lane; c++)
                to[j * channels + c] += scratch[i * each + j * g->lane + c];
        }
    }
}
