/* cosine_margin: logits s cos(theta_k) of features and class weights, with a
 * margin on the labelled class: s (cos(theta + m) - m2). ArcFace: Deng et al.
 * 2019, eq. 3, with the rule of its code (easy_margin off) that beyond
 * theta + m = pi the cosine less m sin(m) is taken; CosFace: Wang et al.
 * 2018, eq. 4. */
#include "lib/base/clones.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "lib/nn/gemm.h"
#include "lib/nn/loss.h"
#include "lib/nn/ops.h"
#include "lib/nn/spatial.h"

struct attr {
    float scale, angle, cosine;
};

#define TINY 1e-12F /* a shorter vector is divided by this instead */

/* keep: cosines [batch][classes], then 1 / length of each feature vector and
 * of each class's weights. */
struct kept {
    float *cos, *by_x, *by_w;
};

static struct kept kept_of(const struct nn_exec *x)
{
    int64_t n = x->in[0].batch, k = x->out.shape.c;
    struct kept r = {.cos = x->keep};
    r.by_x = r.cos + n * k;
    r.by_w = r.by_x + n;
    return r;
}

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    (void)e;
    int64_t n = x->in[0].batch, k = x->out.shape.c;
    x->keep_bytes = (size_t)(n * k + n + k) * sizeof(float);
    if (x->backward)
        x->scratch_bytes = (size_t)(n * k + n + k) * sizeof(float);
    return OK;
}

CLONES
static float cosine_margin_dot(const float *a, const float *b, int64_t n)
{
    double part[NN_GROUP] = {0}, sum = 0;
    int64_t whole = n / NN_GROUP * NN_GROUP;
    for (int64_t i = 0; i < whole; i += NN_GROUP)
        for (int64_t k = 0; k < NN_GROUP; k++)
            part[k] += (double)a[i + k] * (double)b[i + k];
    for (int64_t i = whole; i < n; i++)
        part[i - whole] += (double)a[i] * (double)b[i];
    for (int k = 0; k < NN_GROUP; k++)
        sum += part[k];
    return (float)sum;
}

/* 1 / length of each of n rows of f numbers. */
static void lengths(const float *v, int64_t n, int64_t f, float *by)
{
#pragma omp parallel for schedule(static) if (n * f >= NN_PARALLEL)
    for (int64_t i = 0; i < n; i++) {
        float length = sqrtf(cosine_margin_dot(v + i * f, v + i * f, f));
        by[i] = 1 / (length > TINY ? length : TINY);
    }
}

/* The labelled class's cosine with its margin, and its slope. */
static float with_margin(const struct attr *a, float c, float *slope)
{
    double m = (double)a->angle, pi = 3.14159265358979323846;
    float cos_m = (float)cos(m), sin_m = (float)sin(m);
    float square = 1 - c * c, sine = sqrtf(square > 0 ? square : 0);
    if (c > (float)cos(pi - m)) {
        *slope = sine > 0 ? cos_m + sin_m * c / sine : cos_m;
        return c * cos_m - sine * sin_m - a->cosine;
    }
    *slope = 1;
    return c - (float)(sin(pi - m) * m) - a->cosine;
}

/* Sample n's class, -1 for none. */
static enum err_code label_of(const struct nn_exec *x, int64_t n, int64_t *out,
                              struct err *e)
{
    *out = -1;
    if (x->node->n_in < 2)
        return OK;
    return nn_loss_label(((const float *)x->in[1].data)[n], x->out.shape.c,
                         "cosine_margin", n, out, e);
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    const struct attr *a = nn_attr(x->node);
    const float *in = x->in[0].data;
    const float *w = tensor_f32(x->node->param[0]->value);
    int64_t batch = x->in[0].batch, f = x->in[0].shape.c, k = x->out.shape.c;
    struct kept r = kept_of(x);
    float *out = x->out.data;
    lengths(in, batch, f, r.by_x);
    lengths(w, k, f, r.by_w);
    nn_gemm(false, true, batch, k, f, 1, in, f, w, f, 0, r.cos, k);
    for (int64_t n = 0; n < batch; n++) {
        float *c = r.cos + n * k, *o = out + n * k, slope;
        int64_t label;
        for (int64_t i = 0; i < k; i++) {
            c[i] *= r.by_x[n] * r.by_w[i];
            o[i] = c[i] * a->scale;
        }
        enum err_code s = label_of(x, n, &label, e);
        if (s)
            return s;
        if (label >= 0)
            o[label] = with_margin(a, c[label], &slope) * a->scale;
    }
    return OK;
}

