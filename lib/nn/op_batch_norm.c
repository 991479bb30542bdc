/* batch norm: torch.nn.BatchNorm2d (and 1d on vectors). In training by the
 * batch's mean and biased variance, and running statistics move; else by
 * those. (Ioffe and Szegedy 2015, algorithms 1 and 2.) */
#include "lib/nn/dnnl_norm.h"
#include "lib/nn/op_known.h"

static struct nn_norm norm_of(const struct nn_exec *x)
{
    const struct nn_batch_norm_attr *a = nn_attr(x->node);
    struct nn_param *const *p = x->node->param;
    return (struct nn_norm){.groups = x->out.shape.c,
                            .over_batch = true,
                            .eps = a->eps,
                            .momentum = a->momentum,
                            .gamma = p[0],
                            .beta = p[1],
                            .mean = p[2],
                            .var = p[3]};
}

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    struct nn_norm n = norm_of(x);
    struct nn_shape s = x->out.shape;
    if (x->training && s.h * s.w * x->out.batch < 2)
        return err_set(e, ERR_ARG,
                       "batch_norm: training needs more than one number a "
                       "channel (a batch of 1 picture of 1x1)");
    struct nn_dnnl_norm *d = NULL;
    enum err_code r = nn_dnnl_norm_new(x, &n, !x->training, &d, e);
    x->state = d;
    if (r != ERR_UNSUPPORTED)
        return r;
    nn_norm_sizes(x, &n);
    return OK;
}

static void release(struct nn_exec *x)
{
    struct nn_dnnl_norm *d = x->state;
    nn_dnnl_norm_free(&d);
    x->state = NULL;
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    struct nn_norm n = norm_of(x);
    if (x->state)
        return nn_dnnl_norm_forward(x->state, x, &n, e);
    if (x->training)
        nn_norm_forward(x, &n);
    else
        nn_norm_forward_running(x, &n);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    struct nn_norm n = norm_of(x);
    if (x->state)
        return nn_dnnl_norm_backward(x->state, x, &n, e);
    nn_norm_backward(x, &n, !x->training);
    return OK;
}

static const struct nn_op op_batch_norm = {
    .name = "batch_norm",
    .flags = NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS | NN_OP_RELU | NN_OP_SAVE_IN,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .release = release};

int nn_batch_norm(struct nn_graph *g, int x, struct nn_param *gamma,
                  struct nn_param *beta, struct nn_param *mean,
                  struct nn_param *var, double eps, double momentum)
{
    struct nn_batch_norm_attr a = {eps, momentum};
    struct nn_param *p[] = {gamma, beta, mean, var};
    struct nn_shape s = nn_graph_shape(g, x);
    if (nn_norm_check(g, "batch_norm", x, gamma, beta, eps) < 0)
        return -1;
    if (!mean || !var || !nn_is_vector_of(mean, s.c) ||
        !nn_is_vector_of(var, s.c))
        return nn_node_fail(g, "batch_norm", ERR_ARG,
                            "needs a running mean and variance, one number a "
                            "channel");
    if (!(momentum >= 0 && momentum <= 1))
        return nn_node_fail(g, "batch_norm", ERR_ARG,
                            "momentum must be in [0,1]");
    return nn_add_node(g, &op_batch_norm, &x, 1, p, 4, &a, sizeof a, s);
}
