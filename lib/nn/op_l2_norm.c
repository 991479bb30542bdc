/* l2 norm: each pixel's channels divided by their length, times a scale for
 * each channel. S3FD's L2Norm (ParseNet, Liu 2015, eq. 2; 1adrianb/
 * face-alignment detection/sfd/net_s3fd.py). */
#include "lib/base/clones.h"

#include <math.h>
#include <string.h>

#include "lib/nn/norm.h"
#include "lib/nn/ops.h"
#include "lib/nn/pixels.h"

struct l2 {
    double eps;
    bool on_root;
};

/* scratch: channel scales, one number a pixel, sums, x over its length. */
struct work {
    float *scale, *pixel;
    double *parts, *sum;
    struct nn_view unit;
};

static int64_t area_of(const struct nn_view *v)
{
    return v->batch * v->shape.h * v->shape.w;
}

static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

static size_t lay_out(const struct nn_exec *x, struct work *w)
{
    const struct nn_view *v = &x->in[0];
    char *p = x->scratch;
    size_t c = (size_t)nn_view_channels(v), at[5] = {0};
    at[1] = align64(c * sizeof(float));
    at[2] = at[1] + align64((size_t)area_of(v) * sizeof(float));
    at[3] = at[2] + align64(nn_sum_scratch(v, 1) * sizeof(double));
    at[4] = at[3] + align64(c * sizeof(double));
    w->unit = *v;
    w->unit.dtype = DT_F32;
    if (p) {
        w->scale = (float *)p;
        w->pixel = (float *)(p + at[1]);
        w->parts = (double *)(void *)(p + at[2]);
        w->sum = (double *)(void *)(p + at[3]);
        w->unit.data = p + at[4];
    }
    return at[4] + (x->dparam ? nn_view_bytes(&w->unit) : 0);
}

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct work w;
    x->scratch = NULL;
    x->scratch_bytes = lay_out(x, &w);
    x->keep_bytes = 2 * (size_t)area_of(&x->in[0]) * sizeof(float);
    return OK;
}

static struct work work_of(const struct nn_exec *x)
{
    struct work w = {0};
    const struct tensor *t = x->node->param[0]->value;
    (void)lay_out(x, &w);
    memset(w.scale, 0, (size_t)nn_view_channels(&x->in[0]) * sizeof *w.scale);
    memcpy(w.scale, t->data, t->bytes);
    return w;
}

CLONES
static void scaled(const float *a, const float *b, float *d,
                   const float *const *k, int64_t n, const void *arg)
{
    (void)b;
    (void)arg;
    const float *s = k[0], *r = k[1];
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] * r[i] * s[i];
}

CLONES
static void unit(const float *a, const float *b, float *d,
                 const float *const *k, int64_t n, const void *arg)
{
    (void)b;
    (void)arg;
    const float *r = k[0];
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] * r[i];
}

CLONES
static void l2_norm_back(const float *a, const float *g, float *d,
                         const float *const *k, int64_t n, const void *arg)
{
    (void)arg;
    const float *s = k[0], *r = k[1], *w = k[2];
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = g[i] * s[i] * r[i] - a[i] * w[i];
}

/* Kept: 1 / length of each pixel, and what the sum of gradient x value is
 * multiplied with on its way back to the length. */
static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct l2 *a = nn_attr(x->node);
    struct work w = work_of(x);
    int64_t n = area_of(&x->in[0]);
    float *r = x->keep, *back_by = r + n;
    nn_pixel_sums(&x->in[0], &x->in[0], NULL, r);
    for (int64_t i = 0; i < n; i++) {
        double root = sqrt((double)r[i] + (a->on_root ? 0 : a->eps));
        double inv = 1 / (root + (a->on_root ? a->eps : 0));
        r[i] = (float)inv;
        back_by[i] = root > 0 ? (float)(inv * inv / root) : 0;
    }
    nn_each_pixel(&x->in[0], NULL, &x->out, false, scaled,
                  (const float *const[]){w.scale}, 1, (const float *const[]){r},
                  1, false);
    return OK;
}

static void scale_grad(const struct nn_exec *x, const struct work *w)
{
    float *grad = x->node->param[0]->grad;
    if (!x->dparam || !grad)
        return;
    const float *r = x->keep;
    nn_each_pixel(&x->in[0], NULL, &w->unit, false, unit, NULL, 0,
                  (const float *const[]){r}, 1, false);
    struct nn_sum_spec s = {
        .a = &w->unit, .b = &x->dout, .f = nn_sum_products, .n_sums = 1};
    nn_sum_channels(&s, w->parts, w->sum);
    for (int64_t c = 0; c < x->in[0].shape.c; c++)
        grad[c] += (float)w->sum[c];
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct work w = work_of(x);
    int64_t n = area_of(&x->in[0]);
    const float *r = x->keep, *back_by = r + n;
    scale_grad(x, &w);
    if (!x->din[0].data)
        return OK;
    nn_pixel_sums(&x->in[0], &x->dout, w.scale, w.pixel);
    for (int64_t i = 0; i < n; i++)
        w.pixel[i] *= back_by[i];
    nn_each_pixel(&x->in[0], &x->dout, &x->din[0], x->din_add[0], l2_norm_back,
                  (const float *const[]){w.scale}, 1,
                  (const float *const[]){r, w.pixel}, 2, false);
    return OK;
}

static const struct nn_op op_l2_norm = {.name = "l2_norm",
                                        .flags = NN_OP_ANY | NN_OP_BF16 |
                                                 NN_OP_ADDS | NN_OP_SAVE_IN,
                                        .prepare = prepare,
                                        .forward = forward,
                                        .backward = backward};

int nn_l2_norm(struct nn_graph *g, int x, struct nn_param *scale, double eps,
               bool eps_on_root)
{
    struct l2 a = {eps, eps_on_root};
    struct nn_shape s = nn_graph_shape(g, x);
    if (g->err.code)
        return -1;
    if (!scale || !nn_is_vector_of(scale, s.c))
        return nn_node_fail(g, "l2_norm", ERR_ARG,
                            "needs a scale with one number a channel");
    if (!(eps >= 0 && eps < 1e3))
        return nn_node_fail(g, "l2_norm", ERR_ARG, "eps must not be negative");
    return nn_add_node(g, &op_l2_norm, &x, 1, &scale, 1, &a, sizeof a, s);
}
