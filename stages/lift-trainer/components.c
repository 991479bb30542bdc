/* Principal components of heads, as what the network's last layer begins
 * with. */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/gemm.h"
#include "stages/lift-trainer/net.h"

#define MOST 1024 /* heads: enough for the components' span */
#define ROUNDS 8

struct work {
    int64_t n, d, k; /* heads, numbers of each, components */
    float *x;        /* [n,d], centred */
    float *q;        /* [k,d], orthonormal rows */
    float *y;        /* [n,k] */
    float *mean;     /* [d] */
};

static void work_free(struct work *w)
{
    mem_free(w->x);
    mem_free(w->q);
    mem_free(w->y);
    mem_free(w->mean);
}

static bool gather(struct work *w, struct item *const *it, size_t count)
{
    for (size_t i = 0; i < count && w->n < MOST; i++) {
        const struct tensor *h = item_tensor(it[i], "head_true");
        const struct tensor *s = item_tensor(it[i], "surface_true");
        size_t ns = (size_t)w->d - 3 * LANDMARKS;
        if (!h || h->count != 3 * LANDMARKS || (ns && (!s || s->count != ns)))
            continue;
        float *row = w->x + w->n++ * w->d;
        for (size_t k = 0; k < 3 * LANDMARKS; k++)
            row[k] = (float)tensor_get(h, k);
        for (size_t k = 0; k < ns; k++)
            row[3 * LANDMARKS + k] = (float)tensor_get(s, k);
    }
    for (int64_t i = 0; i < w->n; i++)
        for (int64_t k = 0; k < w->d; k++)
            w->mean[k] += w->x[i * w->d + k] / (float)w->n;
    for (int64_t i = 0; i < w->n; i++)
        for (int64_t k = 0; k < w->d; k++)
            w->x[i * w->d + k] -= w->mean[k];
    return w->n > 0;
}

/* Rows made orthonormal, one after the other, twice (Gram-Schmidt). */
static void orthonormal(struct work *w)
{
    for (int64_t a = 0; a < w->k; a++) {
        float *p = w->q + a * w->d;
        for (int64_t b = 0; b < 2 * a; b++) {
            const float *r = w->q + b % (a ? a : 1) * w->d;
            double dot = 0;
            for (int64_t i = 0; i < w->d; i++)
                dot += (double)p[i] * (double)r[i];
            for (int64_t i = 0; i < w->d; i++)
                p[i] -= (float)dot * r[i];
        }
        double norm = 0;
        for (int64_t i = 0; i < w->d; i++)
            norm += (double)p[i] * (double)p[i];
        float by = norm > 1e-20 ? (float)(1 / sqrt(norm)) : 0;
        for (int64_t i = 0; i < w->d; i++)
            p[i] *= by;
    }
}

/* Subspace iteration on x^T x. */
static void components(struct work *w)
{
    struct rng r;
    rng_seed(&r, 1);
    for (int64_t i = 0; i < w->k * w->d; i++)
        w->q[i] = (float)rng_normal(&r);
    orthonormal(w);
    for (int round = 0; round < ROUNDS; round++) {
        nn_gemm(false, true, w->n, w->k, w->d, 1, w->x, w->d, w->q, w->d, 0,
                w->y, w->k);
        nn_gemm(true, false, w->k, w->d, w->n, 1, w->y, w->k, w->x, w->d, 0,
                w->q, w->d);
        orthonormal(w);
    }
    nn_gemm(false, true, w->n, w->k, w->d, 1, w->x, w->d, w->q, w->d, 0, w->y,
            w->k);
}

/* Codes of deviation 1: the columns are components times deviations. */
static void write_layer(const struct work *w, struct nn_param *weight,
                        struct nn_param *bias)
{
    float *to = tensor_f32(weight->value);
    for (int64_t c = 0; c < w->k; c++) {
        double var = 0;
        for (int64_t i = 0; i < w->n; i++)
            var += pow((double)w->y[i * w->k + c], 2) / (double)w->n;
        for (int64_t i = 0; i < w->d; i++)
            to[i * w->k + c] = (float)sqrt(var) * w->q[c * w->d + i];
    }
    memcpy(bias->value->data, w->mean, (size_t)w->d * sizeof(float));
    weight->version++;
    bias->version++;
}

enum err_code lift_train_components(struct lift_train *n,
                                    struct item *const *it, size_t count,
                                    struct err *e)
{
    struct nn_param *weight = nn_params_find(n->ps, "head.weight");
    struct nn_param *bias = nn_params_find(n->ps, "head.bias");
    struct work w = {.d = (int64_t)n->size[LIFT_IN_HEAD], .k = n->spec.codes};
    if (!weight || !bias)
        return err_set(e, ERR_STATE, "the network has no layer 'head'");
    size_t d = (size_t)w.d, k = (size_t)w.k;
    size_t most = count < MOST ? count : MOST;
    w.x = mem_array(most * d + 1, sizeof(float));
    w.q = mem_array(k * d, sizeof(float));
    w.y = mem_array(most * k + 1, sizeof(float));
    w.mean = mem_calloc(d, sizeof(float));
    enum err_code r = w.x && w.q && w.y && w.mean
                          ? OK
                          : err_set(e, ERR_NOMEM, "no memory for components");
    if (!r && gather(&w, it, count)) {
        components(&w);
        write_layer(&w, weight, bias);
    }
    work_free(&w);
    return r;
}
