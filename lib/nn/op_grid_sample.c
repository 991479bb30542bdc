/* grid_sample: bilinear warp, torch.nn.functional.grid_sample; gradients for
 * the picture and the grid. */
#include "lib/base/clones.h"

#include <math.h>
#include <string.h>

#include "lib/nn/ops.h"
#include "lib/nn/rows.h"
#include "lib/nn/spatial.h"

struct attr {
    bool border, align_corners;
};

#define CHUNK 64 /* output pixels whose corners are worked out at a time */

/* The four corners of some output pixels, one beside the other: elements in a
 * plane (-1: outside), weights, and what the weights are made of. */
struct corners {
    int64_t at[4][CHUNK]; /* nw, ne, sw, se */
    float part_x[CHUNK], part_y[CHUNK];
    float slope_x[CHUNK], slope_y[CHUNK]; /* pixels for one unit of grid */
};

/* A grid coordinate in pixels; *slope is its derivative. With border it stays
 * inside (NaN becomes 0, as in PyTorch), and does not move outside. */
static float to_pixels(float g, int64_t size, const struct attr *a,
                       float *slope)
{
    float n = (float)size, p;
    if (a->align_corners) {
        *slope = (n - 1) / 2;
        p = (g + 1) / 2 * (n - 1);
    } else {
        *slope = n / 2;
        p = ((g + 1) * n - 1) / 2;
    }
    if (a->border && !(p > 0)) {
        *slope = 0;
        return 0;
    }
    if (a->border && p >= n - 1) {
        *slope = 0;
        return n - 1;
    }
    return p;
}

static int64_t corner(int64_t x, int64_t y, struct nn_shape s, int64_t lane)
{
    bool inside = x >= 0 && y >= 0 && x < s.w && y < s.h;
    return inside ? (y * s.w + x) * lane : -1;
}

/* Corners of output pixels o..o+n-1 (of picture b, counted through rows). */
CLONES
static void find_corners(const struct nn_exec *x, int64_t b, int64_t o,
                         int64_t n, struct corners *c)
{
    const struct nn_view *g = &x->in[1];
    const float *grid = g->data;
    struct nn_shape s = x->in[0].shape;
    int64_t lane = nn_view_lane(&x->in[0]), glane = nn_view_lane(g);
    const struct attr *a = nn_attr(x->node);
    for (int64_t i = 0; i < n; i++) {
        const float *u = grid + nn_index(g, b, 0, 0, 0) + (o + i) * glane;
        const float *v = grid + nn_index(g, b, 1, 0, 0) + (o + i) * glane;
        float px = to_pixels(*u, s.w, a, &c->slope_x[i]);
        float py = to_pixels(*v, s.h, a, &c->slope_y[i]);
        /* Far outside (or NaN) all corners are; no integer holds it. */
        bool near =
            px > -2 && py > -2 && px < (float)s.w + 1 && py < (float)s.h + 1;
        int64_t x0 = near ? (int64_t)floorf(px) : -2;
        int64_t y0 = near ? (int64_t)floorf(py) : -2;
        /* NaN stays one, infinity counts as far away. */
        c->part_x[i] = near || px != px ? px - (float)x0 : 0;
        c->part_y[i] = near || py != py ? py - (float)y0 : 0;
        for (int k = 0; k < 4; k++)
            c->at[k][i] = corner(x0 + k % 2, y0 + k / 2, s, lane);
    }
}

/* n <= 16 channels of a corner; zeros where it lies outside. */
NN_INLINE void fetch(const float *src, int64_t at, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = at < 0 ? 0.0F : src[at + i];
}

/* The corners of a chunk in one channel that lies by itself. */
NN_INLINE void fetch_plain(const float *src, const struct corners *c, int64_t n,
                           float q[4][CHUNK])
{
    for (int k = 0; k < 4; k++) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            int64_t at = c->at[k][i];
            float v = src[at < 0 ? 0 : at];
            q[k][i] = at < 0 ? 0.0F : v;
        }
    }
}

