/* Transposed convolution: torch.nn.ConvTranspose2d. */
#include "lib/nn/op_conv.h"

static int fail(struct nn_graph *g, const char *text)
{
    return nn_node_fail(g, nn_op_conv_transpose.name, ERR_ARG, text);
}

int nn_conv_transpose(struct nn_graph *g, int x, struct nn_param *weight,
                      struct nn_param *bias, const struct nn_conv_spec *s,
                      int64_t output_pad)
{
    struct nn_conv_attr a;
    struct nn_shape in = nn_graph_shape(g, x), out;
    if (g->err.code)
        return -1;
    const char *wrong = nn_conv_attributes(weight, bias, s, true, &a);
    if (wrong)
        return fail(g, wrong);
    if (!in.c)
        return fail(g, "reads a node that does not exist");
    const int64_t *w = weight->value->shape;
    if (in.c % a.groups)
        return fail(g, "channels are no multiple of groups");
    if (w[0] != in.c)
        return fail(g, "weight is for another number of channels");
    if (output_pad < 0 ||
        output_pad >= (a.stride > a.dilation ? a.stride : a.dilation))
        return fail(g, "output padding must be smaller than stride or "
                       "dilation");
    out.c = w[1] * a.groups;
    out.h = (in.h - 1) * a.stride - 2 * a.pad + a.dilation * (a.kernel_h - 1) +
            output_pad + 1;
    out.w = (in.w - 1) * a.stride - 2 * a.pad + a.dilation * (a.kernel_w - 1) +
            output_pad + 1;
    struct nn_param *p[2] = {weight, bias};
    return nn_add_node(g, &nn_op_conv_transpose, &x, 1, p, 2, &a, sizeof a,
                       out);
}

/* Every pixel of the input meets every number of the kernels once; the input's
 * size follows from the result's. */
static double gflop(const struct nn_node *n)
{
    const struct nn_conv_attr *a = nn_attr(n);
    int64_t h = (n->shape.h + 2 * a->pad - a->dilation * (a->kernel_h - 1) - 1);
    int64_t w = (n->shape.w + 2 * a->pad - a->dilation * (a->kernel_w - 1) - 1);
    h = h / a->stride + 1;
    w = w / a->stride + 1;
    return 2e-9 * (double)n->param[0]->value->count * (double)h * (double)w;
}

const struct nn_op nn_op_conv_transpose = {
    .name = "conv_transpose",
    .flags = NN_OP_ANY | NN_OP_BF16 | NN_OP_SAVE_IN,
    .prepare = nn_conv_op_prepare,
    .forward = nn_conv_op_forward,
    .backward = nn_conv_op_backward,
    .release = nn_conv_op_release,
    .gflop = gflop,
};
