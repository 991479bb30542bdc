/* How activations lie in memory. */
#ifndef FACET_NN_LAYOUT_H
#define FACET_NN_LAYOUT_H

#include <stdint.h>

/* f32 activations of one picture are rows [C/B][H][W][B]: B = C is
 * channels-last (every CPU, any number of channels), B = 16 the blocked form
 * that oneDNN's Winograd kernels take (C rounded up to 16, padding zero). */
enum nn_layout {
    NN_PLAIN, /* [C][H][W]: inputs and outputs of a network */
    NN_LAST,  /* [H][W][C] */
    NN_BLOCK16
};

struct nn_shape {
    int64_t c, h, w;
};

#endif
