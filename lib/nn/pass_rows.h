/* The inner loops of passes over activations (pass.c): n pixels of k
 * neighbouring channels, pixels `stride` floats apart. */
#ifndef FACET_NN_PASS_ROWS_H
#define FACET_NN_PASS_ROWS_H

#include "lib/nn/pass.h"

struct nn_rows {
    const float *p;
    int64_t stride;
};

/* d[n] = a + b; d += a. */
void nn_rows_add(float *restrict d, const float *a, const float *b, int64_t n);
void nn_rows_add_into(float *restrict d, const float *restrict a, int64_t n);
/* d = s * scale + shift, rectified; d may be s where the strides agree. */
void nn_rows_affine(float *d, int64_t stride, struct nn_rows s,
                    const float *restrict scale, const float *restrict shift,
                    struct nn_rectify r, int64_t n, int64_t k);
/* d = s, rectified if r says so; d may be s. */
void nn_rows_copy(float *d, int64_t stride, struct nn_rows s,
                  struct nn_rectify r, int64_t n, int64_t k);
/* d[n][k]: the mean or the maximum of four source pixels, two of row a and
 * two of row b. */
void nn_rows_pool4(float *restrict d, const float *restrict a,
                   const float *restrict b, int64_t stride, int64_t n,
                   int64_t k, bool max);
/* bf16 in, bf16 out, 16 channels a pixel: s * scale + shift (NULL: s alone),
 * rectified; d may be s. */
void nn_rows_affine16(uint16_t *d, const uint16_t *s, const float *scale,
                      const float *shift, struct nn_rectify r, int64_t n);

#endif
