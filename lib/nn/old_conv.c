/* 2-D convolution on oneDNN: the only module that includes dnnl.h. */
#include "lib/nn/old_conv.h"

#include <dnnl.h>
#include <string.h>

#include "lib/base/mem.h"

struct nv_conv {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t prim;
    dnnl_memory_t src, weights, bias, dst, scratch;
    void *weight_bytes; /* ours, in the kernel's order */
    float *bias_bytes;
    size_t scratch_bytes;
    const char *kernel;
};

static enum err_code check(dnnl_status_t s, const char *what, struct err *e)
{
    switch (s) {
    case dnnl_success:
        return OK;
    case dnnl_out_of_memory:
        return err_set(e, ERR_NOMEM, "oneDNN: %s: no memory", what);
    case dnnl_unimplemented:
        return err_set(e, ERR_UNSUPPORTED, "oneDNN: %s: no such kernel", what);
    default:
        return err_set(e, ERR_STATE, "oneDNN: %s: status %d", what, (int)s);
    }
}

bool nv_conv_has_winograd(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_avx512_core:
    case dnnl_cpu_isa_avx512_core_vnni:
    case dnnl_cpu_isa_avx512_core_bf16:
    case dnnl_cpu_isa_avx512_core_amx:
        return true;
    default:
        return false;
    }
}

void nv_conv_free(struct nv_conv **c)
{
    if (!c || !*c)
        return;
    struct nv_conv *x = *c;
    dnnl_memory_t m[] = {x->src, x->weights, x->bias, x->dst, x->scratch};
    for (size_t i = 0; i < sizeof m / sizeof *m; i++) {
        if (m[i])
            dnnl_memory_destroy(m[i]);
    }
    if (x->prim)
        dnnl_primitive_destroy(x->prim);
    if (x->pd)
        dnnl_primitive_desc_destroy(x->pd);
    if (x->stream)
        dnnl_stream_destroy(x->stream);
    if (x->engine)
        dnnl_engine_destroy(x->engine);
    mem_free(x->weight_bytes);
    mem_free(x->bias_bytes);
    mem_free(x);
    *c = NULL;
}

static dnnl_format_tag_t tag_of(enum nn_layout l)
{
    switch (l) {
    case NN_PLAIN:
        return dnnl_nchw;
    case NN_BLOCK16:
        return dnnl_nChw16c;
    default:
        return dnnl_nhwc;
    }
}

static enum err_code describe(const struct nv_conv_desc *d, bool bias,
                              bool winograd, dnnl_convolution_desc_t *cd,
                              struct err *e)
{
    dnnl_dims_t in = {d->batch, d->in.c, d->in.h, d->in.w};
    dnnl_dims_t out = {d->batch, d->out.c, d->out.h, d->out.w};
    dnnl_dims_t wd = {d->out.c, d->in.c, d->kernel_h, d->kernel_w};
    dnnl_dims_t bd = {d->out.c};
    dnnl_dims_t stride = {d->stride, d->stride};
    dnnl_dims_t before = {d->pad, d->pad};
    /* What the strides leave over at the far side is no padding at all. */
    dnnl_dims_t after = {
        (d->out.h - 1) * d->stride + d->kernel_h - d->in.h - d->pad,
        (d->out.w - 1) * d->stride + d->kernel_w - d->in.w - d->pad};
    dnnl_memory_desc_t src, dst, wei, bia;
    enum err_code r = check(dnnl_memory_desc_init_by_tag(&src, 4, in, dnnl_f32,
                                                         tag_of(d->in_layout)),
                            "source", e);
    if (!r)
        r = check(dnnl_memory_desc_init_by_tag(&dst, 4, out, dnnl_f32,
                                               tag_of(d->out_layout)),
                  "destination", e);
    if (!r)
        r = check(dnnl_memory_desc_init_by_tag(&wei, 4, wd, dnnl_f32,
                                               dnnl_format_tag_any),
                  "weights", e);
    if (!r)
        r = check(dnnl_memory_desc_init_by_tag(&bia, 1, bd, dnnl_f32, dnnl_x),
                  "bias", e);
    if (!r)
        r = check(
            dnnl_convolution_forward_desc_init(
                cd, dnnl_forward_inference,
                winograd ? dnnl_convolution_winograd : dnnl_convolution_direct,
                &src, &wei, bias ? &bia : NULL, &dst, stride, before, after),
            "convolution", e);
    return r;
}

