/* hinge_loss: of GANs (Lim and Ye 2017, "Geometric GAN", eq. 1): mean
 * max(0, 1 - x) for real, max(0, 1 + x) for made pictures, -x for the
 * generator. */
#include "lib/base/clones.h"

#include "lib/nn/loss.h"
#include "lib/nn/ops.h"

struct attr {
    enum nn_hinge side;
};

CLONES
static void hinge_loss_value(const float *x, const float *t, int64_t n,
                             const void *attr, float *v)
{
    (void)t;
    enum nn_hinge side = ((const struct attr *)attr)->side;
    for (int64_t i = 0; i < n; i++) {
        float d = side == NN_HINGE_FAKE ? 1 + x[i] : 1 - x[i];
        v[i] = side == NN_HINGE_GENERATOR ? -x[i] : d > 0 ? d : 0;
    }
}

CLONES
static void hinge_loss_slope(const float *x, const float *t, int64_t n,
                             const void *attr, float *v)
{
    (void)t;
    enum nn_hinge side = ((const struct attr *)attr)->side;
    for (int64_t i = 0; i < n; i++) {
        float d = side == NN_HINGE_FAKE ? 1 + x[i] : 1 - x[i];
        float k = side == NN_HINGE_FAKE ? 1.0F : -1.0F;
        v[i] = side == NN_HINGE_GENERATOR || d > 0 ? k : 0;
    }
}

static const struct nn_loss loss = {
    .value = hinge_loss_value, .slope = hinge_loss_slope, .two_sided = false};

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

static const struct nn_op op = {.name = "hinge_loss",
                                .flags = NN_OP_PLAIN | NN_OP_LAST | NN_OP_ADDS |
                                         NN_OP_SAVE_IN | NN_OP_VECTOR,
                                .prepare = nn_loss_prepare,
                                .forward = forward,
                                .backward = backward};

int nn_hinge_loss(struct nn_graph *g, int x, enum nn_hinge side)
{
    struct attr a = {side};
    if (side != NN_HINGE_REAL && side != NN_HINGE_FAKE &&
        side != NN_HINGE_GENERATOR)
        return nn_node_fail(g, op.name, ERR_ARG, "unknown side");
    return nn_add_whole(g, &op, &x, 1, &a, sizeof a);
}
