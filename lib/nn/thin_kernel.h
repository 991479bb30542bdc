/* Inner loops of convolutions to a few channels; for lib/nn/thin_conv.c. */
#ifndef FACET_NN_THIN_KERNEL_H
#define FACET_NN_THIN_KERNEL_H

#include <stdint.h>

#define NN_THIN_MOST 4   /* output channels */
#define NN_THIN_LANE 16  /* input channels side by side */
#define NN_THIN_WIDTH 16 /* the least width of a row of results */

/* One row of results. rows[n]: for each plane of 16 input channels and each
 * row of the kernel a row of pixels of 16 floats; w in this order
 * [n][kw][outs][16]. out[o][x], x < width, is overwritten by the sum over
 * all. width >= NN_THIN_WIDTH. */
void nn_thin_forward(const float *const *rows, int64_t n, int64_t kw,
                     const float *w, int outs, int64_t width,
                     float *const *out);
/* sum[kw][outs][16] += over `count` rows y and x < width of
 * rows[y][x + j] dout[o][y * pitch + x]. */
void nn_thin_weights(const float *const *rows, int64_t count, int64_t kw,
                     const float *const *dout, int64_t pitch, int outs,
                     int64_t width, double *sum);

#endif
