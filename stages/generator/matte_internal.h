/* What matte.c and ground.c share. */
#ifndef FACET_STAGES_GENERATOR_MATTE_INTERNAL_H
#define FACET_STAGES_GENERATOR_MATTE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "stages/generator/matte.h"

/* Arrays of one labelling, n pixels each. */
struct matte_work {
    int width, n;
    const uint8_t *rgb;
    float *prior, *label, *model; /* that a pixel is head */
    float (*link)[2];             /* likeness to the right and below */
    int32_t *queue;
    bool *fixed;
    float *hist; /* head's, background's, scratch */
};

/* 0 up to lo, 1 from hi, smooth between. */
float matte_step(double lo, double hi, double x);

/* m->ground from m->alpha: the picture, with what is head filled in: near its
 * edge by what lies beyond, reflected, farther in by its mean (push-pull:
 * Gortler et al. 1996). */
enum err_code matte_ground(struct matte *m, const struct pyramid *p,
                           double unit_px, struct err *e) MUST_USE;

#endif
