/* Convolution nodes of a graph as descriptions of kernels; for planners, which
 * fold what stands around a convolution into it. */
#ifndef FACET_NN_CONV_NODE_H
#define FACET_NN_CONV_NODE_H

#include "lib/nn/conv.h"
#include "lib/nn/op.h"

/* param[0] is the weight (f32[O,I/groups,kh,kw]; transposed
 * f32[I,O/groups,kh,kw]), param[1] the bias f32[O] or NULL. */
extern const struct nn_op nn_op_conv, nn_op_conv_transpose;
/* param[0] f32[O,I], param[1] f32[O] or NULL; no attributes. */
extern const struct nn_op nn_op_linear;

/* nn_attr() of nodes of nn_op_conv and nn_op_conv_transpose. */
struct nn_conv_attr {
    int64_t kernel_h, kernel_w, stride, pad, dilation, groups;
    bool transposed;
};

static inline bool nn_node_is_conv(const struct nn_node *n)
{
    return n->op == &nn_op_conv || n->op == &nn_op_conv_transpose;
}

/* The description of such a node's kernel with these views: kernel, strides,
 * padding, groups, transposed, bias (as the node has one). act, sum, winograd,
 * path, training and the wants are left at zero for the caller to set. */
void nn_conv_describe(const struct nn_node *n, const struct nn_view *in,
                      const struct nn_view *out, struct nn_conv_desc *d);

#endif
