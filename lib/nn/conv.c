/* Convolutions: descriptions checked, passes given to the method that can. */
#include "lib/nn/conv.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/conv_impl.h"

#define MAX_SIDE (1 << 24) /* of kernels, strides and the like: no overflow */

enum { FORWARD, DATA, WEIGHTS, PASSES };

struct nn_conv {
    struct nn_conv_pass pass[PASSES];
    struct nn_packed *plain; /* copies, where a method reads PyTorch's order */
    const float *weights, *bias; /* these, or in training the caller's */
    bool training, wants_plain, shared;
    int64_t count, channels; /* of weights, of the bias */
    bool has_bias, packed;
};

static bool in_range(int64_t v, int64_t least)
{
    return v >= least && v <= MAX_SIDE;
}

static enum err_code check_view(const struct nn_view *v, const char *name,
                                struct err *e)
{
    struct nn_shape s = v->shape;
    if (v->dtype != DT_F32 && v->dtype != DT_BF16)
        return err_set(e, ERR_ARG, "convolution: %s must be f32 or bf16", name);
    if (!in_range(v->batch, 1) || !in_range(s.c, 1) || !in_range(s.h, 1) ||
        !in_range(s.w, 1))
        return err_set(e, ERR_ARG, "convolution: %s of impossible size", name);
    size_t n = (size_t)v->batch;
    if (!size_mul(n, (size_t)(s.c + 15), &n) || !size_mul(n, (size_t)s.h, &n) ||
        !size_mul(n, (size_t)s.w, &n) || n > (size_t)1 << 40)
        return err_set(e, ERR_ARG, "convolution: %s is too large", name);
    return OK;
}

/* One axis: does the kernel take `big` to `small` pixels? Where `free`, the
 * last pixels of big need not be reached (a transposed one's output padding
 * may be wider than the stride where it is dilated). */
static bool fits(int64_t big, int64_t small, int64_t kernel, int64_t stride,
                 int64_t pad, int64_t dilation, bool transposed)
{
    int64_t extent = dilation * (kernel - 1) + 1, room = big + 2 * pad;
    if (!transposed)
        return room >= extent && (room - extent) / stride + 1 == small;
    int64_t rest = room - extent - (small - 1) * stride;
    return rest >= 0 && rest < (stride > dilation ? stride : dilation);
}

static enum err_code check(const struct nn_conv_desc *d, struct err *e)
{
    enum err_code r = check_view(&d->in, "its input", e);
    if (!r)
        r = check_view(&d->out, "its output", e);
    if (r)
        return r;
    if (!in_range(d->kernel_h, 1) || !in_range(d->kernel_w, 1) ||
        !in_range(d->stride_h, 1) || !in_range(d->stride_w, 1) ||
        !in_range(d->pad_h, 0) || !in_range(d->pad_w, 0) ||
        !in_range(d->dilation_h, 1) || !in_range(d->dilation_w, 1) ||
        !in_range(d->groups, 1))
        return err_set(e, ERR_ARG,
                       "convolution: impossible kernel, stride, padding, "
                       "dilation or groups");
    if (d->in.batch != d->out.batch)
        return err_set(e, ERR_ARG, "convolution: batches of %lld and %lld",
                       (long long)d->in.batch, (long long)d->out.batch);
    if (d->in.shape.c % d->groups || d->out.shape.c % d->groups)
        return err_set(e, ERR_ARG,
                       "convolution: %lld and %lld channels in %lld groups",
                       (long long)d->in.shape.c, (long long)d->out.shape.c,
                       (long long)d->groups);
    const struct nn_shape *big = d->transposed ? &d->out.shape : &d->in.shape;
    const struct nn_shape *small = d->transposed ? &d->in.shape : &d->out.shape;
    if (!fits(big->h, small->h, d->kernel_h, d->stride_h, d->pad_h,
              d->dilation_h, d->transposed) ||
        !fits(big->w, small->w, d->kernel_w, d->stride_w, d->pad_w,
              d->dilation_w, d->transposed))
        return err_set(e, ERR_ARG,
                       "convolution: %lldx%lld does not become %lldx%lld with "
                       "this geometry",
                       (long long)d->in.shape.h, (long long)d->in.shape.w,
                       (long long)d->out.shape.h, (long long)d->out.shape.w);
    if ((d->want_din || d->want_dweights) && (d->act || d->sum))
        return err_set(e, ERR_ARG,
                       "convolution: no gradients through a fused activation "
                       "or sum");
    size_t n = (size_t)d->in.shape.c;
    if (!size_mul(n, (size_t)d->out.shape.c, &n) ||
        !size_mul(n, (size_t)d->kernel_h, &n) ||
        !size_mul(n, (size_t)d->kernel_w, &n) || n > (size_t)1 << 38)
        return err_set(e, ERR_ARG, "convolution: its weights are too large");
    if (d->path == NN_PATH_DNNL && !nn_has_dnnl())
        return err_set(e, ERR_UNSUPPORTED, "convolution: built without oneDNN");
    return OK;
}

