/* Optimisers: the arithmetic of a step, one pass over memory. Operations and
 * their order are those of torch.optim 1.13 (_single_tensor_sgd, _adam,
 * _adamw), each rounded to float, nothing contracted, so that every CPU gives
 * the same bits. */
#include "lib/base/clones.h"

#include <math.h>

#include "lib/nn/optim_impl.h"

#define LANES 32 /* partial sums side by side */

static inline float clipped(float g, const struct nn_optim_coef *c)
{
    float x = g * c->clip;
    x = x > c->limit ? c->limit : x;
    return x < -c->limit ? -c->limit : x;
}

CLONES static void sgd_plain(float *restrict p, const float *restrict g,
                             size_t n, const struct nn_optim_coef *coef)
{
    const struct nn_optim_coef c = *coef;
    for (size_t i = 0; i < n; i++)
        p[i] -= c.lr * (clipped(g[i], &c) + c.decay * p[i]);
}

CLONES static void sgd_momentum(float *restrict p, const float *restrict g,
                                float *restrict buf, size_t n,
                                const struct nn_optim_coef *coef)
{
    const struct nn_optim_coef c = *coef;
    for (size_t i = 0; i < n; i++) {
        float d = clipped(g[i], &c) + c.decay * p[i];
        float b = buf[i] * c.momentum + d;
        buf[i] = b;
        p[i] -= c.lr * b;
    }
}

CLONES static void sgd_nesterov(float *restrict p, const float *restrict g,
                                float *restrict buf, size_t n,
                                const struct nn_optim_coef *coef)
{
    const struct nn_optim_coef c = *coef;
    for (size_t i = 0; i < n; i++) {
        float d = clipped(g[i], &c) + c.decay * p[i];
        float b = buf[i] * c.momentum + d;
        buf[i] = b;
        p[i] -= c.lr * (d + c.momentum * b);
    }
}

void nn_optim_sgd(float *p, const float *g, float *buf, size_t n, bool nesterov,
                  const struct nn_optim_coef *c)
{
    if (!buf)
        sgd_plain(p, g, n, c);
    else if (nesterov)
        sgd_nesterov(p, g, buf, n, c);
    else
        sgd_momentum(p, g, buf, n, c);
}

CLONES static void adam(float *restrict p, const float *restrict g,
                        float *restrict m, float *restrict v, size_t n,
                        const struct nn_optim_coef *coef)
{
    const struct nn_optim_coef c = *coef;
    for (size_t i = 0; i < n; i++) {
        float w = p[i] * c.shrink;
        float d = clipped(g[i], &c) + c.decay * w;
        float a = m[i] * c.beta1 + c.rest1 * d;
        float b = v[i] * c.beta2 + c.rest2 * d * d;
        m[i] = a;
        v[i] = b;
        p[i] = w - c.size * a / (sqrtf(b) / c.root + c.eps);
    }
}

void nn_optim_adam(float *p, const float *g, float *m, float *v, size_t n,
                   const struct nn_optim_coef *c)
{
    adam(p, g, m, v, n, c);
}

CLONES static void average(float *restrict ema, const float *restrict p,
                           size_t n, float keep, float take)
{
    for (size_t i = 0; i < n; i++)
        ema[i] = keep * ema[i] + take * p[i];
}

void nn_optim_average(float *ema, const float *p, size_t n,
                      const struct nn_optim_coef *c)
{
    average(ema, p, n, c->keep, c->take);
}

CLONES static size_t squares(const float *restrict g, size_t n,
                             double *restrict lane)
{
    double a[LANES] = {0.0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            double x = (double)g[i + (size_t)k];
            a[k] += x * x;
        }
    }
    for (int k = 0; k < LANES; k++)
        lane[k] = a[k];
    return i;
}

double nn_optim_squares(const float *g, size_t n)
{
    double lane[LANES];
    size_t i = squares(g, n, lane);
    for (; i < n; i++)
        lane[i % LANES] += (double)g[i] * (double)g[i];
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    }
    return lane[0];
}
