/* Training plans: from a graph to steps with layouts and conversions. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/conv.h"
#include "lib/nn/train_impl.h"

struct lower {
    struct nn_train *t;
    const struct nn_graph *g;
    int *step; /* of each node of the graph: the step that makes its value */
    int *uses; /* readers of each node, an output counting as one */
    bool *live;
};

/* Nodes that some output needs, and who reads what. */
static void find_live(struct lower *l)
{
    const struct nn_graph *g = l->g;
    for (int i = 0; i < g->n_output; i++) {
        l->live[g->output[i]] = true;
        l->uses[g->output[i]]++;
    }
    for (int i = g->n - 1; i >= 0; i--) {
        for (int k = 0; l->live[i] && k < g->node[i].n_in; k++) {
            l->live[g->node[i].in[k]] = true;
            l->uses[g->node[i].in[k]]++;
        }
    }
}

static struct nn_tstep *new_step(struct nn_train *t, struct err *e)
{
    if (t->n == t->cap) {
        int cap = t->cap ? t->cap * 2 : 64;
        void *p = mem_resize(t->step, (size_t)cap, sizeof *t->step);
        if (!p) {
            err_set(e, ERR_NOMEM, "no memory to plan a network");
            return NULL;
        }
        t->step = p;
        t->cap = cap;
    }
    struct nn_tstep *s = &t->step[t->n++];
    memset(s, 0, sizeof *s);
    s->value = s->grad = s->keep = s->graph_node = -1;
    for (int i = 0; i < NN_MAX_INPUTS; i++)
        s->din[i] = -1;
    return s;
}

static unsigned layout_flag(enum nn_layout l)
{
    return l == NN_PLAIN  ? NN_OP_PLAIN
           : l == NN_LAST ? NN_OP_LAST
                          : NN_OP_BLOCK;
}

static bool is_vector(struct nn_shape s)
{
    return s.h == 1 && s.w == 1;
}

/* Vectors stay as they are (a conversion would cost more than it brings), and
 * so do a few channels (pictures) on their way to the first convolution, which
 * blocks would blow up. */
static enum nn_layout choose_layout(const struct lower *l,
                                    const struct nn_node *n)
{
    unsigned flags = n->op->flags;
    bool plain = n->n_in > 0 && flags & NN_OP_PLAIN;
    bool small = n->shape.c < 8 && n->n_param == 0;
    bool vector = is_vector(n->shape);
    for (int i = 0; i < n->n_in && plain; i++) {
        const struct nn_view *v = &l->t->step[l->step[n->in[i]]].x.out;
        plain = v->layout == NN_PLAIN;
        small = small && v->shape.c < 8;
        vector = vector && is_vector(v->shape);
    }
    if (plain && (small || vector))
        return NN_PLAIN;
    if (flags & layout_flag(l->t->layout))
        return l->t->layout;
    return flags & NN_OP_PLAIN  ? NN_PLAIN
           : flags & NN_OP_LAST ? NN_LAST
                                : NN_BLOCK16;
}

/* Vectors and losses are f32 always: they cost nothing and decide much. */
static enum dtype choose_type(const struct lower *l, const struct nn_node *n)
{
    if (!l->t->o.bf16 || !(n->op->flags & NN_OP_BF16) || is_vector(n->shape))
        return DT_F32;
    return DT_BF16;
}

/* The step with value `from` in this layout and type: itself, a conversion
 * that is there already, or a new one. -1 without memory. */
static int converted(struct nn_train *t, int from, enum nn_layout layout,
                     enum dtype type, struct err *e)
{
    const struct nn_view *v = &t->step[from].x.out;
    if (v->layout == layout && v->dtype == type)
        return from;
    for (int i = from + 1; i < t->n; i++) {
        const struct nn_tstep *s = &t->step[i];
        if (s->graph_node < 0 && s->node.in[0] == from &&
            s->x.out.layout == layout && s->x.out.dtype == type)
            return i;
    }
    struct nn_tstep *s = new_step(t, e);
    if (!s)
        return -1;
    const struct nn_tstep *f = &t->step[from];
    s->node = (struct nn_node){.op = &nn_op_convert,
                               .n_in = 1,
                               .shape = f->node.shape,
                               .whole = f->node.whole};
    s->node.in[0] = from;
    s->x.out = f->x.out;
    s->x.out.layout = layout;
    s->x.out.dtype = type;
    return t->n - 1;
}

