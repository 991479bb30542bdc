/* Normalisation by mean and variance: one pass over memory for the sums and
 * one for the result, each way. */
#include "lib/base/clones.h"

#include "lib/nn/norm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/nn/elementwise.h"

#define SAMPLES 8

/* Constants of each channel, kept from forward to backward: rows of
 * [units][ROWS][channels], units: pictures, or 1 for the whole batch. */
enum { MEAN, SCALE, BETA, SLOPE, CONST, INV, ROWS };
#define WIDE 64

struct table {
    float *k;
    int64_t units, channels;
};

static struct table table_of(const struct nn_exec *x, const struct nn_norm *n)
{
    return (struct table){.k = x->keep,
                          .units = n->over_batch ? 1 : x->in[0].batch,
                          .channels = nn_view_channels(&x->in[0])};
}

static float *row(const struct table *t, int64_t unit, int kind)
{
    return t->k + (unit * ROWS + kind) * t->channels;
}

/* Where things lie in the scratch memory. */
struct work {
    double *parts, *sum; /* sum: [units][2][channels] */
    float *shift;        /* [units][channels] */
};

static struct work work_of(const struct nn_exec *x, const struct table *t)
{
    struct work w = {.parts = x->scratch};
    w.sum = w.parts + nn_sum_scratch(&x->in[0], 2);
    w.shift = (float *)(w.sum + t->units * 2 * t->channels);
    return w;
}

void nn_norm_sizes(struct nn_exec *x, const struct nn_norm *n)
{
    struct table t = table_of(x, n);
    size_t c = (size_t)(t.units * t.channels);
    x->keep_bytes = c * ROWS * sizeof(float);
    x->scratch_bytes = (nn_sum_scratch(&x->in[0], 2) + 2 * c) * sizeof(double) +
                       c * sizeof(float);
}

/* ---- loops ---- */

/* Sums of x - shift and of its square. */
CLONES
static void norm_moments(const float *a, const float *b, const float *const *k,
                         float *const *acc, int64_t width, int64_t n,
                         const void *arg)
{
    (void)b;
    (void)arg;
    const float *restrict shift = k[0];
    float *restrict s = acc[0], *restrict q = acc[1];
    int64_t i = 0;
    for (; width == WIDE && i + WIDE <= n; i += WIDE) {
#pragma omp simd
        for (int j = 0; j < WIDE; j++) {
            float d = a[i + j] - shift[j];
            s[j] += d;
            q[j] += d * d;
        }
    }
    for (; i < n; i += width) {
        int64_t m = n - i < width ? n - i : width;
#pragma omp simd
        for (int64_t j = 0; j < m; j++) {
            float d = a[i + j] - shift[j];
            s[j] += d;
            q[j] += d * d;
        }
    }
}

/* Sums of the gradient and of gradient x (x - mean). */
CLONES
static void slopes(const float *a, const float *g, const float *const *k,
                   float *const *acc, int64_t width, int64_t n, const void *arg)
{
    (void)arg;
    const float *restrict mean = k[0];
    float *restrict s = acc[0], *restrict q = acc[1];
    int64_t i = 0;
    for (; width == WIDE && i + WIDE <= n; i += WIDE) {
#pragma omp simd
        for (int j = 0; j < WIDE; j++) {
            s[j] += g[i + j];
            q[j] += g[i + j] * (a[i + j] - mean[j]);
        }
    }
    for (; i < n; i += width) {
        int64_t m = n - i < width ? n - i : width;
#pragma omp simd
        for (int64_t j = 0; j < m; j++) {
            s[j] += g[i + j];
            q[j] += g[i + j] * (a[i + j] - mean[j]);
        }
    }
}

/* The same where a ReLU follows. */
CLONES
static void slopes_relu(const float *a, const float *g, const float *const *k,
                        float *const *acc, int64_t width, int64_t n,
                        const void *arg)
{
    (void)arg;
    const float *restrict mean = k[0], *restrict scale = k[1],
                          *restrict beta = k[2];
    float *restrict s = acc[0], *restrict q = acc[1];
    int64_t i = 0;
    for (; width == WIDE && i + WIDE <= n; i += WIDE) {
#pragma omp simd
        for (int j = 0; j < WIDE; j++) {
            float d = a[i + j] - mean[j], h = g[i + j];
            float v = d * scale[j] + beta[j] > 0 ? h : 0;
            s[j] += v;
            q[j] += v * d;
        }
    }
    for (; i < n; i += width) {
        int64_t m = n - i < width ? n - i : width;
#pragma omp simd
        for (int64_t j = 0; j < m; j++) {
            float d = a[i + j] - mean[j], h = g[i + j];
            float v = d * scale[j] + beta[j] > 0 ? h : 0;
            s[j] += v;
            q[j] += v * d;
        }
    }
}

CLONES
static void normalise(const float *a, const float *b, float *d,
                      const float *const *k, int64_t n, const void *arg)
{
    (void)b;
    const float *mean = k[MEAN], *scale = k[SCALE], *beta = k[BETA];
    if (*(const bool *)arg) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            float v = (a[i] - mean[i]) * scale[i] + beta[i];
            d[i] = v < 0 ? 0 : v;
        }
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            d[i] = (a[i] - mean[i]) * scale[i] + beta[i];
    }
}

