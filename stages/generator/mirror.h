/* What the source does not show of the head, from its mirrored side. */
#ifndef FACET_STAGES_GENERATOR_MIRROR_H
#define FACET_STAGES_GENERATOR_MIRROR_H

#include "lib/base/err.h"
#include "lib/geom/surface.h"
#include "stages/generator/pyramid.h"

struct mirror {
    float *alpha;     /* per vertex: how much the mirrored side replaces */
    float (*from)[2]; /* per vertex: where in the source its mirror lies */
    float (*gain)[3]; /* per vertex: factor that fits the mirrored light */
    int32_t (*triangle)[3]; /* the triangles with any alpha */
    int n_triangles;
    int n_vertices;
};

/* How far each vertex is replaced in a view turned by r: where it is turned
 * towards the viewer from a place that the source hides or sees obliquely, and
 * not at the view's own outline. weight f32[n_vertices]. */
void mirror_weights(const struct mirror *m, const struct surface *s,
                    const double r[9], float *weight);

/* Visibility comes from a z-buffer of the surface in the source view and from
 * how obliquely a vertex is seen. The light of both sides is compared where
 * both are seen, and that ratio is carried on into the hidden part. */
enum err_code mirror_new(const struct surface *s, const struct pyramid *p,
                         struct mirror **out, struct err *e) MUST_USE;
void mirror_free(struct mirror **m);

#endif
