/* Passes over activations, element by element or channel by channel; for
 * lib/nn/op_*.c. Each is one pass over memory, on all threads where it is
 * worth it, whatever the layout and type. */
#ifndef FACET_NN_ELEMENTWISE_H
#define FACET_NN_ELEMENTWISE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/nn/layout.h"
#include "lib/nn/op.h"
#include "lib/nn/rows.h"

#define NN_PARALLEL                                                            \
    16384 /* elements below which a second thread costs more                   \
           */

/* Loops that the functions below call with n <= NN_ROW: d[i] from a[i], b[i].
 * d may be a or b (so write them with `#pragma omp simd`, without restrict). */
typedef void nn_fn1(const float *a, float *d, int64_t n, const void *arg);
typedef void nn_fn2(const float *a, const float *b, float *d, int64_t n,
                    const void *arg);
/* With each element's constants: k[j][i] belongs to a[i]. */
#define NN_CHANNEL_ROWS 5
typedef void nn_fn_channel(const float *a, const float *b, float *d,
                           const float *const *k, int64_t n, const void *arg);

/* dst = f(a), or dst += f(a). Same shape, batch and layout; types may differ.
 * Padding channels get f(0): nn_zero_padding where that is not 0. */
void nn_each1(const struct nn_view *a, const struct nn_view *dst, bool add,
              nn_fn1 *f, const void *arg);
void nn_each2(const struct nn_view *a, const struct nn_view *b,
              const struct nn_view *dst, bool add, nn_fn2 *f, const void *arg);

/* dst = f(a, b, constants of the element's channel). b may be NULL. k[j] has
 * one number a channel, planes x lane of them (zeros for padding channels), for
 * each picture k_stride further on (0: the same for all). */
void nn_each_channel(const struct nn_view *a, const struct nn_view *b,
                     const struct nn_view *dst, bool add, nn_fn_channel *f,
                     const void *arg, const float *const *k, int n_k,
                     int64_t k_stride);

/* A run of at most NN_ROW elements that lie together: of picture b, from
 * element `at`; channels c, c + 1, ... repeating after `period`. */
struct nn_seg {
    int64_t b, at, n, c, period;
};
/* How a view falls into such runs. */
struct nn_segs {
    int64_t pictures, planes, per_plane; /* runs: the product */
    int64_t lane, plane, step; /* channels of a pixel, elements of a plane and
                                  of a run */
    int64_t stride;            /* elements of a picture */
    bool wide;                 /* more channels than a run: NN_LAST */
};
struct nn_segs nn_segs_of(const struct nn_view *v);
/* Run i of plane p of picture b, i < per_plane. */
struct nn_seg nn_seg_at(const struct nn_segs *s, int64_t b, int64_t p,
                        int64_t i);
/* row[i] = v[(i) % period], i < n: constants of the channels of a run. */
void nn_repeat(float *row, const float *v, int64_t period, int64_t n);

/* Sums over pixels for each channel, in double, over parts that do not depend
 * on the number of threads. sum[j * channels + c] for j < n_sums, channels =
 * planes x lane; with each_picture [picture][j][c], else over the batch. The
 * loop f adds n elements into acc[j][i % width], width = 64 or the run's
 * period (f32, of at most NN_ROW elements, then flushed).
 * k: as in nn_each_channel. */
typedef void nn_fn_sum(const float *a, const float *b, const float *const *k,
                       float *const *acc, int64_t width, int64_t n,
                       const void *arg);
#define NN_SUMS 3
struct nn_sum_spec {
    const struct nn_view *a, *b; /* b may be NULL */
    nn_fn_sum *f;
    const void *arg;
    int n_sums;
    const float *k[NN_CHANNEL_ROWS];
    int n_k;
    int64_t k_stride;
    bool each_picture;
};
/* A loop for it: acc[0] += a b. */
nn_fn_sum nn_sum_products;
/* Doubles of scratch that it needs; sum is apart. */
size_t nn_sum_scratch(const struct nn_view *a, int n_sums);
void nn_sum_channels(const struct nn_sum_spec *s, double *scratch, double *sum);

/* Channels of a view, padding included: planes x lane. */
static inline int64_t nn_view_channels(const struct nn_view *v)
{
    return nn_view_planes(v) * nn_view_lane(v);
}

#endif
