/* smooth_l1_loss: mean of d^2 / (2 beta) where |d| < beta, else of
 * |d| - beta / 2, d = x - target (torch.nn.SmoothL1Loss). */
#include "lib/base/clones.h"

#include <math.h>

#include "lib/nn/loss.h"
#include "lib/nn/ops.h"

struct attr {
    float beta;
};

CLONES
static void smooth_l1_loss_value(const float *x, const float *t, int64_t n,
                                 const void *attr, float *v)
{
    float beta = ((const struct attr *)attr)->beta;
    for (int64_t i = 0; i < n; i++) {
        float d = fabsf(x[i] - t[i]);
        float near = 0.5F * d * d / beta; /* not taken where beta is 0 */
        v[i] = d < beta ? near : d - 0.5F * beta;
    }
}

CLONES
static void smooth_l1_loss_slope(const float *x, const float *t, int64_t n,
                                 const void *attr, float *v)
{
    float beta = ((const struct attr *)attr)->beta;
    for (int64_t i = 0; i < n; i++) {
        float d = x[i] - t[i], near = d / beta;
        float side = (float)((d > 0) - (d < 0));
        v[i] = fabsf(d) < beta ? near : side;
    }
}

static const struct nn_loss loss = {.value = smooth_l1_loss_value,
                                    .slope = smooth_l1_loss_slope,
                                    .two_sided = true};

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    nn_loss_forward(x, &loss);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    nn_loss_backward(x, &loss);
    return OK;
}

static const struct nn_op op = {.name = "smooth_l1_loss",
                                .flags = NN_OP_ANY | NN_OP_ADDS |
                                         NN_OP_SAVE_IN | NN_OP_VECTOR,
                                .prepare = nn_loss_prepare,
                                .forward = forward,
                                .backward = backward};

int nn_smooth_l1_loss(struct nn_graph *g, int x, int target, double beta)
{
    struct attr a = {(float)beta};
    if (!(beta >= 0) || !isfinite(beta))
        return nn_node_fail(g, op.name, ERR_ARG, "beta must be 0 or more");
    return nn_loss_node(g, &op, x, target, &a, sizeof a);
}
