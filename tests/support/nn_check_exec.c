/* Checks of operators: every op by itself, in a chosen layout and type, with
 * memory that holds only what its flags promise to be there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/rows.h"
#include "tests/support/nn_check_impl.h"

#define POISON 0xff /* as floats: NaN */
#define NODES 64

/* Values and gradients of a node are kept as f32[N,C,H,W]; each run of an op
 * converts them to its layout and back. */
struct cell {
    struct nn_view value, grad;
    bool needs;
    int joined; /* the node whose op does this node's ReLU; -1 */
    struct nn_exec x;
};

struct alone {
    const struct nnc_data *d;
    const struct nnc_variant *v;
    struct nnc_net n;
    struct cell cell[NODES];
};

static void *poisoned(size_t bytes)
{
    void *p = mem_aligned(bytes ? bytes : 1);
    assert_non_null(p);
    memset(p, POISON, bytes);
    return p;
}

static struct nn_view plain(struct nn_shape s, int64_t batch)
{
    struct nn_view v = {
        .dtype = DT_F32, .layout = NN_PLAIN, .shape = s, .batch = batch};
    v.data = nnc_floats(nn_view_bytes(&v) / sizeof(float));
    return v;
}

static bool padding_is_zero(const struct nn_view *v)
{
    int64_t lane = nn_view_lane(v), used = v->shape.c % lane;
    if (v->layout != NN_BLOCK16 || !used)
        return true;
    int64_t px = v->shape.h * v->shape.w, n = nn_view_stride(v);
    float row[16];
    for (int64_t b = 0; b < v->batch; b++) {
        for (int64_t p = 0; p < px; p++) {
            int64_t at = b * n + n - px * lane + p * lane;
            const float *r = nn_row_get(v, at, lane, row);
            for (int64_t c = used; c < lane; c++) {
                if (!(fabsf(r[c]) <= 0))
                    return false;
            }
        }
    }
    return true;
}

/* The variant's layout, or one that the op can do. */
static enum nn_layout layout_of(const struct alone *a, const struct nn_node *o)
{
    static const unsigned flag[] = {NN_OP_PLAIN, NN_OP_LAST, NN_OP_BLOCK};
    if (o->op->flags & flag[a->v->layout])
        return a->v->layout;
    for (int i = 0; i < 3; i++) {
        if (o->op->flags & flag[i])
            return (enum nn_layout)i;
    }
    nnc_fail(a->d, a->v, "op %s takes no layout", o->op->name);
    return NN_PLAIN;
}

static bool has_params(const struct nn_node *o)
{
    for (int i = 0; i < o->n_param && !o->frozen; i++) {
        if (o->param[i] && !o->param[i]->buffer)
            return true;
    }
    return false;
}

/* Is node i a ReLU that its input's op can do, read by nobody else? */
static bool joins(const struct alone *a, int i)
{
    const struct nn_graph *g = a->n.g;
    const struct nn_node *o = &g->node[i];
    if (!a->v->tight || o->op != &nn_op_relu || o->in[0] == a->n.out ||
        !(g->node[o->in[0]].op->flags & NN_OP_RELU))
        return false;
    int readers = 0;
    for (int k = 0; k < g->n; k++) {
        for (int j = 0; j < g->node[k].n_in; j++)
            readers += g->node[k].in[j] == o->in[0];
    }
    return readers == 1;
}

static void views(struct alone *a, int i)
{
    struct cell *c = &a->cell[i];
    const struct nn_node *o = &a->n.g->node[i];
    struct nn_exec *x = &c->x;
    enum nn_layout layout = layout_of(a, o);
    /* The types that the training planner would choose. */
    bool half =
        a->v->bf16 && o->op->flags & NN_OP_BF16 && o->shape.h * o->shape.w != 1;
    for (int k = 0; k < o->n_in; k++) {
        x->in[k] = a->cell[o->in[k]].value;
        x->in[k].data = NULL;
        x->in[k].layout = layout;
        x->in[k].dtype = half ? DT_BF16 : DT_F32;
        x->din[k] = x->in[k];
        x->din_wanted[k] = a->cell[o->in[k]].needs;
        c->needs = c->needs || x->din_wanted[k];
    }
    x->out = c->value;
    x->out.data = NULL;
    if (!(o->op->flags & NN_OP_VECTOR)) {
        x->out.layout = layout;
        x->out.dtype = half ? DT_BF16 : DT_F32;
    }
    x->dout = x->out;
}

