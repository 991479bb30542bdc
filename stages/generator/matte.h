/* The still background behind a head: how much of each place is head (hair,
 * neck and what it stands on), and the picture without it. */
#ifndef FACET_STAGES_GENERATOR_MATTE_H
#define FACET_STAGES_GENERATOR_MATTE_H

#include "lib/base/err.h"
#include "lib/geom/relief.h"
#include "lib/geom/surface.h"
#include "stages/generator/pyramid.h"

struct matte {
    int level;             /* of the picture's pyramid */
    int x0, y0;            /* its window, in that level's pixels: what may */
    int width, height;     /* move, as far as it is in the picture */
    uint8_t *rgb;          /* the window's pixels */
    float *alpha;          /* 1: moves with the head; 0: surely background */
    struct pyramid ground; /* the picture, filled in where alpha is not 0 */
};

/* *out is NULL, with OK, where nothing is surely background. The colours of
 * the head and of what is far from it decide, with a prior from the head's
 * outline; what they leave open counts as head, so that it bends with the
 * relief. ERR_NOMEM. */
enum err_code matte_new(const struct surface *s, const struct relief *g,
                        const struct pyramid *p, struct matte **out,
                        struct err *e) MUST_USE;
void matte_free(struct matte **m);

/* alpha at (x,y) of the picture. */
float matte_at(const struct matte *m, float x, float y);

#endif
