/* Convolution on oneDNN. */
#include "lib/nn/conv_impl.h"
#include "lib/nn/dnnl.h"

#if FACET_DNNL

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/dnnl_conv.h"
#include "lib/nn/rows.h"

struct dn {
    struct nn_view big, small; /* as the kernel takes them */
    bool copy_big, copy_small; /* the outside is something else */
    bool finish;               /* bias, activation, sum by nn_conv_finish */
    struct nn_dnnl_prim conv;
    struct nn_dnnl_prim reorder; /* of weights: into the kernel's order, or of
                                    their gradient back */
    bool plain;                  /* the kernel's order is PyTorch's */
    /* In scratch; weights_at: packed in training, or their gradient. */
    size_t big_at, small_at, sum_at, weights_at, db_at, reorder_at;
};

static void release(struct nn_conv_pass *p)
{
    struct dn *x = p->state;
    if (!x)
        return;
    nn_dnnl_free(&x->reorder);
    nn_dnnl_free(&x->conv);
    mem_free(x);
    p->state = NULL;
}

/* Try the layouts in turn until oneDNN has a kernel. */
static enum err_code choose(struct nn_conv_pass *p, struct dn *x, struct err *e)
{
    struct nn_dnnl_layouts list[NN_DNNL_LAYOUTS];
    int n = nn_dnnl_conv_layouts(p, list);
    enum err_code r = ERR_UNSUPPORTED;
    for (int i = 0; i < n && r == ERR_UNSUPPORTED; i++) {
        x->big = p->g.big;
        x->small = p->g.small;
        x->big.layout = list[i].big;
        x->small.layout = list[i].small;
        x->big.dtype = x->small.dtype = list[i].dtype;
        bool winograd = nn_dnnl_conv_winograd(p, &x->big, &x->small);
        r = nn_dnnl_conv_make(p, &x->big, &x->small, winograd, &x->conv, e);
        if (r == ERR_UNSUPPORTED && winograd)
            r = nn_dnnl_conv_make(p, &x->big, &x->small, false, &x->conv, e);
    }
    return r;
}

static bool differs(const struct nn_view *a, const struct nn_view *b)
{
    return a->layout != b->layout || a->dtype != b->dtype;
}

static void plan_scratch(struct nn_conv_pass *p, struct dn *x)
{
    size_t at = nn_conv_align(x->conv.scratch_bytes);
    x->copy_big = differs(&x->big, &p->g.big);
    x->copy_small = differs(&x->small, &p->g.small);
    x->big_at = at;
    at += x->copy_big ? nn_conv_align(nn_view_bytes(&x->big)) : 0;
    x->small_at = at;
    at += x->copy_small ? nn_conv_align(nn_view_bytes(&x->small)) : 0;
    x->sum_at = at;
    if (x->finish && p->sum)
        at += nn_conv_align(nn_view_bytes(&x->big));
    x->weights_at = at;
    if (p->op == NN_CONV_WEIGHTS) {
        at += nn_conv_align(nn_dnnl_size(&x->conv, DNNL_ARG_DIFF_WEIGHTS));
        x->db_at = at;
        at += nn_conv_align((size_t)p->g.small.shape.c * sizeof(float));
    } else if (p->training && !x->plain) {
        at += nn_conv_align(nn_dnnl_size(&x->conv, DNNL_ARG_WEIGHTS));
    }
    x->reorder_at = at;
    if (p->op == NN_CONV_WEIGHTS || p->training)
        at += nn_conv_align(x->reorder.scratch_bytes);
    p->scratch_bytes = at;
}

