/* Batch norm on oneDNN, forward and backward. */
#include "lib/nn/dnnl_norm.h"

#include "lib/nn/dnnl.h"

#if FACET_DNNL

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/rows.h"

#define ARGS NN_DNNL_ARGS

struct nn_dnnl_norm {
    struct nn_dnnl_prim forward, backward;
    bool running, affine, relu;
    size_t stats; /* bytes of C floats */
};

/* keep: mean, variance, scale and shift, the ReLU's workspace.
 * scratch: gradients of scale and shift, then oneDNN's. Each with room for
 * whole blocks of channels. */
struct parts {
    float *mean, *var, *scale, *shift, *dscale, *dshift;
    void *workspace, *scratch;
};

static struct parts parts_of(const struct nn_dnnl_norm *d,
                             const struct nn_exec *x, const struct nn_norm *n)
{
    char *keep = x->keep, *scratch = x->scratch;
    struct parts p = {.mean = (float *)(void *)keep,
                      .var = (float *)(void *)(keep + d->stats),
                      .scale = (float *)(void *)(keep + 2 * d->stats),
                      .shift = (float *)(void *)(keep + 3 * d->stats),
                      .workspace = keep + (d->affine ? 4 : 2) * d->stats,
                      .dscale = (float *)(void *)scratch,
                      .dshift = (float *)(void *)(scratch + d->stats),
                      .scratch = scratch + (d->affine ? 2 * d->stats : 0)};
    if (d->running) {
        p.mean = tensor_f32(n->mean->value);
        p.var = tensor_f32(n->var->value);
    }
    return p;
}

static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

static unsigned flags_of(const struct nn_dnnl_norm *d)
{
    unsigned f = dnnl_normalization_flags_none;
    if (d->running)
        f |= dnnl_use_global_stats;
    if (d->affine)
        f |= dnnl_use_scale | dnnl_use_shift;
    if (d->relu)
        f |= dnnl_fuse_norm_relu;
    return f;
}

/* Arguments of one way; mean and variance are inputs or results. */
static int list(const struct nn_dnnl_norm *d, bool back, int args[ARGS])
{
    int n = 0;
    args[n++] = DNNL_ARG_SRC;
    args[n++] = back ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST;
    args[n++] = DNNL_ARG_MEAN;
    args[n++] = DNNL_ARG_VARIANCE;
    if (d->affine)
        args[n++] = DNNL_ARG_SCALE;
    if (d->affine && (!back || NN_DNNL_NORM_BACK_SHIFT))
        args[n++] = DNNL_ARG_SHIFT;
    if (d->relu)
        args[n++] = DNNL_ARG_WORKSPACE;
    if (back)
        args[n++] = DNNL_ARG_DIFF_SRC;
    if (back && d->affine) {
        args[n++] = DNNL_ARG_DIFF_SCALE;
        args[n++] = DNNL_ARG_DIFF_SHIFT;
    }
    return n;
}

static enum err_code make(struct nn_dnnl_norm *d, const struct nn_exec *x,
                          double eps, struct err *e)
{
    struct nn_dnnl_op op = {.kind = NN_DNNL_NORM,
                            .prop = dnnl_forward_training,
                            .src = nn_dnnl_view(&x->in[0]),
                            .eps = (float)eps,
                            .flags = flags_of(d)};
    int args[ARGS];
    dnnl_primitive_attr_t attr = nn_dnnl_attr(e);
    if (!attr)
        return ERR_NOMEM;
    enum err_code r = nn_dnnl_make(&d->forward, &op, attr, NULL, args,
                                   list(d, false, args), "batch norm", e);
    op.kind = NN_DNNL_NORM_BACK;
    if (!r && x->backward)
        r = nn_dnnl_make(&d->backward, &op, attr, d->forward.pd, args,
                         list(d, true, args), "batch norm backward", e);
    (void)dnnl_primitive_attr_destroy(attr);
    /* "ncsp" and its like are plain loops, slower than ours. */
    if (!r && !strstr(d->forward.kernel, "jit"))
        r = err_set(e, ERR_UNSUPPORTED, "oneDNN: batch norm: no fast kernel");
    return r;
}

enum err_code nn_dnnl_norm_new(struct nn_exec *x, const struct nn_norm *n,
                               bool running, struct nn_dnnl_norm **out,
                               struct err *e)
{
    *out = NULL;
    if (x->path != NN_PATH_DNNL || x->in[0].layout == NN_PLAIN)
        return err_set(e, ERR_UNSUPPORTED, "oneDNN: batch norm: plain layout");
    struct nn_dnnl_norm *d = mem_calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory for batch norm");
    d->running = running;
    d->affine = n->gamma != NULL;
    d->relu = x->relu;
    d->stats = align64((size_t)nn_view_planes(&x->in[0]) *
                       (size_t)nn_view_lane(&x->in[0]) * sizeof(float));
    enum err_code r = make(d, x, n->eps, e);
    if (r) {
        nn_dnnl_norm_free(&d);
        return r;
    }
    size_t scratch = d->forward.scratch_bytes;
    if (d->backward.scratch_bytes > scratch)
        scratch = d->backward.scratch_bytes;
    x->scratch_bytes = scratch + (d->affine ? 2 * d->stats : 0);
    x->keep_bytes =
        (d->affine ? 4 : 2) * d->stats +
        (d->relu ? nn_dnnl_size(&d->forward, DNNL_ARG_WORKSPACE) : 0);
    snprintf(x->kernel, sizeof x->kernel, "%s", d->forward.kernel);
    *out = d;
    return OK;
}

