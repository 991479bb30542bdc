/* How activations lie in memory. */
#ifndef FACET_NN_LAYOUT_H
#define FACET_NN_LAYOUT_H

#include <stdint.h>

#include "lib/data/tensor.h"

/* Activations of one picture are rows [ceil(C/B)][H][W][B], B the lane:
 * 1 is PyTorch's order, B = C channels-last, B = 16 the blocked form that
 * oneDNN's AVX-512 kernels take (C rounded up to 16; the padding channels are
 * always zero). So a loop over planes, pixels and the B floats of a pixel
 * serves all three. */
enum nn_layout {
    NN_PLAIN, /* [C][H][W] */
    NN_LAST,  /* [H][W][C] */
    NN_BLOCK16
};

struct nn_shape {
    int64_t c, h, w;
};

/* A batch of activations somewhere in memory (not owned). */
struct nn_view {
    void *data;       /* 64-byte aligned; NULL where nothing is there */
    enum dtype dtype; /* DT_F32 or DT_BF16 */
    enum nn_layout layout;
    struct nn_shape shape; /* of one picture */
    int64_t batch;         /* 1 for a value of the whole batch (a loss) */
};

static inline int64_t nn_view_lane(const struct nn_view *v)
{
    return v->layout == NN_BLOCK16 ? 16 : v->layout == NN_LAST ? v->shape.c : 1;
}

static inline int64_t nn_view_planes(const struct nn_view *v)
{
    int64_t lane = nn_view_lane(v);
    return (v->shape.c + lane - 1) / lane;
}

/* Elements of one picture, padding channels included. */
static inline int64_t nn_view_stride(const struct nn_view *v)
{
    return nn_view_planes(v) * nn_view_lane(v) * v->shape.h * v->shape.w;
}

static inline size_t nn_view_bytes(const struct nn_view *v)
{
    return (size_t)(v->batch * nn_view_stride(v)) *
           (v->dtype == DT_BF16 ? 2u : 4u);
}

#endif
