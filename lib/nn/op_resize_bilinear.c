/* resize_bilinear: torch.nn.functional.interpolate(mode="bilinear"). */
#include "lib/base/clones.h"

#include <string.h>

#include "lib/nn/axis.h"
#include "lib/nn/ops.h"
#include "lib/nn/rows.h"
#include "lib/nn/spatial.h"

struct attr {
    bool align_corners;
};

struct axes {
    struct nn_axis y, x;
};

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    (void)e;
    x->scratch_bytes = nn_axis_bytes(x->in[0].shape.h, x->out.shape.h) +
                       nn_axis_bytes(x->in[0].shape.w, x->out.shape.w);
    return OK;
}

static struct axes axes_of(struct nn_exec *x)
{
    const struct attr *a = nn_attr(x->node);
    struct nn_shape in = x->in[0].shape, out = x->out.shape;
    char *mem = x->scratch;
    return (struct axes){nn_axis_linear(mem, in.h, out.h, a->align_corners),
                         nn_axis_linear(mem + nn_axis_bytes(in.h, out.h), in.w,
                                        out.w, a->align_corners)};
}

/* n <= 16 channels of output pixel o from rows p and q (element numbers). */
NN_INLINE void pixel(const struct nn_view *in, const struct nn_view *out,
                     const struct axes *a, int64_t p, int64_t q, float down,
                     int64_t to, int64_t o, int64_t n, bool half)
{
    int64_t left = a->x.from[o] * nn_view_lane(in), right = left;
    float part = a->x.part[o], rest = 1 - part;
    if (a->x.from[o] + 1 < a->x.in)
        right += nn_view_lane(in);
    for (int64_t i = 0; i < n; i++) {
        float u = rest * nn_load(in->data, p + left + i, half) +
                  part * nn_load(in->data, p + right + i, half);
        float v = rest * nn_load(in->data, q + left + i, half) +
                  part * nn_load(in->data, q + right + i, half);
        nn_store(out->data, to + i, (1 - down) * u + down * v, half);
    }
}

/* One channel by itself: between the rows first, vectors along them. */
CLONES
static void resize_bilinear_plain_row(const struct nn_view *in,
                                      const struct nn_view *out,
                                      const struct axes *a, int64_t row)
{
    int64_t len = in->shape.w, oy = row % out->shape.h, y = a->y.from[oy];
    const float *p =
        (const float *)in->data + (row / out->shape.h * in->shape.h + y) * len;
    const float *q = y + 1 < in->shape.h ? p + len : p;
    const int32_t *from = a->x.from;
    const float *part = a->x.part;
    float down = a->y.part[oy], line[NN_ROW + 1];
    float *d = (float *)out->data + row * out->shape.w;
    for (int64_t i = 0; i < len; i++)
        line[i] = (1 - down) * p[i] + down * q[i];
    line[len] = line[len - 1];
    for (int64_t o = 0; o < out->shape.w; o++)
        d[o] = (1 - part[o]) * line[from[o]] + part[o] * line[from[o] + 1];
}

CLONES
static void one_row(const struct nn_view *in, const struct nn_view *out,
                    const struct axes *a, int64_t row)
{
    int64_t lane = nn_view_lane(in), len = nn_row_len(in), w = out->shape.w;
    int64_t oy = row % out->shape.h, y = a->y.from[oy];
    int64_t p = (row / out->shape.h * in->shape.h + y) * len;
    int64_t q = y + 1 < in->shape.h ? p + len : p;
    float down = a->y.part[oy];
    bool half = nn_half(in);
    for (int64_t o = 0; o < w; o++) {
        for (int64_t c = 0; c < lane; c += NN_GROUP) {
            int64_t to = (row * w + o) * lane + c, n = lane - c;
            if (n >= NN_GROUP && half)
                pixel(in, out, a, p + c, q + c, down, to, o, NN_GROUP, true);
            else if (n >= NN_GROUP)
                pixel(in, out, a, p + c, q + c, down, to, o, NN_GROUP, false);
            else
                pixel(in, out, a, p + c, q + c, down, to, o, n, half);
        }
    }
}

/* One channel of f32 whose rows fit a buffer? */
static bool is_plain(const struct nn_view *v)
{
    return nn_view_lane(v) == 1 && !nn_half(v) && v->shape.w <= NN_ROW;
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct axes a = axes_of(x);
    int64_t rows = nn_rows(&x->out);
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->out))
    for (int64_t r = 0; r < rows; r++) {
        if (is_plain(&x->in[0]))
            resize_bilinear_plain_row(&x->in[0], &x->out, &a, r);
        else
            one_row(&x->in[0], &x->out, &a, r);
    }
    return OK;
}

/* How much output o took of input i. */
static inline float share(const struct nn_axis *a, int64_t o, int64_t i)
{
    return a->from[o] == i ? 1 - a->part[o] : a->part[o];
}