NN_INLINE void sample(const float *src, const struct corners *c, int64_t i,
                      int64_t n, float *dst)
{
    float q[4][NN_GROUP], u = c->part_x[i], v = c->part_y[i];
    float w[4] = {(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v};
    for (int k = 0; k < 4; k++)
        fetch(src, c->at[k][i], n, q[k]);
    for (int64_t j = 0; j < n; j++)
        dst[j] =
            q[0][j] * w[0] + q[1][j] * w[1] + q[2][j] * w[2] + q[3][j] * w[3];
}

CLONES
static void sample_plane(const float *src, const struct corners *c, int64_t n,
                         int64_t lane, float *dst)
{
    if (lane == 1) {
        float q[4][CHUNK];
        fetch_plain(src, c, n, q);
        for (int64_t i = 0; i < n; i++) {
            float u = c->part_x[i], v = c->part_y[i];
            dst[i] = q[0][i] * ((1 - u) * (1 - v)) + q[1][i] * (u * (1 - v)) +
                     q[2][i] * ((1 - u) * v) + q[3][i] * (u * v);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < lane; k += NN_GROUP) {
            float *d = dst + i * lane + k;
            if (lane - k >= NN_GROUP)
                sample(src + k, c, i, NN_GROUP, d);
            else
                sample(src + k, c, i, lane - k, d);
        }
    }
}

/* Chunks of output pixels, of all pictures. */
static int64_t chunks_of(const struct nn_view *out)
{
    return (out->shape.h * out->shape.w + CHUNK - 1) / CHUNK;
}

static void sample_chunk(const struct nn_exec *x, int64_t chunk)
{
    const struct nn_view *in = &x->in[0], *out = &x->out;
    int64_t each = chunks_of(out), b = chunk / each, o = chunk % each * CHUNK;
    int64_t pixels = out->shape.h * out->shape.w, lane = nn_view_lane(in);
    int64_t n = nn_min64(CHUNK, pixels - o), area = in->shape.h * in->shape.w;
    int64_t planes = nn_view_planes(in);
    struct corners c;
    find_corners(x, b, o, n, &c);
    for (int64_t p = b * planes; p < (b + 1) * planes; p++)
        sample_plane((const float *)in->data + p * area * lane, &c, n, lane,
                     (float *)out->data + (p * pixels + o) * lane);
    if (out->layout == NN_BLOCK16 && out->shape.c % 16) {
        /* 0 x NaN is no zero: keep the padding channels clean. */
        float *last =
            (float *)out->data + (((b + 1) * planes - 1) * pixels + o) * lane;
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = out->shape.c % 16; k < 16; k++)
                last[i * 16 + k] = 0;
    }
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    int64_t n = x->out.batch * chunks_of(&x->out);
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->out))
    for (int64_t i = 0; i < n; i++)
        sample_chunk(x, i);
    return OK;
}

/* ---- backward ---- */

/* How the samples of a chunk move with the grid, times the gradient: sums over
 * every 16th channel, or over single channels. */
struct slopes {
    float x[CHUNK][NN_GROUP], y[CHUNK][NN_GROUP];
    float plain_x[CHUNK], plain_y[CHUNK];
};

NN_INLINE void add_slopes(const float *src, const struct corners *c, int64_t i,
                          const float *g, int64_t n, struct slopes *s)
{
    float q[4][NN_GROUP], u = c->part_x[i], v = c->part_y[i];
    float *sx = s->x[i], *sy = s->y[i];
    for (int k = 0; k < 4; k++)
        fetch(src, c->at[k][i], n, q[k]);
    for (int64_t j = 0; j < n; j++) {
        sx[j] +=
            g[j] * ((q[1][j] - q[0][j]) * (1 - v) + (q[3][j] - q[2][j]) * v);
        sy[j] +=
            g[j] * ((q[2][j] - q[0][j]) * (1 - u) + (q[3][j] - q[1][j]) * u);
    }
}

CLONES
static void slopes_plane(const float *src, const struct corners *c, int64_t n,
                         int64_t lane, const float *g, struct slopes *s)
{
    if (lane == 1) {
        float q[4][CHUNK];
        fetch_plain(src, c, n, q);
        for (int64_t i = 0; i < n; i++) {
            float u = c->part_x[i], v = c->part_y[i];
            s->plain_x[i] += g[i] * ((q[1][i] - q[0][i]) * (1 - v) +
                                     (q[3][i] - q[2][i]) * v);
            s->plain_y[i] += g[i] * ((q[2][i] - q[0][i]) * (1 - u) +
                                     (q[3][i] - q[1][i]) * u);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < lane; k += NN_GROUP) {
            const float *h = g + i * lane + k;
            if (lane - k >= NN_GROUP)
                add_slopes(src + k, c, i, h, NN_GROUP, s);
            else
                add_slopes(src + k, c, i, h, lane - k, s);
        }
    }
}

static float sum_group(const float *v, float plain)
{
    double sum = (double)plain;
    for (int i = 0; i < NN_GROUP; i++)
        sum += (double)v[i];
    return (float)sum;
}

static void grid_chunk(const struct nn_exec *x, int64_t chunk)
{
    const struct nn_view *in = &x->in[0], *d = &x->din[1];
    int64_t each = chunks_of(&x->out), b = chunk / each;
    int64_t o = chunk % each * CHUNK, pixels = d->shape.h * d->shape.w;
    int64_t n = nn_min64(CHUNK, pixels - o), area = in->shape.h * in->shape.w;
    int64_t planes = nn_view_planes(in), lane = nn_view_lane(in);
    struct corners c;
    struct slopes s;
    memset(&s, 0, sizeof s);
    find_corners(x, b, o, n, &c);
    for (int64_t p = b * planes; p < (b + 1) * planes; p++)
        slopes_plane((const float *)in->data + p * area * lane, &c, n, lane,
                     (const float *)x->dout.data + (p * pixels + o) * lane, &s);
    float *out = d->data;
    for (int64_t i = 0; i < n; i++) {
        int64_t l = nn_view_lane(d), at = nn_index(d, b, 0, 0, 0) + (o + i) * l;
        for (int64_t k = 2; k < l; k++)
            out[at + k] = 0;
        out[at] = sum_group(s.x[i], s.plain_x[i]) * c.slope_x[i];
        out[nn_index(d, b, 1, 0, 0) + (o + i) * l] =
            sum_group(s.y[i], s.plain_y[i]) * c.slope_y[i];
    }
}

