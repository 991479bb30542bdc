/* Which of oneDNN's convolution kernels are asked for, and in what order. */
#include "lib/nn/dnnl_conv.h"

#if FACET_DNNL

/* Dimensions of the weights: groups first where there are any. */
static int weight_dims(const struct nn_conv_geometry *g, dnnl_dims_t d)
{
    int n = 0;
    if (g->groups > 1)
        d[n++] = g->groups;
    d[n++] = g->small.shape.c / g->groups;
    d[n++] = g->big.shape.c / g->groups;
    d[n++] = g->kernel_h;
    d[n++] = g->kernel_w;
    return n;
}

static struct nn_dnnl_tensor weights_of(const struct nn_conv_geometry *g,
                                        dnnl_data_type_t type,
                                        dnnl_format_tag_t tag)
{
    struct nn_dnnl_tensor t = {.type = type, .tag = tag};
    t.n = weight_dims(g, t.d);
    return t;
}

struct nn_dnnl_tensor nn_dnnl_conv_plain_weights(const struct nn_conv_pass *p)
{
    return weights_of(&p->g, dnnl_f32,
                      p->g.groups > 1 ? dnnl_goihw : dnnl_oihw);
}

/* What the strides leave over at the far side is no padding: it may well be
 * negative. */
static int64_t pad_after(int64_t big, int64_t small, int64_t kernel,
                         int64_t stride, int64_t dilation, int64_t before)
{
    return (small - 1) * stride + dilation * (kernel - 1) + 1 - big - before;
}

/* Is there a place along one axis where the kernel meets nothing but padding?
 * The first tap that is not before the picture lies behind it, or there is
 * none. */
static bool blind(int64_t big, int64_t small, int64_t kernel, int64_t stride,
                  int64_t before, int64_t dilation)
{
    for (int64_t i = 0; i < small; i++) {
        int64_t at = i * stride - before;
        int64_t tap = at < 0 ? (-at + dilation - 1) / dilation : 0;
        if (tap >= kernel || at + tap * dilation >= big)
            return true;
    }
    return false;
}

/* oneDNN takes it for a mistake if a whole stride is left over at the far side,
 * as a dilated transposed convolution's output padding may do. Its brgconv
 * kernels crash (2.6) where there is nothing to sum but there are
 * post-operations, and give wrong results (3.7) from one channel to a picture
 * one pixel wide. */
static bool beyond(const struct nn_conv_pass *p, const struct nn_dnnl_op *s)
{
    const struct nn_conv_geometry *g = &p->g;
    struct nn_shape b = g->big.shape, m = g->small.shape;
    return s->after[0] <= -g->stride_h || s->after[1] <= -g->stride_w ||
           (p->op == NN_CONV_DOWN && ((b.c == 1 && m.w == 1) ||
                                      blind(b.h, m.h, g->kernel_h, g->stride_h,
                                            g->pad_h, g->dilation_h) ||
                                      blind(b.w, m.w, g->kernel_w, g->stride_w,
                                            g->pad_w, g->dilation_w)));
}

/* The pass as oneDNN wants to have it described: a forward one; what a gradient
 * has different is the caller's. */
static enum err_code describe(const struct nn_conv_pass *p,
                              const struct nn_view *big,
                              const struct nn_view *small, bool winograd,
                              struct nn_dnnl_op *op, struct err *e)
{
    const struct nn_conv_geometry *g = &p->g;
    struct nn_shape b = big->shape, m = small->shape;
    *op = (struct nn_dnnl_op){
        .kind = NN_DNNL_CONV,
        .prop = dnnl_forward_training,
        .alg = winograd ? dnnl_convolution_winograd : dnnl_convolution_direct,
        .src = nn_dnnl_view(big),
        .weights = weights_of(g, nn_dnnl_type(big->dtype), dnnl_format_tag_any),
        .dst = nn_dnnl_view(small),
        .stride = {g->stride_h, g->stride_w},
        .dilation = {g->dilation_h - 1, g->dilation_w - 1},
        .before = {g->pad_h, g->pad_w},
        .after = {pad_after(b.h, m.h, g->kernel_h, g->stride_h, g->dilation_h,
                            g->pad_h),
                  pad_after(b.w, m.w, g->kernel_w, g->stride_w, g->dilation_w,
                            g->pad_w)},
    };
    if (beyond(p, op))
        return err_set(e, ERR_UNSUPPORTED, "oneDNN: convolution: such sizes");
    return OK;
}

