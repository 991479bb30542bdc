/* Steps and buffers of a plan; nodes that run by their op's own forward. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/op_known.h"
#include "lib/nn/plan.h"

enum err_code nn_plan_no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory to plan a network");
}

struct nn_step *nn_plan_step(struct nn_planner *p, enum nn_step_kind kind,
                             int node)
{
    struct nn_net *n = p->net;
    if (n->n_step == n->cap_step) {
        int cap = n->cap_step ? n->cap_step * 2 : 64;
        void *m = mem_resize(n->step, (size_t)cap, sizeof *n->step);
        if (!m)
            return NULL;
        n->step = m;
        n->cap_step = cap;
    }
    n->step[n->n_step] = (struct nn_step){.kind = kind,
                                          .node = node,
                                          .what = p->n[node].node->op->name,
                                          .src = -1,
                                          .dst = -1};
    return &n->step[n->n_step++];
}

void nn_plan_reads(struct nn_planner *p, int b)
{
    p->net->buffer[b].last = p->net->n_step - 1;
}

int nn_plan_writes(struct nn_planner *p, int node, enum nn_layout layout,
                   enum dtype type)
{
    struct nn_net *n = p->net;
    const struct nn_node *of = p->n[node].node;
    if (n->n_buffer == n->cap_buffer) {
        int cap = n->cap_buffer ? n->cap_buffer * 2 : 64;
        void *m = mem_resize(n->buffer, (size_t)cap, sizeof *n->buffer);
        if (!m)
            return -1;
        n->buffer = m;
        n->cap_buffer = cap;
    }
    n->buffer[n->n_buffer] =
        (struct nn_buffer){.node = p->n[node].rep,
                           .view = {.dtype = type,
                                    .layout = layout,
                                    .shape = of->shape,
                                    .batch = of->whole ? 1 : n->batch},
                           .born = n->n_step - 1,
                           .last = n->n_step - 1,
                           .same_as = -1,
                           .may_be = -1};
    return n->n_buffer++;
}

/* The first buffer of a node's value, -1 if there is none yet. */
static int home_of(const struct nn_planner *p, int node)
{
    int rep = p->n[node].rep;
    for (int i = 0; i < p->net->n_buffer; i++) {
        if (p->net->buffer[i].node == rep)
            return i;
    }
    return -1;
}

static struct nn_step_op *new_op(const struct nn_planner *p,
                                 const struct nn_node *n)
{
    struct nn_step_op *o = mem_calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->node = *n;
    o->node.n_param = 0;
    o->x = (struct nn_exec){
        .node = &o->node, .path = p->net->path, .mode = p->net->mode};
    return o;
}

/* The op's step has buffers: now its views are known, and it prepares. */
static enum err_code prepare(struct nn_planner *p, struct nn_step *s,
                             struct err *e)
{
    struct nn_net *net = p->net;
    struct nn_step_op *o = s->op;
    for (int k = 0; k < o->node.n_in; k++)
        o->x.in[k] = net->buffer[o->in[k]].view;
    o->x.out = net->buffer[s->dst].view;
    o->prepared = true;
    enum err_code r = OK;
    if (o->node.op->prepare)
        r = o->node.op->prepare(&o->x, e);
    size_t need = (o->x.scratch_bytes + 63) / 64 * 64 + o->x.keep_bytes;
    if (need > net->scratch_bytes)
        net->scratch_bytes = need;
    net->weight_bytes += o->x.state_bytes;
    return r;
}

/* A step that makes the value of a node from what buffer `from` holds, by an
 * op of the planner's own. -1: no memory. */
static int remake(struct nn_planner *p, int node, const struct nn_op *op,
                  int from, enum nn_layout layout, enum dtype type)
{
    struct nn_step *s = nn_plan_step(p, NN_STEP_OP, node);
    if (!s)
        return -1;
    const struct nn_node *n = p->n[node].node;
    struct nn_node c = {
        .op = op, .n_in = 1, .shape = n->shape, .whole = n->whole};
    s->what = c.op->name;
    s->op = new_op(p, &c);
    s->src = from;
    nn_plan_reads(p, from);
    s->dst = nn_plan_writes(p, node, layout, type);
    if (!s->op || s->dst < 0)
        return -1;
    s->op->in[0] = from;
    return prepare(p, s, NULL) ? -1 : s->dst;
}

int nn_plan_form(struct nn_planner *p, int node, enum nn_layout layout,
                 enum dtype type)
{
    struct nn_net *net = p->net;
    int rep = p->n[node].rep;
    for (int i = 0; i < net->n_buffer; i++) {
        const struct nn_buffer *b = &net->buffer[i];
        if (b->node == rep && b->view.layout == layout && b->view.dtype == type)
            return i;
    }
    if (p->n[rep].kind != NN_KIND_INPUT)
        return remake(p, rep, &nn_op_convert, home_of(p, node), layout, type);
    struct nn_step *s = nn_plan_step(p, NN_STEP_PACK, rep);
    if (!s)
        return -1;
    while (p->g->input[s->port] != rep)
        s->port++;
    return s->dst = nn_plan_writes(p, rep, layout, type);
}

enum err_code nn_plan_columns(struct nn_planner *p, int i, int from,
                              struct err *e)
{
    int to = remake(p, i, &nn_op_columns, from, NN_PLAIN,
                    p->net->buffer[from].view.dtype);
    return to < 0 ? nn_plan_no_memory(e) : OK;
}

