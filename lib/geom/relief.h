/* A picture's head as a relief: a grid over the picture with a depth at each
 * node, taken from the head's surface where it is covered and continued behind
 * it outside (hair, neck, background), and with a weight that says how far the
 * node follows the head's motion: 1 on the head, falling smoothly to 0 towards
 * the still background. Turned and drawn with a z-buffer it gives a new view
 * without holes or seams. Test: tests/test_surface.c */
#ifndef FACET_GEOM_RELIEF_H
#define FACET_GEOM_RELIEF_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/geom/surface.h"

struct relief {
    int cols, rows;
    double x0, y0, step;    /* node (c, r) lies at x0 + c step, y0 + r step */
    float (*xyz)[3];        /* rows * cols nodes in picture pixels */
    float *follow;          /* 0..1 */
    float *outside;         /* distance from the face (skin, not scalp) in
                               pixels; 0 on it */
    float *beyond;          /* distance from the head (without the neck) */
    int32_t (*triangle)[3]; /* 2 (rows - 1) (cols - 1) */
    int n_triangles;
    double unit_px;
};

/* The motion of a view: p -> scale * R p + t. */
struct relief_motion {
    double r[9], scale, t[3];
};

/* step_px: the grid's step, at least 1 (raised where the grid would pass
 * RELIEF_MAX_NODES). ERR_NOMEM. */
#define RELIEF_MAX_NODES 40000
enum err_code relief_new(const struct surface *s, double step_px,
                         struct relief **out, struct err *e) MUST_USE;
void relief_free(struct relief **r);

/* Nodes after the motion, f32[rows * cols][3]; those that follow in part move
 * in part. The picture is width x height pixels: what a motion would draw in
 * from beyond its border is not known, so what lies between a border and the
 * face is held at the border and stretches; the face itself moves in full. */
void relief_move(const struct relief *r, const struct relief_motion *m,
                 int64_t width, int64_t height, float (*out)[3]);

#endif
