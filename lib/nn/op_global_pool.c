/* global_avg_pool, global_max_pool: one number a channel
 * (torch.nn.AdaptiveAvgPool2d(1), AdaptiveMaxPool2d(1)). */
#include "lib/base/clones.h"

#include <math.h>
#include <string.h>

#include "lib/nn/ops.h"
#include "lib/nn/rows.h"
#include "lib/nn/spatial.h"

/* n <= 16 neighbouring channels from element `at` on: sums of rows in float,
 * of the rows in double. */
NN_INLINE void sum_group(const struct nn_view *v, int64_t at, int64_t n,
                         double *sum, bool half)
{
    int64_t lane = nn_view_lane(v), w = v->shape.w;
    for (int64_t i = 0; i < n; i++)
        sum[i] = 0;
    for (int64_t y = 0; y < v->shape.h; y++) {
        float row[NN_GROUP] = {0};
        for (int64_t x = 0; x < w; x++)
            for (int64_t i = 0; i < n; i++)
                row[i] += nn_load(v->data, at + (y * w + x) * lane + i, half);
        for (int64_t i = 0; i < n; i++)
            sum[i] += (double)row[i];
    }
}

/* One channel by itself (lane 1): 16 partial sums along the pixels. */
NN_INLINE double sum_plain(const struct nn_view *v, int64_t at, bool half)
{
    int64_t n = v->shape.h * v->shape.w, whole = n / NN_GROUP * NN_GROUP;
    double part[NN_GROUP] = {0}, sum = 0;
    for (int64_t i = 0; i < whole; i += NN_GROUP)
        for (int64_t k = 0; k < NN_GROUP; k++)
            part[k] += (double)nn_load(v->data, at + i + k, half);
    for (int64_t i = whole; i < n; i++)
        part[i - whole] += (double)nn_load(v->data, at + i, half);
    for (int64_t k = 0; k < NN_GROUP; k++)
        sum += part[k];
    return sum;
}

CLONES
static void sums(const struct nn_view *v, int64_t at, int64_t n, double *sum)
{
    if (nn_view_lane(v) == 1 && nn_half(v))
        sum[0] = sum_plain(v, at, true);
    else if (nn_view_lane(v) == 1)
        sum[0] = sum_plain(v, at, false);
    else if (nn_half(v) && n == NN_GROUP)
        sum_group(v, at, NN_GROUP, sum, true);
    else if (n == NN_GROUP)
        sum_group(v, at, NN_GROUP, sum, false);
    else
        sum_group(v, at, n, sum, nn_half(v));
}

NN_INLINE void best_group(const struct nn_view *v, int64_t at, int64_t n,
                          float *best, int32_t *where, bool half)
{
    int64_t lane = nn_view_lane(v), pixels = v->shape.h * v->shape.w;
    for (int64_t i = 0; i < n; i++) {
        best[i] = -INFINITY;
        where[i] = 0;
    }
    for (int64_t p = 0; p < pixels; p++) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            float q = nn_load(v->data, at + p * lane + i, half);
            bool more = (q > best[i]) | (q != q);
            best[i] = more ? q : best[i];
            where[i] = more ? (int32_t)p : where[i];
        }
    }
}

/* One channel by itself: 16 partial maxima, then where the first one is. */
NN_INLINE void best_plain(const struct nn_view *v, int64_t at, float *best,
                          int32_t *where, bool half)
{
    int64_t n = v->shape.h * v->shape.w, whole = n / NN_GROUP * NN_GROUP;
    float part[NN_GROUP], top = -INFINITY;
    for (int k = 0; k < NN_GROUP; k++)
        part[k] = -INFINITY;
    for (int64_t i = 0; i < whole; i += NN_GROUP) {
#pragma omp simd
        for (int64_t k = 0; k < NN_GROUP; k++) {
            float q = nn_load(v->data, at + i + k, half);
            part[k] = ((q > part[k]) | (q != q)) ? q : part[k];
        }
    }
    for (int64_t i = whole; i < n; i++) {
        float q = nn_load(v->data, at + i, half);
        part[i - whole] =
            ((q > part[i - whole]) | (q != q)) ? q : part[i - whole];
    }
    for (int k = 0; k < NN_GROUP; k++)
        top = ((part[k] > top) | (part[k] != part[k])) ? part[k] : top;
    int64_t i = 0;
    for (; i < n - 1; i++) {
        float q = nn_load(v->data, at + i, half);
        if (top != top ? q != q : q >= top)
            break;
    }
    *best = top;
    *where = (int32_t)i;
}

CLONES
static void maxima(const struct nn_view *v, int64_t at, int64_t n, float *best,
                   int32_t *where)
{
    if (nn_view_lane(v) == 1 && nn_half(v))
        best_plain(v, at, best, where, true);
    else if (nn_view_lane(v) == 1)
        best_plain(v, at, best, where, false);
    else if (nn_half(v) && n == NN_GROUP)
        best_group(v, at, NN_GROUP, best, where, true);
    else if (n == NN_GROUP)
        best_group(v, at, NN_GROUP, best, where, false);
    else
        best_group(v, at, n, best, where, nn_half(v));
}

/* Channels in groups of at most 16 that lie side by side. */
struct groups {
    int64_t width, in_plane, planes, total;
};

static struct groups groups_of(const struct nn_view *v)
{
    int64_t lane = nn_view_lane(v), width = nn_min64(lane, NN_GROUP);
    struct groups g = {.width = width,
                       .in_plane = (lane + width - 1) / width,
                       .planes = nn_view_planes(v)};
    g.total = v->batch * g.planes * g.in_plane;
    return g;
}

