/* A training plan's insides; for lib/nn/train*.c only. */
#ifndef FACET_NN_TRAIN_IMPL_H
#define FACET_NN_TRAIN_IMPL_H

#include "lib/nn/op_known.h"
#include "lib/nn/train.h"

/* A run of memory in the arena with its life in time: forward step i is at
 * time i, seeding at n, backward of step i at 2n - i. */
struct nn_chunk {
    size_t bytes;
    int born, last;
    int same_as; /* shares the memory of this chunk, or -1 */
    size_t offset;
};

/* One node of the plan: of the graph, or a conversion. Its value has the
 * number of the step. */
struct nn_tstep {
    struct nn_node node; /* in[] are numbers of steps */
    int graph_node;      /* -1: a conversion */
    struct nn_exec x;
    bool needs;             /* a gradient for its value is wanted */
    int value, grad, keep;  /* chunks, -1: none */
    int din[NN_MAX_INPUTS]; /* chunk that backward writes, -1: not wanted */
    bool din_temp[NN_MAX_INPUTS]; /* of its own: to be added afterwards */
    int64_t ns[2], runs[2];       /* forward, backward */
};

struct nn_train {
    struct nn_train_options o;
    enum nn_layout layout;
    struct nn_tstep *step;
    int n, cap;
    int n_input, n_output;
    int input[NN_MAX_PORTS], output[NN_MAX_PORTS]; /* steps */
    struct nn_chunk *chunk;
    int n_chunk, cap_chunk;
    uint8_t *arena;
    size_t arena_bytes;
    void *scratch;
    size_t scratch_bytes;
    uint64_t runs;
    bool ran; /* forward, so that backward may follow */
};

/* train_lower.c: the graph's nodes that outputs need, with layouts, types and
 * conversions. */
enum err_code nn_train_lower(struct nn_train *t, const struct nn_graph *g,
                             struct err *e) MUST_USE;
/* train_memory.c: what backward computes, chunks, their lives and places. */
void nn_train_wants(struct nn_train *t);
enum err_code nn_train_memory(struct nn_train *t, struct err *e) MUST_USE;

#endif
