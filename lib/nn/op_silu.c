/* silu: x sigmoid(x), also called swish. torch.nn.functional.silu. */
#include "lib/base/clones.h"

#include "lib/nn/elementwise.h"
#include "lib/nn/ops.h"
#include "lib/nn/vecmath.h"

CLONES
static void silu_value(const float *a, float *d, int64_t n, const void *arg)
{
    (void)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] * nn_sigmoid_of(a[i]);
}

CLONES
static void silu_slope(const float *a, const float *g, float *d, int64_t n,
                       const void *arg)
{
    (void)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float s = nn_sigmoid_of(a[i]);
        d[i] = g[i] * s * (1.0F + a[i] * (1.0F - s));
    }
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    nn_each1(&x->in[0], &x->out, false, silu_value, NULL);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    if (x->din[0].data)
        nn_each2(&x->in[0], &x->dout, &x->din[0], x->din_add[0], silu_slope,
                 NULL);
    return OK;
}

static const struct nn_op op_silu = {.name = "silu",
                                     .flags = NN_OP_ANY | NN_OP_BF16 |
                                              NN_OP_INPLACE | NN_OP_ADDS |
                                              NN_OP_SAVE_IN,
                                     .forward = forward,
                                     .backward = backward};

int nn_silu(struct nn_graph *g, int x)
{
    return nn_add_node(g, &op_silu, &x, 1, NULL, 0, NULL, 0,
                       nn_graph_shape(g, x));
}
