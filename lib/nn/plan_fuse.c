/* Which nodes of a network can be done together without changing the sums. */
#include "lib/nn/plan.h"

/* The only reader of i's value (after what is folded into it), or -1. */
static int only_reader(const struct nn_planner *p, int i)
{
    const struct nn_pnode *q = &p->n[i];
    return q->uses == 1 && !q->is_output ? q->reader : -1;
}

static bool reader_is(const struct nn_planner *p, int i, enum nn_kind kind)
{
    int r = only_reader(p, i);
    return r >= 0 && p->n[r].kind == kind && p->n[r].fate == NN_FATE_OWN;
}

static void fold(struct nn_planner *p, int i, int rep)
{
    p->n[i].fate = NN_FATE_FOLDED;
    p->n[i].rep = rep;
}

/* Can passes do it? Others are done by convolutions or by their own op. */
static bool rectifies(const struct nn_pnode *q)
{
    return q->act == NN_ACT_RELU || q->act == NN_ACT_LEAKY;
}

/* conv -> norm -> activation, where nobody else reads in between: the norm
 * goes into weights and bias, the activation into the kernel. Returns the last
 * node of the chain. */
static int fold_into_conv(struct nn_planner *p, int i)
{
    int last = i;
    if (reader_is(p, last, NN_KIND_NORM)) {
        last = p->n[last].reader;
        p->n[i].norm = last;
        fold(p, last, i);
    }
    if (reader_is(p, last, NN_KIND_ACT)) {
        last = p->n[last].reader;
        p->n[i].act = p->n[last].act;
        p->n[i].alpha = p->n[last].alpha;
        fold(p, last, i);
    }
    return last;
}

/* Does every reader of value r but `sum` run before step `conv`? Those that
 * could be joined into a later pass are pinned then. */
static bool dies_at(struct nn_planner *p, int r, int sum, int conv, bool pin)
{
    for (int k = 0; k < p->g->n; k++) {
        struct nn_pnode *q = &p->n[k];
        if (q->fate == NN_FATE_DEAD || k == sum)
            continue;
        for (int j = 0; j < q->n_in; j++) {
            if (p->n[q->in[j]].rep != r || q->rep == r)
                continue;
            if (q->rep >= conv)
                return false;
            if (pin)
                q->pinned = true;
        }
    }
    return true;
}

/* Is the value of i read by a norm of its own? Then a pass goes over it
 * anyway, and sums as well. */
static bool has_side(const struct nn_planner *p, int i)
{
    for (int k = 0; k < p->g->n; k++) {
        const struct nn_pnode *q = &p->n[k];
        if (q->kind == NN_KIND_NORM && q->fate == NN_FATE_OWN && q->in[0] == i)
            return true;
    }
    return false;
}

/* x + conv(...): the kernel adds to x's own memory, if that is the last use
 * of x. `last` is the end of conv's chain. */
static void sum_into_conv(struct nn_planner *p, int conv, int last)
{
    if (p->n[conv].act != NN_ACT_NONE || !reader_is(p, last, NN_KIND_ADD))
        return;
    int add = p->n[last].reader;
    const struct nn_pnode *a = &p->n[add];
    if (a->in[0] == a->in[1])
        return;
    int other = p->n[a->in[a->in[0] == last ? 1 : 0]].rep;
    if (other >= conv || !dies_at(p, other, add, conv, false))
        return;
    /* A sum whose terms are sums and pieces themselves is one pass. */
    enum nn_kind k = p->n[other].kind;
    bool joins = k == NN_KIND_CONCAT || k == NN_KIND_UP2;
    if (joins && p->n[other].uses == 1)
        return;
    int end = reader_is(p, add, NN_KIND_ACT) ? p->n[add].reader : add;
    if (has_side(p, end) || (end != add && has_side(p, add)))
        return;
    if (reader_is(p, end, NN_KIND_ADD) || reader_is(p, end, NN_KIND_CONCAT))
        return;
    dies_at(p, other, add, conv, true);
    p->n[conv].sum = other;
    fold(p, add, conv);
    if (end != add) {
        p->n[conv].act = p->n[end].act;
        p->n[conv].alpha = p->n[end].alpha;
        fold(p, end, conv);
    }
}

/* A rectifier that is the only reader of what a pass makes. */
static bool fold_rectifier(struct nn_planner *p, int i)
{
    if (!reader_is(p, i, NN_KIND_ACT) || !rectifies(&p->n[p->n[i].reader]))
        return false;
    const struct nn_pnode *a = &p->n[p->n[i].reader];
    p->n[i].act = a->act;
    p->n[i].alpha = a->alpha;
    fold(p, p->n[i].reader, i);
    return true;
}

static void join_into_sum(struct nn_planner *p, int i)
{
    struct nn_pnode *q = &p->n[i];
    if (q->pinned ||
        !(reader_is(p, i, NN_KIND_ADD) || reader_is(p, i, NN_KIND_CONCAT)))
        return;
    struct nn_pnode *r = &p->n[q->reader];
    if (r->pieces + q->pieces - 1 > NN_PASS_PIECES)
        return;
    r->pieces += q->pieces - 1;
    q->fate = NN_FATE_INTO_SUM;
}

void nn_plan_fuse(struct nn_planner *p)
{
    const struct nn_graph *g = p->g;
    if (p->o->unfused)
        return;
    for (int i = 0; i < g->n; i++) {
        if (p->n[i].kind == NN_KIND_CONV && p->n[i].fate == NN_FATE_OWN)
            p->n[i].pieces = fold_into_conv(p, i); /* the chain's end */
    }
    for (int i = 0; i < g->n; i++) {
        if (p->n[i].kind == NN_KIND_CONV && p->n[i].fate == NN_FATE_OWN)
            sum_into_conv(p, i, p->n[i].pieces);
    }
    for (int i = 0; i < g->n; i++) {
        struct nn_pnode *q = &p->n[i];
        if (q->fate != NN_FATE_OWN)
            continue;
        switch (q->kind) {
        case NN_KIND_NORM:
            q->fate = NN_FATE_SIDE;
            fold_rectifier(p, i);
            break;
        case NN_KIND_ADD:
        case NN_KIND_CONCAT:
        case NN_KIND_UP2:
            if (!fold_rectifier(p, i))
                join_into_sum(p, i);
            break;
        case NN_KIND_AVG2:
        case NN_KIND_MAX2:
            fold_rectifier(p, i);
            break;
        default:
            break;
        }
    }
}
