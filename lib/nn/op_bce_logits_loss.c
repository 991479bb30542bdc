/* bce_logits_loss: mean binary cross entropy of sigmoid(x) and targets in
 * [0,1], in the form that does not overflow (torch.nn.BCEWithLogitsLoss). */
#include <math.h>

#include "lib/nn/loss.h"
#include "lib/nn/ops.h"

/* -t log s(x) - (1 - t) log(1 - s(x)) = max(x, 0) - x t + log(1 + e^-|x|) */
static void value(const float *x, const float *t, int64_t n, const void *attr,
                  float *v)
{
    (void)attr;
    for (int64_t i = 0; i < n; i++)
        v[i] = fmaxf(x[i], 0) - x[i] * t[i] + log1pf(expf(-fabsf(x[i])));
}

static void slope(const float *x, const float *t, int64_t n, const void *attr,
                  float *v)
{
    (void)attr;
    for (int64_t i = 0; i < n; i++) {
        float q = expf(-fabsf(x[i]));
        v[i] = (x[i] >= 0 ? 1 : q) / (1 + q) - t[i];
    }
}

static const struct nn_loss loss = {
    .value = value, .slope = slope, .two_sided = false};

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

static const struct nn_op op = {.name = "bce_logits_loss",
                                .flags = NN_OP_PLAIN | NN_OP_LAST | NN_OP_ADDS |
                                         NN_OP_SAVE_IN | NN_OP_VECTOR,
                                .prepare = nn_loss_prepare,
                                .forward = forward,
                                .backward = backward};

int nn_bce_logits_loss(struct nn_graph *g, int x, int target)
{
    return nn_loss_node(g, &op, x, target, NULL, 0);
}