/* The way of weights into the kernel's order, or of their gradient back. */
static enum err_code plan_weights(struct nn_conv_pass *p, struct dn *x,
                                  struct err *e)
{
    struct nn_dnnl_tensor t = nn_dnnl_conv_plain_weights(p);
    struct nn_dnnl_form plain = {.made = false};
    enum err_code r =
        nn_dnnl_status(nn_dnnl_form_make(&plain, &t), "weights", e);
    if (r)
        return r;
    nn_dnnl_md outside = nn_dnnl_form_md(&plain);
    if (p->op == NN_CONV_WEIGHTS) {
        r = nn_dnnl_make_reorder(&x->reorder,
                                 nn_dnnl_md_of(&x->conv, DNNL_ARG_DIFF_WEIGHTS),
                                 outside, true, e);
    } else {
        nn_dnnl_md md = nn_dnnl_md_of(&x->conv, DNNL_ARG_WEIGHTS);
        x->plain = dnnl_memory_desc_equal(outside, md);
        if (!x->plain || !p->training)
            r = nn_dnnl_make_reorder(&x->reorder, outside, md, false, e);
    }
    nn_dnnl_form_free(&plain);
    return r;
}

static enum err_code make(struct nn_conv_pass *p, struct err *e)
{
    struct dn *x = mem_calloc(1, sizeof *x);
    if (!x)
        return err_set(e, ERR_NOMEM, "no memory for a convolution");
    p->state = x;
    enum err_code r = choose(p, x, e);
    if (!r)
        r = plan_weights(p, x, e);
    if (r) {
        release(p);
        return r;
    }
    /* A gradient's kernel knows no bias, activation or sum. */
    x->finish = p->op == NN_CONV_UP && (p->bias || p->act || p->sum);
    plan_scratch(p, x);
    snprintf(p->kernel, sizeof p->kernel, "%s", x->conv.kernel);
    return OK;
}

static size_t bias_bytes(const struct nn_conv_pass *p)
{
    const struct nn_view *out = p->transposed ? &p->g.big : &p->g.small;
    return p->bias ? (size_t)out->shape.c * sizeof(float) : 0;
}

static enum err_code pack(struct nn_conv_pass *p, const float *weights,
                          const float *bias, struct err *e)
{
    struct dn *x = p->state;
    if (p->op == NN_CONV_WEIGHTS || p->training)
        return OK;
    enum err_code r = nn_packed_renew(
        &p->packed, nn_dnnl_size(&x->conv, DNNL_ARG_WEIGHTS), bias_bytes(p), e);
    if (r)
        return r;
    if (p->bias)
        memcpy(p->packed->bias, bias, bias_bytes(p));
    const struct nn_dnnl_arg a[] = {{DNNL_ARG_FROM, weights},
                                    {DNNL_ARG_TO, p->packed->weights}};
    /* Winograd's way there needs as much again, but only once. */
    size_t n = x->reorder.scratch_bytes;
    void *scratch = n ? mem_map(n) : NULL;
    if (n && !scratch)
        return err_set(e, ERR_NOMEM, "no memory to pack weights (%zu bytes)",
                       n);
    r = nn_dnnl_run(&x->reorder, a, 2, scratch, e);
    mem_unmap(scratch, n);
    return r;
}

static bool same(const struct nn_conv_pass *p, const struct nn_conv_pass *q)
{
    const struct dn *x = p->state, *y = q->state;
    return bias_bytes(p) == bias_bytes(q) &&
           dnnl_memory_desc_equal(nn_dnnl_md_of(&x->conv, DNNL_ARG_WEIGHTS),
                                  nn_dnnl_md_of(&y->conv, DNNL_ARG_WEIGHTS));
}

/* Data where the kernel reads or writes it: outside, or a copy. */
static void place(const struct nn_view *outside, struct nn_view *inside,
                  bool copy, bool load, const void *data, void *scratch)
{
    struct nn_view v = *outside;
    v.data = (void *)(uintptr_t)data; /* written only if it is the result */
    inside->data = copy ? scratch : v.data;
    if (copy && load)
        nn_convert(&v, inside, false);
}

/* The weights as the kernel takes them; in training they are packed here. */
static enum err_code ready(const struct nn_conv_pass *p, struct dn *x,
                           const float *weights, uint8_t *scratch,
                           const void **out, struct err *e)
{
    *out = p->training ? weights : p->packed->weights;
    if (!p->training || x->plain)
        return OK;
    *out = scratch + x->weights_at;
    const struct nn_dnnl_arg a[] = {{DNNL_ARG_FROM, weights},
                                    {DNNL_ARG_TO, *out}};
    return nn_dnnl_run(&x->reorder, a, 2, scratch + x->reorder_at, e);
}

