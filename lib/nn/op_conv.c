/* Convolution: torch.nn.Conv2d. */

#include "lib/nn/conv_node.h"
#include "lib/nn/op_conv.h"
#include "lib/nn/ops.h"

static int fail(struct nn_graph *g, const char *text)
{
    return nn_node_fail(g, nn_op_conv.name, ERR_ARG, text);
}

int nn_conv(struct nn_graph *g, int x, struct nn_param *weight,
            struct nn_param *bias, const struct nn_conv_spec *s)
{
    struct nn_conv_attr a;
    struct nn_shape in = nn_graph_shape(g, x), out;
    if (g->err.code)
        return -1;
    const char *wrong = nn_conv_attributes(weight, bias, s, false, &a);
    if (wrong)
        return fail(g, wrong);
    if (!in.c)
        return fail(g, "reads a node that does not exist");
    const int64_t *w = weight->value->shape;
    if (in.c % a.groups || w[0] % a.groups)
        return fail(g, "channels are no multiple of groups");
    if (w[1] != in.c / a.groups)
        return fail(g, "weight is for another number of channels");
    out.c = w[0];
    int64_t extent_h = a.dilation * (a.kernel_h - 1) + 1;
    int64_t extent_w = a.dilation * (a.kernel_w - 1) + 1;
    int64_t room_h = in.h + 2 * a.pad, room_w = in.w + 2 * a.pad;
    if (room_h < extent_h || room_w < extent_w)
        return fail(g, "kernel is larger than its padded input");
    out.h = (room_h - extent_h) / a.stride + 1;
    out.w = (room_w - extent_w) / a.stride + 1;
    struct nn_param *p[2] = {weight, bias};
    return nn_add_node(g, &nn_op_conv, &x, 1, p, 2, &a, sizeof a, out);
}

static double gflop(const struct nn_node *n)
{
    const struct tensor *w = n->param[0]->value;
    return 2e-9 * (double)w->count * (double)n->shape.h * (double)n->shape.w;
}

const struct nn_op nn_op_conv = {
    .name = "conv",
    .flags = NN_OP_ANY | NN_OP_BF16 | NN_OP_SAVE_IN,
    .prepare = nn_conv_op_prepare,
    .forward = nn_conv_op_forward,
    .backward = nn_conv_op_backward,
    .release = nn_conv_op_release,
    .gflop = gflop,
};