/* Batch norm and the like do a ReLU that is their only reader. */
static bool join_relu(struct lower *l, int i)
{
    const struct nn_node *n = &l->g->node[i];
    if (n->op != &nn_op_relu || l->t->o.unfused || l->uses[n->in[0]] != 1)
        return false;
    struct nn_tstep *s = &l->t->step[l->step[n->in[0]]];
    if (!(s->node.op->flags & NN_OP_RELU) || s->x.relu)
        return false;
    s->x.relu = true;
    l->step[i] = l->step[n->in[0]];
    return true;
}

static enum err_code lower_node(struct lower *l, int i, struct err *e)
{
    struct nn_train *t = l->t;
    const struct nn_node *n = &l->g->node[i];
    if (join_relu(l, i))
        return OK;
    bool input = n->op == &nn_op_input;
    enum nn_layout layout = input ? NN_PLAIN : choose_layout(l, n);
    enum dtype type = input ? DT_F32 : choose_type(l, n);
    int in[NN_MAX_INPUTS] = {0};
    for (int k = 0; k < n->n_in; k++) {
        in[k] = converted(t, l->step[n->in[k]], layout, type, e);
        if (in[k] < 0)
            return ERR_NOMEM;
    }
    struct nn_tstep *s = new_step(t, e);
    if (!s)
        return ERR_NOMEM;
    s->node = *n;
    s->graph_node = i;
    for (int k = 0; k < n->n_in; k++)
        s->node.in[k] = in[k];
    if (n->op->flags & NN_OP_VECTOR) {
        layout = NN_PLAIN;
        type = DT_F32;
    }
    s->x.out = (struct nn_view){.dtype = type,
                                .layout = layout,
                                .shape = n->shape,
                                .batch = n->whole ? 1 : t->o.batch};
    l->step[i] = t->n - 1;
    return OK;
}

static enum err_code lower_all(struct lower *l, struct err *e)
{
    struct nn_train *t = l->t;
    find_live(l);
    for (int i = 0; i < l->g->n_input; i++) /* also those nobody reads */
        l->live[l->g->input[i]] = true;
    for (int i = 0; i < l->g->n; i++) {
        if (!l->live[i])
            continue;
        enum err_code r = lower_node(l, i, e);
        if (r)
            return r;
    }
    t->n_input = l->g->n_input;
    t->n_output = l->g->n_output;
    for (int i = 0; i < t->n_input; i++)
        t->input[i] = l->step[l->g->input[i]];
    for (int i = 0; i < t->n_output; i++)
        t->output[i] = l->step[l->g->output[i]];
    return OK;
}

/* Steps do not move any more: now they may point at each other. */
static void fill_exec(struct nn_train *t)
{
    for (int i = 0; i < t->n; i++) {
        struct nn_tstep *s = &t->step[i];
        s->x.node = &s->node;
        s->x.path = t->o.path;
        s->x.mode = t->o.mode;
        s->x.training = !s->node.eval;
        for (int k = 0; k < s->node.n_in; k++)
            s->x.in[k] = t->step[s->node.in[k]].x.out;
    }
}

enum err_code nn_train_lower(struct nn_train *t, const struct nn_graph *g,
                             struct err *e)
{
    size_t n = (size_t)g->n;
    struct lower l = {.t = t,
                      .g = g,
                      .step = mem_calloc(n, sizeof *l.step),
                      .uses = mem_calloc(n, sizeof *l.uses),
                      .live = mem_calloc(n, sizeof *l.live)};
    t->layout = t->o.path == NN_PATH_BLAS ? NN_PLAIN
                : nn_conv_has_block16()   ? NN_BLOCK16
                                          : NN_LAST;
    enum err_code r =
        l.step && l.uses && l.live
            ? lower_all(&l, e)
            : err_set(e, ERR_NOMEM, "no memory to plan a network");
    if (!r)
        fill_exec(t);
    mem_free(l.step);
    mem_free(l.uses);
    mem_free(l.live);
    return r;
}