static enum err_code choose(struct nv_conv *x, const struct nv_conv_desc *d,
                            bool bias, struct err *e)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    enum err_code r = check(dnnl_primitive_attr_create(&attr), "attributes", e);
    if (!r)
        r = check(dnnl_primitive_attr_set_scratchpad_mode(
                      attr, dnnl_scratchpad_mode_user),
                  "attributes", e);
    if (!r && d->relu) {
        r = check(dnnl_post_ops_create(&ops), "post-ops", e);
        if (!r)
            r = check(dnnl_post_ops_append_eltwise(ops, 1.0F, dnnl_eltwise_relu,
                                                   0, 0),
                      "post-ops", e);
        if (!r)
            r = check(dnnl_primitive_attr_set_post_ops(attr, ops), "post-ops",
                      e);
    }
    dnnl_status_t s = dnnl_unimplemented;
    for (int wino = d->winograd; wino >= 0 && !r && s; wino--) {
        dnnl_convolution_desc_t cd;
        r = describe(d, bias, wino, &cd, e);
        if (!r)
            s = dnnl_primitive_desc_create(&x->pd, &cd, attr, x->engine, NULL);
    }
    if (!r)
        r = check(s, "convolution", e);
    if (ops)
        dnnl_post_ops_destroy(ops);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return r;
}

/* Copy the weights from o,i,h,w into the order that the kernel wants. */
static enum err_code pack_weights(struct nv_conv *x,
                                  const struct nv_conv_desc *d,
                                  const float *weights, struct err *e)
{
    const dnnl_memory_desc_t *md =
        dnnl_primitive_desc_query_md(x->pd, dnnl_query_weights_md, 0);
    dnnl_dims_t wd = {d->out.c, d->in.c, d->kernel_h, d->kernel_w};
    dnnl_memory_desc_t plain;
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    size_t n = dnnl_memory_desc_get_size(md);
    x->weight_bytes = mem_aligned(n ? n : 1);
    if (!x->weight_bytes)
        return err_set(e, ERR_NOMEM, "no memory for weights (%zu bytes)", n);
    memset(x->weight_bytes, 0, n);
    enum err_code r =
        check(dnnl_memory_desc_init_by_tag(&plain, 4, wd, dnnl_f32, dnnl_oihw),
              "weights", e);
    /* oneDNN's handle is not const, but a reorder only reads its source. */
    void *handle;
    memcpy(&handle, &weights, sizeof handle);
    if (!r)
        r = check(dnnl_memory_create(&from, &plain, x->engine, handle),
                  "weights", e);
    if (!r)
        r = check(
            dnnl_memory_create(&x->weights, md, x->engine, x->weight_bytes),
            "weights", e);
    if (!r)
        r = check(dnnl_reorder_primitive_desc_create(&pd, &plain, x->engine, md,
                                                     x->engine, NULL),
                  "weights", e);
    if (!r)
        r = check(dnnl_primitive_create(&reorder, pd), "weights", e);
    if (!r) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from},
                                  {DNNL_ARG_TO, x->weights}};
        r = check(dnnl_primitive_execute(reorder, x->stream, 2, args),
                  "weights", e);
    }
    if (!r)
        r = check(dnnl_stream_wait(x->stream), "weights", e);
    if (reorder)
        dnnl_primitive_destroy(reorder);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (from)
        dnnl_memory_destroy(from);
    return r;
}

static enum err_code memory_for(struct nv_conv *x, dnnl_query_t what,
                                dnnl_memory_t *out, struct err *e)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(x->pd, what, 0);
    return check(dnnl_memory_create(out, md, x->engine, DNNL_MEMORY_NONE),
                 "memory", e);
}

