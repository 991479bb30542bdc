/* What flatten and reshape do: copy in PyTorch's order. */
#ifndef FACET_NN_RESHAPE_H
#define FACET_NN_RESHAPE_H

#include "lib/nn/op.h"

/* Nothing to do where out is in's memory (din dout's). */
enum err_code nn_reshape_forward(struct nn_exec *x, struct err *e) MUST_USE;
enum err_code nn_reshape_backward(struct nn_exec *x, struct err *e) MUST_USE;

#endif