CLONES
static void norm_back(const float *a, const float *g, float *d,
                      const float *const *k, int64_t n, const void *arg)
{
    const float *mean = k[MEAN], *scale = k[SCALE], *beta = k[BETA];
    const float *slope = k[SLOPE], *rest = k[CONST];
    if (*(const bool *)arg) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            float c = a[i] - mean[i], s = scale[i] * c + beta[i];
            float gi = g[i];
            float v = s > 0 ? gi : 0;
            d[i] = v * scale[i] + (c * slope[i] + rest[i]);
        }
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            d[i] = g[i] * scale[i] + ((a[i] - mean[i]) * slope[i] + rest[i]);
    }
}

/* ---- forward ---- */

/* A number near the mean of each channel, so that sums of squares keep their
 * digits: the mean of a few elements. */
static void shifts(const struct nn_exec *x, const struct nn_norm *n,
                   const struct table *t, float *shift)
{
    const struct nn_view *v = &x->in[0];
    int64_t area = v->shape.h * v->shape.w;
    int64_t step = area > SAMPLES ? area / SAMPLES : 1;
    memset(shift, 0, (size_t)(t->units * t->channels) * sizeof *shift);
    for (int64_t u = 0; u < t->units; u++) {
        for (int64_t c = 0; c < v->shape.c; c++) {
            float sum = 0, tmp;
            int k = 0;
            for (int64_t p = 0; p < area && k < SAMPLES; p += step, k++)
                sum += *nn_row_get(v, nn_index(v, u, c, 0, p), 1, &tmp);
            sum /= (float)k;
            shift[u * t->channels + c] = isfinite(sum) ? sum : 0;
        }
    }
    (void)n;
}

/* Rows of one unit from each channel's mean and 1 / deviation. */
static void set_channel(const struct table *t, const struct nn_norm *n,
                        int64_t u, int64_t c, double mean, double inv)
{
    double gamma = n->gamma ? (double)tensor_f32(n->gamma->value)[c] : 1;
    row(t, u, MEAN)[c] = (float)mean;
    row(t, u, SCALE)[c] = (float)(gamma * inv);
    row(t, u, BETA)[c] = n->beta ? tensor_f32(n->beta->value)[c] : 0;
    row(t, u, INV)[c] = (float)inv;
}

void nn_norm_move(const struct nn_norm *n, int64_t c, double mean, double var,
                  double count)
{
    float *m = tensor_f32(n->mean->value) + c;
    float *v = tensor_f32(n->var->value) + c;
    double k = n->momentum, unbiased = var * count / (count - 1);
    *m = (float)((1 - k) * (double)*m + k * mean);
    *v = (float)((1 - k) * (double)*v + k * unbiased);
}

void nn_norm_moved(const struct nn_norm *n)
{
    n->mean->version++;
    n->mean->updates++;
    n->var->version++;
    n->var->updates++;
}

/* Mean and variance of the group of channels c0 .. c0 + m - 1 of unit u:
 * Chan's formula over channels (Chan, Golub, LeVeque 1979). */
static void set_group(const struct table *t, const struct nn_norm *n,
                      const struct work *w, int64_t u, int64_t c0, int64_t m,
                      double each)
{
    const double *s = w->sum + u * 2 * t->channels, *q = s + t->channels;
    const float *shift = w->shift + u * t->channels;
    double mean = 0, square = 0;
    for (int64_t c = c0; c < c0 + m; c++)
        mean += ((double)shift[c] + s[c] / each) / (double)m;
    for (int64_t c = c0; c < c0 + m; c++) {
        double off = (double)shift[c] + s[c] / each - mean;
        square += q[c] - s[c] * s[c] / each + each * off * off;
    }
    double var = square / (each * (double)m);
    var = var < 0 ? 0 : var;
    for (int64_t c = c0; c < c0 + m; c++)
        set_channel(t, n, u, c, mean, 1 / sqrt(var + n->eps));
    if (n->mean)
        nn_norm_move(n, c0, mean, var, each);
}

static void apply(const struct nn_exec *x, const struct table *t)
{
    const float *k[3];
    for (int j = 0; j < 3; j++)
        k[j] = row(t, 0, j);
    nn_each_channel(&x->in[0], NULL, &x->out, false, normalise, &x->relu, k, 3,
                    t->units > 1 ? ROWS * t->channels : 0);
}

