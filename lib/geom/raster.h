/* A z-buffer triangle rasteriser. */
#ifndef FACET_GEOM_RASTER_H
#define FACET_GEOM_RASTER_H

#include <stdint.h>

#include "lib/base/err.h"

/* Per pixel: which triangle is in front (-1 none), its depth (larger z is
 * nearer), and the barycentric weights of its first two corners. All arrays
 * height * width. Sample points are pixel centres (x, y integers). */
struct raster {
    int width, height;
    int32_t *triangle;
    float *z;
    float (*bary)[2];
};

enum err_code raster_new(int width, int height, struct raster **out,
                         struct err *e) MUST_USE;
void raster_free(struct raster **r);
void raster_clear(struct raster *r);
/* Draw triangles whose corners are picture coordinates x,y and depth z.
 * Triangles outside are clipped; degenerate and non-finite ones are skipped.
 * cull: 0 none, +1 drop those seen from behind (sign as head_mesh). */
void raster_draw(struct raster *r, const float (*xyz)[3],
                 const int32_t (*triangle)[3], int n_triangles, int cull);

#endif
