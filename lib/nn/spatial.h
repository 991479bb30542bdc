/* Shared by the operators that move pixels: loads and stores of either type,
 * channel groups, and how rows are split over threads. Include after
 * lib/base/clones.h. */
#ifndef FACET_NN_SPATIAL_H
#define FACET_NN_SPATIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/nn/layout.h"
#include "lib/nn/op.h"

/* Elements below which a second thread costs more than it brings. */
#define NN_PARALLEL 16384
/* Channels that a loop holds in registers: one AVX-512 vector. */
#define NN_GROUP 16

/* So that a constant argument (the type, the number of channels) makes a loop
 * of its own in every copy that CLONES makes of its caller. */
#define NN_INLINE static inline __attribute__((always_inline))

NN_INLINE float nn_load(const void *p, int64_t i, bool half)
{
    if (!half)
        return ((const float *)p)[i];
    uint32_t u = (uint32_t)((const uint16_t *)p)[i] << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* bf16: to nearest even; NaN stays NaN. */
NN_INLINE void nn_store(void *p, int64_t i, float v, bool half)
{
    if (!half) {
        ((float *)p)[i] = v;
        return;
    }
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    uint32_t r = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
    uint32_t nan = (u >> 16) | 0x40u;
    ((uint16_t *)p)[i] = (uint16_t)((u & 0x7FFFFFFFu) > 0x7F800000u ? nan : r);
}

static inline bool nn_half(const struct nn_view *v)
{
    return v->dtype == DT_BF16;
}

static inline size_t nn_element(const struct nn_view *v)
{
    return nn_half(v) ? 2 : 4;
}

/* Address of element `at`. */
static inline void *nn_at(const struct nn_view *v, int64_t at)
{
    return (char *)v->data + (size_t)at * nn_element(v);
}

/* Rows of a view, [batch][planes][H], and the elements of each. */
static inline int64_t nn_rows(const struct nn_view *v)
{
    return v->batch * nn_view_planes(v) * v->shape.h;
}
static inline int64_t nn_row_len(const struct nn_view *v)
{
    return v->shape.w * nn_view_lane(v);
}

static inline bool nn_worth_threads(const struct nn_view *v)
{
    return v->batch * nn_view_stride(v) >= NN_PARALLEL;
}

static inline int64_t nn_min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t nn_max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
