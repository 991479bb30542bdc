/* The One-Euro filter on the points of a face: a low pass whose cutoff rises
 * with speed, so that what rests is steady and what moves hardly lags.
 * Casiez, Roussel, Vogel: "1 Euro Filter: A Simple Speed-based Low-pass Filter
 * for Noisy Input in Interactive Systems", CHI 2012, and its reference code.
 * Test: tests/test_one_euro.c
 *
 * What differs: the points of a group (landmark_groups: jaw, a brow, an eye ...)
 * have one cutoff, from the length of their mean speed in the picture. They move
 * together and tremble apart, so the mean tells motion from noise far better
 * than a point's own speed does (docs/video.md). And speed is in face sizes
 * (outer-eye distances) a second: the same numbers serve any resolution and
 * distance. In steady motion points stay behind by less than 1 / (2 pi beta)
 * face sizes, whatever the speed. */
#ifndef FACET_GEOM_ONE_EURO_H
#define FACET_GEOM_ONE_EURO_H

#include <stdbool.h>

#include "lib/geom/landmarks.h"

struct one_euro {
    double min_cutoff; /* Hz, > 0: of points at rest */
    double beta;       /* Hz per (face size a second), >= 0 */
    double d_cutoff;   /* Hz, > 0: of the speed */
};

/* alpha = 1 / (1 + tau / dt), tau = 1 / (2 pi cutoff): the weight of what is
 * new after dt seconds. 0 for dt 0. */
double one_euro_alpha(double cutoff_hz, double dt);

/* One face. Zeroed: nothing seen yet. */
struct one_euro_face {
    bool begun;
    double x[LANDMARKS][3]; /* as given out last */
    double v[LANDMARKS][3]; /* low-passed speed, px/s */
};

/* Take in points f32[68][3] (finite), dt seconds (>= 0) after the last ones, of
 * a face of size_px > 0, and give them out smoothed; in and out may be the
 * same. The first ones come out as they are. With dt 0 the last ones come out
 * again. Points that stay the same stay so to the bit. */
void one_euro_step(const struct one_euro *p, struct one_euro_face *f, double dt,
                   double size_px, float in[LANDMARKS][3],
                   float out[LANDMARKS][3]);

#endif
