/* Convolution steps, with what stands around them folded in. */
#include <stdio.h>

#include "lib/nn/conv_node.h"
#include "lib/nn/op_known.h"
#include "lib/nn/plan.h"

/* Direct convolution is faster on pictures with fewer pixels than this. */
#define WINOGRAD_PIXELS 576
/* From so many channels on, in and out, Winograd in f32 is faster than direct
 * convolution in bf16: on Zen 4, 512 channels at 28 x 28, 740 against 490
 * GFLOP/s. */
#define WINOGRAD_OVER_BF16 256

/* Kernels make 16 channels at once, so a few output channels waste most of
 * their work. Then g neighbouring pixels are made as one pixel of g times as
 * many channels, by a window g - 1 wider that is moved by g. Returns g, a
 * divisor of the width; 1 where it does not pay. */
int64_t nn_plan_spread(const struct nn_planner *p, int i)
{
    const struct nn_pnode *q = &p->n[i];
    const struct nn_conv_attr *a = nn_attr(q->node);
    const struct nn_shape s = q->node->shape;
    if (p->net->path == NN_PATH_BLAS || q->sum >= 0 || a->transposed ||
        a->groups > 1 || a->stride > 1 || a->dilation > 1 || s.c > 8 ||
        a->kernel_w < 3)
        return 1;
    int64_t g = 16 / s.c;
    while (s.w % g)
        g--;
    return g;
}

bool nn_plan_winograd(const struct nn_planner *p, int i)
{
    const struct nn_conv_attr *a = nn_attr(p->n[i].node);
    const struct nn_shape s = p->n[i].node->shape;
    int64_t in = p->n[p->n[i].in[0]].node->shape.c;
    int64_t least = p->net->type == DT_BF16 ? WINOGRAD_OVER_BF16 : 16;
    return p->net->mode == NN_FAST && a->kernel_h == 3 && a->kernel_w == 3 &&
           a->stride == 1 && a->dilation == 1 && a->groups == 1 &&
           !a->transposed && s.c >= least && in >= least &&
           p->net->batch * s.h * s.w >= WINOGRAD_PIXELS && nn_has_winograd();
}

/* The type that a convolution works in. */
static enum dtype type_of(const struct nn_planner *p, int i)
{
    bool f32 = p->net->layout == NN_BLOCK16 && nn_plan_winograd(p, i);
    return f32 ? DT_F32 : p->net->type;
}

/* Blocked kernels take the few channels of a picture as they come. */
static enum nn_layout layout_in(const struct nn_planner *p, int i, int from)
{
    const struct nn_conv_attr *a = nn_attr(p->n[i].node);
    bool few =
        p->n[from].node->shape.c < 16 && !a->transposed && a->groups == 1;
    if (p->n[i].layout == NN_BLOCK16 && few && nn_plan_is_plain(p, from))
        return NN_PLAIN;
    return p->n[i].layout;
}

static struct nn_step_origin origin_of(const struct nn_planner *p, int i,
                                       int64_t g)
{
    const struct nn_pnode *q = &p->n[i];
    const struct nn_node *norm = q->norm >= 0 ? p->n[q->norm].node : NULL;
    struct nn_step_origin o = {.spread = g};
    for (int k = 0; k < 2; k++)
        o.param[k] = q->node->param[k];
    for (int k = 0; norm && k < NN_MAX_PARAMS; k++)
        o.param[2 + k] = norm->param[k];
    for (int k = 0; k < 2 + NN_MAX_PARAMS; k++)
        o.version[k] = o.param[k] ? o.param[k]->version : 0;
    if (norm)
        o.eps = ((const struct nn_batch_norm_attr *)nn_attr(norm))->eps;
    return o;
}

static bool same_origin(const struct nn_step_origin *a,
                        const struct nn_step_origin *b)
{
    bool same =
        a->spread == b->spread && !(a->eps < b->eps) && !(a->eps > b->eps);
    for (int k = 0; k < 2 + NN_MAX_PARAMS; k++)
        same = same && a->param[k] == b->param[k] &&
               a->version[k] == b->version[k];
    return same;
}