static struct nn_dnnl_tensor bias_of(const struct nn_conv_pass *p)
{
    return (struct nn_dnnl_tensor){1, {p->g.small.shape.c}, dnnl_f32, dnnl_x};
}

/* Sum and activation as post-operations of a forward kernel. */
static dnnl_status_t post_ops(const struct nn_conv_pass *p,
                              dnnl_primitive_attr_t attr)
{
    static const dnnl_alg_kind_t kind[] = {
        [NN_ACT_RELU] = dnnl_eltwise_relu,
        [NN_ACT_LEAKY] = dnnl_eltwise_relu,
        [NN_ACT_SIGMOID] = dnnl_eltwise_logistic,
        [NN_ACT_TANH] = dnnl_eltwise_tanh,
        [NN_ACT_SILU] = dnnl_eltwise_swish,
    };
    if (!p->sum && !p->act)
        return dnnl_success;
    float alpha = p->act == NN_ACT_LEAKY  ? p->alpha
                  : p->act == NN_ACT_SILU ? 1.0F
                                          : 0.0F;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = dnnl_post_ops_create(&ops);
    if (!s && p->sum)
        s = nn_dnnl_append_sum(ops);
    if (!s && p->act)
        s = nn_dnnl_append_eltwise(ops, kind[p->act], alpha);
    if (!s)
        s = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (ops)
        (void)dnnl_post_ops_destroy(ops);
    return s;
}

static enum err_code make_down(const struct nn_conv_pass *p,
                               struct nn_dnnl_op *op, struct nn_dnnl_prim *out,
                               struct err *e)
{
    static const int args[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST,
                               DNNL_ARG_BIAS};
    dnnl_primitive_attr_t attr = nn_dnnl_attr(e);
    if (!attr)
        return ERR_NOMEM;
    /* In inference Winograd's weights are transformed once, when packed, unless
     * each run is to do it. */
    bool each = p->lean && op->alg == dnnl_convolution_winograd;
    op->prop =
        p->training || each ? dnnl_forward_training : dnnl_forward_inference;
    if (p->bias)
        op->bias = bias_of(p);
    enum err_code r = nn_dnnl_status(post_ops(p, attr), "post-ops", e);
    if (!r)
        r = nn_dnnl_make(out, op, attr, NULL, args, p->bias ? 4 : 3,
                         "convolution", e);
    (void)dnnl_primitive_attr_destroy(attr);
    return r;
}

/* Gradients want to see the forward primitive; any kernel of it will do. */
static enum err_code make_gradient(const struct nn_conv_pass *p,
                                   const struct nn_dnnl_op *forward,
                                   struct nn_dnnl_prim *out, struct err *e)
{
    static const int up[] = {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS,
                             DNNL_ARG_DIFF_SRC};
    static const int weights[] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST,
                                  DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS};
    bool bias = p->bias && !p->transposed && p->op == NN_CONV_WEIGHTS;
    struct nn_dnnl_op op = *forward;
    struct nn_dnnl_offers hint = {0};
    dnnl_primitive_attr_t attr = nn_dnnl_attr(e);
    if (!attr)
        return ERR_NOMEM;
    op.alg = dnnl_convolution_direct;
    dnnl_status_t st =
        nn_dnnl_offers_first(&hint, &op, nn_dnnl_engine(e), NULL, NULL);
    dnnl_primitive_desc_t hint_pd = nn_dnnl_offers_end(&hint);
    enum err_code r = nn_dnnl_status(st, "convolution's gradient", e);
    op.alg = forward->alg;
    if (p->op == NN_CONV_UP) {
        op.kind = NN_DNNL_CONV_DATA;
    } else {
        /* Gradients of weights are summed and kept in f32 whatever comes in. */
        op.kind = NN_DNNL_CONV_WEIGHTS;
        op.weights.type = dnnl_f32;
        if (bias)
            op.bias = bias_of(p);
    }
    if (!r)
        r = nn_dnnl_make(out, &op, attr, hint_pd,
                         p->op == NN_CONV_UP ? up : weights, bias ? 4 : 3,
                         "convolution's gradient", e);
    if (hint_pd)
        (void)dnnl_primitive_desc_destroy(hint_pd);
    (void)dnnl_primitive_attr_destroy(attr);
    return r;
}

