/* A picture and its halves, quarters, ...: smooth sampling at any scale. */
#ifndef FACET_STAGES_GENERATOR_PYRAMID_H
#define FACET_STAGES_GENERATOR_PYRAMID_H

#include "lib/base/err.h"
#include "lib/data/tensor.h"
#include "lib/media/sample.h"

#define PYRAMID_LEVELS 10

struct pyramid {
    int n;
    struct sample_source level[PYRAMID_LEVELS]; /* 0 is the picture itself */
    struct tensor *data[PYRAMID_LEVELS];        /* one reference each */
};

/* frame u8[H,W,3], H and W at least 1. Takes a reference to it. */
enum err_code pyramid_init(struct pyramid *p, struct tensor *frame,
                           struct err *e) MUST_USE;
void pyramid_free(struct pyramid *p);

/* RGB at (x,y) of level 0, as seen at level `lod` (0: bilinear; between
 * levels: mixed; beyond the last: the last). */
void pyramid_sample(const struct pyramid *p, float x, float y, float lod,
                    float rgb[3]);

#endif