const struct nn_step *nn_plan_alike(const struct nn_planner *p, int i)
{
    const struct nn_net *like = p->o->like;
    struct nn_step_origin o = origin_of(p, i, nn_plan_spread(p, i));
    for (int k = 0; like && k < like->n_step; k++) {
        if (like->step[k].conv && same_origin(&like->step[k].origin, &o))
            return &like->step[k];
    }
    return NULL;
}

/* Share the weights of a convolution of the same parameters, in this plan or
 * the one that it is like, whose kernel takes the same form of them. */
static bool share(const struct nn_planner *p, const struct nn_step *s)
{
    const struct nn_net *from[] = {p->net, p->o->like};
    for (int j = 0; j < 2; j++) {
        for (int k = 0; from[j] && k < from[j]->n_step; k++) {
            const struct nn_step *t = &from[j]->step[k];
            if (t != s && t->conv && same_origin(&t->origin, &s->origin) &&
                nn_conv_share(s->conv, t->conv))
                return true;
        }
    }
    return false;
}

static bool has_bias(const struct nn_planner *p, int i, int64_t g)
{
    return p->n[i].node->param[1] || p->n[i].norm >= 0 || g > 1;
}

static enum err_code give_weights(struct nn_planner *p, int i,
                                  struct nn_step *s, struct err *e)
{
    struct nn_plan_weights w;
    if (share(p, s))
        return OK;
    enum err_code r = nn_plan_weights(p, i, s->origin.spread, &w, e);
    if (!r)
        r = nn_conv_weights(s->conv, w.weights, w.bias, e);
    nn_plan_weights_free(&w);
    return r;
}

static enum err_code kernel(struct nn_planner *p, int i, struct nn_step *s,
                            int64_t g, struct err *e)
{
    const struct nn_pnode *q = &p->n[i];
    struct nn_net *net = p->net;
    struct nn_conv_desc d;
    nn_conv_describe(q->node, &net->buffer[s->src].view,
                     &net->buffer[s->dst].view, &d);
    d.bias = has_bias(p, i, g);
    d.pad_h += q->pad;
    d.pad_w += q->pad;
    d.kernel_w += g - 1;
    d.stride_w *= g;
    d.act = q->act;
    d.alpha = q->alpha;
    d.sum = q->sum >= 0;
    d.winograd = nn_plan_winograd(p, i);
    d.lean = q->lean;
    d.path = net->path;
    s->origin = origin_of(p, i, g);
    s->keeps = d.winograd && !d.lean;
    enum err_code r = nn_conv_new(&d, &s->conv, e);
    if (!r)
        r = give_weights(p, i, s, e);
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
    int64_t g = nn_plan_spread(p, i);
    enum dtype type = type_of(p, i);
    int src = nn_plan_form(p, q->in[0], layout_in(p, i, q->in[0]), type);
    int sum = -1;
    if (src >= 0 && q->sum >= 0)
        sum = nn_plan_form(p, q->sum, q->layout, type);
    if (src < 0 || (q->sum >= 0 && sum < 0))
        return nn_plan_no_memory(e);
    struct nn_step *s = nn_plan_step(p, NN_STEP_CONV, i);
    if (!s)
        return nn_plan_no_memory(e);
    s->src = src;
    nn_plan_reads(p, src);
    if (sum >= 0)
        nn_plan_reads(p, sum);
    s->dst = nn_plan_writes(p, i, q->layout, type);
    if (s->dst < 0)
        return nn_plan_no_memory(e);
    struct nn_buffer *d = &net->buffer[s->dst];
    d->same_as = sum;
    if (g > 1) { /* not yet the node's value */
        d->node = -1;
        d->view.shape.c *= g;
        d->view.shape.w = (d->view.shape.w + g - 1) / g;
    }
    snprintf(s->joined, sizeof s->joined, "%s%s%s", q->norm >= 0 ? "+norm" : "",
             sum >= 0 ? "+sum" : "", q->act ? "+act" : "");
    if (q->node->op->gflop)
        s->gflop = q->node->op->gflop(q->node) * (double)net->batch;
    enum err_code r = kernel(p, i, s, g, e);
    if (r && r != ERR_NOMEM && e)
        err_wrap(e, "network: node %d (%s)", i, s->what);
    return r || g == 1 ? r : nn_plan_columns(p, i, s->dst, e);
}
