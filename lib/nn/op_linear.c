/* Linear layer: torch.nn.Linear, y = x W^T + b. */
#include "lib/nn/conv_node.h"
#include "lib/nn/gemm.h"
#include "lib/nn/ops.h"
#include "lib/nn/rows.h"

static int fail(struct nn_graph *g, const char *text)
{
    return nn_node_fail(g, nn_op_linear.name, ERR_ARG, text);
}

int nn_linear(struct nn_graph *g, int x, struct nn_param *weight,
              struct nn_param *bias)
{
    struct nn_shape in = nn_graph_shape(g, x);
    if (g->err.code)
        return -1;
    if (!weight || weight->value->ndim != 2 || weight->value->dtype != DT_F32)
        return fail(g, "weight must be f32 of two dimensions");
    if (!in.c)
        return fail(g, "reads a node that does not exist");
    if (in.h != 1 || in.w != 1)
        return fail(g, "its input must be a vector (flatten first)");
    const int64_t *w = weight->value->shape;
    if (w[1] != in.c)
        return fail(g, "weight is for another number of features");
    if (bias && (bias->value->ndim != 1 || bias->value->shape[0] != w[0] ||
                 bias->value->dtype != DT_F32))
        return fail(g, "bias must be f32[output features]");
    struct nn_param *p[2] = {weight, bias};
    return nn_add_node(g, &nn_op_linear, &x, 1, p, 2, NULL, 0,
                       (struct nn_shape){w[0], 1, 1});
}

/* Views are rows of features, nn_view_stride apart: a 1x1 picture has its
 * channels in a row whatever its layout. */
static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct nn_param *w = x->node->param[0], *b = x->node->param[1];
    int64_t in = x->in[0].shape.c, out = x->out.shape.c, n = x->out.batch;
    int64_t stride = nn_view_stride(&x->out);
    float *y = x->out.data;
    for (int64_t i = 0; i < n && b; i++) {
        for (int64_t o = 0; o < out; o++)
            y[i * stride + o] = tensor_f32(b->value)[o];
    }
    nn_gemm(false, true, n, out, in, 1, x->in[0].data,
            nn_view_stride(&x->in[0]), tensor_f32(w->value), in, b ? 1 : 0, y,
            stride);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct nn_param *w = x->node->param[0], *b = x->node->param[1];
    int64_t in = x->in[0].shape.c, out = x->out.shape.c, n = x->out.batch;
    int64_t stride = nn_view_stride(&x->dout);
    const float *dy = x->dout.data;
    if (x->dparam && w->grad)
        nn_gemm(true, false, out, in, n, 1, dy, stride, x->in[0].data,
                nn_view_stride(&x->in[0]), 1, w->grad, in);
    if (x->dparam && b && b->grad) {
        for (int64_t o = 0; o < out; o++) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++)
                sum += (double)dy[i * stride + o];
            b->grad[o] += (float)sum;
        }
    }
    if (x->din[0].data) {
        nn_gemm(false, false, n, in, out, 1, dy, stride, tensor_f32(w->value),
                in, x->din_add[0] ? 1 : 0, x->din[0].data,
                nn_view_stride(&x->din[0]));
        nn_zero_padding(&x->din[0]);
    }
    return OK;
}

static double gflop(const struct nn_node *n)
{
    return 2e-9 * (double)n->param[0]->value->count;
}

const struct nn_op nn_op_linear = {
    .name = "linear",
    .flags = NN_OP_ANY | NN_OP_ADDS | NN_OP_SAVE_IN | NN_OP_VECTOR,
    .forward = forward,
    .backward = backward,
    .gflop = gflop,
};
