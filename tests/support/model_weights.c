/* Weights and inputs made from names alone, and digests of results. */
#include "tests/support/model_weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"
#include "tests/support/fan_weights.h"

#define HEAD 3 /* norm, signed sum, largest; elements follow */

/* The biases of batch norms are known by their running means. */
static bool is_norm_bias(const struct nn_params *ps, const char *name)
{
    char mean[256];
    if (!text_ends(name, ".bias"))
        return false;
    snprintf(mean, sizeof mean, "%.*srunning_mean", (int)strlen(name) - 4,
             name);
    return nn_params_find(ps, mean) != NULL;
}

static float value_of(const struct nn_param *p, uint64_t seed, size_t i,
                      float k, float shift)
{
    float u = hashed_uniform(seed, i);
    if (p->value->ndim > 1)
        return (u * 2.0F - 1.0F) * k;
    if (text_ends(p->name, "running_var"))
        return u + 0.5F;
    if (text_ends(p->name, "weight"))
        return u * 0.5F + 0.75F;
    float v = u * 0.25F - 0.125F;
    if (shift == 0.0F)
        return v;
    return v + (hashed_uniform(seed ^ 1, i) < 0.5F ? -shift : shift);
}

void seed_weights(struct nn_params *ps, double gain, double shift)
{
    for (size_t n = 0; n < nn_params_count(ps); n++) {
        struct nn_param *p = nn_params_at(ps, n);
        const struct tensor *t = p->value;
        float *v = tensor_f32(t);
        uint64_t seed = name_seed(p->name);
        double fan_in =
            t->ndim > 1 ? (double)t->count / (double)t->shape[0] : 1.0;
        float k = (float)(gain * sqrt(3.0 / fan_in));
        float by = is_norm_bias(ps, p->name) ? (float)shift : 0.0F;
        for (size_t i = 0; i < t->count; i++)
            v[i] = value_of(p, seed, i, k, by);
        p->version++;
    }
}

void seeded_noise(const char *name, float *v, size_t n)
{
    uint64_t seed = name_seed(name);
    for (size_t i = 0; i < n; i++)
        v[i] = hashed_uniform(seed, i) * 2.0F - 1.0F;
}

double largest(const float *v, size_t n)
{
    double m = 0;
    for (size_t i = 0; i < n; i++)
        m = fmax(m, fabs((double)v[i]));
    return m;
}

static bool near(double got, double want, double room, const char *what,
                 char *why, size_t why_size)
{
    if (fabs(got - want) <= room)
        return true;
    snprintf(why, why_size, "%s is %.7g, not %.7g (tolerance %.2g)", what, got,
             want, room);
    return false;
}

bool digest_check(const struct safetensors *golden, const char *name,
                  const float *v, size_t n, double tol, double floor, char *why,
                  size_t why_size)
{
    struct tensor *t = NULL;
    struct err e = {0};
    if (safetensors_tensor(golden, name, &t, &e)) {
        snprintf(why, why_size, "%s", e.text);
        return false;
    }
    const float *want = tensor_f32(t);
    uint64_t seed = name_seed(name);
    double squares = 0, sum = 0;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        double x = (double)v[i];
        finite = finite && isfinite(x);
        squares += x * x;
        sum += hashed_uniform(seed, i) < 0.5F ? -x : x;
    }
    double room = tol * (double)want[0] + floor * sqrt((double)n);
    double room1 = tol * (double)want[2] + floor;
    bool ok =
        near(sqrt(squares), (double)want[0], room, "the norm", why, why_size) &&
        near(sum, (double)want[1], room, "the signed sum", why, why_size) &&
        near(largest(v, n), (double)want[2], room1, "the largest value", why,
             why_size);
    for (size_t i = HEAD; i < t->count && ok; i++) {
        char what[48];
        size_t at =
            (size_t)((double)hashed_uniform(seed, i - HEAD) * (double)n);
        snprintf(what, sizeof what, "element %zu of %zu", at, n);
        ok = near((double)v[at], (double)want[i], room1, what, why, why_size);
    }
    if (ok && !finite) {
        snprintf(why, why_size, "a value is not finite");
        ok = false;
    }
    tensor_free(&t);
    return ok;
}
