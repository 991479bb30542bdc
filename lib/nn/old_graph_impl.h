/* What graph.c (building) and plan*.c (planning) share; private to lib/nn. */
#ifndef FACET_NN_OLD_GRAPH_IMPL_H
#define FACET_NN_OLD_GRAPH_IMPL_H

#include "lib/nn/old_graph.h"

#define NV_MAX_INPUTS 4
#define NV_MAX_PORTS 8
#define NV_MAX_SIDE 65536
#define NV_MAX_CHANNELS 65536

enum nv_kind {
    NV_INPUT,
    NV_CONV,
    NV_BATCH_NORM,
    NV_RELU,
    NV_ADD,
    NV_CONCAT,
    NV_AVG_POOL2,
    NV_MAX_POOL2,
    NV_UPSAMPLE2
};

struct nv_node {
    enum nv_kind kind;
    int in[NV_MAX_INPUTS];
    int n_in;
    struct nn_shape shape;
    struct tensor *weights, *bias; /* conv */
    int64_t stride, pad;
    struct tensor *scale, *shift; /* batch norm, f32[C] */
};

struct nv_graph {
    struct nv_node *node;
    int n, cap;
    int input[NV_MAX_PORTS], output[NV_MAX_PORTS];
    int n_input, n_output;
    struct err err; /* the first failure; code OK if none */
};

#endif
