/* tanh. torch.tanh. */
#include "lib/base/clones.h"

#include "lib/nn/elementwise.h"
#include "lib/nn/ops.h"
#include "lib/nn/vecmath.h"

CLONES
static void tanh_value(const float *a, float *d, int64_t n, const void *arg)
{
    (void)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = nn_tanh_of(a[i]);
}

CLONES
static void tanh_slope(const float *y, const float *g, float *d, int64_t n,
                       const void *arg)
{
    (void)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = g[i] * (1.0F - y[i] * y[i]);
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    nn_each1(&x->in[0], &x->out, false, tanh_value, NULL);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    if (x->din[0].data)
        nn_each2(&x->out, &x->dout, &x->din[0], x->din_add[0], tanh_slope,
                 NULL);
    return OK;
}

static const struct nn_op op_tanh = {.name = "tanh",
                                     .flags = NN_OP_ANY | NN_OP_BF16 |
                                              NN_OP_INPLACE | NN_OP_ADDS |
                                              NN_OP_SAVE_OUT,
                                     .forward = forward,
                                     .backward = backward};

int nn_tanh(struct nn_graph *g, int x)
{
    return nn_add_node(g, &op_tanh, &x, 1, NULL, 0, NULL, 0,
                       nn_graph_shape(g, x));
}
