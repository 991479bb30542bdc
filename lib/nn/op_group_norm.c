/* group norm: by mean and variance of C / groups channels of each picture.
 * torch.nn.GroupNorm (Wu and He 2018, eq. 3-7). */
#include "lib/nn/norm.h"
#include "lib/nn/ops.h"

struct group {
    int64_t groups;
    double eps;
};

static struct nn_norm norm_of(const struct nn_exec *x)
{
    const struct group *a = nn_attr(x->node);
    return (struct nn_norm){.groups = a->groups,
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

static const struct nn_op op_group_norm = {
    .name = "group_norm",
    .flags = NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS | NN_OP_RELU | NN_OP_SAVE_IN,
    .prepare = prepare,
    .forward = forward,
    .backward = backward};

int nn_group_norm(struct nn_graph *g, int x, int64_t groups,
                  struct nn_param *gamma, struct nn_param *beta, double eps)
{
    struct group a = {groups, eps};
    struct nn_param *p[] = {gamma, beta};
    struct nn_shape s = nn_graph_shape(g, x);
    if (nn_norm_check(g, "group_norm", x, gamma, beta, eps) < 0)
        return -1;
    if (groups < 1 || s.c % groups)
        return nn_node_fail(g, "group_norm", ERR_ARG,
                            "channels do not divide into such groups");
    return nn_add_node(g, &op_group_norm, &x, 1, p, 2, &a, sizeof a, s);
}
