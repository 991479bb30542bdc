/* What the parts of nn_check share; for tests/support/nn_check*.c only. */
#ifndef FACET_TESTS_NN_CHECK_IMPL_H
#define FACET_TESTS_NN_CHECK_IMPL_H

#include "lib/nn/op.h"
#include "lib/nn/safetensors.h"
#include "tests/support/nn_check.h"

#define NNC_PARAMS 16
/* Are inference plans (lib/nn/net*.c) there? */
#define NNC_HAVE_NET 1

/* A trained parameter's gradient or a statistic's value. */
struct nnc_param {
    char name[64];
    bool buffer;
    size_t n;
    float *v;
};

/* What one run made, or should have made; owned. */
struct nnc_result {
    float *out;
    size_t n_out;
    float *din[NN_CHECK_INPUTS]; /* NULL where no_grad */
    struct nnc_param param[NNC_PARAMS];
    int n_param;
};

/* What all runs of a case begin with. */
struct nnc_data {
    const struct nn_check_case *c;
    struct safetensors *file; /* NULL: parameters are drawn from seed */
    uint64_t seed;
    float *in[NN_CHECK_INPUTS];
    size_t n_in[NN_CHECK_INPUTS];
    float *dout; /* NULL: a loss, 1 */
    bool whole;
    size_t n_out;
    struct nnc_result want;
};

enum nnc_engine { NNC_EXEC, NNC_TRAIN, NNC_NET };
struct nnc_variant {
    enum nnc_engine engine;
    enum nn_path path;
    enum nn_mode mode;
    bool bf16;
    bool unfused; /* plans */
    bool behind;  /* plans: behind other ops, with second readers */
    /* exec: every op by itself in this layout; with `tight` in place where
     * the op says it can, gradients added to, ReLU joined */
    enum nn_layout layout;
    bool tight;
    bool forward_only; /* by nn_train_options.no_backward */
};

/* A case's graph with its parameters. */
struct nnc_net {
    struct nn_params *ps, *aux;
    struct nn_graph *g;
    int out;
};

/* Ends the test: "case 'x', train dnnl exact: <text>". */
void nnc_fail(const struct nnc_data *d, const struct nnc_variant *v,
              const char *fmt, ...) PRINTF_LIKE(3, 4);
float *nnc_floats(size_t n); /* zeroed; never NULL */
void nnc_build(const struct nnc_data *d, const struct nnc_variant *v,
               struct nnc_net *n);
void nnc_net_free(struct nnc_net *n);
/* Gradients and statistics of n's parameters into r. */
void nnc_take_params(const struct nnc_net *n, struct nnc_result *r);
/* What the second reader of input i is given as its gradient (times 3 in
 * plans): of the size of the gradient looked for, so that no digits are lost.
 * New memory. */
float *nnc_second(const struct nnc_data *d, int i);
void nnc_result_free(struct nnc_result *r);

/* Run one variant; *r is new. */
void nnc_exec(const struct nnc_data *d, const struct nnc_variant *v,
              struct nnc_result *r);
void nnc_train(const struct nnc_data *d, const struct nnc_variant *v,
               struct nnc_result *r);
void nnc_infer(const struct nnc_data *d, const struct nnc_variant *v,
               struct nnc_result *r);
/* Our gradients of this variant (a training plan) against differences. */
void nnc_differences(const struct nnc_data *d, const struct nnc_variant *v);
/* Every allocation of plans fails in turn, once for each op in a process. */
void nnc_no_memory(const struct nnc_data *d);

#endif
