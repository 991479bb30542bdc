/* instance norm: by mean and variance of each channel of each picture.
 * torch.nn.InstanceNorm2d without running statistics (Ulyanov 2016, eq. 2). */
#include "lib/nn/norm.h"
#include "lib/nn/ops.h"

struct instance {
    double eps;
};

static struct nn_norm norm_of(const struct nn_exec *x)
{
    const struct instance *a = nn_attr(x->node);
    return (struct nn_norm){.groups = x->out.shape.c,
                            .eps = a->eps,
                            .gamma = x->node->param[0],
                            .beta = x->node->param[1]};
}

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct nn_norm n = norm_of(x);
    nn_norm_sizes(x, &n);
    return OK;
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct nn_norm n = norm_of(x);
    nn_norm_forward(x, &n);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct nn_norm n = norm_of(x);
    nn_norm_backward(x, &n, false);
    return OK;
}

static const struct nn_op op_instance_norm = {
    .name = "instance_norm",
    .flags = NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS | NN_OP_RELU | NN_OP_SAVE_IN,
    .prepare = prepare,
    .forward = forward,
    .backward = backward};

int nn_instance_norm(struct nn_graph *g, int x, struct nn_param *gamma,
                     struct nn_param *beta, double eps)
{
    struct instance a = {eps};
    struct nn_param *p[] = {gamma, beta};
    if (nn_norm_check(g, "instance_norm", x, gamma, beta, eps) < 0)
        return -1;
    return nn_add_node(g, &op_instance_norm, &x, 1, p, 2, &a, sizeof a,
                       nn_graph_shape(g, x));
}
