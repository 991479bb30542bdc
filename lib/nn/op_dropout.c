/* dropout: each element is zero with probability p, else times 1 / (1 - p);
 * as it is in inference. torch.nn.Dropout; which elements are dropped is not
 * the same as PyTorch's, whose generator is its own.
 *
 * Element i (in [N,C,H,W] order, whatever the layout) is dropped by a number
 * made from (seed of this run, i) alone: splitmix64 (Steele and others 2014),
 * so that neither layouts nor threads change the mask, and backward makes it
 * again. */
#include "lib/base/clones.h"

#include <string.h>

#include "lib/nn/elementwise.h"
#include "lib/nn/ops.h"

struct dropout {
    double p;
};

/* row[i] times the factor of elements first, first + step, ...; a threshold
 * on 32 bits. */
CLONES
static void drop_row(float *row, int64_t n, uint64_t seed, uint64_t first,
                     uint64_t step, uint32_t below, float scale)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        uint64_t z =
            seed + (first + (uint64_t)i * step + 1) * 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        row[i] = (uint32_t)(z >> 32) < below ? 0 : row[i] * scale;
    }
}

/* A run of one channel (NN_PLAIN), or pixels of several channels. */
static void drop_run(float *row, const struct nn_seg *r,
                     const struct nn_view *v, int64_t within, uint64_t seed,
                     uint32_t below, float scale)
{
    int64_t area = v->shape.h * v->shape.w;
    int64_t picture = r->b * v->shape.c;
    if (r->period == 1) {
        drop_row(row, r->n, seed, (uint64_t)((picture + r->c) * area + within),
                 1, below, scale);
        return;
    }
    /* Neighbours are channels: a whole plane apart in plain order. Padding
     * channels stay zero whatever their factor. */
    int64_t pixel = within / r->period, k = r->n < r->period ? r->n : r->period;
    for (int64_t i = 0; i < r->n; i += k, pixel++)
        drop_row(row + i, k, seed, (uint64_t)((picture + r->c) * area + pixel),
                 (uint64_t)area, below, scale);
}

static void drop(const struct nn_exec *x, const struct nn_view *from,
                 const struct nn_view *to, bool add)
{
    double p = ((const struct dropout *)nn_attr(x->node))->p;
    uint32_t below = (uint32_t)(p * 4294967295.0);
    float scale = x->training ? (float)(1 / (1 - p)) : 1.0F;
    struct nn_segs s = nn_segs_of(to);
    int64_t total = s.pictures * s.planes * s.per_plane;
#pragma omp parallel for schedule(static) if (s.pictures * s.stride >=         \
                                              NN_PARALLEL)
    for (int64_t i = 0; i < total; i++) {
        float a[NN_ROW], row[NN_ROW];
        int64_t plane = i / s.per_plane;
        struct nn_seg r =
            nn_seg_at(&s, plane / s.planes, plane % s.planes, i % s.per_plane);
        int64_t within = r.at - r.b * s.stride - plane % s.planes * s.plane;
        const float *src = nn_row_get(from, r.at, r.n, a);
        memcpy(row, src, (size_t)r.n * sizeof *row);
        if (x->training && p > 0)
            drop_run(row, &r, to, within, x->seed, below, scale);
        nn_row_put(to, r.at, r.n, row, add);
    }
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    drop(x, &x->in[0], &x->out, false);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    if (x->din[0].data)
        drop(x, &x->dout, &x->din[0], x->din_add[0]);
    return OK;
}

static const struct nn_op op_dropout = {.name = "dropout",
                                        .flags = NN_OP_ANY | NN_OP_BF16 |
                                                 NN_OP_INPLACE | NN_OP_ADDS,
                                        .forward = forward,
                                        .backward = backward};

int nn_dropout(struct nn_graph *g, int x, double p)
{
    struct dropout a = {p};
    if (!(p >= 0 && p < 1))
        return nn_node_fail(g, "dropout", ERR_ARG,
                            "the probability must be in [0,1)");
    return nn_add_node(g, &op_dropout, &x, 1, NULL, 0, &a, sizeof a,
                       nn_graph_shape(g, x));
}