void nn_norm_forward(struct nn_exec *x, const struct nn_norm *n)
{
    struct table t = table_of(x, n);
    struct work w = work_of(x, &t);
    const struct nn_view *v = &x->in[0];
    memset(t.k, 0, (size_t)(t.units * ROWS * t.channels) * sizeof *t.k);
    shifts(x, n, &t, w.shift);
    struct nn_sum_spec s = {.a = v,
                            .f = norm_moments,
                            .n_sums = 2,
                            .k = {w.shift},
                            .n_k = 1,
                            .k_stride = t.units > 1 ? t.channels : 0,
                            .each_picture = !n->over_batch};
    nn_sum_channels(&s, w.parts, w.sum);
    double each =
        (double)(v->shape.h * v->shape.w * (n->over_batch ? v->batch : 1));
    int64_t m = v->shape.c / n->groups;
    for (int64_t u = 0; u < t.units; u++) {
        for (int64_t g = 0; g < n->groups; g++)
            set_group(&t, n, &w, u, g * m, m, each);
    }
    if (n->mean)
        nn_norm_moved(n);
    apply(x, &t);
}

void nn_norm_forward_running(struct nn_exec *x, const struct nn_norm *n)
{
    struct table t = table_of(x, n);
    memset(t.k, 0, (size_t)(t.units * ROWS * t.channels) * sizeof *t.k);
    for (int64_t c = 0; c < x->in[0].shape.c; c++)
        set_channel(&t, n, 0, c, (double)tensor_f32(n->mean->value)[c],
                    1 / sqrt((double)tensor_f32(n->var->value)[c] + n->eps));
    apply(x, &t);
}

/* ---- backward ---- */

static void param_grads(const struct nn_exec *x, const struct nn_norm *n,
                        const struct table *t, const struct work *w)
{
    for (int64_t u = 0; u < t->units && x->dparam; u++) {
        const double *s = w->sum + u * 2 * t->channels, *q = s + t->channels;
        const float *inv = row(t, u, INV);
        for (int64_t c = 0; c < x->in[0].shape.c; c++) {
            if (n->beta && n->beta->grad)
                n->beta->grad[c] += (float)s[c];
            if (n->gamma && n->gamma->grad)
                n->gamma->grad[c] += (float)(q[c] * (double)inv[c]);
        }
    }
}

/* The parts of the gradient that come by way of mean and variance. */
static void group_slopes(const struct nn_norm *n, const struct table *t,
                         const struct work *w, int64_t u, int64_t c0, int64_t m,
                         double each)
{
    const double *s = w->sum + u * 2 * t->channels, *q = s + t->channels;
    double inv = (double)row(t, u, INV)[c0], sum = 0, dot = 0;
    double count = each * (double)m;
    for (int64_t c = c0; c < c0 + m; c++) {
        double gamma = n->gamma ? (double)tensor_f32(n->gamma->value)[c] : 1;
        sum += gamma * s[c];
        dot += gamma * q[c];
    }
    for (int64_t c = c0; c < c0 + m; c++) {
        row(t, u, SLOPE)[c] = (float)(-inv * inv * inv * dot / count);
        row(t, u, CONST)[c] = (float)(-inv * sum / count);
    }
}

void nn_norm_backward(struct nn_exec *x, const struct nn_norm *n, bool running)
{
    struct table t = table_of(x, n);
    struct work w = work_of(x, &t);
    const struct nn_view *v = &x->in[0];
    const float *k[5];
    int64_t stride = t.units > 1 ? ROWS * t.channels : 0;
    for (int j = 0; j < 5; j++)
        k[j] = row(&t, 0, j);
    if (!running || x->dparam) {
        struct nn_sum_spec s = {.a = v,
                                .b = &x->dout,
                                .f = x->relu ? slopes_relu : slopes,
                                .n_sums = 2,
                                .k = {k[MEAN], k[SCALE], k[BETA]},
                                .n_k = 3,
                                .k_stride = stride,
                                .each_picture = !n->over_batch};
        nn_sum_channels(&s, w.parts, w.sum);
        param_grads(x, n, &t, &w);
    }
    double each =
        (double)(v->shape.h * v->shape.w * (n->over_batch ? v->batch : 1));
    int64_t m = v->shape.c / n->groups;
    for (int64_t u = 0; u < t.units && !running; u++) {
        for (int64_t g = 0; g < n->groups; g++)
            group_slopes(n, &t, &w, u, g * m, m, each);
    }
    if (x->din[0].data)
        nn_each_channel(v, &x->dout, &x->din[0], x->din_add[0], norm_back,
                        &x->relu, k, 5, stride);
}

/* ---- what builders check ---- */

bool nn_is_vector_of(const struct nn_param *p, int64_t c)
{
    return p->value->ndim == 1 && p->value->shape[0] == c;
}

int nn_norm_check(struct nn_graph *g, const char *op, int x,
                  const struct nn_param *gamma, const struct nn_param *beta,
                  double eps)
{
    if (g->err.code)
        return -1;
    int64_t c = nn_graph_shape(g, x).c;
    if (!gamma != !beta)
        return nn_node_fail(g, op, ERR_ARG, "weight and bias: both or neither");
    if (x >= 0 && x < g->n && gamma &&
        (!nn_is_vector_of(gamma, c) || !nn_is_vector_of(beta, c)))
        return nn_node_fail(g, op, ERR_ARG,
                            "weight and bias must have one number a channel");
    if (!(eps >= 0 && eps < 1e3))
        return nn_node_fail(g, op, ERR_ARG, "eps must not be negative");
    return 0;
}
