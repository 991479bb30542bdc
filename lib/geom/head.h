/* The project's own parametric head: geometry only; nothing is imported. */
#ifndef FACET_GEOM_HEAD_H
#define FACET_GEOM_HEAD_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/geom/landmarks.h"

enum head_part {
    HEAD_SKIN,
    HEAD_SCALP, /* where hair sits */
    HEAD_NECK,
    HEAD_LIPS,
    HEAD_BROW,
    HEAD_EYE,   /* eyeball: sclera, iris, pupil */
    HEAD_MOUTH, /* the closing surface inside the lips */
    HEAD_EAR,
    HEAD_PARTS
};

#define HEAD_IDENTITY 24
#define HEAD_EXPRESSION 12

/* All zero is the mean, neutral head. identity ~ N(0,1) each; expression in
 * [0,1] each (names in head_expression_names). */
struct head_params {
    double identity[HEAD_IDENTITY];
    double expression[HEAD_EXPRESSION];
};
extern const char *const head_identity_names[HEAD_IDENTITY];
extern const char *const head_expression_names[HEAD_EXPRESSION];

/* Unit: outer-eye distance of the mean head = 1. Axes as landmarks.h: x right
 * in the picture, y DOWN, z towards the viewer; the neutral head looks along
 * +z; origin: the mean of the 68 points of the mean head. The surface is closed
 * at eyes and mouth by surfaces of their own, and reaches down the neck. */
struct head_mesh {
    int n_vertices, n_triangles;
    float (*vertex)[3];
    float (*uv)[2];         /* 0..1, u mirror-symmetric about 0.5 */
    int32_t (*triangle)[3]; /* counter-clockwise seen from outside with y up,
                               i.e. clockwise in picture axes: see head.c */
    uint8_t *part;          /* enum head_part of each triangle */
    int32_t *mirror; /* vertex -> its mirror vertex (itself on the axis) */
    int32_t landmark[LANDMARKS]; /* vertex of each point */
};

/* Topology is the same for all parameters: vertex i is vertex i. */
enum err_code head_mesh_new(const struct head_params *p, struct head_mesh **out,
                            struct err *e) MUST_USE;
void head_mesh_free(struct head_mesh **m);
/* The 68 points of the head with these parameters (NULL: mean, neutral),
 * f32[68][3], same axes and unit. */
enum err_code head_landmarks(const struct head_params *p,
                             float out[LANDMARKS][3], struct err *e) MUST_USE;

#endif
