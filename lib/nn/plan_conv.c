/* Convolution steps, with what stands around them folded in. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/conv_node.h"
#include "lib/nn/plan.h"

/* Weights and bias of a convolution with the norm after it. */
struct folded {
    const float *weights, *bias; /* what the kernel gets; bias may be NULL */
    float *own_weights, *own_bias;
};

static void folded_free(struct folded *f)
{
    mem_free(f->own_weights);
    mem_free(f->own_bias);
}

/* The output channel that element j of a transposed or usual weight tensor
 * belongs to. */
static size_t channel_of(const struct nn_conv_attr *a, const int64_t *shape,
                         size_t j)
{
    size_t area = (size_t)(shape[2] * shape[3]), out = (size_t)shape[1];
    if (!a->transposed)
        return j / area / out;
    size_t in = (size_t)(shape[0] / a->groups);
    return j / area / out / in * out + j / area % out;
}

/* A norm after a convolution is a scale of its filters and a new bias; the
 * products are rounded once, from double. */
static enum err_code fold_norm(const struct nn_node *c, const struct nn_node *n,
                               struct folded *f, struct err *e)
{
    const struct nn_conv_attr *a = nn_attr(c);
    const struct tensor *w = c->param[0]->value;
    size_t o = (size_t)c->shape.c;
    double *scale = mem_array(2 * o, sizeof *scale);
    f->own_weights = mem_aligned(w->bytes);
    f->own_bias = mem_array(o, sizeof *f->own_bias);
    enum err_code r = scale && f->own_weights && f->own_bias
                          ? nn_plan_norm(n, scale, scale + o, e)
                          : nn_plan_no_memory(e);
    for (size_t j = 0; j < w->count && !r; j++)
        f->own_weights[j] = (float)((double)tensor_f32(w)[j] *
                                    scale[channel_of(a, w->shape, j)]);
    for (size_t i = 0; i < o && !r; i++) {
        double b = f->bias ? (double)f->bias[i] : 0;
        f->own_bias[i] = (float)(scale[o + i] + scale[i] * b);
    }
    mem_free(scale);
    f->weights = f->own_weights;
    f->bias = f->own_bias;
    return r;
}

/* Blocked kernels take the few channels of a picture as they come. */
static enum nn_layout layout_in(const struct nn_planner *p, int i, int from)
{
    const struct nn_conv_attr *a = nn_attr(p->n[i].node);
    bool input = p->n[p->n[from].rep].kind == NN_KIND_INPUT;
    bool few =
        p->n[from].node->shape.c < 16 && !a->transposed && a->groups == 1;
    if (p->net->layout == NN_BLOCK16 && input && few)
        return NN_PLAIN;
    return p->net->layout;
}

static enum err_code kernel(struct nn_planner *p, int i, struct nn_step *s,
                            struct err *e)
{
    const struct nn_pnode *q = &p->n[i];
    struct nn_net *net = p->net;
    struct nn_conv_desc d;
    nn_conv_describe(q->node, &net->buffer[s->src].view,
                     &net->buffer[s->dst].view, &d);
    struct folded f = {.weights = tensor_f32(q->node->param[0]->value)};
    if (q->node->param[1])
        f.bias = tensor_f32(q->node->param[1]->value);
    enum err_code r = OK;
    if (q->norm >= 0)
        r = fold_norm(q->node, p->n[q->norm].node, &f, e);
    d.bias = f.bias != NULL;
    d.pad_h += q->pad;
    d.pad_w += q->pad;
    d.act = q->act;
    d.alpha = q->alpha;
    d.sum = q->sum >= 0;
    d.winograd = net->mode == NN_FAST;
    d.path = net->path;
    if (!r)
        r = nn_conv_new(&d, &s->conv, e);
    if (!r)
        r = nn_conv_weights(s->conv, f.weights, f.bias, e);
    folded_free(&f);
    if (r)
        return r;
    if (nn_conv_scratch(s->conv) > net->scratch_bytes)
        net->scratch_bytes = nn_conv_scratch(s->conv);
    net->weight_bytes += nn_conv_bytes(s->conv);
    return OK;
}

enum err_code nn_plan_conv(struct nn_planner *p, int i, struct err *e)
{
    const struct nn_pnode *q = &p->n[i];
    struct nn_net *net = p->net;
    int src = nn_plan_form(p, q->in[0], layout_in(p, i, q->in[0]), net->type);
    int sum = -1;
    if (src >= 0 && q->sum >= 0)
        sum = nn_plan_form(p, q->sum, net->layout, net->type);
    if (src < 0 || (q->sum >= 0 && sum < 0))
        return nn_plan_no_memory(e);
    struct nn_step *s = nn_plan_step(p, NN_STEP_CONV, i);
    if (!s)
        return nn_plan_no_memory(e);
    s->src = src;
    nn_plan_reads(p, src);
    if (sum >= 0)
        nn_plan_reads(p, sum);
    s->dst = nn_plan_writes(p, i, net->layout, net->type);
    if (s->dst < 0)
        return nn_plan_no_memory(e);
    net->buffer[s->dst].same_as = sum;
    snprintf(s->joined, sizeof s->joined, "%s%s%s", q->norm >= 0 ? "+norm" : "",
             sum >= 0 ? "+sum" : "", q->act ? "+act" : "");
    if (q->node->op->gflop)
        s->gflop = q->node->op->gflop(q->node) * (double)net->batch;
    enum err_code r = kernel(p, i, s, e);
    if (r && r != ERR_NOMEM && e)
        err_wrap(e, "network: node %d (%s)", i, s->what);
    return r;
}