static void prepare(struct alone *a, int i)
{
    struct cell *c = &a->cell[i];
    const struct nn_node *o = &a->n.g->node[i];
    struct nn_exec *x = &c->x;
    struct err e = {0};
    c->value = plain(o->shape, o->whole ? 1 : a->d->c->batch);
    c->grad = plain(o->shape, o->whole ? 1 : a->d->c->batch);
    c->needs = has_params(o);
    if (o->op == &nn_op_input) {
        for (int k = 0; k < a->d->c->n_in; k++)
            c->needs =
                c->needs || (a->n.g->input[k] == i && !a->d->c->no_grad[k]);
        return;
    }
    views(a, i);
    if (o->op->flags & NN_OP_NO_GRAD)
        c->needs = false;
    x->node = o;
    x->path = a->v->path;
    x->mode = a->v->mode;
    x->training = !o->eval;
    x->backward = c->needs;
    x->dparam = c->needs && has_params(o);
    x->seed = 1234 + (uint64_t)i;
    for (int k = i + 1; k < a->n.g->n; k++)
        x->relu = x->relu || (joins(a, k) && a->n.g->node[k].in[0] == i);
    if (o->op->prepare && o->op->prepare(x, &e))
        nnc_fail(a->d, a->v, "%s: prepare: %s", o->op->name, e.text);
    x->keep = poisoned(x->keep_bytes);
}

static bool same_form(const struct nn_view *a, const struct nn_view *b)
{
    return a->layout == b->layout && a->dtype == b->dtype &&
           nn_view_bytes(a) == nn_view_bytes(b);
}

static void inputs(struct alone *a, struct nn_exec *x)
{
    for (int k = 0; k < x->node->n_in; k++) {
        x->in[k].data = poisoned(nn_view_bytes(&x->in[k]));
        nn_convert(&a->cell[x->node->in[k]].value, &x->in[k], false);
    }
}

static void drop(struct nn_exec *x)
{
    for (int k = 0; k < x->node->n_in; k++) {
        if (x->in[k].data != x->out.data)
            mem_free(x->in[k].data);
        x->in[k].data = NULL;
        if (x->din[k].data != x->dout.data)
            mem_free(x->din[k].data);
        x->din[k].data = NULL;
    }
    mem_free(x->out.data);
    mem_free(x->dout.data);
    mem_free(x->scratch);
    x->out.data = x->dout.data = x->scratch = NULL;
}

static void forward(struct alone *a, int i)
{
    struct cell *c = &a->cell[i];
    struct nn_exec *x = &c->x;
    struct err e = {0};
    inputs(a, x);
    bool inplace = a->v->tight && x->node->op->flags & NN_OP_INPLACE &&
                   !(x->node->op->flags & NN_OP_SAVE_IN) &&
                   same_form(&x->in[0], &x->out);
    x->out.data = inplace ? x->in[0].data : poisoned(nn_view_bytes(&x->out));
    x->scratch = poisoned(x->scratch_bytes);
    if (x->node->op->forward(x, &e))
        nnc_fail(a->d, a->v, "%s: forward: %s", x->node->op->name, e.text);
    if (!padding_is_zero(&x->out))
        nnc_fail(a->d, a->v, "%s: padding channels of the result",
                 x->node->op->name);
    nn_convert(&x->out, &c->value, false);
    drop(x);
}

static void backward_memory(struct alone *a, struct cell *c)
{
    struct nn_exec *x = &c->x;
    unsigned flags = x->node->op->flags;
    x->dout.data = poisoned(nn_view_bytes(&x->dout));
    nn_convert(&c->grad, &x->dout, false);
    if (flags & NN_OP_SAVE_IN)
        inputs(a, x);
    if (flags & NN_OP_SAVE_OUT || (flags & NN_OP_SAVE_OUT_RELU && x->relu)) {
        x->out.data = poisoned(nn_view_bytes(&x->out));
        nn_convert(&c->value, &x->out, false);
    }
    x->scratch = poisoned(x->scratch_bytes);
    for (int k = 0; k < x->node->n_in; k++) {
        struct cell *from = &a->cell[x->node->in[k]];
        x->din_add[k] = false;
        if (!x->din_wanted[k])
            continue;
        bool again = false; /* x * x: the second comes on top of the first */
        for (int j = 0; j < k; j++)
            again = again || x->node->in[j] == x->node->in[k];
        bool inplace = k == 0 && a->v->tight && flags & NN_OP_INPLACE &&
                       same_form(&x->in[0], &x->out);
        x->din[k].data =
            inplace ? x->dout.data : poisoned(nn_view_bytes(&x->din[k]));
        x->din_add[k] = !inplace && !again && a->v->tight && flags & NN_OP_ADDS;
        if (x->din_add[k])
            nn_convert(&from->grad, &x->din[k], false);
    }
}

