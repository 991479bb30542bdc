/* Resizing and affine crops of u8 and f32 pictures. */
#ifndef FACET_MEDIA_RESIZE_H
#define FACET_MEDIA_RESIZE_H

#include "lib/base/err.h"
#include "lib/data/tensor.h"

/* src u8[H,W,C] (C 1..4) to new u8[h,w,C]: area averaging when shrinking,
 * bilinear (half-pixel centres) when growing, each axis by itself. */
struct tensor *image_resize(const struct tensor *src, int64_t h, int64_t w,
                            struct err *e) MUST_USE;
/* The same of a window of src alone: sw x sh pixels from (x0,y0), all in src
 * (else ERR_ARG). What lies beside the window has no part in it. */
struct tensor *image_resize_window(const struct tensor *src, int64_t x0,
                                   int64_t y0, int64_t sw, int64_t sh,
                                   int64_t h, int64_t w,
                                   struct err *e) MUST_USE;

/* Bilinear sampling of a square crop: dst f32[3,size,size] planar, in 0..1
 * (u8 / 255). The crop's top-left corner is (x0,y0) and its side is `side`
 * source pixels, in continuous coordinates where pixel i covers [i, i+1);
 * destination pixel (u,v) samples the source at x0 + (u+0.5)*side/size.
 * Outside the source the value is 0. When side > size an area filter as wide
 * as one destination pixel is used, so that shrinking does not alias.
 * src u8[H,W,3]. dst is the caller's. */
enum err_code image_crop_f32(const struct tensor *src, double x0, double y0,
                             double side, int64_t size, float *dst,
                             struct err *e) MUST_USE;

#endif
