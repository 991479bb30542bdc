/* pad: rows and columns around a picture: zeros, its mirror image without the
 * border itself, or the border's value (torch.nn.functional.pad). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/nn/op_known.h"
#include "lib/nn/rows.h"
#include "lib/nn/spatial.h"

/* The source of place i (before the first: negative) along an axis; -1: 0. */
static int64_t source(enum nn_pad_kind kind, int64_t i, int64_t size)
{
    if (i >= 0 && i < size)
        return i;
    if (kind == NN_PAD_ZERO)
        return -1;
    if (kind == NN_PAD_REPLICATE)
        return i < 0 ? 0 : size - 1;
    return i < 0 ? -i : 2 * (size - 1) - i;
}

/* One pixel; the sizes that occur most are single moves. */
static inline void copy_pixel(char *d, const char *s, size_t n)
{
    if (n == 64)
        memcpy(d, s, 64);
    else if (n == 32)
        memcpy(d, s, 32);
    else if (n == 4)
        memcpy(d, s, 4);
    else
        memcpy(d, s, n);
}

static void pad_row(const struct nn_view *in, const struct nn_view *out,
                    const struct nn_pad_attr *p, int64_t row)
{
    struct nn_shape s = in->shape;
    size_t pixel = (size_t)nn_view_lane(in) * nn_element(in);
    int64_t plane = row / out->shape.h;
    int64_t y = source(p->kind, row % out->shape.h - p->top, s.h);
    char *d = nn_at(out, row * nn_row_len(out));
    if (y < 0) {
        memset(d, 0, (size_t)out->shape.w * pixel);
        return;
    }
    const char *q = nn_at(in, (plane * s.h + y) * nn_row_len(in));
    char *middle = d + (size_t)p->left * pixel;
    char *end = middle + (size_t)s.w * pixel;
    memcpy(middle, q, (size_t)s.w * pixel);
    if (p->kind == NN_PAD_ZERO) {
        memset(d, 0, (size_t)p->left * pixel);
        memset(end, 0, (size_t)p->right * pixel);
        return;
    }
    for (int64_t i = 0; i < p->left; i++) {
        int64_t x = source(p->kind, i - p->left, s.w);
        copy_pixel(d + (size_t)i * pixel, q + (size_t)x * pixel, pixel);
    }
    for (int64_t i = 0; i < p->right; i++) {
        int64_t x = source(p->kind, s.w + i, s.w);
        copy_pixel(end + (size_t)i * pixel, q + (size_t)x * pixel, pixel);
    }
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct nn_pad_attr *p = nn_attr(x->node);
    int64_t rows = nn_rows(&x->out);
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->out))
    for (int64_t r = 0; r < rows; r++)
        pad_row(&x->in[0], &x->out, p, r);
    return OK;
}

/* ---- backward: each row gathers from all the rows it was copied to ---- */

/* Add to sum (n floats from element `at` of row y's gradient) what row oy of
 * the padded gradient has for the columns that were folded over them. */
static void add_folded(const struct nn_exec *x, const struct nn_pad_attr *p,
                       int64_t row_at, int64_t at, int64_t n, float *sum)
{
    const struct nn_view *g = &x->dout;
    int64_t w = x->din[0].shape.w, lane = nn_view_lane(g);
    float tmp[NN_ROW];
    for (int64_t i = 0; i < p->left + p->right; i++) {
        int64_t ox = i < p->left ? i - p->left : w + i - p->left;
        int64_t to = source(p->kind, ox, w) * lane;
        int64_t a = nn_max64(to, at), b = nn_min64(to + lane, at + n);
        if (a >= b)
            continue;
        const float *f =
            nn_row_get(g, row_at + (ox + p->left) * lane + a - to, b - a, tmp);
        for (int64_t k = 0; k < b - a; k++)
            sum[a - at + k] += f[k];
    }
}