/* Outputs that took something of input i: from is i - 1 or i. */
static inline int64_t taker(const struct nn_axis *a, int64_t i)
{
    return a->first[i > 0 ? i - 1 : 0];
}

NN_INLINE void pixel_back(const struct nn_view *g, const struct nn_view *d,
                          const struct axes *a, int64_t row, int64_t x,
                          int64_t c, int64_t n, bool add, bool half)
{
    int64_t y = row % d->shape.h, lane = nn_view_lane(d);
    int64_t plane = row / d->shape.h * g->shape.h;
    int64_t to = (row * d->shape.w + x) * lane + c;
    float sum[NN_GROUP] = {0};
    for (int64_t i = 0; add && i < n; i++)
        sum[i] = nn_load(d->data, to + i, half);
    for (int64_t oy = taker(&a->y, y); oy < a->y.first[y + 1]; oy++) {
        int64_t at = (plane + oy) * g->shape.w * lane + c;
        float k = share(&a->y, oy, y);
        for (int64_t o = taker(&a->x, x); o < a->x.first[x + 1]; o++) {
            float t = k * share(&a->x, o, x);
            for (int64_t i = 0; i < n; i++)
                sum[i] += t * nn_load(g->data, at + o * lane + i, half);
        }
    }
    for (int64_t i = 0; i < n; i++)
        nn_store(d->data, to + i, sum[i], half);
}

CLONES
static void resize_bilinear_plain_back(const struct nn_view *g,
                                       const struct nn_view *d,
                                       const struct axes *a, int64_t row,
                                       bool add)
{
    int64_t y = row % d->shape.h, w = g->shape.w;
    int64_t plane = row / d->shape.h * g->shape.h;
    const float *part = a->x.part;
    float *to = (float *)d->data + row * d->shape.w;
    float here[NN_ROW], next[NN_ROW]; /* for from[o] and from[o] + 1 */
    memset(next, 0, (size_t)w * sizeof *next);
    for (int64_t oy = taker(&a->y, y); oy < a->y.first[y + 1]; oy++) {
        const float *f = (const float *)g->data + (plane + oy) * w;
        float k = share(&a->y, oy, y);
        for (int64_t i = 0; i < w; i++)
            next[i] += k * f[i];
    }
    for (int64_t i = 0; i < w; i++) {
        here[i] = (1 - part[i]) * next[i];
        next[i] *= part[i];
    }
    for (int64_t x = 0; x < d->shape.w; x++) {
        float sum = add ? to[x] : 0;
        for (int64_t o = taker(&a->x, x); o < a->x.first[x]; o++)
            sum += next[o];
        for (int64_t o = a->x.first[x]; o < a->x.first[x + 1]; o++)
            sum += here[o];
        to[x] = sum;
    }
}

CLONES
static void resize_bilinear_row_back(const struct nn_view *g,
                                     const struct nn_view *d,
                                     const struct axes *a, int64_t row,
                                     bool add)
{
    int64_t lane = nn_view_lane(d);
    bool half = nn_half(d);
    for (int64_t x = 0; x < d->shape.w; x++) {
        for (int64_t c = 0; c < lane; c += NN_GROUP) {
            int64_t n = lane - c;
            if (n >= NN_GROUP && half)
                pixel_back(g, d, a, row, x, c, NN_GROUP, add, true);
            else if (n >= NN_GROUP)
                pixel_back(g, d, a, row, x, c, NN_GROUP, add, false);
            else
                pixel_back(g, d, a, row, x, c, n, add, half);
        }
    }
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    if (!x->din[0].data)
        return OK;
    struct axes a = axes_of(x);
    int64_t rows = nn_rows(&x->din[0]);
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->dout))
    for (int64_t r = 0; r < rows; r++) {
        if (is_plain(&x->dout))
            resize_bilinear_plain_back(&x->dout, &x->din[0], &a, r,
                                       x->din_add[0]);
        else
            resize_bilinear_row_back(&x->dout, &x->din[0], &a, r,
                                     x->din_add[0]);
    }
    return OK;
}

static const struct nn_op op = {.name = "resize_bilinear",
                                .flags = NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS,
                                .prepare = prepare,
                                .forward = forward,
                                .backward = backward};

int nn_resize_bilinear(struct nn_graph *g, int x, int64_t h, int64_t w,
                       bool align_corners)
{
    if (h < 1 || w < 1 || h > NN_MAX_SIDE || w > NN_MAX_SIDE)
        return nn_node_fail(g, op.name, ERR_ARG, "impossible size");
    struct attr a = {align_corners};
    struct nn_shape out = {nn_graph_shape(g, x).c, h, w};
    return nn_add_node(g, &op, &x, 1, NULL, 0, &a, sizeof a, out);
}