static struct nn_conv_pass describe(const struct nn_conv_desc *d, int which)
{
    struct nn_conv_pass p = {
        .g = {.big = d->transposed ? d->out : d->in,
              .small = d->transposed ? d->in : d->out,
              .kernel_h = d->kernel_h,
              .kernel_w = d->kernel_w,
              .stride_h = d->stride_h,
              .stride_w = d->stride_w,
              .pad_h = d->pad_h,
              .pad_w = d->pad_w,
              .dilation_h = d->dilation_h,
              .dilation_w = d->dilation_w,
              .groups = d->groups},
        .transposed = d->transposed,
        .backward = which != FORWARD,
        .winograd = d->winograd,
        .lean = d->lean,
        .training = d->training,
        .alpha = d->alpha,
    };
    if (which == WEIGHTS) {
        p.op = NN_CONV_WEIGHTS;
        p.bias = d->bias;
    } else {
        p.op = (which == DATA) == d->transposed ? NN_CONV_DOWN : NN_CONV_UP;
    }
    if (which == FORWARD) {
        p.bias = d->bias;
        p.sum = d->sum;
        p.act = d->act;
    }
    return p;
}

static enum err_code prepare(struct nn_conv_pass *p, enum nn_path path,
                             struct err *e)
{
    const struct nn_conv_method *list[] = {
        &nn_conv_thin,
#if FACET_DNNL
        &nn_conv_by_dnnl,
#endif
        &nn_conv_by_blas,
        NULL
    };
    enum err_code r = ERR_UNSUPPORTED;
    for (int i = 0; list[i] && r == ERR_UNSUPPORTED; i++) {
        if (path == NN_PATH_BLAS && list[i] != &nn_conv_by_blas)
            continue;
        r = list[i]->make(p, e);
        if (!r)
            p->method = list[i];
    }
    return r;
}

static enum err_code prepare_all(struct nn_conv *c,
                                 const struct nn_conv_desc *d, struct err *e)
{
    bool want[PASSES] = {true, d->want_din, d->want_dweights};
    enum err_code r = OK;
    for (int i = 0; i < PASSES && !r; i++) {
        if (!want[i])
            continue;
        c->pass[i] = describe(d, i);
        r = prepare(&c->pass[i], d->path, e);
        c->wants_plain =
            c->wants_plain || (!r && c->pass[i].method->plain && !d->training);
    }
    c->count = nn_conv_count(&c->pass[FORWARD].g);
    c->channels = d->out.shape.c;
    c->has_bias = d->bias;
    c->training = d->training;
    return r;
}

enum err_code nn_conv_new(const struct nn_conv_desc *d, struct nn_conv **out,
                          struct err *e)
{
    *out = NULL;
    enum err_code r = check(d, e);
    if (r)
        return r;
    struct nn_conv *c = mem_calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for a convolution");
    r = prepare_all(c, d, e);
    if (r)
        nn_conv_free(&c);
    *out = c;
    return r;
}

void nn_conv_free(struct nn_conv **c)
{
    if (!c || !*c)
        return;
    for (int i = 0; i < PASSES; i++) {
        struct nn_conv_pass *p = &(*c)->pass[i];
        if (p->method)
            p->method->free(p);
        nn_packed_free(&p->packed);
    }
    nn_packed_free(&(*c)->plain);
    mem_free(*c);
    *c = NULL;
}

static void point(struct nn_conv *c, const float *weights, const float *bias)
{
    c->weights = c->plain ? c->plain->weights : weights;
    c->bias = c->plain ? c->plain->bias : bias;
    if (!c->plain && !c->training)
        c->weights = c->bias = NULL;
    c->packed = true;
}

static enum err_code copy_plain(struct nn_conv *c, const float *weights,
                                const float *bias, struct err *e)
{
    size_t n = (size_t)c->count * sizeof *weights;
    size_t nb = c->has_bias ? (size_t)c->channels * sizeof *bias : 0;
    enum err_code r = nn_packed_renew(&c->plain, n, nb, e);
    if (r)
        return r;
    memcpy(c->plain->weights, weights, n);
    if (nb)
        memcpy(c->plain->bias, bias, nb);
    return OK;
}

