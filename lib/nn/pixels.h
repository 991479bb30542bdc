/* Passes where each pixel has a number of its own, the same for all of its
 * channels; for multiply and L2 norm. Numbers of pixels are f32 [N,H,W]. */
#ifndef FACET_NN_PIXELS_H
#define FACET_NN_PIXELS_H

#include "lib/nn/elementwise.h"

/* sum[n,y,x] = sum over channels of a b k[c]; k NULL: 1. a may be b. */
void nn_pixel_sums(const struct nn_view *a, const struct nn_view *b,
                   const float *k, float *sum);
/* dst = f(a, b, k), with k[0 .. n_k - 1] from the channel constants `chan`
 * (planes x lane each) and then n_px rows from the pixels' numbers `px`, which
 * are the same for all pictures where `shared`. b may be NULL. */
void nn_each_pixel(const struct nn_view *a, const struct nn_view *b,
                   const struct nn_view *dst, bool add, nn_fn_channel *f,
                   const float *const *chan, int n_k, const float *const *px,
                   int n_px, bool shared);

#endif