void nn_dnnl_norm_free(struct nn_dnnl_norm **d)
{
    if (!d || !*d)
        return;
    nn_dnnl_free(&(*d)->forward);
    nn_dnnl_free(&(*d)->backward);
    mem_free(*d);
    *d = NULL;
}

enum err_code nn_dnnl_norm_forward(struct nn_dnnl_norm *d, struct nn_exec *x,
                                   const struct nn_norm *n, struct err *e)
{
    struct parts p = parts_of(d, x, n);
    int64_t c = x->in[0].shape.c;
    if (d->affine) {
        memcpy(p.scale, n->gamma->value->data, n->gamma->value->bytes);
        memcpy(p.shift, n->beta->value->data, n->beta->value->bytes);
    }
    struct nn_dnnl_arg a[ARGS] = {{DNNL_ARG_SRC, x->in[0].data},
                                  {DNNL_ARG_DST, x->out.data},
                                  {DNNL_ARG_MEAN, p.mean},
                                  {DNNL_ARG_VARIANCE, p.var}};
    int k = 4;
    if (d->affine) {
        a[k++] = (struct nn_dnnl_arg){DNNL_ARG_SCALE, p.scale};
        a[k++] = (struct nn_dnnl_arg){DNNL_ARG_SHIFT, p.shift};
    }
    if (d->relu)
        a[k++] = (struct nn_dnnl_arg){DNNL_ARG_WORKSPACE, p.workspace};
    enum err_code r = nn_dnnl_run(&d->forward, a, k, p.scratch, e);
    for (int64_t i = 0; i < c && !r && !d->running; i++)
        nn_norm_move(
            n, i, (double)p.mean[i], (double)p.var[i],
            (double)(x->in[0].batch * x->in[0].shape.h * x->in[0].shape.w));
    if (!r && !d->running)
        nn_norm_moved(n);
    return r;
}

enum err_code nn_dnnl_norm_backward(struct nn_dnnl_norm *d, struct nn_exec *x,
                                    const struct nn_norm *n, struct err *e)
{
    struct parts p = parts_of(d, x, n);
    int64_t c = x->in[0].shape.c;
    bool direct = x->din[0].data && !x->din_add[0];
    struct nn_dnnl_arg a[ARGS] = {
        {DNNL_ARG_SRC, x->in[0].data},
        {DNNL_ARG_DIFF_DST, x->dout.data},
        {DNNL_ARG_MEAN, p.mean},
        {DNNL_ARG_VARIANCE, p.var},
        {DNNL_ARG_DIFF_SRC, direct ? x->din[0].data : x->dout.data}};
    int k = 5;
    if (d->affine) {
        a[k++] = (struct nn_dnnl_arg){DNNL_ARG_SCALE, p.scale};
        if (NN_DNNL_NORM_BACK_SHIFT)
            a[k++] = (struct nn_dnnl_arg){DNNL_ARG_SHIFT, p.shift};
        a[k++] = (struct nn_dnnl_arg){DNNL_ARG_DIFF_SCALE, p.dscale};
        a[k++] = (struct nn_dnnl_arg){DNNL_ARG_DIFF_SHIFT, p.dshift};
    }
    if (d->relu)
        a[k++] = (struct nn_dnnl_arg){DNNL_ARG_WORKSPACE, p.workspace};
    enum err_code r = nn_dnnl_run(&d->backward, a, k, p.scratch, e);
    if (r)
        return r;
    for (int64_t i = 0; i < c && d->affine && x->dparam; i++) {
        if (n->gamma->grad)
            n->gamma->grad[i] += p.dscale[i];
        if (n->beta->grad)
            n->beta->grad[i] += p.dshift[i];
    }
    if (x->din[0].data && !direct)
        nn_convert(&x->dout, &x->din[0], true);
    return OK;
}

#else

enum err_code nn_dnnl_norm_new(struct nn_exec *x, const struct nn_norm *n,
                               bool running, struct nn_dnnl_norm **out,
                               struct err *e)
{
    (void)x;
    (void)n;
    (void)running;
    *out = NULL;
    return err_set(e, ERR_UNSUPPORTED, "built without oneDNN");
}

void nn_dnnl_norm_free(struct nn_dnnl_norm **d)
{
    (void)d;
}

enum err_code nn_dnnl_norm_forward(struct nn_dnnl_norm *d, struct nn_exec *x,
                                   const struct nn_norm *n, struct err *e)
{
    (void)d;
    (void)x;
    (void)n;
    return err_set(e, ERR_UNSUPPORTED, "built without oneDNN");
}

enum err_code nn_dnnl_norm_backward(struct nn_dnnl_norm *d, struct nn_exec *x,
                                    const struct nn_norm *n, struct err *e)
{
    return nn_dnnl_norm_forward(d, x, n, e);
}

#endif
