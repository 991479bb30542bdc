/* A planned network: steps over one arena; private to lib/nn/plan*.c and
 * net*.c. */
#ifndef FACET_NN_PLAN_H
#define FACET_NN_PLAN_H

#include "lib/nn/conv.h"
#include "lib/nn/pass.h"
#include "lib/nn/net.h"
#include "lib/nn/op.h"

/* One array of activations (all pictures of a batch). */
struct nn_buffer {
    int node;            /* whose value it is */
    struct nn_view view; /* data: set when all is planned */
    int born, last;      /* steps of first writing and last reading */
    int same_as;         /* shares the memory of this buffer, or -1 */
    int may_be;          /* takes this buffer's place if nobody reads it
                            later, or -1 */
};

enum nn_step_kind {
    NN_STEP_PACK,
    NN_STEP_CONV,
    NN_STEP_PASS,
    NN_STEP_OP,
    NN_STEP_UNPACK,
    NN_STEP_KINDS
};

struct nn_step_piece {
    int buffer;
    int64_t first;
    enum nn_piece_kind kind;
};

struct nn_step_out {
    int buffer;
    const float *scale, *shift; /* the net's, padded to the lane */
    struct nn_rectify rect;
};

/* An operator run by itself, with its own copies of node and parameters. */
struct nn_step_op {
    struct nn_node node;
    struct nn_param param[NN_MAX_PARAMS];
    struct nn_exec x;
    int in[NN_MAX_INPUTS]; /* buffers */
    bool prepared;
};

/* What the packed weights of a convolution were made of. */
struct nn_step_origin {
    const struct nn_param *param[2 + NN_MAX_PARAMS]; /* its own, the norm's */
    uint64_t version[2 + NN_MAX_PARAMS];
    double eps; /* the norm's */
    int64_t spread;
};

struct nn_step {
    enum nn_step_kind kind;
    int node;         /* of the graph, for texts */
    const char *what; /* the op's name */
    int src, dst;     /* buffers: pack, conv, op, unpack; pass: dst is raw or
                         -1 */
    int port;         /* pack: which input; unpack: which output */
    struct nn_conv *conv;
    struct nn_step_origin origin; /* conv */
    bool keeps; /* conv: Winograd's weights, where it has such a kernel */
    struct nn_step_op *op;
    char joined[16]; /* conv: "+norm+sum+act" as far as they are */
    double gflop;
    int n_pieces, n_outs;
    struct nn_step_piece piece[NN_PASS_PIECES];
    struct nn_rectify rect; /* pass: on the sum */
    struct nn_step_out out[NN_PASS_OUTS];
    int64_t ns, runs; /* time spent so far */
};

struct nn_net {
    int64_t batch;
    enum nn_path path;
    enum nn_mode mode;
    enum nn_layout layout; /* that most buffers have */
    enum dtype type;
    struct nn_step *step;
    int n_step, cap_step;
    struct nn_buffer *buffer;
    int n_buffer, cap_buffer;
    float **vector; /* padded scales and shifts, owned */
    int n_vector, cap_vector;
    uint8_t *arena;
    size_t arena_bytes;
    void *scratch;
    size_t scratch_bytes, weight_bytes; /* weight_bytes: all copies of them */
};

/* What a node is to the planner. */
enum nn_kind {
    NN_KIND_OP, /* anything else: runs by itself */
    NN_KIND_INPUT,
    NN_KIND_CONV,
    NN_KIND_NORM, /* x * scale + shift by channel */
    NN_KIND_ACT,
    NN_KIND_ADD,
    NN_KIND_CONCAT,
    NN_KIND_AVG2,
    NN_KIND_MAX2,
    NN_KIND_UP2
};

/* What becomes of a node. */
enum nn_fate {
    NN_FATE_OWN,      /* has a step of its own */
    NN_FATE_DEAD,     /* no output needs it */
    NN_FATE_INTO_SUM, /* concat, add or upsampling: a piece of its reader */
    NN_FATE_SIDE,     /* norm: written by the pass that makes its input */
    NN_FATE_FOLDED    /* part of the node `rep` */
};

struct nn_pnode {
    const struct nn_node *node; /* the graph's */
    enum nn_kind kind;
    int in[NN_MAX_INPUTS], n_in; /* as the node's, past identities */
    int64_t pad;                 /* conv: zero padding by a node before */
    enum nn_act act;             /* act: which; others: what follows on the
                                    value and is done with it */
    float alpha;
    enum nn_layout layout; /* conv: of input and output */
    bool lean;             /* conv: Winograd's weights are not kept */
    enum nn_fate fate;
    int rep;     /* the node whose buffer holds this node's value */
    int norm;    /* conv: the norm folded into it, or -1 */
    int sum;     /* conv: the node whose value it is added to, or -1 */
    bool pinned; /* must not be joined into a later sum */
    int uses;    /* readers, an output counting as one */
    int reader;  /* one of them, -1 if only outputs */
    bool is_output;
    int pieces; /* add, concat: terms of the sum */
};

