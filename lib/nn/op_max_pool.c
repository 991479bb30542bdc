/* max_pool: the largest value of each window (torch.nn.MaxPool2d). */
#include "lib/nn/pool.h"

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    return nn_pool_prepare(x, true, e);
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    return nn_pool_run(x, true, e);
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    return nn_pool_run_back(x, true, e);
}

static const struct nn_op op = {.name = "max_pool",
                                .flags = NN_OP_ANY | NN_OP_BF16,
                                .prepare = prepare,
                                .forward = forward,
                                .backward = backward,
                                .release = nn_pool_release};

int nn_max_pool(struct nn_graph *g, int x, const struct nn_pool_spec *s)
{
    if (s->kernel > NN_POOL_MAX_KERNEL)
        return nn_node_fail(g, op.name, ERR_UNSUPPORTED,
                            "kernel over 255 (nn_global_max_pool takes all)");
    return nn_pool_node(g, &op, x, s);
}