static enum err_code prepare(struct nv_conv *x, const struct nv_conv_desc *d,
                             const float *weights, const float *bias,
                             struct err *e)
{
    enum err_code r =
        check(dnnl_engine_create(&x->engine, dnnl_cpu, 0), "engine", e);
    if (!r)
        r = check(dnnl_stream_create(&x->stream, x->engine,
                                     dnnl_stream_default_flags),
                  "stream", e);
    if (!r)
        r = choose(x, d, bias != NULL, e);
    if (!r)
        r = check(dnnl_primitive_create(&x->prim, x->pd), "convolution", e);
    if (!r)
        r = pack_weights(x, d, weights, e);
    if (!r && bias) {
        x->bias_bytes = mem_aligned((size_t)d->out.c * sizeof(float));
        if (!x->bias_bytes)
            return err_set(e, ERR_NOMEM, "no memory for a bias");
        memcpy(x->bias_bytes, bias, (size_t)d->out.c * sizeof(float));
        const dnnl_memory_desc_t *md =
            dnnl_primitive_desc_query_md(x->pd, dnnl_query_weights_md, 1);
        r = check(dnnl_memory_create(&x->bias, md, x->engine, x->bias_bytes),
                  "bias", e);
    }
    if (!r)
        r = memory_for(x, dnnl_query_src_md, &x->src, e);
    if (!r)
        r = memory_for(x, dnnl_query_dst_md, &x->dst, e);
    if (!r)
        r = memory_for(x, dnnl_query_scratchpad_md, &x->scratch, e);
    if (r)
        return r;
    x->scratch_bytes = dnnl_memory_desc_get_size(
        dnnl_primitive_desc_query_md(x->pd, dnnl_query_scratchpad_md, 0));
    return check(dnnl_primitive_desc_query(x->pd, dnnl_query_impl_info_str, 0,
                                           &x->kernel),
                 "query", e);
}

enum err_code nv_conv_new(const struct nv_conv_desc *d, const float *weights,
                          const float *bias, struct nv_conv **out,
                          struct err *e)
{
    *out = NULL;
    if (d->batch < 1 || d->in.c < 1 || d->out.c < 1 || d->kernel_h < 1 ||
        d->kernel_w < 1 || d->stride < 1 || d->pad < 0 || d->out.h < 1 ||
        d->out.w < 1)
        return err_set(e, ERR_ARG, "impossible convolution");
    struct nv_conv *x = mem_calloc(1, sizeof *x);
    if (!x)
        return err_set(e, ERR_NOMEM, "no memory for a convolution");
    enum err_code r = prepare(x, d, weights, bias, e);
    if (r)
        nv_conv_free(&x);
    *out = x;
    return r;
}

size_t nv_conv_scratch(const struct nv_conv *c)
{
    return c->scratch_bytes;
}

const char *nv_conv_kernel(const struct nv_conv *c)
{
    return c->kernel;
}

enum err_code nv_conv_run(struct nv_conv *c, const float *src, float *dst,
                          void *scratch, struct err *e)
{
    void *handle;
    memcpy(&handle, &src, sizeof handle); /* oneDNN only reads a source */
    enum err_code r =
        check(dnnl_memory_set_data_handle(c->src, handle), "source", e);
    if (!r)
        r = check(dnnl_memory_set_data_handle(c->dst, dst), "destination", e);
    if (!r)
        r = check(dnnl_memory_set_data_handle(c->scratch, scratch), "scratch",
                  e);
    if (r)
        return r;
    dnnl_exec_arg_t args[5] = {{DNNL_ARG_SRC, c->src},
                               {DNNL_ARG_WEIGHTS, c->weights},
                               {DNNL_ARG_DST, c->dst},
                               {DNNL_ARG_SCRATCHPAD, c->scratch}};
    int n = 4;
    if (c->bias)
        args[n++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, c->bias};
    r = check(dnnl_primitive_execute(c->prim, c->stream, n, args),
              "convolution", e);
    return r ? r : check(dnnl_stream_wait(c->stream), "convolution", e);
}
