/* Checks of operators: a case through training and inference plans, and
 * central differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "tests/support/nn_check_impl.h"

#define OUTPUTS (NN_CHECK_INPUTS + 1)

static struct nn_train *plan(const struct nnc_data *d,
                             const struct nnc_variant *v,
                             const struct nnc_net *n)
{
    struct nn_train_options o = {.path = v->path,
                                 .mode = v->mode,
                                 .bf16 = v->bf16,
                                 .batch = d->c->batch,
                                 .seed = 7,
                                 .input_grads = true,
                                 .unfused = v->unfused,
                                 .no_backward = v->forward_only};
    struct nn_train *t = NULL;
    struct err e = {0};
    if (nn_train_new(n->g, &o, &t, &e))
        nnc_fail(d, v, "%s", e.text);
    return t;
}

float *nnc_second(const struct nnc_data *d, int i)
{
    float *r = nnc_floats(d->n_in[i]);
    double scale = 0;
    for (size_t k = 0; k < d->n_in[i] && d->want.din[i]; k++)
        scale = fmax(scale, fabs((double)d->want.din[i][k]));
    for (size_t k = 0; k < d->n_in[i]; k++)
        r[k] = (float)(scale * ((double)(k * 7 % 11) - 5) / 25);
    return r;
}

void nnc_train(const struct nnc_data *d, const struct nnc_variant *v,
               struct nnc_result *r)
{
    struct nnc_net n;
    struct err e = {0};
    nnc_build(d, v, &n);
    struct nn_train *t = plan(d, v, &n);
    if (nn_train_forward(t, (const float *const *)d->in, &e))
        nnc_fail(d, v, "forward: %s", e.text);
    memset(r, 0, sizeof *r);
    r->n_out = d->n_out;
    r->out = nnc_floats(d->n_out);
    nn_train_output(t, 0, r->out);
    const float *dout[OUTPUTS] = {d->dout};
    float *more[NN_CHECK_INPUTS] = {0};
    for (int i = 0, k = 1; i < d->c->n_in && v->behind; i++) {
        if (!d->c->no_grad[i])
            dout[k++] = more[i] = nnc_second(d, i);
    }
    float one = 1;
    if (!d->dout && v->behind)
        dout[0] = &one;
    if (!v->forward_only &&
        nn_train_backward(t, d->dout || v->behind ? dout : NULL, &e))
        nnc_fail(d, v, "backward: %s", e.text);
    for (int i = 0; i < d->c->n_in && !v->forward_only; i++) {
        r->din[i] = nnc_floats(d->n_in[i]);
        nn_train_input_grad(t, i, r->din[i]);
        for (size_t k = 0; k < d->n_in[i] && more[i]; k++)
            r->din[i][k] -= 3 * more[i][k];
        mem_free(more[i]);
    }
    nnc_take_params(&n, r);
    nn_train_free(&t);
    nnc_net_free(&n);
}

#if NNC_HAVE_NET
void nnc_infer(const struct nnc_data *d, const struct nnc_variant *v,
               struct nnc_result *r)
{
    struct nnc_net n;
    struct err e = {0};
    struct nn_net *net = NULL;
    nnc_build(d, v, &n);
    struct nn_options o = {.path = v->path,
                           .mode = v->mode,
                           .bf16 = v->bf16,
                           .batch = d->c->batch,
                           .unfused = v->unfused};
    if (nn_plan(n.g, &o, &net, &e))
        nnc_fail(d, v, "%s", e.text);
    nnc_net_free(&n); /* plans copy what they need */
    memset(r, 0, sizeof *r);
    r->n_out = d->n_out;
    r->out = nnc_floats(d->n_out);
    float *out[OUTPUTS] = {r->out}, *more[NN_CHECK_INPUTS] = {0};
    for (int i = 0, k = 1; i < d->c->n_in && v->behind; i++) {
        if (!d->c->no_grad[i])
            out[k++] = more[i] = nnc_floats(d->n_in[i]);
    }
    if (nn_run(net, (const float *const *)d->in, out, &e))
        nnc_fail(d, v, "%s", e.text);
    for (int i = 0; i < NN_CHECK_INPUTS; i++)
        mem_free(more[i]);
    nn_net_free(&net);
}
#else
void nnc_infer(const struct nnc_data *d, const struct nnc_variant *v,
               struct nnc_result *r)
{
    (void)r;
    nnc_fail(d, v, "no inference plans");
}
#endif

