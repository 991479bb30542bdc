/* scale: x times a number plus a number. */
#include "lib/base/clones.h"

#include <math.h>

#include "lib/nn/elementwise.h"
#include "lib/nn/ops.h"

struct line {
    float factor, shift;
};

CLONES
static void scale_value(const float *a, float *d, int64_t n, const void *arg)
{
    struct line k = *(const struct line *)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] * k.factor + k.shift;
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct line *k = nn_attr(x->node);
    nn_each1(&x->in[0], &x->out, false, scale_value, k);
    if (k->shift < 0 || k->shift > 0)
        nn_zero_padding(&x->out);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct line k = *(const struct line *)nn_attr(x->node);
    k.shift = 0;
    if (x->din[0].data)
        nn_each1(&x->dout, &x->din[0], x->din_add[0], scale_value, &k);
    return OK;
}

static const struct nn_op op_scale = {.name = "scale",
                                      .flags = NN_OP_ANY | NN_OP_BF16 |
                                               NN_OP_INPLACE | NN_OP_ADDS,
                                      .forward = forward,
                                      .backward = backward};

int nn_scale(struct nn_graph *g, int x, double factor, double shift)
{
    struct line k = {(float)factor, (float)shift};
    if (!isfinite(k.factor) || !isfinite(k.shift))
        return nn_node_fail(g, "scale", ERR_ARG,
                            "by numbers that are not finite");
    return nn_add_node(g, &op_scale, &x, 1, NULL, 0, &k, sizeof k,
                       nn_graph_shape(g, x));
}
