/* Pictures unfolded into columns of kernel windows, and back. */
#include "lib/base/clones.h"

#include "lib/nn/blas_conv.h"

#include <string.h>

int64_t nn_blas_tiles(const struct nn_blas_fold *f)
{
    return ((f->small_h + f->tile_h - 1) / f->tile_h) *
           ((f->small_w + f->tile_w - 1) / f->tile_w);
}

struct nn_blas_tile nn_blas_tile(const struct nn_blas_fold *f, int64_t i)
{
    int64_t across = (f->small_w + f->tile_w - 1) / f->tile_w;
    struct nn_blas_tile t = {.y = i / across * f->tile_h,
                             .x = i % across * f->tile_w};
    t.h = f->small_h - t.y < f->tile_h ? f->small_h - t.y : f->tile_h;
    t.w = f->small_w - t.x < f->tile_w ? f->small_w - t.x : f->tile_w;
    t.n = t.h * t.w;
    t.at = t.y * f->small_w + t.x;
    return t;
}

/* The pixels from .. to - 1 of n, standing `stride` apart from `first` on, that
 * fall on 0 .. size - 1. */
static void inside(int64_t first, int64_t stride, int64_t size, int64_t n,
                   int64_t *from, int64_t *to)
{
    int64_t a = first < 0 ? (-first + stride - 1) / stride : 0;
    int64_t b = first < size ? (size - 1 - first) / stride + 1 : 0;
    *from = a < n ? a : n;
    *to = b < n ? b : n;
    if (*to < *from)
        *to = *from;
}

CLONES
static void gather(float *restrict d, const float *restrict s, int64_t stride,
                   int64_t n)
{
    if (stride == 2) {
        for (int64_t i = 0; i < n; i++)
            d[i] = s[2 * i];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        d[i] = s[i * stride];
}

CLONES
static void scatter_add(float *restrict d, const float *restrict s,
                        int64_t stride, int64_t n)
{
    if (stride == 1) {
        for (int64_t i = 0; i < n; i++)
            d[i] += s[i];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        d[i * stride] += s[i];
}

/* One tap of one channel: a row of columns. */
static void unfold_tap(const struct nn_blas_fold *f,
                       const struct nn_blas_tile *t, const float *plane,
                       int64_t ky, int64_t kx, float *col)
{
    int64_t x0 = t->x * f->stride_w - f->pad_w + kx * f->dilation_w;
    int64_t from, to;
    inside(x0, f->stride_w, f->big_w, t->w, &from, &to);
    for (int64_t i = 0; i < t->h; i++, col += t->w) {
        int64_t y = (t->y + i) * f->stride_h - f->pad_h + ky * f->dilation_h;
        if (y < 0 || y >= f->big_h || from == to) {
            memset(col, 0, (size_t)t->w * sizeof *col);
            continue;
        }
        const float *s = plane + y * f->big_w + x0 + from * f->stride_w;
        memset(col, 0, (size_t)from * sizeof *col);
        if (f->stride_w == 1)
            memcpy(col + from, s, (size_t)(to - from) * sizeof *col);
        else
            gather(col + from, s, f->stride_w, to - from);
        memset(col + to, 0, (size_t)(t->w - to) * sizeof *col);
    }
}

void nn_blas_unfold(const struct nn_blas_fold *f, const struct nn_blas_tile *t,
                    const float *big, int64_t channels, float *columns)
{
    for (int64_t c = 0; c < channels; c++) {
        const float *plane = big + c * f->big_h * f->big_w;
        for (int64_t ky = 0; ky < f->kernel_h; ky++) {
            for (int64_t kx = 0; kx < f->kernel_w; kx++, columns += t->n)
                unfold_tap(f, t, plane, ky, kx, columns);
        }
    }
}

static void fold_tap(const struct nn_blas_fold *f, const struct nn_blas_tile *t,
                     const float *col, int64_t ky, int64_t kx, float *plane)
{
    int64_t x0 = t->x * f->stride_w - f->pad_w + kx * f->dilation_w;
    int64_t from, to;
    inside(x0, f->stride_w, f->big_w, t->w, &from, &to);
    if (from == to)
        return;
    for (int64_t i = 0; i < t->h; i++, col += t->w) {
        int64_t y = (t->y + i) * f->stride_h - f->pad_h + ky * f->dilation_h;
        if (y >= 0 && y < f->big_h)
            scatter_add(plane + y * f->big_w + x0 + from * f->stride_w,
                        col + from, f->stride_w, to - from);
    }
}

void nn_blas_fold_add(const struct nn_blas_fold *f,
                      const struct nn_blas_tile *t, const float *columns,
                      int64_t channels, float *big)
{
    for (int64_t c = 0; c < channels; c++) {
        float *plane = big + c * f->big_h * f->big_w;
        for (int64_t ky = 0; ky < f->kernel_h; ky++) {
            for (int64_t kx = 0; kx < f->kernel_w; kx++, columns += t->n)
                fold_tap(f, t, columns, ky, kx, plane);
        }
    }
}
