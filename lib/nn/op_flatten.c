/* flatten: a picture as one vector, in PyTorch's order (torch.flatten, start
 * 1). */

#include "lib/nn/ops.h"
#include "lib/nn/reshape.h"

static const struct nn_op op = {.name = "flatten",
                                .flags = NN_OP_PLAIN | NN_OP_BF16 |
                                         NN_OP_INPLACE | NN_OP_ADDS,
                                .forward = nn_reshape_forward,
                                .backward = nn_reshape_backward};

int nn_flatten(struct nn_graph *g, int x)
{
    struct nn_shape s = nn_graph_shape(g, x);
    struct nn_shape out = {s.c * s.h * s.w, 1, 1};
    return nn_add_node(g, &op, &x, 1, NULL, 0, NULL, 0, out);
}
