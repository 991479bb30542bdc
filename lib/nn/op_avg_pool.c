/* avg_pool: the mean of each window (torch.nn.AvgPool2d). */
#include "lib/nn/pool.h"

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    return nn_pool_prepare(x, false, e);
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    return nn_pool_run(x, false, e);
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    return nn_pool_run_back(x, false, e);
}

static const struct nn_op op = {.name = "avg_pool",
                                .flags = NN_OP_ANY | NN_OP_BF16,
                                .prepare = prepare,
                                .forward = forward,
                                .backward = backward,
                                .release = nn_pool_release};

int nn_avg_pool(struct nn_graph *g, int x, const struct nn_pool_spec *s)
{
    return nn_pool_node(g, &op, x, s);
}
