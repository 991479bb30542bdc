/* Operators that planners know by name, to fuse or insert them. */
#ifndef FACET_NN_OP_KNOWN_H
#define FACET_NN_OP_KNOWN_H

#include "lib/nn/op.h"

extern const struct nn_op nn_op_convert;

#endif
