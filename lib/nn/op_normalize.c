/* normalize: (x - mean[c]) / std[c], constants. torchvision's Normalize. */
#include "lib/base/clones.h"

#include <math.h>

#include "lib/nn/elementwise.h"
#include "lib/nn/ops.h"

#define CHANNELS 16 /* what a node's attributes have room for */

/* Zeros for padding channels. */
struct normalize {
    float mean[CHANNELS], inv[CHANNELS];
};

CLONES
static void normalize_value(const float *a, const float *b, float *d,
                            const float *const *k, int64_t n, const void *arg)
{
    (void)b;
    (void)arg;
    const float *mean = k[0], *inv = k[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = (a[i] - mean[i]) * inv[i];
}

CLONES
static void normalize_slope(const float *a, const float *b, float *d,
                            const float *const *k, int64_t n, const void *arg)
{
    (void)b;
    (void)arg;
    const float *inv = k[0];
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] * inv[i];
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct normalize *a = nn_attr(x->node);
    nn_each_channel(&x->in[0], NULL, &x->out, false, normalize_value, NULL,
                    (const float *const[]){a->mean, a->inv}, 2, 0);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct normalize *a = nn_attr(x->node);
    if (x->din[0].data)
        nn_each_channel(&x->dout, NULL, &x->din[0], x->din_add[0],
                        normalize_slope, NULL, (const float *const[]){a->inv},
                        1, 0);
    return OK;
}

static const struct nn_op op_normalize = {.name = "normalize",
                                          .flags = NN_OP_ANY | NN_OP_BF16 |
                                                   NN_OP_INPLACE | NN_OP_ADDS,
                                          .forward = forward,
                                          .backward = backward};

int nn_normalize(struct nn_graph *g, int x, const float *mean, const float *std)
{
    struct normalize a = {{0}, {0}};
    struct nn_shape s = nn_graph_shape(g, x);
    if (s.c > CHANNELS)
        return nn_node_fail(g, "normalize", ERR_UNSUPPORTED,
                            "of more than 16 channels");
    for (int64_t c = 0; c < s.c; c++) {
        a.mean[c] = mean[c];
        a.inv[c] = 1 / std[c];
        if (!isfinite(mean[c]) || !(std[c] > 0) || !isfinite(a.inv[c]))
            return nn_node_fail(g, "normalize", ERR_ARG,
                                "by a mean or deviation that cannot be");
    }
    return nn_add_node(g, &op_normalize, &x, 1, NULL, 0, &a, sizeof a, s);
}
