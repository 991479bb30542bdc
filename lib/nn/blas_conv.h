/* Pictures unfolded into columns of kernel windows, and back. */
#ifndef FACET_NN_BLAS_CONV_H
#define FACET_NN_BLAS_CONV_H

#include <stdbool.h>
#include <stdint.h>

/* The geometry of one channel. Pixels of `small` are where kernels stand. */
struct nn_blas_fold {
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    int64_t dilation_h, dilation_w;
    int64_t big_h, big_w, small_h, small_w;
    int64_t tile_h, tile_w; /* the largest tile: full width, or one row */
};

/* Pixels y .. y + h - 1, x .. x + w - 1 of small: n in a row in memory, from
 * `at` on. */
struct nn_blas_tile {
    int64_t y, x, h, w, n, at;
};

/* Are columns the picture itself: 1x1, stride 1, no padding? */
static inline bool nn_blas_fold_none(const struct nn_blas_fold *f)
{
    return f->kernel_h == 1 && f->kernel_w == 1 && f->stride_h == 1 &&
           f->stride_w == 1 && f->pad_h == 0 && f->pad_w == 0 &&
           f->big_h == f->small_h && f->big_w == f->small_w;
}

int64_t nn_blas_tiles(const struct nn_blas_fold *f);
struct nn_blas_tile nn_blas_tile(const struct nn_blas_fold *f, int64_t i);
/* columns[c kh kw][n] of a tile from big[c][big_h][big_w]; 0 outside. */
void nn_blas_unfold(const struct nn_blas_fold *f, const struct nn_blas_tile *t,
                    const float *big, int64_t channels, float *columns);
/* The reverse: every column's numbers are added where they came from. */
void nn_blas_fold_add(const struct nn_blas_fold *f,
                      const struct nn_blas_tile *t, const float *columns,
                      int64_t channels, float *big);

#endif
