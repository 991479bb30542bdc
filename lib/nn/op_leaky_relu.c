/* leaky relu: x where x > 0, else slope x. torch.nn.LeakyReLU. */
#include "lib/base/clones.h"

#include "lib/nn/elementwise.h"
#include "lib/nn/op_known.h"

CLONES
static void leaky_relu_value(const float *a, float *d, int64_t n,
                             const void *arg)
{
    float k = (float)((const struct nn_leaky_relu_attr *)arg)->slope;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] > 0 ? a[i] : a[i] * k;
}

CLONES
static void leaky_relu_slope(const float *y, const float *g, float *d,
                             int64_t n, const void *arg)
{
    float k = (float)((const struct nn_leaky_relu_attr *)arg)->slope;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = y[i] > 0 ? g[i] : g[i] * k;
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    nn_each1(&x->in[0], &x->out, false, leaky_relu_value, nn_attr(x->node));
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    if (x->din[0].data)
        nn_each2(&x->out, &x->dout, &x->din[0], x->din_add[0], leaky_relu_slope,
                 nn_attr(x->node));
    return OK;
}

static const struct nn_op op_leaky_relu = {.name = "leaky_relu",
                                           .flags = NN_OP_ANY | NN_OP_BF16 |
                                                    NN_OP_INPLACE | NN_OP_ADDS |
                                                    NN_OP_SAVE_OUT,
                                           .forward = forward,
                                           .backward = backward};

int nn_leaky_relu(struct nn_graph *g, int x, double k)
{
    struct nn_leaky_relu_attr a = {k};
    /* The result's sign must tell that of x, which is not kept. */
    if (!(k >= 0 && k <= 1e6))
        return nn_node_fail(g, "leaky_relu", ERR_ARG,
                            "the slope must not be negative");
    return nn_add_node(g, &op_leaky_relu, &x, 1, NULL, 0, &a, sizeof a,
                       nn_graph_shape(g, x));
}
