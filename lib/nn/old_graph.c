/* Networks as graphs of operators: building and shape checks. */
#include "lib/nn/old_graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/old_graph_impl.h"

struct nv_graph *nv_graph_new(struct err *e)
{
    struct nv_graph *g = mem_calloc(1, sizeof *g);
    if (!g)
        err_set(e, ERR_NOMEM, "no memory for a network");
    return g;
}

void nv_graph_free(struct nv_graph **g)
{
    if (!g || !*g)
        return;
    for (int i = 0; i < (*g)->n; i++) {
        struct nv_node *n = &(*g)->node[i];
        tensor_free(&n->weights);
        tensor_free(&n->bias);
        tensor_free(&n->scale);
        tensor_free(&n->shift);
    }
    mem_free((*g)->node);
    mem_free(*g);
    *g = NULL;
}

enum err_code nv_graph_status(const struct nv_graph *g, struct err *e)
{
    if (g->err.code && e)
        *e = g->err;
    return g->err.code;
}

void nv_graph_fail(struct nv_graph *g, const struct err *why)
{
    if (!g->err.code)
        g->err = *why;
}

struct nn_shape nv_graph_shape(const struct nv_graph *g, int node)
{
    if (node < 0 || node >= g->n)
        return (struct nn_shape){0, 0, 0};
    return g->node[node].shape;
}

static int fail(struct nv_graph *g, enum err_code code, const char *text)
{
    if (!g->err.code)
        err_set(&g->err, code, "network: node %d: %s", g->n, text);
    return -1;
}

/* A new node reading x[0..n-1], all of which must exist. */
static int add_node(struct nv_graph *g, enum nv_kind kind, const int *x, int n,
                    struct nn_shape s)
{
    if (g->err.code)
        return -1;
    for (int i = 0; i < n; i++) {
        if (x[i] < 0 || x[i] >= g->n)
            return fail(g, ERR_ARG, "reads a node that does not exist");
    }
    if (s.c < 1 || s.h < 1 || s.w < 1 || s.c > NV_MAX_CHANNELS ||
        s.h > NV_MAX_SIDE || s.w > NV_MAX_SIDE ||
        s.c * s.h > (INT64_C(1) << 33) / s.w)
        return fail(g, ERR_ARG, "its result would be empty or too large");
    if (g->n == g->cap) {
        int cap = g->cap ? g->cap * 2 : 64;
        void *p = mem_resize(g->node, (size_t)cap, sizeof *g->node);
        if (!p)
            return fail(g, ERR_NOMEM, "no memory");
        g->node = p;
        g->cap = cap;
    }
    struct nv_node *d = &g->node[g->n];
    *d = (struct nv_node){.kind = kind, .n_in = n, .shape = s};
    for (int i = 0; i < n; i++)
        d->in[i] = x[i];
    return g->n++;
}

int nv_input(struct nv_graph *g, int64_t c, int64_t h, int64_t w)
{
    if (g->n_input == NV_MAX_PORTS)
        return fail(g, ERR_ARG, "too many inputs");
    int n = add_node(g, NV_INPUT, NULL, 0, (struct nn_shape){c, h, w});
    if (n >= 0)
        g->input[g->n_input++] = n;
    return n;
}

int nv_conv(struct nv_graph *g, int x, struct tensor *weights,
            struct tensor *bias, int64_t stride, int64_t pad)
{
    struct nn_shape s = nv_graph_shape(g, x);
    if (!weights || weights->dtype != DT_F32 || weights->ndim != 4)
        return fail(g, ERR_ARG, "convolution weights must be f32[O,I,h,w]");
    const int64_t *k = weights->shape;
    if (k[1] != s.c)
        return fail(g, ERR_ARG,
                    "convolution weights for another number of "
                    "channels than the input has");
    if (bias &&
        (bias->dtype != DT_F32 || bias->ndim != 1 || bias->shape[0] != k[0]))
        return fail(g, ERR_ARG, "convolution bias must be f32[O]");
    if (stride < 1 || pad < 0 || pad >= NV_MAX_SIDE || k[2] < 1 || k[3] < 1 ||
        s.h + 2 * pad < k[2] || s.w + 2 * pad < k[3])
        return fail(g, ERR_ARG, "impossible convolution geometry");
    struct nn_shape o = {k[0], (s.h + 2 * pad - k[2]) / stride + 1,
                         (s.w + 2 * pad - k[3]) / stride + 1};
    int n = add_node(g, NV_CONV, &x, 1, o);
    if (n >= 0) {
        g->node[n].weights = tensor_ref(weights);
        g->node[n].bias = bias ? tensor_ref(bias) : NULL;
        g->node[n].stride = stride;
        g->node[n].pad = pad;
    }
    return n;
}