/* Group i: its picture, first channel, number of channels (without padding)
 * and where its first pixel lies. */
struct place {
    int64_t b, c, n, at;
};

static struct place place_of(const struct nn_view *v, const struct groups *g,
                             int64_t i)
{
    int64_t lane = nn_view_lane(v), k = i % g->in_plane * g->width;
    int64_t plane = i / g->in_plane;
    struct place p = {.b = plane / g->planes,
                      .c = plane % g->planes * lane + k,
                      .at = plane * v->shape.h * v->shape.w * lane + k};
    p.n = nn_min64(nn_min64(g->width, lane - k), v->shape.c - p.c);
    return p;
}

static void pool_group(const struct nn_exec *x, bool max, struct place p)
{
    int64_t to = p.b * x->out.shape.c + p.c;
    float best[NN_GROUP];
    int32_t where[NN_GROUP];
    double sum[NN_GROUP];
    if (max) {
        maxima(&x->in[0], p.at, p.n, best, where);
        if (x->backward)
            memcpy((int32_t *)x->keep + to, where, (size_t)p.n * sizeof *where);
    } else {
        double pixels = (double)(x->in[0].shape.h * x->in[0].shape.w);
        sums(&x->in[0], p.at, p.n, sum);
        for (int64_t i = 0; i < p.n; i++)
            best[i] = (float)(sum[i] / pixels);
    }
    nn_row_put(&x->out, to, p.n, best, false);
}

static enum err_code pool(struct nn_exec *x, bool max)
{
    struct groups g = groups_of(&x->in[0]);
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->in[0]))
    for (int64_t i = 0; i < g.total; i++)
        pool_group(x, max, place_of(&x->in[0], &g, i));
    return OK;
}

/* The same value into all pixels of n channels that lie side by side. */
CLONES
static void global_pool_spread(const struct nn_view *d, int64_t at, int64_t n,
                               const float *g, bool add)
{
    int64_t lane = nn_view_lane(d), pixels = d->shape.h * d->shape.w;
    bool half = nn_half(d);
    for (int64_t p = 0; p < pixels; p++) {
        int64_t to = at + p * lane;
        for (int64_t i = 0; i < n; i++) {
            float old = add ? nn_load(d->data, to + i, half) : 0.0F;
            nn_store(d->data, to + i, old + g[i], half);
        }
    }
}

static void back_group(const struct nn_exec *x, bool max, struct place p)
{
    const struct nn_view *d = &x->din[0];
    int64_t lane = nn_view_lane(d), pixels = d->shape.h * d->shape.w;
    int64_t from = p.b * x->dout.shape.c + p.c;
    float g[NN_GROUP] = {0}, tmp[NN_GROUP];
    const float *top = nn_row_get(&x->dout, from, p.n, tmp);
    for (int64_t i = 0; i < p.n && !max; i++)
        g[i] = top[i] / (float)pixels;
    /* All of the group's lanes, so that padding channels become zero. */
    int64_t all = nn_min64(NN_GROUP, lane);
    if (!(max && x->din_add[0]))
        global_pool_spread(d, p.at,
                           p.n < all && d->layout == NN_BLOCK16 ? all : p.n, g,
                           x->din_add[0]);
    if (!max)
        return;
    const int32_t *where = (const int32_t *)x->keep + from;
    for (int64_t i = 0; i < p.n; i++)
        nn_row_put(d, p.at + where[i] * lane + i, 1, &top[i], true);
}

static enum err_code pool_back(struct nn_exec *x, bool max)
{
    if (!x->din[0].data)
        return OK;
    struct groups g = groups_of(&x->din[0]);
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->din[0]))
    for (int64_t i = 0; i < g.total; i++)
        back_group(x, max, place_of(&x->din[0], &g, i));
    return OK;
}

static enum err_code prepare_max(struct nn_exec *x, struct err *e)
{
    (void)e;
    if (x->backward)
        x->keep_bytes =
            (size_t)(x->out.batch * x->out.shape.c) * sizeof(int32_t);
    return OK;
}

static enum err_code forward_max(struct nn_exec *x, struct err *e)
{
    (void)e;
    return pool(x, true);
}

static enum err_code backward_max(struct nn_exec *x, struct err *e)
{
    (void)e;
    return pool_back(x, true);
}

static enum err_code forward_avg(struct nn_exec *x, struct err *e)
{
    (void)e;
    return pool(x, false);
}

static enum err_code backward_avg(struct nn_exec *x, struct err *e)
{
    (void)e;
    return pool_back(x, false);
}

#define FLAGS (NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS | NN_OP_VECTOR)

static const struct nn_op avg = {.name = "global_avg_pool",
                                 .flags = FLAGS,
                                 .forward = forward_avg,
                                 .backward = backward_avg};
static const struct nn_op max = {.name = "global_max_pool",
                                 .flags = FLAGS,
                                 .prepare = prepare_max,
                                 .forward = forward_max,
                                 .backward = backward_max};

int nn_global_avg_pool(struct nn_graph *g, int x)
{
    struct nn_shape out = {nn_graph_shape(g, x).c, 1, 1};
    return nn_add_node(g, &avg, &x, 1, NULL, 0, NULL, 0, out);
}

int nn_global_max_pool(struct nn_graph *g, int x)
{
    struct nn_shape out = {nn_graph_shape(g, x).c, 1, 1};
    return nn_add_node(g, &max, &x, 1, NULL, 0, NULL, 0, out);
}
