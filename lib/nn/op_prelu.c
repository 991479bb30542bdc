/* prelu: x where x > 0, else slope[c] x, learnt slopes. torch.nn.PReLU. */
#include "lib/base/clones.h"

#include <string.h>

#include "lib/nn/elementwise.h"
#include "lib/nn/ops.h"

CLONES
static void prelu_value(const float *a, const float *b, float *d,
                        const float *const *k, int64_t n, const void *arg)
{
    (void)b;
    (void)arg;
    const float *s = k[0];
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] > 0 ? a[i] : a[i] * s[i];
}

CLONES
static void prelu_slope(const float *a, const float *g, float *d,
                        const float *const *k, int64_t n, const void *arg)
{
    (void)arg;
    const float *s = k[0];
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] > 0 ? g[i] : g[i] * s[i];
}

CLONES
static void negative(const float *a, const float *g, const float *const *k,
                     float *const *acc, int64_t width, int64_t n,
                     const void *arg)
{
    (void)k;
    (void)arg;
    float *restrict sum = acc[0];
    for (int64_t i = 0; i < n; i += width) {
        int64_t m = n - i < width ? n - i : width;
        for (int64_t j = 0; j < m; j++)
            sum[j] += a[i + j] > 0 ? 0 : a[i + j] * g[i + j];
    }
}

/* scratch: a slope for each channel, then sums. */
static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    (void)e;
    size_t c = (size_t)nn_view_channels(&x->in[0]);
    x->scratch_bytes =
        (nn_sum_scratch(&x->in[0], 1) + c) * sizeof(double) + c * sizeof(float);
    return OK;
}

static float *slopes_of(const struct nn_exec *x)
{
    size_t c = (size_t)nn_view_channels(&x->in[0]);
    double *sums = x->scratch;
    float *k = (float *)(sums + nn_sum_scratch(&x->in[0], 1) + c);
    const struct tensor *t = x->node->param[0]->value;
    memset(k, 0, c * sizeof *k);
    for (int64_t i = 0; i < x->in[0].shape.c; i++)
        k[i] = tensor_f32(t)[t->count == 1 ? 0 : i];
    return k;
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    nn_each_channel(&x->in[0], NULL, &x->out, false, prelu_value, NULL,
                    (const float *const[]){slopes_of(x)}, 1, 0);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct nn_param *p = x->node->param[0];
    if (x->dparam && p->grad) {
        double *parts = x->scratch, *sum = parts + nn_sum_scratch(&x->in[0], 1);
        struct nn_sum_spec s = {
            .a = &x->in[0], .b = &x->dout, .f = negative, .n_sums = 1};
        nn_sum_channels(&s, parts, sum);
        double all = 0;
        for (int64_t c = 0; c < x->in[0].shape.c; c++) {
            all += sum[c];
            if (p->value->count > 1)
                p->grad[c] += (float)sum[c];
        }
        if (p->value->count == 1)
            p->grad[0] += (float)all;
    }
    if (x->din[0].data)
        nn_each_channel(&x->in[0], &x->dout, &x->din[0], x->din_add[0],
                        prelu_slope, NULL, (const float *const[]){slopes_of(x)},
                        1, 0);
    return OK;
}

static const struct nn_op op_prelu = {.name = "prelu",
                                      .flags = NN_OP_ANY | NN_OP_BF16 |
                                               NN_OP_ADDS | NN_OP_SAVE_IN,
                                      .prepare = prepare,
                                      .forward = forward,
                                      .backward = backward};

int nn_prelu(struct nn_graph *g, int x, struct nn_param *p)
{
    struct nn_shape s = nn_graph_shape(g, x);
    if (g->err.code)
        return -1;
    if (!p || p->value->ndim != 1 ||
        (p->value->shape[0] != 1 && p->value->shape[0] != s.c))
        return nn_node_fail(g, "prelu", ERR_ARG,
                            "needs one slope, or one for each channel");
    return nn_add_node(g, &op_prelu, &x, 1, &p, 1, NULL, 0, s);
}
