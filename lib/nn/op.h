/* What an operator is; for lib/nn/op_*.c and the planners only.
 *
 * An op is one file: a builder (declared in ops.h) that checks shapes and adds
 * a node, and a `struct nn_op` with forward and backward on views. */
#ifndef FACET_NN_OP_H
#define FACET_NN_OP_H

#include "lib/nn/graph.h"

#define NN_MAX_INPUTS 8
#define NN_MAX_PARAMS 5
#define NN_MAX_PORTS 16
#define NN_MAX_SIDE 65536
#define NN_MAX_CHANNELS (1 << 20)
#define NN_ATTR_BYTES 128

struct nn_op;

struct nn_node {
    const struct nn_op *op;
    int in[NN_MAX_INPUTS], n_in;
    struct nn_param *param[NN_MAX_PARAMS]; /* NULL where optional and absent */
    int n_param;
    struct nn_shape shape;
    bool whole;        /* one number for the whole batch: a loss */
    bool frozen, eval; /* see graph.h */
    _Alignas(16) unsigned char attr[NN_ATTR_BYTES]; /* the op's own struct */
};

/* One node in one plan. The planner fills all but the sizes and `state`
 * before prepare (views without data), and the data pointers before each
 * run. */
struct nn_exec {
    const struct nn_node *node;
    enum nn_path path; /* never NN_PATH_AUTO */
    enum nn_mode mode;
    bool training; /* a training plan, and the node is not eval */
    bool backward; /* backward will be called */
    bool relu;     /* max(0, .) on the result is part of the node: only for
                      ops with NN_OP_RELU */
    struct nn_view in[NN_MAX_INPUTS], out;
    /* Gradients of the loss. din[i].data NULL: nobody wants it. din[i] is
     * overwritten, or added to where din_add[i] (only for ops with
     * NN_OP_ADDS; others are given memory of their own by the planner). In
     * prepare, din_wanted tells which there will be. */
    struct nn_view din[NN_MAX_INPUTS], dout;
    bool din_wanted[NN_MAX_INPUTS], din_add[NN_MAX_INPUTS];
    /* Gradients of parameters are always added to param[i]->grad; skip those
     * of frozen nodes (dparam false) and of parameters without grad. */
    bool dparam;
    /* Chosen in prepare: bytes needed during one forward or backward call,
     * and bytes kept from forward to backward (statistics, masks). The planner
     * gives the memory, 64-byte aligned. */
    size_t scratch_bytes, keep_bytes;
    void *scratch, *keep;
    uint64_t seed;      /* of this run of this node: for random choices */
    void *state;        /* made by prepare, given back by release */
    size_t state_bytes; /* that it holds (packed weights), for tables */
    char kernel[32];    /* for tables: what prepare chose */
};

enum {
    /* Layouts that forward and backward take, inputs and output alike; the
     * planner converts what does not fit. A 1x1 picture may come in any of
     * them (use nn_index and nn_view_stride, not c alone). */
    NN_OP_PLAIN = 1,
    NN_OP_LAST = 2,
    NN_OP_BLOCK = 4,
    NN_OP_ANY = 7,
    NN_OP_BF16 = 8,       /* also takes bf16 views; else the planner converts */
    NN_OP_INPLACE = 16,   /* out may be the memory of in[0], din[0] of dout */
    NN_OP_ADDS = 32,      /* honours din_add */
    NN_OP_RELU = 64,      /* can do a ReLU that follows (x->relu) */
    NN_OP_SAVE_IN = 128,  /* backward reads in[] */
    NN_OP_SAVE_OUT = 256, /* backward reads out */
    /* backward reads out only where x->relu */
    NN_OP_SAVE_OUT_RELU = 512,
    NN_OP_NO_GRAD = 1024, /* has no backward: gradients stop here */
    NN_OP_VECTOR = 2048   /* out is NN_PLAIN f32 whatever the inputs are */
};

struct nn_op {
    const char *name; /* "conv", as in tables */
    unsigned flags;
    /* May be NULL: nothing to prepare. On failure release is called. */
    enum err_code (*prepare)(struct nn_exec *x, struct err *e);
    enum err_code (*forward)(struct nn_exec *x, struct err *e);
    enum err_code (*backward)(struct nn_exec *x, struct err *e);
    void (*release)(struct nn_exec *x); /* may be NULL */
    /* GFLOP of one picture, for tables; NULL: none worth counting. */
    double (*gflop)(const struct nn_node *n);
};

struct nn_graph {
    struct nn_node *node;
    int n, cap;
    int input[NN_MAX_PORTS], output[NN_MAX_PORTS];
    int n_input, n_output;
    bool frozen, eval;
    struct err err; /* the first failure; code OK if none */
};

/* For builders. A new node; attr_bytes <= NN_ATTR_BYTES are copied. -1 after
 * any failure. Inputs must exist; shape is checked against the caps. */
int nn_add_node(struct nn_graph *g, const struct nn_op *op, const int *in,
                int n_in, struct nn_param *const *param, int n_param,
                const void *attr, size_t attr_bytes, struct nn_shape shape);
/* A new node that is one number for the whole batch. */
int nn_add_whole(struct nn_graph *g, const struct nn_op *op, const int *in,
                 int n_in, const void *attr, size_t attr_bytes);
/* Keep the first error: "network: node 7 (conv): <text>"; returns -1. */
int nn_node_fail(struct nn_graph *g, const char *op, enum err_code code,
                 const char *text);
#define nn_attr(n) ((const void *)(n)->attr)

/* NN_PATH_AUTO becomes what it stands for here (path.c). */
enum nn_path nn_path_settle(enum nn_path p);

extern const struct nn_op nn_op_input; /* graph.c */
extern const struct nn_op nn_op_relu;  /* op_relu.c; planners fuse it */

#endif
