/* add: a + b. torch.add. Its gradient is the same for both. */
#include "lib/base/clones.h"

#include <string.h>

#include "lib/nn/elementwise.h"
#include "lib/nn/ops.h"

CLONES
static void sum(const float *a, const float *b, float *d, int64_t n,
                const void *arg)
{
    (void)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] + b[i];
}

CLONES
static void positive(const float *a, const float *b, float *d, int64_t n,
                     const void *arg)
{
    (void)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float v = a[i] + b[i];
        d[i] = v < 0 ? 0 : v;
    }
}

CLONES
static void same(const float *a, float *d, int64_t n, const void *arg)
{
    (void)arg;
    if (d != a)
        memcpy(d, a, (size_t)n * sizeof *d);
}

CLONES
static void add_slope(const float *y, const float *g, float *d, int64_t n,
                      const void *arg)
{
    (void)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = y[i] > 0 ? g[i] : 0;
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    nn_each2(&x->in[0], &x->in[1], &x->out, false, x->relu ? positive : sum,
             NULL);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    /* The second first: the first's may be the memory of dout. */
    for (int i = 1; i >= 0; i--) {
        if (!x->din[i].data || (x->din[i].data == x->dout.data && !x->relu))
            continue;
        if (x->relu)
            nn_each2(&x->out, &x->dout, &x->din[i], x->din_add[i], add_slope,
                     NULL);
        else
            nn_each1(&x->dout, &x->din[i], x->din_add[i], same, NULL);
    }
    return OK;
}

static const struct nn_op op_add = {.name = "add",
                                    .flags = NN_OP_ANY | NN_OP_BF16 |
                                             NN_OP_INPLACE | NN_OP_ADDS |
                                             NN_OP_RELU | NN_OP_SAVE_OUT_RELU,
                                    .forward = forward,
                                    .backward = backward};

int nn_add(struct nn_graph *g, int a, int b)
{
    struct nn_shape s = nn_graph_shape(g, a), t = nn_graph_shape(g, b);
    const int in[] = {a, b};
    if (a >= 0 && b >= 0 && (s.c != t.c || s.h != t.h || s.w != t.w))
        return nn_node_fail(g, "add", ERR_ARG, "of different shapes");
    if (a >= 0 && b >= 0 && a < g->n && b < g->n &&
        g->node[a].whole != g->node[b].whole)
        return nn_node_fail(g, "add", ERR_ARG,
                            "of a number for the whole batch and one for each "
                            "picture");
    return nn_add_node(g, &op_add, in, 2, NULL, 0, NULL, 0, s);
}
