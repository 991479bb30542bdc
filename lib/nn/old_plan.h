/* A planned network: steps over one arena; private to lib/nn. */
#ifndef FACET_NN_OLD_PLAN_H
#define FACET_NN_OLD_PLAN_H

#include "lib/nn/old_conv.h"
#include "lib/nn/old_graph.h"
#include "lib/nn/old_graph_impl.h"
#include "lib/nn/map.h"

/* One array of activations (all pictures of a batch). */
struct nv_buffer {
    struct nn_shape shape;
    enum nn_layout layout;
    size_t floats;  /* of one picture */
    int born, last; /* steps of first writing and last reading */
    int same_as;    /* shares the memory of this buffer, or -1 */
    size_t offset;  /* bytes into the arena */
};

enum nv_step_kind { NV_STEP_PACK, NV_STEP_CONV, NV_STEP_MAP, NV_STEP_UNPACK };

struct nv_step_piece {
    int buffer;
    int64_t first;
    enum nn_piece_kind kind;
};

struct nv_step_out {
    int buffer;
    const float *scale, *shift; /* the net's, padded to the lane */
    bool relu;
};

struct nv_step {
    enum nv_step_kind kind;
    int node;     /* of the graph, for texts */
    int src, dst; /* buffers: pack, conv, unpack; map: dst is raw or -1 */
    int port;     /* pack: which input; unpack: which output */
    struct nv_conv *conv;
    double gflop;
    int n_pieces, n_outs;
    struct nv_step_piece piece[NN_MAP_PIECES];
    struct nv_step_out out[NN_MAP_OUTS];
    int64_t ns, runs; /* time spent so far */
};

struct nv_net {
    int64_t batch;
    enum nn_layout layout; /* of all but inputs of first convolutions */
    struct nv_step *step;
    int n_step, cap_step;
    struct nv_buffer *buffer;
    int n_buffer, cap_buffer;
    float **vector; /* padded scales and shifts, owned */
    int n_vector, cap_vector;
    uint8_t *arena;
    size_t arena_bytes;
    void *scratch;
    size_t scratch_bytes;
};

/* plan.c fills steps and buffers; plan_memory.c gives the buffers places. */
enum err_code nv_place_buffers(struct nv_net *net, struct err *e) MUST_USE;
/* plan_fuse.c: what each node becomes. */
enum nv_fate {
    NV_OWN,      /* has a step of its own */
    NV_INTO_SUM, /* concat, add or upsample: a piece of its only reader */
    NV_SIDE,     /* batch norm: written by the pass that makes its input */
    NV_FOLDED    /* part of the node `rep` (conv or batch norm) */
};
struct nv_fusion {
    enum nv_fate fate;
    int rep;    /* the node whose buffer holds this node's value */
    int norm;   /* conv: the batch norm folded into it, or -1 */
    bool relu;  /* conv, batch norm: followed by ReLU */
    int uses;   /* readers, an output counting as one */
    int reader; /* one of them, -1 if only an output */
    bool is_output;
};
void nv_fuse(const struct nv_graph *g, bool unfused, struct nv_fusion *f);

#endif
