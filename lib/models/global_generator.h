/* GlobalGenerator: a frame and a pose picture to the frame in that pose. */
#ifndef FACET_MODELS_GLOBAL_GENERATOR_H
#define FACET_MODELS_GLOBAL_GENERATOR_H

#include "lib/models/parts.h"

/* Sizes; 0 means the published one. */
struct global_generator_spec {
    int width;           /* of the first convolution: 64 */
    int down;            /* halvings: 3; < 0: none */
    int blocks;          /* residual blocks: 9; < 0: none */
    int out;             /* channels: 3 */
    enum part_norm norm; /* PART_BATCH (pose2pose) or PART_INSTANCE
                            (pix2pixHD) */
};

/* Wang et al., "High-resolution image synthesis and semantic manipulation
 * with conditional GANs", CVPR 2018, as in P2P (p2p/models.py), names
 * model.<i>. as of its nn.Sequential. x [C,H,W] (6 channels: frame in [-1,1],
 * pose in [0,1]), H and W multiples of 2^down; result [out,H,W] in [-1,1]. -1
 * after a failure, which the graph keeps. Test: tests/test_models.c. */
int global_generator(const struct nn_scope *s, int x,
                     const struct global_generator_spec *spec);
/* Sizes and input channels from the shapes of weights under prefix. ERR_DATA
 * if these are not a GlobalGenerator's; the text names the file. */
enum err_code global_generator_read(const struct safetensors *w,
                                    const char *prefix,
                                    struct global_generator_spec *spec,
                                    int *channels, struct err *e) MUST_USE;

#endif
