/* Checks of operators: against PyTorch's goldens, between our own paths, and
 * by central differences. */
#ifndef FACET_TESTS_NN_CHECK_H
#define FACET_TESTS_NN_CHECK_H

#include "lib/nn/net.h"
#include "lib/nn/ops.h"
#include "lib/nn/train.h"

#define NN_CHECK_INPUTS 4

/* A small graph around one op. Golden files hold, under "<name>.": in0.., and
 * p.<parameter>, dout (all f32, [N,C,H,W] as PyTorch has them, or its own rank;
 * only the number of elements must agree), and what PyTorch made of them: out,
 * din0.. (where wanted), dp.<parameter>, and s.<statistic> (running statistics
 * after the step). */
struct nn_check_case {
    const char *name;
    int n_in;
    struct nn_shape in[NN_CHECK_INPUTS];
    int64_t batch;
    bool no_grad[NN_CHECK_INPUTS]; /* targets and labels */
    /* Writes the op; parameters by nn_params_get(ps, name, ...). */
    int (*build)(struct nn_graph *g, struct nn_params *ps, const int *in,
                 const void *arg);
    const void *arg;
    double tol;          /* relative to the largest value; 0: 1e-4 (gradients
                            1e-3) */
    double bf16_tol;     /* 0: 3e-2; < 0: do not try bf16 */
    bool no_differences; /* not smooth at the golden's point, or random */
    bool no_inference;   /* means something else there: batch statistics */
};

/* Runs the case on both paths, exact and fast, fused and unfused, in training
 * and inference plans, bf16 where the CPU has it, with every input also behind
 * another op so that layouts are the planner's own; compares with the golden;
 * then central differences along random directions for every input and
 * parameter; then every allocation of the plans fails in turn, which must be
 * ERR_NOMEM without a leak (once for each op in a test program). Fails the
 * cmocka test with a text naming case, variant, tensor, element. */
void nn_check(const char *golden_file, const struct nn_check_case *c);
/* For ops without goldens. */
void nn_check_differences(const struct nn_check_case *c, uint64_t seed);
/* Without plans and differences: each op alone makes the same in every layout
 * and type. For random ops, and for large pictures. */
void nn_check_layouts(const struct nn_check_case *c, uint64_t seed);

#endif
