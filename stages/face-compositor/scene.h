/* A picture put together of faces and of what is none; private to the
 * face-compositor. */
#ifndef FACET_STAGES_FACE_COMPOSITOR_SCENE_H
#define FACET_STAGES_FACE_COMPOSITOR_SCENE_H

#include <stdbool.h>

#include "lib/base/err.h"
#include "lib/base/rng.h"
#include "lib/data/tensor.h"
#include "lib/geom/crop.h"
#include "lib/geom/landmarks.h"

#define SCENE_MAX_FACES 32

/* A picture with one annotated face. */
struct shot {
    struct tensor *frame; /* u8[H,W,3] */
    float xy[LANDMARKS][2];
    double box[4]; /* of the points */
};

struct scene_face {
    float box[4];
    bool ignore; /* mostly beyond the border, or too small to tell */
};

struct scene {
    int side;        /* pixels of the square */
    double least;    /* faces smaller than this (sqrt of area) are not told */
    float *px, *tmp; /* f32[side,side,3], 0..255; the caller's */
    struct rng *rng;
    struct scene_face face[SCENE_MAX_FACES];
    int n;
};

/* Where a face goes. */
struct scene_place {
    double size; /* sqrt(w h) of its box, pixels */
    double x, y; /* of the box's middle */
    double turn_rad;
    bool mirror;
};

/* Fill everything with tones, noise, or pieces of the shots that hold no part
 * of their faces. */
enum err_code scene_ground(struct scene *s, const struct shot *const *shot,
                           int n, struct err *e) MUST_USE;
/* The whole picture, so that its face stands at the place; beyond its border
 * the ground stays, or the picture goes on by reflection as far as that does
 * not show its face again. */
enum err_code scene_whole(struct scene *s, const struct shot *shot,
                          const struct scene_place *at, bool reflect,
                          struct err *e) MUST_USE;
/* The face and so much round it (`around` times the box's sides), with a hard
 * or a soft edge, square or round. *done is false, and nothing has changed,
 * where it would cover another face. */
enum err_code scene_paste(struct scene *s, const struct shot *shot,
                          const struct scene_place *at, double around,
                          bool *done, struct err *e) MUST_USE;

#endif
