/* Affine warps of u8 pictures: one resampling straight from the source.
 * Test: tests/test_effects.c */
#ifndef FACET_MEDIA_AFFINE_H
#define FACET_MEDIA_AFFINE_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/tensor.h"

enum affine_border {
    AFFINE_BLACK,  /* outside the source there is 0 */
    AFFINE_REFLECT /* it is continued by reflection, edge pixel repeated */
};

/* dst f32[h,w,3] (0..255, interleaved, the caller's) at pixel (x,y) is src at
 * (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]); (0,0) is the centre of
 * each picture's first pixel. Bilinear; where the source is shrunk, the mean
 * of up to 3 x 3 such samples a pixel, and beyond a factor of 3 of a source
 * shrunk by area averaging first, so that it does not alias. Positions are
 * kept to 1/256 of a source pixel. src u8[H,W,3], not empty. ERR_ARG: another
 * picture, m not finite or further out than 1e6, h or w not 1..65536. */
enum err_code image_affine(const struct tensor *src, const double m[6],
                           enum affine_border border, int64_t h, int64_t w,
                           float *dst, struct err *e) MUST_USE;

#endif
