/* A weight file rounded to f16, for shipping: half as large as f32. */
#ifndef FACET_NN_SAFETENSORS_ROUND_H
#define FACET_NN_SAFETENSORS_ROUND_H

#include "lib/nn/safetensors.h"

#define SAFETENSORS_F16_LARGEST 65504.0
#define SAFETENSORS_F16_NORMAL 0x1p-14 /* smaller ones lose more digits */

/* What rounding did. */
struct safetensors_rounding {
    size_t rounded, kept; /* tensors */
    uint64_t numbers;     /* in those that were rounded */
    /* The largest error of a number over its own size, of those that f16 holds
     * as normal ones (at most 2^-11), and the tensor where that is. */
    double error;
    char error_in[128];
    /* Smaller numbers other than 0: how many, how many of them became 0, and
     * the largest error over the largest number of their tensor. */
    uint64_t small, zeroed;
    double small_error;
    char small_in[128];
};

/* Write `from` to path with f32, f64 and bf16 tensors as f16, all others and
 * those named in keep (NULL ends it; may be NULL) as they are, in their order,
 * with its metadata and `dtype_of_training` added, the widest type that was
 * rounded, unless it is there already; meta (a NULL key ends it; may be NULL)
 * replaces what stands under its keys, or is added. Whole or not at all.
 * ERR_DATA: a number is not finite or rounds to infinity (the text names
 * tensor, element, value); ERR_ARG: no tensor of a name in keep, or from is a
 * checkpoint, whose checksum holds for its own bits only; ERR_UNSUPPORTED: a
 * tensor's type. Test: tests/test_safetensors_round.c */
enum err_code
safetensors_round(const struct safetensors *from, const char *const *keep,
                  const struct safetensors_pair *meta, const char *path,
                  struct safetensors_rounding *out, struct err *e) MUST_USE;

#endif
