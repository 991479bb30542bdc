/* bce_logits_loss: mean binary cross entropy of sigmoid(x) and targets in
 * [0,1], in the form that does not overflow (torch.nn.BCEWithLogitsLoss). */
#include "lib/base/clones.h"

#include "lib/nn/loss.h"
#include "lib/nn/ops.h"
#include "lib/nn/spatial.h"
#include "lib/nn/vecmath.h"

/* log(1 + q), q in [0,1], by the series of 2 atanh(q / (2 + q)): relative
 * error below 1e-7. */
NN_INLINE float log_one_plus(float q)
{
    float s = q / (2 + q), z = s * s;
    float p = 2.0F / 13;
    p = p * z + 2.0F / 11;
    p = p * z + 2.0F / 9;
    p = p * z + 2.0F / 7;
    p = p * z + 2.0F / 5;
    p = p * z + 2.0F / 3;
    p = p * z + 2.0F;
    return s * p;
}

/* -t log s(x) - (1 - t) log(1 - s(x)) = max(x, 0) - x t + log(1 + e^-|x|) */
CLONES
static void bce_logits_loss_value(const float *x, const float *t, int64_t n,
                                  const void *attr, float *v)
{
    (void)attr;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float far = x[i] < 0 ? x[i] : -x[i], up = x[i] > 0 ? x[i] : 0;
        v[i] = up - x[i] * t[i] + log_one_plus(nn_exp(far));
    }
}

CLONES
static void bce_logits_loss_slope(const float *x, const float *t, int64_t n,
                                  const void *attr, float *v)
{
    (void)attr;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        v[i] = nn_sigmoid_of(x[i]) - t[i];
}

static const struct nn_loss loss = {.value = bce_logits_loss_value,
                                    .slope = bce_logits_loss_slope,
                                    .two_sided = false};

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
