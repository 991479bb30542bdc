/* crop: a rectangle of every channel (x[:, :, t:t+h, l:l+w] in PyTorch). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/nn/ops.h"
#include "lib/nn/rows.h"
#include "lib/nn/spatial.h"

struct corner {
    int64_t top, left;
};

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct corner *c = nn_attr(x->node);
    const struct nn_view *in = &x->in[0], *out = &x->out;
    int64_t rows = nn_rows(out), len = nn_row_len(out), h = out->shape.h;
    int64_t left = c->left * nn_view_lane(in);
#pragma omp parallel for schedule(static) if (nn_worth_threads(out))
    for (int64_t r = 0; r < rows; r++) {
        int64_t from = r / h * in->shape.h + c->top + r % h;
        memcpy(nn_at(out, r * len), nn_at(in, from * nn_row_len(in) + left),
               (size_t)len * nn_element(out));
    }
    return OK;
}

/* Row r of the input's gradient: zeros around a row of dout. */
static void back_row(const struct nn_exec *x, const struct corner *c, int64_t r)
{
    const struct nn_view *g = &x->dout, *d = &x->din[0];
    size_t element = nn_element(d);
    int64_t y = r % d->shape.h - c->top, len = nn_row_len(d);
    int64_t n = nn_row_len(g), left = c->left * nn_view_lane(d);
    bool inside = y >= 0 && y < g->shape.h;
    int64_t from = (r / d->shape.h * g->shape.h + y) * n, to = r * len;
    if (!x->din_add[0]) {
        if (!inside) {
            memset(nn_at(d, to), 0, (size_t)len * element);
            return;
        }
        memset(nn_at(d, to), 0, (size_t)left * element);
        memcpy(nn_at(d, to + left), nn_at(g, from), (size_t)n * element);
        memset(nn_at(d, to + left + n), 0, (size_t)(len - left - n) * element);
        return;
    }
    for (int64_t i = 0; inside && i < n; i += NN_ROW) {
        float tmp[NN_ROW];
        int64_t m = nn_min64(NN_ROW, n - i);
        nn_row_put(d, to + left + i, m, nn_row_get(g, from + i, m, tmp), true);
    }
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct nn_view *d = &x->din[0];
    if (!d->data)
        return OK;
    const struct corner *c = nn_attr(x->node);
    int64_t rows = nn_rows(d);
#pragma omp parallel for schedule(static) if (nn_worth_threads(d))
    for (int64_t r = 0; r < rows; r++)
        back_row(x, c, r);
    return OK;
}

static const struct nn_op op = {.name = "crop",
                                .flags = NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS,
                                .forward = forward,
                                .backward = backward};

int nn_crop(struct nn_graph *g, int x, int64_t top, int64_t left, int64_t h,
            int64_t w)
{
    struct nn_shape s = nn_graph_shape(g, x);
    if (s.c > 0 && (top < 0 || left < 0 || h < 1 || w < 1 || top > s.h - 1 ||
                    left > s.w - 1 || h > s.h - top || w > s.w - left)) {
        char text[200];
        snprintf(text, sizeof text,
                 "rows %" PRId64 "+%" PRId64 ", columns %" PRId64 "+%" PRId64
                 " do not lie in %" PRId64 "x%" PRId64,
                 top, h, left, w, s.h, s.w);
        return nn_node_fail(g, op.name, ERR_ARG, text);
    }
    struct corner c = {top, left};
    return nn_add_node(g, &op, &x, 1, NULL, 0, &c, sizeof c,
                       (struct nn_shape){s.c, h, w});
}
