/* A way of making views: one file with one table. generator.c lists them. */
#ifndef FACET_STAGES_GENERATOR_METHOD_H
#define FACET_STAGES_GENERATOR_METHOD_H

#include "lib/base/err.h"
#include "lib/data/tensor.h"
#include "lib/geom/landmarks.h"

struct generator_method {
    const char *name;  /* the value of the parameter `method` */
    const char *model; /* what made the picture, for its provenance */
    /* Work done once a picture: frame u8[H,W,3], H and W at least 1 (take a
     * reference to keep it), points f32[68][3], score f32[68] or NULL. */
    enum err_code (*prepare)(struct tensor *frame, const float (*points)[3],
                             const float *score, void **source, struct err *e);
    /* One view, u8[H,W,3], with the points at target f32[68][3]. The bytes
     * depend on prepare's arguments and target alone. */
    enum err_code (*view)(void *source, const float (*target)[3],
                          struct tensor **out, struct err *e);
    void (*release)(void *source); /* NULL is fine */
};

extern const struct generator_method generator_warp;

#endif