enum err_code nn_conv_weights(struct nn_conv *c, const float *weights,
                              const float *bias, struct err *e)
{
    if (c->has_bias != (bias != NULL))
        return err_set(e, ERR_ARG, "convolution: %s",
                       bias ? "a bias, and it was prepared without"
                            : "its bias is missing");
    enum err_code r = c->wants_plain ? copy_plain(c, weights, bias, e) : OK;
    c->packed = c->shared = false;
    for (int i = 0; i < PASSES && !r; i++) {
        struct nn_conv_pass *p = &c->pass[i];
        if (p->method && p->method->pack)
            r = p->method->pack(p, weights, bias, e);
    }
    if (!r)
        point(c, weights, bias);
    return r;
}

/* Would pass p pack the weights of q, which is packed, as q has? */
static bool may_share(const struct nn_conv_pass *p,
                      const struct nn_conv_pass *q)
{
    if (!p->method)
        return true;
    return p->method == q->method && p->op == q->op &&
           nn_conv_count(&p->g) == nn_conv_count(&q->g) &&
           (!p->method->same || p->method->same(p, q));
}

bool nn_conv_share(struct nn_conv *c, const struct nn_conv *from)
{
    if (!from->packed || c->training || from->training ||
        c->has_bias != from->has_bias || (c->wants_plain && !from->plain))
        return false;
    for (int i = 0; i < PASSES; i++) {
        if (!may_share(&c->pass[i], &from->pass[i]))
            return false;
    }
    for (int i = 0; i < PASSES; i++) {
        struct nn_packed *q = from->pass[i].packed;
        nn_packed_free(&c->pass[i].packed);
        if (c->pass[i].method && q)
            c->pass[i].packed = nn_packed_ref(q);
    }
    nn_packed_free(&c->plain);
    if (c->wants_plain)
        c->plain = nn_packed_ref(from->plain);
    point(c, NULL, NULL);
    c->shared = true;
    return true;
}

size_t nn_conv_scratch(const struct nn_conv *c)
{
    size_t most = 0;
    for (int i = 0; i < PASSES; i++) {
        if (c->pass[i].scratch_bytes > most)
            most = c->pass[i].scratch_bytes;
    }
    return most;
}

size_t nn_conv_bytes(const struct nn_conv *c)
{
    size_t sum = c->plain ? c->plain->bytes : 0;
    for (int i = 0; i < PASSES; i++)
        sum += c->pass[i].packed ? c->pass[i].packed->bytes : 0;
    return c->shared ? 0 : sum;
}

const char *nn_conv_kernel(const struct nn_conv *c)
{
    return c->pass[FORWARD].kernel;
}

static enum err_code run(struct nn_conv *c, int which,
                         const struct nn_conv_run *given, struct err *e)
{
    struct nn_conv_pass *p = &c->pass[which];
    if (!p->method)
        return err_set(e, ERR_STATE, "convolution: pass was not prepared");
    if (!c->packed && which != WEIGHTS)
        return err_set(e, ERR_STATE, "convolution: no weights given yet");
    struct nn_conv_run r = *given;
    r.weights = c->weights;
    r.bias = c->bias;
    return p->method->run(p, &r, e);
}

enum err_code nn_conv_forward(struct nn_conv *c, const void *src, void *dst,
                              void *scratch, struct err *e)
{
    struct nn_conv_run r = {.out = dst, .scratch = scratch};
    if (c->pass[FORWARD].transposed)
        r.small_in = src;
    else
        r.big_in = src;
    return run(c, FORWARD, &r, e);
}

enum err_code nn_conv_backward_data(struct nn_conv *c, const void *ddst,
                                    void *dsrc, void *scratch, struct err *e)
{
    struct nn_conv_run r = {.out = dsrc, .scratch = scratch};
    if (c->pass[FORWARD].transposed)
        r.big_in = ddst;
    else
        r.small_in = ddst;
    return run(c, DATA, &r, e);
}

enum err_code nn_conv_backward_weights(struct nn_conv *c, const void *src,
                                       const void *ddst, float *dweights,
                                       float *dbias, void *scratch,
                                       struct err *e)
{
    bool t = c->pass[FORWARD].transposed;
    struct nn_conv_run r = {.big_in = t ? ddst : src,
                            .small_in = t ? src : ddst,
                            .dweights = dweights,
                            .dbias = dbias,
                            .scratch = scratch};
    return run(c, WEIGHTS, &r, e);
}
