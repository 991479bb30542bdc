/* Depth of landmarks from a picture: ResNetDepth behind a FAN. */
#ifndef FACET_MODELS_POINT_DEPTH_H
#define FACET_MODELS_POINT_DEPTH_H

#include "lib/nn/net.h"
#include "lib/nn/safetensors.h"

#define POINT_DEPTH_POINTS 68
#define POINT_DEPTH_SIDE 256 /* of the crop, pixels */

/* A Gaussian of 13 x 13 pixels (sigma 3.25, its top 1) about (x,y) on an empty
 * map f32[side,side], where a network of face-alignment wants it (1adrianb/
 * face-alignment, 608505f, utils.py, draw_gaussian with sigma 2): placed by
 * whole pixels, rounded down, in coordinates of which (1,1) is the first pixel;
 * nothing where x or y is not above 0. x, y: crop pixels, (0,0) the centre of
 * the first; FAN's quarter-step points lie on halves. The map is overwritten.
 */
void point_depth_draw(float *map, int side, double x, double y);

struct point_depth;
/* ERR_DATA: no ResNetDepth of 68 points; the text names the file. */
enum err_code point_depth_new(const struct safetensors *weights,
                              const struct nn_options *o,
                              struct point_depth **out, struct err *e) MUST_USE;
void point_depth_free(struct point_depth **d);
/* crop f32[3,256,256] (RGB, 0..1), points in its pixels as above, to their
 * depths in its pixels (times side / 256 in the picture's), towards the viewer,
 * from no fixed place. Test: tests/sh/38-landmark-depth.sh, against PyTorch. */
enum err_code point_depth_run(struct point_depth *d, const float *crop,
                              const float (*xy)[2], float z[POINT_DEPTH_POINTS],
                              struct err *e) MUST_USE;

#endif
