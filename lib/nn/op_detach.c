/* detach: the same values, through which no gradient goes. */
#include "lib/nn/op.h"
#include "lib/nn/ops.h"
#include "lib/nn/rows.h"

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    if (x->out.data != x->in[0].data)
        nn_convert(&x->in[0], &x->out, false);
    return OK;
}

static const struct nn_op op_detach = {.name = "detach",
                                       .flags = NN_OP_ANY | NN_OP_BF16 |
                                                NN_OP_INPLACE | NN_OP_NO_GRAD,
                                       .forward = forward};

int nn_detach(struct nn_graph *g, int x)
{
    return nn_add_node(g, &op_detach, &x, 1, NULL, 0, NULL, 0,
                       nn_graph_shape(g, x));
}
