/* Helpers for loops over views: rows of floats whatever the type in memory. */
#ifndef FACET_NN_ROWS_H
#define FACET_NN_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/nn/layout.h"

#define NN_ROW 2048 /* floats of a caller's row buffer: 8 KiB, stays in L1 */

/* n <= NN_ROW elements from element `at` on: the data itself if it is f32,
 * else converted into tmp. */
const float *nn_row_get(const struct nn_view *v, int64_t at, int64_t n,
                        float *tmp);
/* Where to compute n floats that nn_row_put will store: the data itself if it
 * is f32, else tmp. */
float *nn_row_at(const struct nn_view *v, int64_t at, float *tmp);
/* Store row (nothing to do if it is the data itself); add: to what is
 * there. With add, compute into tmp, not into nn_row_at. */
void nn_row_put(const struct nn_view *v, int64_t at, int64_t n,
                const float *row, bool add);

/* Element of channel c, pixel (y, x) of picture b. */
static inline int64_t nn_index(const struct nn_view *v, int64_t b, int64_t c,
                               int64_t y, int64_t x)
{
    int64_t lane = nn_view_lane(v);
    return b * nn_view_stride(v) +
           ((c / lane * v->shape.h + y) * v->shape.w + x) * lane + c % lane;
}

/* bf16 <-> f32, vectorised; round to nearest even. */
void nn_from_bf16(const uint16_t *src, float *dst, int64_t n);
void nn_to_bf16(const float *src, uint16_t *dst, int64_t n);

/* Set the padding channels (C..lane-1 of the last plane) to zero; for ops
 * whose value at 0 is not 0. */
void nn_zero_padding(const struct nn_view *v);
/* Copy between layouts and types, same shape and batch; add: to dst. */
void nn_convert(const struct nn_view *src, const struct nn_view *dst, bool add);

#endif