/* Pictures of few channels that nobody has packed yet. */
static bool is_free(const struct nn_planner *p, int node)
{
    const struct nn_pnode *q = &p->n[p->n[node].rep];
    return q->kind == NN_KIND_INPUT && q->node->shape.c < 16 &&
           home_of(p, node) < 0;
}

bool nn_plan_is_plain(const struct nn_planner *p, int node)
{
    int home = home_of(p, node);
    return is_free(p, node) ||
           (home >= 0 && p->net->buffer[home].view.layout == NN_PLAIN);
}

static unsigned flag_of(enum nn_layout l)
{
    return l == NN_PLAIN  ? NN_OP_PLAIN
           : l == NN_LAST ? NN_OP_LAST
                          : NN_OP_BLOCK;
}

/* An op takes its first input as it lies where it can, else what the plan
 * prefers, else anything. */
static enum nn_layout layout_for(const struct nn_planner *p,
                                 const struct nn_node *n, int home)
{
    unsigned flags = n->op->flags;
    if (home >= 0 && flags & flag_of(p->net->buffer[home].view.layout))
        return p->net->buffer[home].view.layout;
    if (n->n_in && flags & NN_OP_PLAIN && p->net->layout == NN_BLOCK16 &&
        is_free(p, n->in[0]))
        return NN_PLAIN;
    if (flags & flag_of(p->net->layout))
        return p->net->layout;
    return flags & NN_OP_PLAIN  ? NN_PLAIN
           : flags & NN_OP_LAST ? NN_LAST
                                : NN_BLOCK16;
}

static bool is_vector(struct nn_shape s)
{
    return s.h == 1 && s.w == 1;
}

static enum err_code copy_params(struct nn_net *net, struct nn_step_op *o,
                                 const struct nn_node *n, struct err *e)
{
    for (int k = 0; k < n->n_param; k++) {
        o->node.param[k] = NULL;
        o->node.n_param = k + 1;
        if (!n->param[k])
            continue;
        struct tensor *t = NULL;
        enum err_code r = nn_param_take(n->param[k], &t, e);
        if (r)
            return r;
        o->param[k] = (struct nn_param){.value = t, .version = 1};
        o->node.param[k] = &o->param[k];
        net->weight_bytes += t->bytes;
    }
    return OK;
}

enum err_code nn_plan_op(struct nn_planner *p, int i, struct err *e)
{
    const struct nn_pnode *q = &p->n[i];
    const struct nn_node *n = q->node;
    int home = q->n_in ? home_of(p, q->in[0]) : -1;
    enum nn_layout layout = layout_for(p, n, home);
    enum dtype type = p->net->type;
    if (!(n->op->flags & NN_OP_BF16) || is_vector(n->shape))
        type = DT_F32; /* vectors cost nothing and decide much */
    if (n->n_in == 1 && home >= 0 && p->net->buffer[home].view.dtype == DT_F32)
        type = DT_F32; /* whoever reads it will often want f32 too */
    int in[NN_MAX_INPUTS];
    for (int k = 0; k < q->n_in; k++) {
        in[k] = nn_plan_form(p, q->in[k], layout, type);
        if (in[k] < 0)
            return nn_plan_no_memory(e);
    }
    struct nn_step *s = nn_plan_step(p, NN_STEP_OP, i);
    if (!s)
        return nn_plan_no_memory(e);
    s->op = new_op(p, n);
    if (!s->op)
        return nn_plan_no_memory(e);
    for (int k = 0; k < q->n_in; k++) {
        s->op->in[k] = in[k];
        nn_plan_reads(p, in[k]);
    }
    if (n->op->flags & NN_OP_VECTOR) {
        layout = NN_PLAIN;
        type = DT_F32;
    }
    s->src = q->n_in ? in[0] : -1;
    s->dst = nn_plan_writes(p, i, layout, type);
    if (s->dst < 0)
        return nn_plan_no_memory(e);
    struct nn_buffer *d = &p->net->buffer[s->dst];
    bool once = true;
    for (int k = 1; k < q->n_in; k++)
        once = once && in[k] != in[0];
    if (n->op->flags & NN_OP_INPLACE && q->n_in && once &&
        nn_view_bytes(&d->view) == nn_view_bytes(&p->net->buffer[in[0]].view))
        d->may_be = in[0];
    if (n->op->gflop)
        s->gflop = n->op->gflop(n) * (double)p->net->batch;
    enum err_code r = copy_params(p->net, s->op, n, e);
    return r ? r : prepare(p, s, e);
}

enum err_code nn_plan_unpack(struct nn_planner *p, struct err *e)
{
    for (int i = 0; i < p->g->n_output; i++) {
        int home = home_of(p, p->out[i]);
        if (p->n[p->n[p->out[i]].rep].kind == NN_KIND_INPUT && home < 0) {
            home = nn_plan_form(p, p->out[i], NN_PLAIN, DT_F32);
            if (home < 0)
                return nn_plan_no_memory(e);
        }
        if (home < 0 || p->unpacked[i])
            continue;
        struct nn_step *s = nn_plan_step(p, NN_STEP_UNPACK, p->out[i]);
        if (!s)
            return nn_plan_no_memory(e);
        p->unpacked[i] = true;
        s->port = i;
        s->src = home;
        nn_plan_reads(p, home);
    }
    return OK;
}
