/* Where resized pixels come from, along one axis, in PyTorch's arithmetic. */
#ifndef FACET_NN_AXIS_H
#define FACET_NN_AXIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Output o is (1 - part[o]) x input from[o] + part[o] x input from[o] + 1;
 * part is 0 where from[o] is the last input, and everywhere for nearest.
 * from never falls, so the outputs with from[o] == i are
 * first[i] .. first[i + 1] - 1. */
struct nn_axis {
    int64_t in, out;
    int32_t *from;  /* [out] */
    float *part;    /* [out] */
    int32_t *first; /* [in + 1] */
};

/* Bytes of the tables of one axis, a multiple of 64. */
size_t nn_axis_bytes(int64_t in, int64_t out);
/* Fill tables in mem (nn_axis_bytes, 64-byte aligned, stays the caller's).
 * in, out >= 1. Source: ATen/native/UpSample.h. */
struct nn_axis nn_axis_nearest(void *mem, int64_t in, int64_t out);
struct nn_axis nn_axis_linear(void *mem, int64_t in, int64_t out,
                              bool align_corners);

#endif
