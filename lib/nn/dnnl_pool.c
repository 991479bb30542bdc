/* Pooling on oneDNN, forward and backward. */
#include "lib/nn/dnnl_pool.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/dnnl.h"

#if FACET_DNNL

struct nn_dnnl_pool {
    struct nn_dnnl_prim forward, backward;
    bool keeps;
};

/* Describe the forward pass. False where oneDNN's average would divide by
 * another number than PyTorch's: it counts all of a window where padding
 * counts, PyTorch only what lies in the padding that was asked for. */
static bool describe(const struct nn_view *in, const struct nn_view *out,
                     const struct nn_pool_spec *s, bool max, bool backward,
                     struct nn_dnnl_op *op)
{
    const int64_t i[2] = {in->shape.h, in->shape.w};
    const int64_t o[2] = {out->shape.h, out->shape.w};
    bool same = true;
    *op = (struct nn_dnnl_op){
        .kind = NN_DNNL_POOL,
        .prop = backward ? dnnl_forward_training : dnnl_forward_inference,
        .alg = max                    ? dnnl_pooling_max
               : s->count_include_pad ? dnnl_pooling_avg_include_padding
                                      : dnnl_pooling_avg_exclude_padding,
        .src = nn_dnnl_view(in),
        .dst = nn_dnnl_view(out),
    };
    for (int k = 0; k < 2; k++) {
        op->stride[k] = s->stride;
        op->kernel[k] = s->kernel;
        op->before[k] = s->pad;
        op->after[k] = (o[k] - 1) * s->stride + s->kernel - i[k] - s->pad;
        same = same && (op->after[k] <= s->pad || !s->count_include_pad);
    }
    return max || same;
}

static enum err_code make(struct nn_dnnl_pool *p, const struct nn_dnnl_op *op,
                          bool backward, dnnl_primitive_attr_t attr,
                          struct err *e)
{
    static const int fwd[] = {DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_WORKSPACE};
    static const int bwd[] = {DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC,
                              DNNL_ARG_WORKSPACE};
    int n = p->keeps ? 3 : 2;
    enum err_code r =
        nn_dnnl_make(&p->forward, op, attr, NULL, fwd, n, "pooling", e);
    if (r || !backward)
        return r;
    struct nn_dnnl_op back = *op;
    back.kind = NN_DNNL_POOL_DATA;
    return nn_dnnl_make(&p->backward, &back, attr, p->forward.pd, bwd, n,
                        "pooling's gradient", e);
}

enum err_code nn_dnnl_pool_new(const struct nn_view *in,
                               const struct nn_view *out,
                               const struct nn_pool_spec *s, bool max,
                               bool backward, struct nn_dnnl_pool **p,
                               struct err *e)
{
    struct nn_dnnl_op op;
    *p = NULL;
    if (!describe(in, out, s, max, backward, &op))
        return OK;
    struct nn_dnnl_pool *x = mem_calloc(1, sizeof *x);
    if (!x)
        return err_set(e, ERR_NOMEM, "no memory for pooling");
    x->keeps = max && backward;
    dnnl_primitive_attr_t attr = nn_dnnl_attr(e);
    enum err_code r = attr ? make(x, &op, backward, attr, e) : ERR_NOMEM;
    if (attr)
        (void)dnnl_primitive_attr_destroy(attr);
    /* Its "simple" kernels are several times slower than ours. */
    if (r || strncmp(x->forward.kernel, "jit", 3) != 0 ||
        (backward && strncmp(x->backward.kernel, "jit", 3) != 0))
        nn_dnnl_pool_free(&x);
    *p = x;
    return r == ERR_UNSUPPORTED ? OK : r;
}

void nn_dnnl_pool_free(struct nn_dnnl_pool **p)
{
    if (!p || !*p)
        return;
    nn_dnnl_free(&(*p)->forward);
    nn_dnnl_free(&(*p)->backward);
    mem_free(*p);
    *p = NULL;
}

size_t nn_dnnl_pool_scratch(const struct nn_dnnl_pool *p)
{
    size_t a = p->forward.scratch_bytes, b = p->backward.scratch_bytes;
    return a > b ? a : b;
}

size_t nn_dnnl_pool_keep(const struct nn_dnnl_pool *p)
{
    return p->keeps ? nn_dnnl_size(&p->forward, DNNL_ARG_WORKSPACE) : 0;
}

const char *nn_dnnl_pool_kernel(const struct nn_dnnl_pool *p)
{
    return p->forward.kernel;
}

enum err_code nn_dnnl_pool_forward(struct nn_dnnl_pool *p, const void *src,
                                   void *dst, void *keep, void *scratch,
                                   struct err *e)
{
    const struct nn_dnnl_arg a[] = {
        {DNNL_ARG_SRC, src}, {DNNL_ARG_DST, dst}, {DNNL_ARG_WORKSPACE, keep}};
    return nn_dnnl_run(&p->forward, a, p->keeps ? 3 : 2, scratch, e);
}

enum err_code nn_dnnl_pool_backward(struct nn_dnnl_pool *p, const void *ddst,
                                    void *dsrc, const void *keep, void *scratch,
                                    struct err *e)
{
    const struct nn_dnnl_arg a[] = {{DNNL_ARG_DIFF_DST, ddst},
                                    {DNNL_ARG_DIFF_SRC, dsrc},
                                    {DNNL_ARG_WORKSPACE, keep}};
    return nn_dnnl_run(&p->backward, a, p->keeps ? 3 : 2, scratch, e);
}

#else

/* Never called: nothing is ever made. */
struct nn_dnnl_pool {
    int none;
};

enum err_code nn_dnnl_pool_new(const struct nn_view *in,
                               const struct nn_view *out,
                               const struct nn_pool_spec *s, bool max,
                               bool backward, struct nn_dnnl_pool **p,
                               struct err *e)
{
    (void)in, (void)out, (void)s, (void)max, (void)backward, (void)e;
    *p = NULL;
    return OK;
}

void nn_dnnl_pool_free(struct nn_dnnl_pool **p)
{
    *p = NULL;
}

size_t nn_dnnl_pool_scratch(const struct nn_dnnl_pool *p)
{
    (void)p;
    return 0;
}

size_t nn_dnnl_pool_keep(const struct nn_dnnl_pool *p)
{
    (void)p;
    return 0;
}

const char *nn_dnnl_pool_kernel(const struct nn_dnnl_pool *p)
{
    (void)p;
    return "";
}

enum err_code nn_dnnl_pool_forward(struct nn_dnnl_pool *p, const void *src,
                                   void *dst, void *keep, void *scratch,
                                   struct err *e)
{
    (void)p, (void)src, (void)dst, (void)keep, (void)scratch;
    return err_set(e, ERR_UNSUPPORTED, "oneDNN is not built in");
}

enum err_code nn_dnnl_pool_backward(struct nn_dnnl_pool *p, const void *ddst,
                                    void *dsrc, const void *keep, void *scratch,
                                    struct err *e)
{
    (void)p, (void)ddst, (void)dsrc, (void)keep, (void)scratch;
    return err_set(e, ERR_UNSUPPORTED, "oneDNN is not built in");
}

#endif
