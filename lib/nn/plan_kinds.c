/* What each node is to the planner: kinds, dead nodes, readers. */
#include <math.h>
#include <string.h>

#include "lib/nn/conv_node.h"
#include "lib/nn/op_known.h"
#include "lib/nn/plan.h"

static bool is(const struct nn_node *n, const char *name)
{
    return strcmp(n->op->name, name) == 0;
}

/* In inference these hand their input on. */
static bool is_identity(const struct nn_node *n)
{
    return is(n, "dropout") || is(n, "detach");
}

static int past_identities(const struct nn_graph *g, int i)
{
    while (is_identity(&g->node[i]))
        i = g->node[i].in[0];
    return i;
}

/* Windows of 2x2 side by side that stay inside. */
static bool is_pool2(const struct nn_planner *p, const struct nn_node *n)
{
    const struct nn_pool_spec *s = nn_attr(n);
    const struct nn_shape in = p->g->node[n->in[0]].shape;
    return s->kernel == 2 && (s->stride == 2 || s->stride == 0) && !s->pad &&
           n->shape.h == in.h / 2 && n->shape.w == in.w / 2;
}

static bool is_up2(const struct nn_planner *p, const struct nn_node *n)
{
    const struct nn_shape in = p->g->node[n->in[0]].shape;
    return n->shape.h == 2 * in.h && n->shape.w == 2 * in.w;
}

static enum nn_act act_of(const struct nn_node *n)
{
    static const struct {
        const char *name;
        enum nn_act act;
    } acts[] = {{"relu", NN_ACT_RELU},
                {"leaky_relu", NN_ACT_LEAKY},
                {"sigmoid", NN_ACT_SIGMOID},
                {"tanh", NN_ACT_TANH},
                {"silu", NN_ACT_SILU}};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        if (is(n, acts[i].name))
            return acts[i].act;
    }
    return NN_ACT_NONE;
}

static enum nn_kind kind_of(const struct nn_planner *p, const struct nn_node *n)
{
    if (n->op == &nn_op_input)
        return NN_KIND_INPUT;
    if (n->whole)
        return NN_KIND_OP;
    if (nn_node_is_conv(n))
        return NN_KIND_CONV;
    if (is(n, "batch_norm"))
        return NN_KIND_NORM;
    if (act_of(n))
        return NN_KIND_ACT;
    if (is(n, "add"))
        return NN_KIND_ADD;
    if (is(n, "concat"))
        return NN_KIND_CONCAT;
    if (is(n, "avg_pool") && is_pool2(p, n))
        return NN_KIND_AVG2;
    if (is(n, "max_pool") && is_pool2(p, n))
        return NN_KIND_MAX2;
    if (is(n, "resize_nearest") && is_up2(p, n))
        return NN_KIND_UP2;
    return NN_KIND_OP;
}

/* A frame of zeros around a convolution's input is its own padding. */
static void take_padding(struct nn_planner *p, int i)
{
    struct nn_pnode *q = &p->n[i];
    const struct nn_conv_attr *a = nn_attr(q->node);
    if (q->kind != NN_KIND_CONV || a->transposed || p->o->unfused)
        return;
    for (;;) {
        const struct nn_node *n = p->n[q->in[0]].node;
        if (!is(n, "pad"))
            return;
        const struct nn_pad_attr *f = nn_attr(n);
        if (f->kind != NN_PAD_ZERO || f->top != f->bottom ||
            f->top != f->left || f->top != f->right)
            return;
        q->pad += f->top;
        q->in[0] = past_identities(p->g, n->in[0]);
    }
}

static void count_readers(struct nn_planner *p)
{
    for (int i = 0; i < p->g->n; i++) {
        if (p->n[i].fate == NN_FATE_DEAD)
            continue;
        for (int k = 0; k < p->n[i].n_in; k++) {
            p->n[p->n[i].in[k]].uses++;
            p->n[p->n[i].in[k]].reader = i;
        }
    }
    for (int i = 0; i < p->g->n_output; i++) {
        p->n[p->out[i]].uses++;
        p->n[p->out[i]].is_output = true;
    }
}

static void find_dead(struct nn_planner *p)
{
    for (int i = 0; i < p->g->n; i++)
        p->n[i].fate = NN_FATE_DEAD;
    for (int i = 0; i < p->g->n_output; i++)
        p->n[p->out[i]].fate = NN_FATE_OWN;
    for (int i = p->g->n - 1; i >= 0; i--) {
        for (int k = 0; k < p->n[i].n_in; k++) {
            if (p->n[i].fate == NN_FATE_OWN)
                p->n[p->n[i].in[k]].fate = NN_FATE_OWN;
        }
    }
}

void nn_plan_kinds(struct nn_planner *p)
{
    const struct nn_graph *g = p->g;
    for (int i = 0; i < g->n; i++) {
        const struct nn_node *n = &g->node[i];
        struct nn_pnode *q = &p->n[i];
        *q = (struct nn_pnode){.node = n,
                               .kind = kind_of(p, n),
                               .n_in = n->n_in,
                               .act = n->whole ? NN_ACT_NONE : act_of(n),
                               .rep = i,
                               .norm = -1,
                               .sum = -1,
                               .reader = -1,
                               .pieces = n->n_in};
        if (q->act == NN_ACT_LEAKY)
            q->alpha =
                (float)((const struct nn_leaky_relu_attr *)nn_attr(n))->slope;
        for (int k = 0; k < n->n_in; k++)
            q->in[k] = past_identities(g, n->in[k]);
    }
    for (int i = 0; i < g->n; i++)
        take_padding(p, i);
    for (int i = 0; i < g->n_output; i++)
        p->out[i] = past_identities(g, g->output[i]);
    find_dead(p);
    count_readers(p);
}

static enum err_code norm_values(const struct nn_node *n, double *scale,
                                 double *shift, struct err *e)
{
    const struct nn_batch_norm_attr *a = nn_attr(n);
    const float *gamma = n->param[0] ? tensor_f32(n->param[0]->value) : NULL;
    const float *beta = n->param[1] ? tensor_f32(n->param[1]->value) : NULL;
    const float *mean = tensor_f32(n->param[2]->value);
    const float *var = tensor_f32(n->param[3]->value);
    for (int64_t i = 0; i < n->shape.c; i++) {
        double v = (double)var[i] + a->eps;
        if (!(v > 0))
            return err_set(e, ERR_DATA,
                           "network: a batch norm's variance is negative: "
                           "'%s'[%lld]",
                           n->param[3]->name, (long long)i);
        scale[i] = (gamma ? (double)gamma[i] : 1.0) / sqrt(v);
        shift[i] = (beta ? (double)beta[i] : 0.0) - scale[i] * (double)mean[i];
    }
    return OK;
}

enum err_code nn_plan_hold(const struct nn_node *n, struct err *e)
{
    for (int k = 0; k < n->n_param; k++) {
        enum err_code r = n->param[k] ? nn_param_hold(n->param[k], e) : OK;
        while (r && k-- > 0)
            nn_param_drop(n->param[k]);
        if (r)
            return r;
    }
    return OK;
}

void nn_plan_drop(const struct nn_node *n)
{
    for (int k = 0; k < n->n_param; k++)
        nn_param_drop(n->param[k]);
}

enum err_code nn_plan_norm(const struct nn_node *n, double *scale,
                           double *shift, struct err *e)
{
    enum err_code r = nn_plan_hold(n, e);
    if (r)
        return r;
    r = norm_values(n, scale, shift, e);
    nn_plan_drop(n);
    return r;
}
