/* Normalisation by mean and variance, forward and backward, in our own loops:
 * what batch, instance and group norm share; for lib/nn/op_*_norm.c. */
#ifndef FACET_NN_NORM_H
#define FACET_NN_NORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/nn/op.h"

/* y = gamma (x - mean) / sqrt(var + eps) + beta. Statistics are of groups of
 * C / groups channels of each picture, or (over_batch, with groups = C) of a
 * channel in all pictures. gamma and beta [C] may be NULL: 1 and 0. */
struct nn_norm {
    int64_t groups;
    bool over_batch;
    double eps;
    struct nn_param *gamma, *beta;
    struct nn_param *mean, *var; /* running statistics; NULL: none */
    double momentum;
};

/* Sets x's scratch_bytes and keep_bytes. Any layout and type. */
void nn_norm_sizes(struct nn_exec *x, const struct nn_norm *n);
/* By x's own statistics; moves running ones. Does x->relu. */
void nn_norm_forward(struct nn_exec *x, const struct nn_norm *n);
/* By the running statistics. */
void nn_norm_forward_running(struct nn_exec *x, const struct nn_norm *n);
/* After either forward; running: after the second one. Reads in[0] (and makes
 * the ReLU's mask from it again), not out. */
void nn_norm_backward(struct nn_exec *x, const struct nn_norm *n, bool running);

/* Move the running statistics of channel c towards mean and (biased) var of
 * count numbers; after all channels, say that they moved. */
void nn_norm_move(const struct nn_norm *n, int64_t c, double mean, double var,
                  double count);
void nn_norm_moved(const struct nn_norm *n);

/* What builders of norms check: gamma and beta [C], both or neither, and x. */
int nn_norm_check(struct nn_graph *g, const char *op, int x,
                  const struct nn_param *gamma, const struct nn_param *beta,
                  double eps);
bool nn_is_vector_of(const struct nn_param *p, int64_t c);

#endif
