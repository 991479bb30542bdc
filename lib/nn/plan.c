/* From a graph to steps: what is done together, layouts, order, memory. */
#include "lib/nn/plan.h"

#include "lib/base/mem.h"

/* Does a pass make this node, where it has a step of its own? */
static bool by_pass(const struct nn_planner *p, int i)
{
    const struct nn_pnode *q = &p->n[i];
    switch (q->kind) {
    case NN_KIND_ACT:
        return q->act == NN_ACT_RELU || q->act == NN_ACT_LEAKY;
    case NN_KIND_ADD:
    case NN_KIND_CONCAT:
    case NN_KIND_AVG2:
    case NN_KIND_MAX2:
    case NN_KIND_UP2:
        return true;
    default:
        return false;
    }
}

static enum err_code node_steps(struct nn_planner *p, int i, struct err *e)
{
    const struct nn_pnode *q = &p->n[i];
    enum err_code r = OK;
    if (q->fate == NN_FATE_SIDE ||
        (q->fate == NN_FATE_OWN && q->kind == NN_KIND_INPUT))
        return nn_plan_sides(p, i, 0, e);
    if (q->fate != NN_FATE_OWN)
        return OK;
    if (p->o->unfused)
        return nn_plan_op(p, i, e);
    if (by_pass(p, i))
        return nn_plan_pass(p, i, e);
    r = q->kind == NN_KIND_CONV ? nn_plan_conv(p, i, e) : nn_plan_op(p, i, e);
    return r ? r : nn_plan_sides(p, i, 0, e);
}

/* Passes over blocks need concat parts to start at whole blocks. */
static bool is_uneven(const struct nn_planner *p, int i)
{
    const struct nn_pnode *q = &p->n[i];
    bool uneven = false;
    for (int k = 0; k + 1 < q->n_in; k++)
        uneven = uneven || p->n[q->in[k]].node->shape.c % 16;
    return uneven && q->kind == NN_KIND_CONCAT && q->fate != NN_FATE_DEAD;
}

/* Blocks, for Winograd and bf16 kernels, unless uneven concats, which then run
 * by themselves, would cost more than that saves. */
static enum nn_layout choose_layout(struct nn_planner *p)
{
    const struct nn_net *net = p->net;
    if (net->path == NN_PATH_BLAS)
        return NN_PLAIN;
    if (!nn_conv_has_block16() ||
        ((net->mode != NN_FAST || !nn_has_winograd()) && net->type != DT_BF16))
        return NN_LAST;
    double gflop = 0, mb = 0;
    for (int i = 0; i < p->g->n; i++) {
        const struct nn_shape s = p->n[i].node->shape;
        if (is_uneven(p, i))
            mb += (double)(s.c * s.h * s.w) * 4e-6;
        else if (p->n[i].kind == NN_KIND_CONV && p->n[i].fate != NN_FATE_DEAD &&
                 (net->type == DT_BF16 || nn_plan_winograd(p, i)))
            gflop += p->n[i].node->op->gflop(p->n[i].node);
    }
    if (mb > 0 && mb > 2 * gflop)
        return NN_LAST;
    for (int i = 0; i < p->g->n; i++) {
        if (is_uneven(p, i))
            p->n[i].kind = NN_KIND_OP;
    }
    return NN_BLOCK16;
}

static enum err_code plan_into(struct nn_planner *p, struct err *e)
{
    p->n = mem_calloc((size_t)p->g->n, sizeof *p->n);
    if (!p->n)
        return nn_plan_no_memory(e);
    nn_plan_kinds(p);
    p->net->layout = choose_layout(p);
    nn_plan_fuse(p);
    nn_plan_layouts(p);
    enum err_code r = nn_plan_lean(p, e);
    for (int i = 0; i < p->g->n && !r; i++) {
        r = node_steps(p, i, e);
        if (!r)
            r = nn_plan_unpack(p, e);
    }
    return r ? r : nn_plan_memory(p->net, e);
}

enum err_code nn_plan(const struct nn_graph *g, const struct nn_options *o,
                      struct nn_net **out, struct err *e)
{
    *out = NULL;
    enum err_code r = nn_graph_status(g, e);
    if (r)
        return r;
    if (o->batch < 0)
        return err_set(e, ERR_ARG, "a batch of %lld pictures",
                       (long long)o->batch);
    if (!g->n_input || !g->n_output)
        return err_set(e, ERR_ARG, "a network needs an input and an output");
    enum nn_path path = nn_path_settle(o->path);
    if (o->bf16 && (path == NN_PATH_BLAS || !nn_has_bf16()))
        return err_set(e, ERR_UNSUPPORTED,
                       "bf16 needs oneDNN and a CPU with bf16 arithmetic");
    if (path == NN_PATH_DNNL && !nn_has_dnnl())
        return err_set(e, ERR_UNSUPPORTED, "oneDNN was not built in");
    struct nn_net *net = mem_calloc(1, sizeof *net);
    if (!net)
        return nn_plan_no_memory(e);
    net->batch = o->batch ? o->batch : 1;
    net->path = path;
    net->mode = o->mode;
    net->type = o->bf16 ? DT_BF16 : DT_F32;
    struct nn_planner p = {.g = g, .o = o, .net = net};
    r = plan_into(&p, e);
    mem_free(p.n);
    if (r)
        nn_net_free(&net);
    *out = net;
    return r;
}
