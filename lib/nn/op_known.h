/* Operators that planners know, to fuse or insert them. The inference planner
 * (plan_kinds.c) goes by the names in `struct nn_op` and by these attributes,
 * so the ops use these structs for their nodes. */
#ifndef FACET_NN_OP_KNOWN_H
#define FACET_NN_OP_KNOWN_H

#include "lib/nn/op.h"
#include "lib/nn/ops.h"

extern const struct nn_op nn_op_convert;
extern const struct nn_op nn_op_columns;

/* "batch_norm": param[0..3] gamma, beta (both may be NULL), mean, var. */
struct nn_batch_norm_attr {
    double eps, momentum;
};
/* "leaky_relu" */
struct nn_leaky_relu_attr {
    double slope;
};
/* "pad" */
struct nn_pad_attr {
    enum nn_pad_kind kind;
    int32_t top, bottom, left, right;
};
/* "max_pool", "avg_pool": struct nn_pool_spec as nn_max_pool got it. */
/* No attributes: "relu", "sigmoid", "tanh", "silu", "add", "concat",
 * "resize_nearest"; "dropout" and "detach" hand their input on in
 * inference. */

#endif