enum err_code nn_dnnl_conv_make(const struct nn_conv_pass *p,
                                const struct nn_view *big,
                                const struct nn_view *small, bool winograd,
                                struct nn_dnnl_prim *prim, struct err *e)
{
    struct nn_dnnl_op op;
    if (!nn_dnnl_engine(e))
        return ERR_STATE;
    enum err_code r = describe(p, big, small, winograd, &op, e);
    if (r)
        return r;
    return p->op == NN_CONV_DOWN ? make_down(p, &op, prim, e)
                                 : make_gradient(p, &op, prim, e);
}

bool nn_dnnl_conv_winograd(const struct nn_conv_pass *p,
                           const struct nn_view *big,
                           const struct nn_view *small)
{
    const struct nn_conv_geometry *g = &p->g;
    (void)small;
    return p->winograd && big->layout == NN_BLOCK16 && big->dtype == DT_F32 &&
           g->kernel_h == 3 && g->kernel_w == 3 && g->stride_h == 1 &&
           g->stride_w == 1 && g->dilation_h == 1 && g->dilation_w == 1 &&
           g->groups == 1;
}

/* Append unless it is there. */
static int add(struct nn_dnnl_layouts *list, int n, enum nn_layout big,
               enum nn_layout small, enum dtype dtype)
{
    for (int i = 0; i < n; i++) {
        if (list[i].big == big && list[i].small == small &&
            list[i].dtype == dtype)
            return n;
    }
    if (n < NN_DNNL_LAYOUTS)
        list[n++] = (struct nn_dnnl_layouts){big, small, dtype};
    return n;
}

static int blocks_alone(struct nn_dnnl_layouts *list, int n)
{
    int k = 0;
    for (int i = 0; i < n; i++) {
        if (list[i].big == NN_BLOCK16 && list[i].small == NN_BLOCK16)
            list[k++] = list[i];
    }
    return k;
}

int nn_dnnl_conv_layouts(const struct nn_conv_pass *p,
                         struct nn_dnnl_layouts *list)
{
    const struct nn_conv_geometry *g = &p->g;
    bool bf16 =
        (g->big.dtype == DT_BF16 || g->small.dtype == DT_BF16) && nn_has_bf16();
    /* oneDNN 2.6's jit_bf16_1x1 gives wrong gradients for an odd number of
     * channels below 16, wherever it takes 30 pixels at a time. */
    if (p->op == NN_CONV_UP && g->kernel_h == 1 && g->kernel_w == 1 &&
        g->small.shape.c < 16 && g->small.shape.c % 2)
        bf16 = false;
    /* Its bf16 gradients of weights read memory that nobody wrote where a row
     * is shorter than a stride. */
    if (p->op == NN_CONV_WEIGHTS && g->big.shape.w < g->stride_w)
        bf16 = false;
    enum dtype t = bf16 ? DT_BF16 : DT_F32;
    int n = 0;
    /* Few channels in: AVX-512 kernels read them from PyTorch's order and write
     * blocks; in blocks most of their work would go into the padding. Where
     * all is channels-last already, kernels for that lose least. */
    bool last = g->big.layout == NN_LAST && g->small.layout == NN_LAST;
    bool pointwise = p->op == NN_CONV_WEIGHTS && g->kernel_h * g->kernel_w == 1;
    if (g->big.shape.c < 16 && g->groups == 1 && p->op != NN_CONV_UP &&
        g->small.shape.c >= 16 && !last && !pointwise) {
        n = add(list, n, NN_PLAIN, NN_BLOCK16, t);
        n = add(list, n, NN_LAST, NN_LAST, t);
    }
    if (g->small.shape.c < 16 && g->groups == 1 && p->op == NN_CONV_UP)
        n = add(list, n, NN_LAST, NN_LAST, t);
    if (g->big.layout == g->small.layout)
        n = add(list, n, g->big.layout, g->small.layout, t);
    if (nn_conv_has_block16())
        n = add(list, n, NN_BLOCK16, NN_BLOCK16, t);
    n = add(list, n, NN_LAST, NN_LAST, t);
    n = add(list, n, NN_PLAIN, NN_PLAIN, t);
    /* oneDNN (2.6 to 3.7) races with itself on weights of 1x1 with strides for
     * less than 16 channels-last: with two threads, now and then other
     * gradients. Version 3 takes that kernel for the plain order too. */
    if (pointwise && g->stride_h * g->stride_w > 1 && g->big.shape.c < 16)
        n = blocks_alone(list, n);
    return n;
}

#endif