static void backward(struct alone *a, int i)
{
    struct cell *c = &a->cell[i];
    struct nn_exec *x = &c->x;
    struct err e = {0};
    if (!c->needs || !x->node || !x->node->op->backward)
        return;
    backward_memory(a, c);
    if (x->node->op->backward(x, &e))
        nnc_fail(a->d, a->v, "%s: backward: %s", x->node->op->name, e.text);
    for (int k = 0; k < x->node->n_in; k++) {
        if (!x->din_wanted[k])
            continue;
        if (!padding_is_zero(&x->din[k]))
            nnc_fail(a->d, a->v, "%s: padding channels of gradient %d",
                     x->node->op->name, k);
        nn_convert(&x->din[k], &a->cell[x->node->in[k]].grad, !x->din_add[k]);
    }
    drop(x);
}

/* Gradients of parameters are added to: something is there already, of the
 * size of what comes. */
static float before(const struct alone *a, int i)
{
    const struct nnc_result *w = &a->d->want;
    float most = 0;
    for (size_t k = 0; i < w->n_param && k < w->param[i].n; k++)
        most = fmaxf(most, fabsf(w->param[i].v[k]));
    return a->v->tight ? most : 0;
}

static void fill_grads(struct alone *a)
{
    struct err e = {0};
    if (nn_params_grads(a->n.ps, &e))
        nnc_fail(a->d, a->v, "%s", e.text);
    for (int i = 0; i < (int)nn_params_count(a->n.ps); i++) {
        struct nn_param *p = nn_params_at(a->n.ps, (size_t)i);
        float first = before(a, i);
        for (size_t k = 0; k < p->value->count && p->grad; k++)
            p->grad[k] = first;
    }
}

static void result(const struct alone *a, struct nnc_result *r)
{
    const struct nnc_data *d = a->d;
    memset(r, 0, sizeof *r);
    r->n_out = d->n_out;
    r->out = nnc_floats(d->n_out);
    memcpy(r->out, a->cell[a->n.out].value.data, d->n_out * sizeof(float));
    for (int i = 0; i < d->c->n_in; i++) {
        r->din[i] = nnc_floats(d->n_in[i]);
        memcpy(r->din[i], a->cell[a->n.g->input[i]].grad.data,
               d->n_in[i] * sizeof(float));
        float *other = a->v->tight ? nnc_second(d, i) : NULL;
        for (size_t k = 0; k < d->n_in[i] && other; k++)
            r->din[i][k] -= other[k];
        mem_free(other);
    }
    nnc_take_params(&a->n, r);
    for (int i = 0; i < r->n_param; i++) {
        float first = before(a, i);
        for (size_t k = 0; k < r->param[i].n && !r->param[i].buffer; k++)
            r->param[i].v[k] -= first;
    }
}

static void finish(struct alone *a)
{
    for (int i = 0; i < a->n.g->n; i++) {
        struct cell *c = &a->cell[i];
        if (c->x.node && c->x.node->op->release)
            c->x.node->op->release(&c->x);
        mem_free(c->x.keep);
        if (c->joined < 0) {
            mem_free(c->value.data);
            mem_free(c->grad.data);
        }
    }
    nnc_net_free(&a->n);
}

void nnc_exec(const struct nnc_data *d, const struct nnc_variant *v,
              struct nnc_result *r)
{
    static struct alone alone;
    struct alone *a = &alone;
    memset(a, 0, sizeof *a);
    a->d = d;
    a->v = v;
    nnc_build(d, v, &a->n);
    const struct nn_graph *g = a->n.g;
    assert_true(g->n <= NODES);
    fill_grads(a);
    for (int i = 0; i < g->n; i++) {
        struct cell *c = &a->cell[i];
        c->joined = -1;
        if (joins(a, i)) { /* shares what its maker has */
            const struct cell *maker = &a->cell[g->node[i].in[0]];
            c->value = maker->value;
            c->grad = maker->grad;
            c->needs = maker->needs;
            c->joined = g->node[i].in[0];
        } else {
            prepare(a, i);
        }
    }
    for (int i = 0; i < d->c->n_in; i++) {
        struct cell *c = &a->cell[g->input[i]];
        memcpy(c->value.data, d->in[i], d->n_in[i] * sizeof(float));
        if (!v->tight)
            continue;
        mem_free(c->grad.data); /* another reader's gradient is there */
        c->grad.data = nnc_second(d, i);
    }
    for (int i = 0; i < g->n; i++) {
        if (a->cell[i].x.node)
            forward(a, i);
    }
    float *top = a->cell[a->n.out].grad.data;
    for (size_t i = 0; i < d->n_out; i++)
        top[i] = d->dout ? d->dout[i] : 1.0F;
    for (int i = g->n - 1; i >= 0; i--)
        backward(a, i);
    result(a, r);
    finish(a);
}
