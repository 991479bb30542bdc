/* What graph.c (building) and plan*.c (planning) share; private to lib/nn. */
#ifndef FACET_NN_GRAPH_IMPL_H
#define FACET_NN_GRAPH_IMPL_H

#include "lib/nn/graph.h"

#define NN_MAX_INPUTS 4
#define NN_MAX_PORTS 8
#define NN_MAX_SIDE 65536
#define NN_MAX_CHANNELS 65536

enum nn_kind {
    NN_INPUT,
    NN_CONV,
    NN_BATCH_NORM,
    NN_RELU,
    NN_ADD,
    NN_CONCAT,
    NN_AVG_POOL2,
    NN_MAX_POOL2,
    NN_UPSAMPLE2
};

struct nn_node {
    enum nn_kind kind;
    int in[NN_MAX_INPUTS];
    int n_in;
    struct nn_shape shape;
    struct tensor *weights, *bias; /* conv */
    int64_t stride, pad;
    struct tensor *scale, *shift; /* batch norm, f32[C] */
};

struct nn_graph {
    struct nn_node *node;
    int n, cap;
    int input[NN_MAX_PORTS], output[NN_MAX_PORTS];
    int n_input, n_output;
    struct err err; /* the first failure; code OK if none */
};

#endif