static enum err_code run_down(struct nn_conv_pass *p, struct dn *x,
                              const void *weights, const float *bias,
                              void *scratch, struct err *e)
{
    const struct nn_dnnl_arg a[] = {{DNNL_ARG_SRC, x->big.data},
                                    {DNNL_ARG_WEIGHTS, weights},
                                    {DNNL_ARG_DST, x->small.data},
                                    {DNNL_ARG_BIAS, bias}};
    return nn_dnnl_run(&x->conv, a, p->bias ? 4 : 3, scratch, e);
}

static enum err_code run_up(struct nn_conv_pass *p, struct dn *x,
                            const void *weights, const float *bias,
                            uint8_t *scratch, struct err *e)
{
    struct nn_dnnl_arg a[] = {{DNNL_ARG_DIFF_DST, x->small.data},
                              {DNNL_ARG_WEIGHTS, weights},
                              {DNNL_ARG_DIFF_SRC, x->big.data}};
    void *before = NULL;
    if (x->finish && p->sum) {
        before = scratch + x->sum_at;
        memcpy(before, x->big.data, nn_view_bytes(&x->big));
    }
    enum err_code r = nn_dnnl_run(&x->conv, a, 3, scratch, e);
    if (!r && x->finish)
        nn_conv_finish(&x->big, before, bias, p->act, p->alpha);
    return r;
}

static enum err_code run_weights(struct nn_conv_pass *p, struct dn *x,
                                 const struct nn_conv_run *r, struct err *e)
{
    uint8_t *scratch = r->scratch;
    float *db = (float *)(void *)(scratch + x->db_at);
    bool kernel_bias = p->bias && !p->transposed;
    const struct nn_dnnl_arg a[] = {
        {DNNL_ARG_SRC, x->big.data},
        {DNNL_ARG_DIFF_DST, x->small.data},
        {DNNL_ARG_DIFF_WEIGHTS, scratch + x->weights_at},
        {DNNL_ARG_DIFF_BIAS, db}};
    enum err_code c = nn_dnnl_run(&x->conv, a, kernel_bias ? 4 : 3, scratch, e);
    const struct nn_dnnl_arg back[] = {{DNNL_ARG_FROM, scratch + x->weights_at},
                                       {DNNL_ARG_TO, r->dweights}};
    if (!c)
        c = nn_dnnl_run(&x->reorder, back, 2, scratch + x->reorder_at, e);
    if (c || !r->dbias)
        return c;
    if (kernel_bias) {
        for (int64_t i = 0; i < p->g.small.shape.c; i++)
            r->dbias[i] += db[i];
    } else {
        nn_conv_bias_grad(p->transposed ? &x->big : &x->small, r->dbias);
    }
    return OK;
}

static enum err_code run(struct nn_conv_pass *p, const struct nn_conv_run *r,
                         struct err *e)
{
    struct dn *x = p->state;
    uint8_t *scratch = r->scratch;
    bool up = p->op == NN_CONV_UP, down = p->op == NN_CONV_DOWN;
    place(&p->g.big, &x->big, x->copy_big, !up || p->sum,
          up ? r->out : r->big_in, scratch + x->big_at);
    place(&p->g.small, &x->small, x->copy_small, !down || p->sum,
          down ? r->out : r->small_in, scratch + x->small_at);
    if (p->op == NN_CONV_WEIGHTS)
        return run_weights(p, x, r, e);
    const void *weights;
    const float *bias = p->training ? r->bias : p->packed->bias;
    enum err_code c = ready(p, x, r->weights, scratch, &weights, e);
    if (!c)
        c = up ? run_up(p, x, weights, bias, scratch, e)
               : run_down(p, x, weights, bias, scratch, e);
    struct nn_view out = up ? p->g.big : p->g.small;
    out.data = r->out;
    if (!c && (up ? x->copy_big : x->copy_small))
        nn_convert(up ? &x->big : &x->small, &out, false);
    return c;
}

const struct nn_conv_method nn_conv_by_dnnl = {
    .make = make, .pack = pack, .same = same, .run = run, .free = release};

#endif