struct nn_planner {
    const struct nn_graph *g;
    const struct nn_options *o;
    struct nn_net *net;
    struct nn_pnode *n;    /* [g->n] */
    int out[NN_MAX_PORTS]; /* the graph's outputs, past identities */
    bool unpacked[NN_MAX_PORTS];
};

/* plan_kinds.c: kinds, identities taken out, zero padding into convolutions,
 * dead nodes, readers. */
void nn_plan_kinds(struct nn_planner *p);
/* Have the values of a node's parameters until nn_plan_drop. */
enum err_code nn_plan_hold(const struct nn_node *n, struct err *e) MUST_USE;
void nn_plan_drop(const struct nn_node *n);
/* scale[c] and shift[c] of a NN_KIND_NORM. ERR_DATA for a variance below
 * zero. */
enum err_code nn_plan_norm(const struct nn_node *n, double *scale,
                           double *shift, struct err *e) MUST_USE;
/* plan_fuse.c: fates. */
void nn_plan_fuse(struct nn_planner *p);

/* plan_steps.c */
enum err_code nn_plan_no_memory(struct err *e);
/* A new step at the end; the caller fills it before asking for another. NULL:
 * no memory. */
struct nn_step *nn_plan_step(struct nn_planner *p, enum nn_step_kind kind,
                             int node);
/* The step being filled reads b. */
void nn_plan_reads(struct nn_planner *p, int b);
/* A buffer for the value of a node, written by the step being filled; -1: no
 * memory. */
int nn_plan_writes(struct nn_planner *p, int node, enum nn_layout layout,
                   enum dtype type);
/* The value of a node in this form, by new steps where it is not there yet;
 * -1: no memory. Before nn_plan_step of the reader. */
int nn_plan_form(struct nn_planner *p, int node, enum nn_layout layout,
                 enum dtype type);
/* A node by its op's own forward. */
enum err_code nn_plan_op(struct nn_planner *p, int i, struct err *e) MUST_USE;
/* Steps that unpack outputs whose values are there by now. */
enum err_code nn_plan_unpack(struct nn_planner *p, struct err *e) MUST_USE;

/* Is the value of a node in PyTorch's order, or free to be? */
bool nn_plan_is_plain(const struct nn_planner *p, int node);
/* The value of node i from buffer `from`, which has it in columns. */
enum err_code nn_plan_columns(struct nn_planner *p, int i, int from,
                              struct err *e) MUST_USE;

/* plan_weights.c: PyTorch's order, for g pixels at once (1: as they are); bias
 * may be NULL. Free in any case. */
struct nn_plan_weights {
    const float *weights, *bias;
    float *own_weights, *own_bias;
    size_t own_bytes;           /* of own_weights */
    const struct nn_node *held; /* whose parameters these are; NULL: copies */
};
enum err_code nn_plan_weights(const struct nn_planner *p, int i, int64_t g,
                              struct nn_plan_weights *w,
                              struct err *e) MUST_USE;
void nn_plan_weights_free(struct nn_plan_weights *w);
/* plan_layout.c: the layout of each convolution's kernel. */
void nn_plan_layouts(struct nn_planner *p);
/* plan_fast.c: which Winograd kernels keep their weights. */
enum err_code nn_plan_lean(struct nn_planner *p, struct err *e) MUST_USE;
/* plan_conv.c */
/* Is a Winograd kernel wanted for convolution i, and worth it? */
bool nn_plan_winograd(const struct nn_planner *p, int i);
/* How many neighbouring pixels it makes at once. */
int64_t nn_plan_spread(const struct nn_planner *p, int i);
enum err_code nn_plan_conv(struct nn_planner *p, int i, struct err *e) MUST_USE;
/* The step with the weights of convolution i in the plan that this one is like;
 * NULL if there is none. */
const struct nn_step *nn_plan_alike(const struct nn_planner *p, int i);
/* plan_pass.c: a node by a pass, with the norms that read it; the norms from
 * node `from` on that read a value already in a buffer. */
enum err_code nn_plan_pass(struct nn_planner *p, int i, struct err *e) MUST_USE;
enum err_code nn_plan_sides(struct nn_planner *p, int i, int from,
                            struct err *e) MUST_USE;
/* plan_memory.c: places, arena, scratch, and every view's data. */
enum err_code nn_plan_memory(struct nn_net *net, struct err *e) MUST_USE;

#endif
