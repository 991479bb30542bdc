/* Convolution nodes: attributes, kernels, weights packed when they change. */
#include "lib/nn/conv_node.h"

#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/nn/op_conv.h"

#define MOST 65536 /* of kernels, strides, padding and dilation */

struct conv_state {
    struct nn_conv *conv;
    bool packed;
    uint64_t weight_version, bias_version; /* that were packed */
};

const char *nn_conv_attributes(const struct nn_param *weight,
                               const struct nn_param *bias,
                               const struct nn_conv_spec *s, bool transposed,
                               struct nn_conv_attr *a)
{
    if (!weight || weight->value->ndim != 4 || weight->value->dtype != DT_F32)
        return "weight must be f32 of four dimensions";
    const int64_t *w = weight->value->shape;
    *a = (struct nn_conv_attr){.kernel_h = w[2],
                               .kernel_w = w[3],
                               .stride = s->stride ? s->stride : 1,
                               .pad = s->pad,
                               .dilation = s->dilation ? s->dilation : 1,
                               .groups = s->groups ? s->groups : 1,
                               .transposed = transposed};
    if (a->stride < 1 || a->stride > MOST || a->pad < 0 || a->pad > MOST ||
        a->dilation < 1 || a->dilation > MOST || a->groups < 1 ||
        a->groups > NN_MAX_CHANNELS || w[0] < 1 || w[1] < 1 || w[2] < 1 ||
        w[2] > MOST || w[3] < 1 || w[3] > MOST)
        return "impossible geometry";
    int64_t out = transposed ? w[1] * a->groups : w[0];
    if (bias && (bias->value->ndim != 1 || bias->value->shape[0] != out ||
                 bias->value->dtype != DT_F32))
        return "bias must be f32[output channels]";
    return NULL;
}

void nn_conv_describe(const struct nn_node *n, const struct nn_view *in,
                      const struct nn_view *out, struct nn_conv_desc *d)
{
    const struct nn_conv_attr *a = nn_attr(n);
    *d = (struct nn_conv_desc){.in = *in,
                               .out = *out,
                               .kernel_h = a->kernel_h,
                               .kernel_w = a->kernel_w,
                               .stride_h = a->stride,
                               .stride_w = a->stride,
                               .pad_h = a->pad,
                               .pad_w = a->pad,
                               .dilation_h = a->dilation,
                               .dilation_w = a->dilation,
                               .groups = a->groups,
                               .transposed = a->transposed,
                               .bias = n->param[1] != NULL};
}

/* Give the kernels the weights if they are newer than those they have. */
static enum err_code pack(struct nn_exec *x, struct err *e)
{
    struct conv_state *s = x->state;
    struct nn_param *w = x->node->param[0], *b = x->node->param[1];
    uint64_t version = b ? b->version : 0;
    if (s->packed && s->weight_version == w->version &&
        s->bias_version == version)
        return OK;
    enum err_code r = nn_param_hold(w, e);
    if (r)
        return r;
    r = b ? nn_param_hold(b, e) : OK;
    if (!r) {
        r = nn_conv_weights(s->conv, tensor_f32(w->value),
                            b ? tensor_f32(b->value) : NULL, e);
        nn_param_drop(b);
    }
    nn_param_drop(w);
    s->packed = !r;
    s->weight_version = w->version;
    s->bias_version = version;
    return r;
}

enum err_code nn_conv_op_prepare(struct nn_exec *x, struct err *e)
{
    struct conv_state *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a convolution");
    x->state = s;
    struct nn_conv_desc d;
    nn_conv_describe(x->node, &x->in[0], &x->out, &d);
    d.path = x->path;
    d.winograd = x->mode == NN_FAST;
    d.want_din = x->backward && x->din_wanted[0];
    d.want_dweights = x->backward && x->dparam;
    d.training = d.want_dweights;
    enum err_code r = nn_conv_new(&d, &s->conv, e);
    if (r)
        return r;
    x->scratch_bytes = nn_conv_scratch(s->conv);
    snprintf(x->kernel, sizeof x->kernel, "%s", nn_conv_kernel(s->conv));
    r = pack(x, e);
    x->state_bytes = nn_conv_bytes(s->conv);
    return r;
}

enum err_code nn_conv_op_forward(struct nn_exec *x, struct err *e)
{
    struct conv_state *s = x->state;
    enum err_code r = pack(x, e);
    return r ? r
             : nn_conv_forward(s->conv, x->in[0].data, x->out.data, x->scratch,
                               e);
}

enum err_code nn_conv_op_backward(struct nn_exec *x, struct err *e)
{
    struct conv_state *s = x->state;
    struct nn_param *w = x->node->param[0], *b = x->node->param[1];
    enum err_code r = OK;
    if (x->dparam && w->grad)
        r = nn_conv_backward_weights(s->conv, x->in[0].data, x->dout.data,
                                     w->grad, b ? b->grad : NULL, x->scratch,
                                     e);
    if (!r && x->din[0].data)
        r = nn_conv_backward_data(s->conv, x->dout.data, x->din[0].data,
                                  x->scratch, e);
    return r;
}

void nn_conv_op_release(struct nn_exec *x)
{
    struct conv_state *s = x->state;
    if (s)
        nn_conv_free(&s->conv);
    mem_free(s);
    x->state = NULL;
}
