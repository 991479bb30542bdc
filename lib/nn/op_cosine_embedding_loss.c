/* cosine_embedding_loss: mean of 1 - cos(a, b) for pairs that belong together
 * (y = 1), of max(0, cos(a, b) - margin) for those that do not (y = -1)
 * (torch.nn.CosineEmbeddingLoss). */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "lib/nn/loss.h"
#include "lib/nn/ops.h"

struct attr {
    float margin;
};

#define TINY 1e-12 /* PyTorch adds it to both squares */

/* Of one pair, from forward to backward. */
struct pair {
    double ab, aa, bb;
};

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    (void)e;
    x->keep_bytes = (size_t)x->in[0].batch * sizeof(struct pair);
    return OK;
}

static double cosine(const struct pair *p)
{
    return p->ab / sqrt((p->aa + TINY) * (p->bb + TINY));
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    const struct attr *at = nn_attr(x->node);
    int64_t batch = x->in[0].batch, f = x->in[0].shape.c;
    struct pair *pair = x->keep;
    double sum = 0;
    for (int64_t n = 0; n < batch; n++) {
        const float *a = (const float *)x->in[0].data + n * f;
        const float *b = (const float *)x->in[1].data + n * f;
        float y = ((const float *)x->in[2].data)[n];
        struct pair p = {0};
        for (int64_t i = 0; i < f; i++) {
            p.ab += (double)a[i] * (double)b[i];
            p.aa += (double)a[i] * (double)a[i];
            p.bb += (double)b[i] * (double)b[i];
        }
        pair[n] = p;
        if (y == 1)
            sum += 1 - cosine(&p);
        else if (y == -1)
            sum += fmax(0, cosine(&p) - (double)at->margin);
        else
            return err_set(e, ERR_DATA,
                           "cosine_embedding_loss: sample %" PRId64
                           ": y is %g, neither 1 nor -1",
                           n, (double)y);
    }
    *(float *)x->out.data = (float)(sum / (double)batch);
    return OK;
}

/* d cos / d a = b / (|a| |b|) - cos a / |a|^2, times k. */
static void give(const float *a, const float *b, int64_t f, double aa,
                 const struct pair *p, double k, float *d, bool add)
{
    double u = k / sqrt((p->aa + TINY) * (p->bb + TINY));
    double v = k * cosine(p) / (aa + TINY);
    for (int64_t i = 0; i < f; i++) {
        float g = (float)(u * (double)b[i] - v * (double)a[i]);
        d[i] = add ? d[i] + g : g;
    }
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct attr *at = nn_attr(x->node);
    int64_t batch = x->in[0].batch, f = x->in[0].shape.c;
    const struct pair *pair = x->keep;
    double scale = (double)*(const float *)x->dout.data / (double)batch;
    nn_loss_no_grad(x, 2);
    for (int64_t n = 0; n < batch; n++) {
        const float *a = (const float *)x->in[0].data + n * f;
        const float *b = (const float *)x->in[1].data + n * f;
        const struct pair *p = &pair[n];
        double k = -scale;
        if (((const float *)x->in[2].data)[n] < 0)
            k = cosine(p) > (double)at->margin ? scale : 0;
        if (x->din[0].data)
            give(a, b, f, p->aa, p, k, (float *)x->din[0].data + n * f,
                 x->din_add[0]);
        if (x->din[1].data)
            give(b, a, f, p->bb, p, k, (float *)x->din[1].data + n * f,
                 x->din_add[1]);
    }
    return OK;
}

static const struct nn_op op = {.name = "cosine_embedding_loss",
                                .flags = NN_OP_PLAIN | NN_OP_ADDS |
                                         NN_OP_SAVE_IN | NN_OP_VECTOR,
                                .prepare = prepare,
                                .forward = forward,
                                .backward = backward};

int nn_cosine_embedding_loss(struct nn_graph *g, int a, int b, int y,
                             double margin)
{
    struct nn_shape s = nn_graph_shape(g, a), t = nn_graph_shape(g, b);
    struct nn_shape u = nn_graph_shape(g, y);
    struct attr at = {(float)margin};
    if (!(margin >= -1 && margin <= 1))
        return nn_node_fail(g, op.name, ERR_ARG, "margin must be in [-1,1]");
    if (s.c > 0 && t.c > 0 && u.c > 0 &&
        (s.h * s.w != 1 || t.h * t.w != 1 || s.c != t.c ||
         u.c * u.h * u.w != 1))
        return nn_node_fail(g, op.name, ERR_ARG,
                            "needs two vectors of one length and a y of 1x1x1");
    return nn_add_whole(g, &op, (const int[]){a, b, y}, 3, &at, sizeof at);
}
