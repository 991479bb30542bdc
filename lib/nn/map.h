/* One pass over activations: sums of pieces, and batch norm + ReLU of them. */
#ifndef FACET_NN_MAP_H
#define FACET_NN_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/nn/layout.h"

#define NN_MAP_PIECES 8
#define NN_MAP_OUTS 4

enum nn_piece_kind {
    NN_PIECE_SAME, /* the pixel itself */
    NN_PIECE_UP2,  /* nearest neighbour, source half as large (floor) */
    NN_PIECE_AVG2, /* mean of 2x2, stride 2; odd last row/column dropped */
    NN_PIECE_MAX2  /* maximum of 2x2, stride 2 */
};

/* channels first..first+shape.c-1 of the result get this source added. */
struct nn_piece {
    const float *data;
    struct nn_shape shape; /* of the source */
    int64_t first;
    enum nn_piece_kind kind;
};

struct nn_map_out {
    float *data;
    const float *scale, *shift; /* [C padded to the lane], or both NULL */
    bool relu;
};

/* v = sum of the pieces (left to right); raw = v (if not NULL); outs[i] =
 * v * scale + shift, then max(0, .) if relu. Every channel is covered by at
 * least one piece. raw may be the memory of a SAME piece that covers all
 * channels. All arrays in one layout (not NN_PLAIN), `batch` pictures. In
 * NN_BLOCK16 the pieces start at multiples of 16. */
struct nn_map {
    int64_t batch;
    struct nn_shape shape; /* of the result */
    enum nn_layout layout;
    int n_pieces, n_outs;
    struct nn_piece piece[NN_MAP_PIECES];
    float *raw;
    struct nn_map_out out[NN_MAP_OUTS];
};

void nn_map_run(const struct nn_map *m);

/* [C][H][W] to a layout and back, one picture; in NN_BLOCK16 the padding
 * channels become 0. */
void nn_pack(const float *plain, struct nn_shape s, enum nn_layout layout,
             float *dst);
void nn_unpack(const float *src, struct nn_shape s, enum nn_layout layout,
               float *plain);
/* Floats that one picture takes in a layout. */
int64_t nn_layout_floats(struct nn_shape s, enum nn_layout layout);

#endif
