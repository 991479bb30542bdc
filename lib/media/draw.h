/* Lines and discs on u8 pictures, clipped at the border.
 * Test: tests/test_draw.c */
#ifndef FACET_MEDIA_DRAW_H
#define FACET_MEDIA_DRAW_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/tensor.h"

/* Coordinates are pixel indices, x right, y down; they may lie outside the
 * picture, up to this far (beyond: ERR_ARG). */
#define DRAW_MAX_COORD (1 << 28)

/* Bresenham's line from (x0,y0) to (x1,y1), both ends included: the pixels
 * that scikit-image's draw.line gives, also where it is clipped. The work is
 * bounded by the picture's size, not by the line's. img u8[H,W,3], reference
 * count 1. ERR_ARG for another picture or a coordinate out of range. */
enum err_code draw_line(struct tensor *img, int64_t x0, int64_t y0, int64_t x1,
                        int64_t y1, const uint8_t rgb[3],
                        struct err *e) MUST_USE;

/* All pixels nearer to (x,y) than radius (strictly, as scikit-image's
 * draw.circle: radius 2 gives 3 x 3 pixels). radius > 0. */
enum err_code draw_disc(struct tensor *img, int64_t x, int64_t y, double radius,
                        const uint8_t rgb[3], struct err *e) MUST_USE;

/* The outline of the box x0,y0,x1,y1 (pixel centres; rounded), `thick` pixels
 * wide and growing inwards, clipped. thick 1..64; NaN or too far: ERR_ARG. */
enum err_code draw_box(struct tensor *img, const float box[4], int thick,
                       const uint8_t rgb[3], struct err *e) MUST_USE;

#endif
