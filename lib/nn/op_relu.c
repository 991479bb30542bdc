/* relu: max(0, x). torch.nn.functional.relu; NaN stays NaN. */
#include "lib/base/clones.h"

#include "lib/nn/elementwise.h"
#include "lib/nn/ops.h"

CLONES
static void relu_value(const float *a, float *d, int64_t n, const void *arg)
{
    (void)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] < 0 ? 0 : a[i];
}

CLONES
static void relu_slope(const float *y, const float *g, float *d, int64_t n,
                       const void *arg)
{
    (void)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = y[i] > 0 ? g[i] : 0;
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    nn_each1(&x->in[0], &x->out, false, relu_value, NULL);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    if (x->din[0].data)
        nn_each2(&x->out, &x->dout, &x->din[0], x->din_add[0], relu_slope,
                 NULL);
    return OK;
}

const struct nn_op nn_op_relu = {.name = "relu",
                                 .flags = NN_OP_ANY | NN_OP_BF16 |
                                          NN_OP_INPLACE | NN_OP_ADDS |
                                          NN_OP_SAVE_OUT,
                                 .forward = forward,
                                 .backward = backward};

int nn_relu(struct nn_graph *g, int x)
{
    return nn_add_node(g, &nn_op_relu, &x, 1, NULL, 0, NULL, 0,
                       nn_graph_shape(g, x));
}