/* The next padded row after `after` that is a copy of row y; -1: no more. */
static int64_t next_copy(const struct nn_pad_attr *p, int64_t y, int64_t h,
                         int64_t after)
{
    int64_t oh = h + p->top + p->bottom;
    for (int64_t oy = after + 1; oy < oh; oy++) {
        /* Rows inside are copies of themselves alone: go there at once. */
        if (oy >= p->top && oy < p->top + y)
            oy = p->top + y;
        if (oy > p->top + y && oy < p->top + h)
            oy = p->top + h;
        if (oy < oh && source(p->kind, oy - p->top, h) == y)
            return oy;
    }
    return -1;
}

static void back_chunk(const struct nn_exec *x, const struct nn_pad_attr *p,
                       int64_t row, int64_t at, int64_t n)
{
    const struct nn_view *g = &x->dout, *d = &x->din[0];
    struct nn_shape s = d->shape;
    int64_t plane = row / s.h, y = row % s.h;
    int64_t left = p->left * nn_view_lane(g), out_row = nn_row_len(g);
    int64_t to = row * nn_row_len(d) + at;
    bool folds = p->kind != NN_PAD_ZERO && p->left + p->right > 0;
    float mine[NN_ROW], tmp[NN_ROW];
    float *sum = x->din_add[0] ? mine : nn_row_at(d, to, mine);
    bool first = true;
    for (int64_t oy = next_copy(p, y, s.h, -1); oy >= 0;
         oy = next_copy(p, y, s.h, oy)) {
        int64_t from = (plane * g->shape.h + oy) * out_row;
        const float *f = nn_row_get(g, from + left + at, n, tmp);
        if (first)
            memcpy(sum, f, (size_t)n * sizeof *sum);
        for (int64_t i = 0; !first && i < n; i++)
            sum[i] += f[i];
        first = false;
        if (folds)
            add_folded(x, p, from, at, n, sum);
    }
    nn_row_put(d, to, n, sum, x->din_add[0]);
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct nn_view *d = &x->din[0];
    if (!d->data)
        return OK;
    const struct nn_pad_attr *p = nn_attr(x->node);
    int64_t rows = nn_rows(d), len = nn_row_len(d);
#pragma omp parallel for schedule(static) if (nn_worth_threads(d))
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t at = 0; at < len; at += NN_ROW)
            back_chunk(x, p, r, at, nn_min64(NN_ROW, len - at));
    }
    return OK;
}

static const struct nn_op op = {.name = "pad",
                                .flags = NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS,
                                .forward = forward,
                                .backward = backward};

int nn_pad(struct nn_graph *g, int x, enum nn_pad_kind kind, int64_t top,
           int64_t bottom, int64_t left, int64_t right)
{
    struct nn_shape s = nn_graph_shape(g, x);
    int64_t side[4] = {top, bottom, left, right};
    char text[160];
    if (kind != NN_PAD_ZERO && kind != NN_PAD_REFLECT &&
        kind != NN_PAD_REPLICATE)
        return nn_node_fail(g, op.name, ERR_ARG, "unknown kind of padding");
    for (int i = 0; i < 4; i++) {
        int64_t size = i < 2 ? s.h : s.w;
        if (side[i] >= 0 && side[i] <= NN_MAX_SIDE &&
            (kind != NN_PAD_REFLECT || side[i] < size || s.c == 0))
            continue;
        snprintf(text, sizeof text,
                 side[i] < 0 || side[i] > NN_MAX_SIDE
                     ? "padding %" PRId64 " is out of range"
                     : "reflect padding %" PRId64
                       " needs a picture larger than that, not %" PRId64
                       "x%" PRId64,
                 side[i], s.h, s.w);
        return nn_node_fail(g, op.name, ERR_ARG, text);
    }
    struct nn_pad_attr p = {kind, (int32_t)top, (int32_t)bottom, (int32_t)left,
                            (int32_t)right};
    struct nn_shape out = {s.c, s.h + top + bottom, s.w + left + right};
    return nn_add_node(g, &op, &x, 1, NULL, 0, &p, sizeof p, out);
}
