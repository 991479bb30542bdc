/* resize_nearest: torch.nn.functional.interpolate(mode="nearest"). */
#include "lib/base/clones.h"

#include <string.h>

#include "lib/nn/axis.h"
#include "lib/nn/ops.h"
#include "lib/nn/rows.h"
#include "lib/nn/spatial.h"

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    (void)e;
    x->scratch_bytes = nn_axis_bytes(x->in[0].shape.h, x->out.shape.h) +
                       nn_axis_bytes(x->in[0].shape.w, x->out.shape.w);
    return OK;
}

struct axes {
    struct nn_axis y, x;
};

static struct axes axes_of(struct nn_exec *x)
{
    struct nn_shape in = x->in[0].shape, out = x->out.shape;
    char *mem = x->scratch;
    return (struct axes){
        nn_axis_nearest(mem, in.h, out.h),
        nn_axis_nearest(mem + nn_axis_bytes(in.h, out.h), in.w, out.w)};
}

CLONES
static void pick32(uint32_t *restrict d, const uint32_t *restrict s,
                   const int32_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        d[i] = s[from[i]];
}

static void one_row(const struct nn_view *in, const struct nn_view *out,
                    const struct axes *a, int64_t row)
{
    int64_t plane = row / out->shape.h, w = out->shape.w;
    int64_t y = plane * in->shape.h + a->y.from[row % out->shape.h];
    size_t pixel = (size_t)nn_view_lane(in) * nn_element(in);
    char *d = nn_at(out, row * nn_row_len(out));
    const char *s = nn_at(in, y * nn_row_len(in));
    if (pixel == 4) {
        pick32((void *)d, (const void *)s, a->x.from, w);
    } else if (pixel == 64) {
        for (int64_t i = 0; i < w; i++)
            memcpy(d + i * 64, s + a->x.from[i] * (int64_t)64, 64);
    } else {
        for (int64_t i = 0; i < w; i++)
            memcpy(d + (size_t)i * pixel, s + (size_t)a->x.from[i] * pixel,
                   pixel);
    }
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct axes a = axes_of(x);
    int64_t rows = nn_rows(&x->out);
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->out))
    for (int64_t r = 0; r < rows; r++)
        one_row(&x->in[0], &x->out, &a, r);
    return OK;
}

/* Each pixel of the input sums its copies: a rectangle of the output. */
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
    for (int64_t oy = a->y.first[y]; oy < a->y.first[y + 1]; oy++) {
        int64_t at = (plane + oy) * g->shape.w * lane + c;
        for (int64_t o = a->x.first[x]; o < a->x.first[x + 1]; o++)
            for (int64_t i = 0; i < n; i++)
                sum[i] += nn_load(g->data, at + o * lane + i, half);
    }
    for (int64_t i = 0; i < n; i++)
        nn_store(d->data, to + i, sum[i], half);
}

/* One channel by itself: rows first, vectors along them, then columns. */
CLONES
static void resize_nearest_plain_back(const struct nn_view *g,
                                      const struct nn_view *d,
                                      const struct axes *a, int64_t row,
                                      bool add)
{
    int64_t y = row % d->shape.h, w = g->shape.w;
    int64_t plane = row / d->shape.h * g->shape.h;
    float *to = (float *)d->data + row * d->shape.w, sum[NN_ROW];
    memset(sum, 0, (size_t)w * sizeof *sum);
    for (int64_t oy = a->y.first[y]; oy < a->y.first[y + 1]; oy++) {
        const float *f = (const float *)g->data + (plane + oy) * w;
        for (int64_t i = 0; i < w; i++)
            sum[i] += f[i];
    }
    for (int64_t x = 0; x < d->shape.w; x++) {
        float all = add ? to[x] : 0;
        for (int64_t o = a->x.first[x]; o < a->x.first[x + 1]; o++)
            all += sum[o];
        to[x] = all;
    }
}

CLONES
static void resize_nearest_row_back(const struct nn_view *g,
                                    const struct nn_view *d,
                                    const struct axes *a, int64_t row, bool add)
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
        if (nn_view_lane(&x->dout) == 1 && x->out.shape.w <= NN_ROW &&
            !nn_half(&x->dout))
            resize_nearest_plain_back(&x->dout, &x->din[0], &a, r,
                                      x->din_add[0]);
        else
            resize_nearest_row_back(&x->dout, &x->din[0], &a, r, x->din_add[0]);
    }
    return OK;
}

static const struct nn_op op = {.name = "resize_nearest",
                                .flags = NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS,
                                .prepare = prepare,
                                .forward = forward,
                                .backward = backward};

int nn_resize_nearest(struct nn_graph *g, int x, int64_t h, int64_t w)
{
    if (h < 1 || w < 1 || h > NN_MAX_SIDE || w > NN_MAX_SIDE)
        return nn_node_fail(g, op.name, ERR_ARG, "impossible size");
    struct nn_shape out = {nn_graph_shape(g, x).c, h, w};
    return nn_add_node(g, &op, &x, 1, NULL, 0, NULL, 0, out);
}
