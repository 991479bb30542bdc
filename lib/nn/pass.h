/* One pass over activations: sums of pieces, and batch norm + ReLU of them. */
#ifndef FACET_NN_PASS_H
#define FACET_NN_PASS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/nn/layout.h"

#define NN_PASS_PIECES 8
#define NN_PASS_OUTS 4

enum nn_piece_kind {
    NN_PIECE_SAME, /* the pixel itself */
    NN_PIECE_UP2,  /* nearest neighbour, source half as large (floor) */
    NN_PIECE_AVG2, /* mean of 2x2, stride 2; odd last row/column dropped */
    NN_PIECE_MAX2  /* maximum of 2x2, stride 2 */
};

/* channels first..first+shape.c-1 of the result get this source added. */
struct nn_piece {
    const void *data;
    struct nn_shape shape; /* of the source */
    int64_t first;
    enum nn_piece_kind kind;
};

/* ReLU, or leaky: slope x where x < 0. */
struct nn_rectify {
    bool on;
    float slope;
};

struct nn_pass_out {
    void *data;
    const float *scale, *shift; /* [C padded to the lane], or both NULL */
    struct nn_rectify rect;
};

/* v = sum of the pieces (left to right), rectified; raw = v (if not NULL);
 * outs[i] = v * scale + shift, rectified. Every channel is covered by at least
 * one piece. raw, or where there is none the last of outs, may be the memory
 * of a SAME piece that covers all channels. All arrays in one layout and type
 * (sums are f32 in any case), `batch` pictures. In NN_BLOCK16 the pieces start
 * at multiples of 16. */
struct nn_pass {
    int64_t batch;
    struct nn_shape shape; /* of the result */
    enum nn_layout layout;
    enum dtype type; /* DT_F32 or DT_BF16 */
    int n_pieces, n_outs;
    struct nn_piece piece[NN_PASS_PIECES];
    struct nn_rectify rect;
    void *raw;
    struct nn_pass_out out[NN_PASS_OUTS];
};

void nn_pass_run(const struct nn_pass *m);

#endif
