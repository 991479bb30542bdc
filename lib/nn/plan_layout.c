/* Which convolutions of a blocked f32 plan are better run channels-last. */
#include "lib/nn/conv_node.h"
#include "lib/nn/plan.h"

/* Milliseconds of one Zen 5 core, as measured there on oneDNN 2.6 kernels
 * (what counts is how they compare with each other): of a GFLOP channels-last
 * beyond that of a GFLOP blocked, and of converting a MB. */
#define MS_WINOGRAD 2.0   /* only blocked has it */
#define MS_STRIDED (-1.8) /* jit 164 against brgconv 243 GFLOP/s */
#define MS_TRANSPOSED (-0.6)
#define MS_FEW (-0.9)    /* few output channels */
#define MS_POINTWISE 0.4 /* 1x1, much of it the sum after it */
#define MS_CONVERT 0.25
#define SWEEPS 8

static double cost_of_last(const struct nn_planner *p, int i)
{
    const struct nn_pnode *q = &p->n[i];
    const struct nn_conv_attr *a = nn_attr(q->node);
    double ms = 0;
    if (nn_plan_spread(p, i) > 1)
        ms = MS_FEW;
    else if (a->transposed)
        ms = MS_TRANSPOSED;
    else if (a->kernel_h * a->kernel_w == 1)
        ms = q->sum >= 0 ? 4 * MS_POINTWISE : MS_POINTWISE;
    else if (p->n[q->in[0]].node->shape.c < 16)
        ms = 0; /* from PyTorch's order: both are good at it */
    else if (a->stride > 1)
        ms = MS_STRIDED;
    else if (nn_plan_winograd(p, i))
        ms = MS_WINOGRAD;
    return ms * q->node->op->gflop(q->node);
}

/* The node whose layout the value of i has: an operator by itself leaves its
 * input's as it is, where it has one input and takes both. */
static int source_of(const struct nn_planner *p, int i)
{
    const unsigned both = NN_OP_LAST | NN_OP_BLOCK;
    i = p->n[i].rep;
    while (p->n[i].kind == NN_KIND_OP && p->n[i].n_in == 1 &&
           (p->n[i].node->op->flags & both) == both)
        i = p->n[p->n[i].in[0]].rep;
    return i;
}

/* -1: as its reader likes, at no cost. */
static int layout_of(const struct nn_planner *p, int i)
{
    const struct nn_pnode *q = &p->n[i];
    if (q->kind == NN_KIND_CONV && q->fate == NN_FATE_OWN)
        return (int)q->layout;
    return q->kind == NN_KIND_INPUT ? -1 : (int)p->net->layout;
}

static double edge(const struct nn_planner *p, int from, int to_layout)
{
    int have = layout_of(p, source_of(p, from));
    const struct nn_shape s = p->n[from].node->shape;
    if (have < 0 || have == to_layout)
        return 0;
    return (double)(s.c * s.h * s.w) * 4e-6 * MS_CONVERT;
}

/* Converting what k reads, if it runs in this layout. */
static double cost_in(const struct nn_planner *p, int k, int layout)
{
    const struct nn_pnode *q = &p->n[k];
    double ms = q->sum >= 0 ? edge(p, q->sum, layout) : 0;
    for (int j = 0; j < q->n_in; j++)
        ms += edge(p, q->in[j], layout);
    return ms;
}

/* Is k a node that runs in a layout of its own and reads i, perhaps through
 * operators that keep it? */
static bool reads(const struct nn_planner *p, int k, int i)
{
    const struct nn_pnode *q = &p->n[k];
    if (q->fate == NN_FATE_DEAD || q->rep != k || source_of(p, k) != k)
        return false;
    bool is = q->sum >= 0 && source_of(p, q->sum) == i;
    for (int j = 0; j < q->n_in; j++)
        is = is || source_of(p, q->in[j]) == i;
    return is;
}

static double cost(struct nn_planner *p, int i, enum nn_layout layout)
{
    p->n[i].layout = layout;
    double ms = cost_in(p, i, (int)layout);
    if (layout == NN_LAST)
        ms += cost_of_last(p, i);
    for (int k = i + 1; k < p->g->n; k++) {
        if (reads(p, k, i))
            ms += cost_in(p, k, layout_of(p, k));
    }
    return ms;
}

static void set_all(struct nn_planner *p, enum nn_layout layout)
{
    for (int i = 0; i < p->g->n; i++)
        p->n[i].layout = layout;
}

/* Let each convolution take the better layout, given those of the others,
 * until none moves. Returns the cost of all. */
static double settle(struct nn_planner *p, enum nn_layout first)
{
    bool moved = true;
    double ms = 0;
    set_all(p, first);
    for (int sweep = 0; sweep < SWEEPS && moved; sweep++) {
        moved = false;
        for (int i = 0; i < p->g->n; i++) {
            struct nn_pnode *q = &p->n[i];
            if (q->kind != NN_KIND_CONV || q->fate != NN_FATE_OWN)
                continue;
            enum nn_layout before = q->layout;
            double block = cost(p, i, NN_BLOCK16), last = cost(p, i, NN_LAST);
            q->layout = last < block ? NN_LAST : NN_BLOCK16;
            moved = moved || q->layout != before;
        }
    }
    for (int i = 0; i < p->g->n; i++) {
        const struct nn_pnode *q = &p->n[i];
        if (q->fate == NN_FATE_DEAD || q->rep != i || source_of(p, i) != i)
            continue;
        ms += cost_in(p, i, layout_of(p, i));
        if (q->kind == NN_KIND_CONV && q->layout == NN_LAST)
            ms += cost_of_last(p, i);
    }
    return ms;
}

void nn_plan_layouts(struct nn_planner *p)
{
    set_all(p, p->net->layout);
    if (p->net->layout != NN_BLOCK16 || p->net->type != DT_F32 || p->o->unfused)
        return;
    if (settle(p, NN_LAST) <= settle(p, NN_BLOCK16))
        settle(p, NN_LAST);
}