/* With g = d loss / d cos: d x = sum_k g w_k / (|x| |w_k|) - x sum_k g cos /
 * |x|^2, and the same for w. Into t: g / (|x| |w|); into along_x, along_w:
 * the sums over |.|^2. A vector that was too short is divided by a constant:
 * nothing along it is taken off. */
static enum err_code cosine_slopes(struct nn_exec *x, float *t, float *along_x,
                                   float *along_w, struct err *e)
{
    const struct attr *a = nn_attr(x->node);
    int64_t batch = x->in[0].batch, k = x->out.shape.c;
    const float *dout = x->dout.data;
    struct kept r = kept_of(x);
    for (int64_t i = 0; i < k; i++)
        along_w[i] = 0;
    for (int64_t n = 0; n < batch; n++) {
        const float *c = r.cos + n * k;
        double sum = 0;
        int64_t label;
        enum err_code s = label_of(x, n, &label, e);
        if (s)
            return s;
        for (int64_t i = 0; i < k; i++) {
            float g = dout[n * k + i] * a->scale, slope = 1;
            if (i == label)
                with_margin(a, c[i], &slope);
            g *= slope;
            t[n * k + i] = g * r.by_x[n] * r.by_w[i];
            sum += (double)(g * c[i]);
            along_w[i] += g * c[i];
        }
        along_x[n] =
            r.by_x[n] < 1 / TINY ? (float)sum * r.by_x[n] * r.by_x[n] : 0;
    }
    for (int64_t i = 0; i < k; i++)
        along_w[i] *= r.by_w[i] < 1 / TINY ? r.by_w[i] * r.by_w[i] : 0;
    return OK;
}

/* d[n][f] -= along[n] v[n][f] */
CLONES
static void take_along(float *d, const float *v, const float *along, int64_t n,
                       int64_t f)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < f; j++)
            d[i * f + j] -= along[i] * v[i * f + j];
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    struct nn_param *p = x->node->param[0];
    const float *in = x->in[0].data, *w = tensor_f32(p->value);
    int64_t batch = x->in[0].batch, f = x->in[0].shape.c, k = x->out.shape.c;
    float *t = x->scratch, *along_x = t + batch * k, *along_w = along_x + batch;
    if (x->node->n_in > 1)
        nn_loss_no_grad(x, 1);
    enum err_code r = cosine_slopes(x, t, along_x, along_w, e);
    if (r)
        return r;
    if (x->din[0].data) {
        float *d = x->din[0].data;
        nn_gemm(false, false, batch, f, k, 1, t, k, w, f,
                x->din_add[0] ? 1.0F : 0.0F, d, f);
        take_along(d, in, along_x, batch, f);
    }
    if (x->dparam && p->grad) {
        nn_gemm(true, false, k, f, batch, 1, t, k, in, f, 1, p->grad, f);
        take_along(p->grad, w, along_w, k, f);
    }
    return OK;
}

static double gflop(const struct nn_node *n)
{
    const struct tensor *w = n->param[0]->value;
    return 2e-9 * (double)w->shape[0] * (double)w->shape[1];
}

static const struct nn_op op = {.name = "cosine_margin",
                                .flags =
                                    NN_OP_PLAIN | NN_OP_ADDS | NN_OP_SAVE_IN,
                                .prepare = prepare,
                                .forward = forward,
                                .backward = backward,
                                .gflop = gflop};

int nn_cosine_margin(struct nn_graph *g, int x, struct nn_param *weight,
                     int label, double scale, double angle, double cosine)
{
    struct nn_shape s = nn_graph_shape(g, x), l = nn_graph_shape(g, label);
    struct attr a = {(float)scale, (float)angle, (float)cosine};
    if (!weight || weight->value->ndim != 2 ||
        (s.c > 0 && (s.h * s.w != 1 || weight->value->shape[1] != s.c)))
        return nn_node_fail(g, op.name, ERR_ARG,
                            "needs a vector [F,1,1] and weights [K,F]");
    if (label >= 0 && l.c > 0 && l.c * l.h * l.w != 1)
        return nn_node_fail(g, op.name, ERR_ARG, "a label is one number");
    if (!(scale > 0) || !isfinite(scale) || !(angle >= 0 && angle < 3.14159) ||
        !(cosine >= 0 && cosine <= 2))
        return nn_node_fail(g, op.name, ERR_ARG,
                            "scale must be over 0, the angle in [0,pi), the "
                            "cosine margin in [0,2]");
    return nn_add_node(g, &op, (const int[]){x, label}, label < 0 ? 1 : 2,
                       &weight, 1, &a, sizeof a,
                       (struct nn_shape){weight->value->shape[0], 1, 1});
}