/* ---- central differences ---- */

struct probe {
    const struct nnc_data *d;
    const struct nnc_variant *v;
    struct nn_train *t;
    float *out;
};

/* sum(out x dout), in double. */
static double value(const struct probe *p)
{
    struct err e = {0};
    double sum = 0;
    if (nn_train_forward(p->t, (const float *const *)p->d->in, &e))
        nnc_fail(p->d, p->v, "forward: %s", e.text);
    nn_train_output(p->t, 0, p->out);
    for (size_t i = 0; i < p->d->n_out; i++)
        sum += (double)p->out[i] * (p->d->dout ? (double)p->d->dout[i] : 1.0);
    return sum;
}

static double norm(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* (f(x + h u) - f(x - h u)) / 2h; x comes back as it was. */
static double slope(const struct probe *p, float *x, const float *u, size_t n,
                    double h, struct nn_param *param)
{
    double f[2];
    float *old = nnc_floats(n);
    memcpy(old, x, n * sizeof *x);
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < n; i++)
            x[i] = (float)((double)old[i] + (k ? -h : h) * (double)u[i]);
        if (param)
            param->version++;
        f[k] = value(p);
    }
    memcpy(x, old, n * sizeof *x);
    mem_free(old);
    if (param)
        param->version++;
    return (f[0] - f[1]) / (2 * h);
}

/* Steps of a fraction of x's size: the largest suffers from curvature, the
 * smallest from f32's rounding (1e-7 of the sum over 1e-3 of x), and one that
 * is neither gives two digits or more; a wrong gradient misses at all. The
 * error is measured against |g|, which is what u.g is like for random u. */
static void along(const struct probe *p, const char *what, float *x,
                  const float *g, size_t n, struct nn_param *param)
{
    static const double steps[] = {3e-3, 1e-3, 1e-2, 3e-4};
    const double tol = 1e-2;
    struct rng r;
    rng_seed(&r, 99);
    float *u = nnc_floats(n);
    double size = norm(x, n) / sqrt((double)n), length = norm(g, n);
    if (!(size > 0.01))
        size = 0.01;
    for (int k = 0; k < 4; k++) {
        double want = 0, got = 0, best = (double)INFINITY;
        for (size_t i = 0; i < n; i++) {
            u[i] = rng_unit(&r) < 0.5 ? -1.0F : 1.0F;
            want += (double)u[i] * (double)g[i];
        }
        for (int s = 0; s < 4 && !(best <= tol); s++) {
            double f = slope(p, x, u, n, steps[s] * size, param);
            double off = fabs(f - want) / fmax(length, 1e-4);
            if (off < best) {
                best = off;
                got = f;
            }
        }
        if (!(best <= tol))
            nnc_fail(p->d, p->v,
                     "%s: along direction %d differences give %.6g, the "
                     "gradient %.6g: off by %.2g of its length %.3g",
                     what, k, got, want, best, length);
    }
    mem_free(u);
}

void nnc_differences(const struct nnc_data *d, const struct nnc_variant *v)
{
    struct nnc_result r;
    struct nnc_net n;
    char what[100];
    nnc_train(d, v, &r);
    nnc_build(d, v, &n);
    struct nnc_variant w = *v;
    w.forward_only = true;
    struct probe p = {.d = d, .v = v, .t = plan(d, &w, &n)};
    p.out = nnc_floats(d->n_out);
    for (int i = 0; i < d->c->n_in; i++) {
        snprintf(what, sizeof what, "din%d", i);
        if (!d->c->no_grad[i])
            along(&p, what, d->in[i], r.din[i], d->n_in[i], NULL);
    }
    for (int i = 0; i < r.n_param; i++) {
        struct nn_param *q = nn_params_find(n.ps, r.param[i].name);
        snprintf(what, sizeof what, "dp.%s", q->name);
        if (!q->buffer)
            along(&p, what, tensor_f32(q->value), r.param[i].v, r.param[i].n,
                  q);
    }
    mem_free(p.out);
    nn_train_free(&p.t);
    nnc_net_free(&n);
    nnc_result_free(&r);
}
