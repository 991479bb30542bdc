/* Lifting from picture points to points in 3-D: the network, and the geometry
 * round it. */
#ifndef FACET_MODELS_LIFTER_H
#define FACET_MODELS_LIFTER_H

#include "lib/geom/face_frame.h"
#include "lib/models/lift.h"
#include "lib/nn/net.h"

struct lifter;

/* Sizes, reference points and weights from a file, which is not needed
 * afterwards. ERR_DATA, ERR_NOTFOUND name file and tensor. o: path, mode.
 * Test: tests/test_lift.c */
enum err_code lifter_new(const struct safetensors *weights,
                         const struct nn_options *o, struct lifter **out,
                         struct err *e) MUST_USE;
void lifter_free(struct lifter **l);
int lifter_nodes(const struct lifter *l); /* of the surface; 0: none */

struct lifted {
    float xyz[LANDMARKS][3]; /* picture pixels, z towards the viewer, mean 0 */
    struct face_place place; /* of the head in the picture */
    double pitch, yaw, roll; /* degrees: docs/pose.md */
};
/* pts f32[68][stride]: x, y in picture pixels; what follows them is not looked
 * at. ERR_DATA: points that are no face (see face_frame_fit). One thread at a
 * time. */
enum err_code lifter_lift(struct lifter *l, const float *pts, int stride,
                          struct lifted *out, struct err *e) MUST_USE;
/* The surface of the head lifted last, which is `of`, in the picture:
 * f32[lifter_nodes][3]. */
void lifter_surface(const struct lifter *l, const struct lifted *of,
                    float (*out)[3]);

#endif