static bool is_vector(const struct tensor *t, int64_t c)
{
    return t && t->dtype == DT_F32 && t->ndim == 1 && t->shape[0] == c;
}

int nv_batch_norm(struct nv_graph *g, int x, const struct tensor *gamma,
                  const struct tensor *beta, const struct tensor *mean,
                  const struct tensor *var, double eps)
{
    struct nn_shape s = nv_graph_shape(g, x);
    if (!is_vector(gamma, s.c) || !is_vector(beta, s.c) ||
        !is_vector(mean, s.c) || !is_vector(var, s.c))
        return fail(g, ERR_ARG, "batch norm needs four f32[C]");
    int n = add_node(g, NV_BATCH_NORM, &x, 1, s);
    if (n < 0)
        return n;
    struct nv_node *d = &g->node[n];
    d->scale = tensor_new(DT_F32, 1, &s.c, NULL);
    d->shift = tensor_new(DT_F32, 1, &s.c, NULL);
    if (!d->scale || !d->shift)
        return fail(g, ERR_NOMEM, "no memory");
    for (int64_t i = 0; i < s.c; i++) {
        double v = (double)tensor_f32(var)[i] + eps;
        if (!(v > 0))
            return fail(g, ERR_DATA, "a batch norm variance is negative");
        double k = (double)tensor_f32(gamma)[i] / sqrt(v);
        double t =
            (double)tensor_f32(beta)[i] - k * (double)tensor_f32(mean)[i];
        tensor_f32(d->scale)[i] = (float)k;
        tensor_f32(d->shift)[i] = (float)t;
    }
    return n;
}

int nv_relu(struct nv_graph *g, int x)
{
    return add_node(g, NV_RELU, &x, 1, nv_graph_shape(g, x));
}

int nv_add(struct nv_graph *g, int a, int b)
{
    struct nn_shape s = nv_graph_shape(g, a), t = nv_graph_shape(g, b);
    if (s.c != t.c || s.h != t.h || s.w != t.w)
        return fail(g, ERR_ARG, "the sum of two different shapes");
    int x[2] = {a, b};
    return add_node(g, NV_ADD, x, 2, s);
}

int nv_concat(struct nv_graph *g, const int *x, int n)
{
    if (n < 1 || n > NV_MAX_INPUTS)
        return fail(g, ERR_ARG, "concat takes 1 to 4 inputs");
    struct nn_shape s = nv_graph_shape(g, x[0]);
    for (int i = 1; i < n; i++) {
        struct nn_shape t = nv_graph_shape(g, x[i]);
        if (t.h != s.h || t.w != s.w)
            return fail(g, ERR_ARG, "concat of different sizes");
        s.c += t.c;
    }
    return add_node(g, NV_CONCAT, x, n, s);
}

static int half(struct nv_graph *g, enum nv_kind kind, int x)
{
    struct nn_shape s = nv_graph_shape(g, x);
    return add_node(g, kind, &x, 1, (struct nn_shape){s.c, s.h / 2, s.w / 2});
}

int nv_avg_pool2(struct nv_graph *g, int x)
{
    return half(g, NV_AVG_POOL2, x);
}

int nv_max_pool2(struct nv_graph *g, int x)
{
    return half(g, NV_MAX_POOL2, x);
}

int nv_upsample2(struct nv_graph *g, int x)
{
    struct nn_shape s = nv_graph_shape(g, x);
    return add_node(g, NV_UPSAMPLE2, &x, 1,
                    (struct nn_shape){s.c, s.h * 2, s.w * 2});
}

void nv_output(struct nv_graph *g, int x)
{
    if (x < 0 || x >= g->n)
        fail(g, ERR_ARG, "an output that does not exist");
    else if (g->n_output == NV_MAX_PORTS)
        fail(g, ERR_ARG, "too many outputs");
    else
        g->output[g->n_output++] = x;
}
