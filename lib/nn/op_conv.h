/* What convolution and transposed convolution nodes share. For op_conv*.c. */
#ifndef FACET_NN_OP_CONV_H
#define FACET_NN_OP_CONV_H

#include "lib/nn/conv_node.h"
#include "lib/nn/ops.h"

/* The attributes of a node from its parameters and what the builder was told;
 * what is wrong with them, or NULL. Channels are still to be compared. */
const char *nn_conv_attributes(const struct nn_param *weight,
                               const struct nn_param *bias,
                               const struct nn_conv_spec *s, bool transposed,
                               struct nn_conv_attr *a);

enum err_code nn_conv_op_prepare(struct nn_exec *x, struct err *e);
enum err_code nn_conv_op_forward(struct nn_exec *x, struct err *e);
enum err_code nn_conv_op_backward(struct nn_exec *x, struct err *e);
void nn_conv_op_release(struct nn_exec *x);

#endif
