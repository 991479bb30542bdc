/* What the losses share: means over many elements that do not depend on
 * threads, and labels. */
#ifndef FACET_NN_LOSS_H
#define FACET_NN_LOSS_H

#include "lib/nn/op.h"

/* A loss that is the mean of a function of one element of x and, where there
 * is a second input, the element of the target. Both functions fill v[n]. */
struct nn_loss {
    void (*value)(const float *x, const float *target, int64_t n,
                  const void *attr, float *v);
    void (*slope)(const float *x, const float *target, int64_t n,
                  const void *attr, float *v); /* by x */
    bool two_sided;                            /* slope by target is -slope */
};

/* For nn_op's table. Inputs f32 in any layout; padding channels count as
 * elements that are zero, so a loss of two zeros must be 0 with slope 0, or
 * the op take no NN_BLOCK16. Sums are made in double, over fixed pieces. */
enum err_code nn_loss_prepare(struct nn_exec *x, struct err *e) MUST_USE;
void nn_loss_forward(struct nn_exec *x, const struct nn_loss *l);
void nn_loss_backward(struct nn_exec *x, const struct nn_loss *l);

/* The builder's part: a node of x and a target of the same shape. */
int nn_loss_node(struct nn_graph *g, const struct nn_op *op, int x, int target,
                 const void *attr, size_t attr_bytes);

/* The class that a float says: -1 for any negative number. ERR_DATA, naming
 * the op and sample, if it is none of 0..classes-1. */
enum err_code nn_loss_label(float label, int64_t classes, const char *op,
                            int64_t sample, int64_t *out,
                            struct err *e) MUST_USE;

/* Zeros into the gradient of input i if somebody wants it: targets have
 * none. */
void nn_loss_no_grad(struct nn_exec *x, int i);

#endif
