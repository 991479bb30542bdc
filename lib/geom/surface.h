/* The project's head laid over a face: the fitted head, bent so that its 68
 * points lie on the given ones. Test: tests/test_surface.c */
#ifndef FACET_GEOM_SURFACE_H
#define FACET_GEOM_SURFACE_H

#include "lib/base/err.h"
#include "lib/geom/fit.h"
#include "lib/geom/head.h"
#include "lib/geom/landmarks.h"

struct surface {
    struct head_mesh *mesh; /* the fitted head, its own axes and unit; owned */
    float (*xyz)[3];        /* its vertices in picture pixels; z in pixels,
                               towards the viewer, same origin as the points' */
    float (*normal)[3];     /* unit normals of xyz, outwards */
    float points[LANDMARKS][3]; /* as given */
    struct fit_pose pose;
    double unit_px; /* the head's unit (outer-eye distance) in pixels */
};

/* Fit to points f32[68][3] (picture pixels, z towards the viewer). Flat points
 * (all z alike) get their depth from fit_landmark_depth's head. score f32[68]
 * or NULL weights them. What the fit leaves over is spread over the surface by
 * compact radial basis functions (Wendland 1995, C2), so the points match to a
 * small fraction of a pixel. Jaw points on the far side of a turned head mark
 * the visible outline, not the jaw: the surface's outline is drawn to them.
 * ERR_DATA if the points are degenerate or not finite. */
enum err_code surface_new(const float (*points)[3], const float *score,
                          struct surface **out, struct err *e) MUST_USE;
void surface_free(struct surface **s);

/* Unit normals (outwards) of a mesh's vertices at positions xyz. */
void surface_normals(const struct head_mesh *m, const float (*xyz)[3],
                     float (*normal)[3]);

#endif