NN_INLINE void give(float *dst, const struct corners *c, int64_t i,
                    const float *g, int64_t n)
{
    float u = c->part_x[i], v = c->part_y[i];
    float w[4] = {(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v};
    for (int k = 0; k < 4; k++) {
        if (c->at[k][i] < 0)
            continue;
        float *d = dst + c->at[k][i];
        for (int64_t j = 0; j < n; j++)
            d[j] += w[k] * g[j];
    }
}

CLONES
static void give_chunk(float *dst, const struct corners *c, const float *g,
                       int64_t n, int64_t lane, int64_t width)
{
    for (int64_t i = 0; i < n; i++) {
        if (lane == 1)
            give(dst, c, i, g + i, 1);
        else if (width == NN_GROUP)
            give(dst, c, i, g + i * lane, NN_GROUP);
        else
            give(dst, c, i, g + i * lane, width);
    }
}

/* Channels that nobody else writes to: at most 16 of one plane, or up to 8
 * planes of single channels, which share the work on corners. */
struct share {
    int64_t b, plane, planes, channel, width;
};

static int64_t shares_of(const struct nn_view *d)
{
    int64_t lane = nn_view_lane(d), planes = nn_view_planes(d);
    return lane == 1 ? (planes + 7) / 8
                     : planes * ((lane + NN_GROUP - 1) / NN_GROUP);
}

static struct share share_of(const struct nn_view *d, int64_t i)
{
    int64_t lane = nn_view_lane(d), each = shares_of(d);
    int64_t planes = nn_view_planes(d);
    struct share s = {.b = i / each, .planes = 1, .width = 1};
    i %= each;
    if (lane == 1) {
        s.plane = i * 8;
        s.planes = nn_min64(8, planes - s.plane);
    } else {
        int64_t groups = (lane + NN_GROUP - 1) / NN_GROUP;
        s.plane = i / groups;
        s.channel = i % groups * NN_GROUP;
        s.width = nn_min64(NN_GROUP, lane - s.channel);
    }
    s.plane += s.b * planes;
    return s;
}

static void picture_share(const struct nn_exec *x, const struct share *s)
{
    const struct nn_view *d = &x->din[0];
    int64_t lane = nn_view_lane(d), area = d->shape.h * d->shape.w;
    int64_t pixels = x->out.shape.h * x->out.shape.w;
    float *dst = (float *)d->data + s->plane * area * lane + s->channel;
    const float *g =
        (const float *)x->dout.data + s->plane * pixels * lane + s->channel;
    for (int64_t i = 0; i < s->planes * area; i++)
        memset(dst + i * lane, 0, (size_t)s->width * sizeof *dst);
    for (int64_t o = 0; o < pixels; o += CHUNK) {
        int64_t n = nn_min64(CHUNK, pixels - o);
        struct corners c;
        find_corners(x, s->b, o, n, &c);
        for (int64_t p = 0; p < s->planes; p++)
            give_chunk(dst + p * area * lane, &c, g + (p * pixels + o) * lane,
                       n, lane, s->width);
    }
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct nn_view *d = &x->din[0];
    if (x->din[1].data) {
        int64_t n = x->out.batch * chunks_of(&x->out);
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->out))
        for (int64_t i = 0; i < n; i++)
            grid_chunk(x, i);
    }
    if (d->data) {
        int64_t n = d->batch * shares_of(d);
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->out))
        for (int64_t i = 0; i < n; i++) {
            struct share s = share_of(d, i);
            picture_share(x, &s);
        }
    }
    return OK;
}

static const struct nn_op op = {.name = "grid_sample",
                                .flags = NN_OP_ANY | NN_OP_SAVE_IN,
                                .forward = forward,
                                .backward = backward};

int nn_grid_sample(struct nn_graph *g, int x, int grid, bool border,
                   bool align_corners)
{
    struct nn_shape s = nn_graph_shape(g, x), o = nn_graph_shape(g, grid);
    struct attr a = {border, align_corners};
    if (o.c != 2 && o.c != 0)
        return nn_node_fail(g, op.name, ERR_ARG,
                            "the grid needs two channels: x and y");
    return nn_add_node(g, &op, (const int[]){x, grid}, 2, NULL, 0, &a, sizeof a,
                       (struct nn_shape){s.c, o.h, o.w});
}
