/* mse_loss: mean of (x - target)^2 (torch.nn.MSELoss). */
#include "lib/base/clones.h"

#include "lib/nn/loss.h"
#include "lib/nn/ops.h"

CLONES
static void mse_loss_value(const float *x, const float *t, int64_t n,
                           const void *attr, float *v)
{
    (void)attr;
    for (int64_t i = 0; i < n; i++)
        v[i] = (x[i] - t[i]) * (x[i] - t[i]);
}

CLONES
static void mse_loss_slope(const float *x, const float *t, int64_t n,
                           const void *attr, float *v)
{
    (void)attr;
    for (int64_t i = 0; i < n; i++)
        v[i] = 2 * (x[i] - t[i]);
}

static const struct nn_loss loss = {
    .value = mse_loss_value, .slope = mse_loss_slope, .two_sided = true};

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

static const struct nn_op op = {.name = "mse_loss",
                                .flags = NN_OP_ANY | NN_OP_ADDS |
                                         NN_OP_SAVE_IN | NN_OP_VECTOR,
                                .prepare = nn_loss_prepare,
                                .forward = forward,
                                .backward = backward};

int nn_mse_loss(struct nn_graph *g, int x, int target)
{
    return nn_loss_node(g, &op, x, target, NULL, 0);
}
