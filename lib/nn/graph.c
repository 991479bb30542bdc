/* Networks as graphs of operators: building and shape checks. */
#include "lib/nn/graph.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/op.h"

struct nn_graph *nn_graph_new(struct err *e)
{
    struct nn_graph *g = mem_calloc(1, sizeof *g);
    if (!g)
        err_set(e, ERR_NOMEM, "no memory for a network");
    return g;
}

void nn_graph_free(struct nn_graph **g)
{
    if (!g || !*g)
        return;
    mem_free((*g)->node);
    mem_free(*g);
    *g = NULL;
}

enum err_code nn_graph_status(const struct nn_graph *g, struct err *e)
{
    if (g->err.code && e)
        *e = g->err;
    return g->err.code;
}

void nn_graph_fail(struct nn_graph *g, const struct err *why)
{
    if (!g->err.code)
        g->err = *why;
}

struct nn_shape nn_graph_shape(const struct nn_graph *g, int node)
{
    if (node < 0 || node >= g->n)
        return (struct nn_shape){0, 0, 0};
    return g->node[node].shape;
}

int nn_graph_nodes(const struct nn_graph *g)
{
    return g->n;
}

int nn_graph_inputs(const struct nn_graph *g)
{
    return g->n_input;
}

int nn_graph_outputs(const struct nn_graph *g)
{
    return g->n_output;
}

int nn_graph_input(const struct nn_graph *g, int i)
{
    return g->input[i];
}

int nn_graph_output(const struct nn_graph *g, int i)
{
    return g->output[i];
}

double nn_graph_gflop(const struct nn_graph *g)
{
    double sum = 0;
    for (int i = 0; i < g->n; i++) {
        if (g->node[i].op->gflop)
            sum += g->node[i].op->gflop(&g->node[i]);
    }
    return sum;
}

void nn_graph_frozen(struct nn_graph *g, bool on)
{
    g->frozen = on;
}

void nn_graph_eval(struct nn_graph *g, bool on)
{
    g->eval = on;
}

int nn_node_fail(struct nn_graph *g, const char *op, enum err_code code,
                 const char *text)
{
    if (!g->err.code)
        err_set(&g->err, code, "network: node %d (%s): %s", g->n, op, text);
    return -1;
}

/* The next node's place, zeroed; NULL after a failure. */
static struct nn_node *grow(struct nn_graph *g, const struct nn_op *op)
{
    if (g->n == g->cap) {
        int cap = g->cap ? g->cap * 2 : 64;
        void *p = mem_resize(g->node, (size_t)cap, sizeof *g->node);
        if (!p) {
            nn_node_fail(g, op->name, ERR_NOMEM, "no memory");
            return NULL;
        }
        g->node = p;
        g->cap = cap;
    }
    memset(&g->node[g->n], 0, sizeof g->node[g->n]);
    return &g->node[g->n];
}

int nn_add_node(struct nn_graph *g, const struct nn_op *op, const int *in,
                int n_in, struct nn_param *const *param, int n_param,
                const void *attr, size_t attr_bytes, struct nn_shape s)
{
    if (g->err.code)
        return -1;
    if (n_in > NN_MAX_INPUTS || n_param > NN_MAX_PARAMS ||
        attr_bytes > NN_ATTR_BYTES)
        return nn_node_fail(g, op->name, ERR_ARG, "too many parts");
    for (int i = 0; i < n_in; i++) {
        if (in[i] < 0 || in[i] >= g->n)
            return nn_node_fail(g, op->name, ERR_ARG,
                                "reads a node that does not exist");
    }
    if (s.c < 1 || s.h < 1 || s.w < 1 || s.c > NN_MAX_CHANNELS ||
        s.h > NN_MAX_SIDE || s.w > NN_MAX_SIDE ||
        s.c * s.h > (INT64_C(1) << 33) / s.w)
        return nn_node_fail(g, op->name, ERR_ARG,
                            "its result would be empty or too large");
    struct nn_node *d = grow(g, op);
    if (!d)
        return -1;
    d->op = op;
    d->shape = s;
    d->n_in = n_in;
    d->n_param = n_param;
    d->frozen = g->frozen;
    d->eval = g->eval;
    for (int i = 0; i < n_in; i++)
        d->in[i] = in[i];
    for (int i = 0; i < n_param; i++)
        d->param[i] = param[i];
    if (attr_bytes)
        memcpy(d->attr, attr, attr_bytes);
    /* What is computed from numbers for the whole batch alone is one too. */
    d->whole = n_in > 0;
    for (int i = 0; i < n_in; i++)
        d->whole = d->whole && g->node[in[i]].whole;
    return g->n++;
}

int nn_add_whole(struct nn_graph *g, const struct nn_op *op, const int *in,
                 int n_in, const void *attr, size_t attr_bytes)
{
    int n = nn_add_node(g, op, in, n_in, NULL, 0, attr, attr_bytes,
                        (struct nn_shape){1, 1, 1});
    if (n >= 0)
        g->node[n].whole = true;
    return n;
}

const struct nn_op nn_op_input = {.name = "input",
                                  .flags = NN_OP_ANY | NN_OP_BF16};

int nn_input(struct nn_graph *g, int64_t c, int64_t h, int64_t w)
{
    if (g->n_input == NN_MAX_PORTS)
        return nn_node_fail(g, "input", ERR_ARG, "too many inputs");
    int n = nn_add_node(g, &nn_op_input, NULL, 0, NULL, 0, NULL, 0,
                        (struct nn_shape){c, h, w});
    if (n >= 0)
        g->input[g->n_input++] = n;
    return n;
}

void nn_output(struct nn_graph *g, int x)
{
    if (x < 0 || x >= g->n)
        nn_node_fail(g, "output", ERR_ARG, "a node that does not exist");
    else if (g->n_output == NN_MAX_PORTS)
        nn_node_fail(g, "output", ERR_ARG, "too many outputs");
    else
        g->output[g->n_output++] = x;
}
