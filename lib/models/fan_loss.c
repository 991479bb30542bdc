/* The loss of heatmaps that are read as distributions. */
#include "lib/base/clones.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/models/fan_loss.h"
#include "lib/nn/vecmath.h"

#define MAX_SIDE 128
#define REACH 4.0 /* deviations beyond which the target is nothing */

/* exp(m - top) into p, cells of them; returns their sum. */
CLONES static float fan_loss_exponentials(const float *restrict m, float top,
                                          float *restrict p, int64_t cells)
{
    float sum = 0;
    for (int64_t i = 0; i < cells; i++) {
        p[i] = nn_exp(m[i] - top);
        sum += p[i];
    }
    return sum;
}

/* First moments of p over a map. */
CLONES static void fan_loss_moments(const float *restrict p, int64_t side,
                                    float *x, float *y)
{
    float sx = 0, sy = 0;
    for (int64_t j = 0; j < side; j++) {
        const float *row = p + j * side;
        float s = 0, sr = 0;
        for (int64_t i = 0; i < side; i++) {
            s += row[i];
            sr += row[i] * (float)i;
        }
        sx += sr;
        sy += s * (float)j;
    }
    *x = sx;
    *y = sy;
}

/* grad = k (p + p (a (x - ux) + b (y - uy))): cross entropy's share of p, and
 * the mean's gradient. */
CLONES static void fan_loss_spread(const float *restrict p, int64_t side,
                                   float k, float ux, float uy, float a,
                                   float b, float *restrict grad)
{
    for (int64_t j = 0; j < side; j++) {
        float c = 1.0F + b * ((float)j - uy) - a * ux;
        for (int64_t i = 0; i < side; i++)
            grad[j * side + i] = k * p[j * side + i] * (c + a * (float)i);
    }
}

/* Smooth L1 with beta 1, and its derivative. */
static double smooth(double d, double *slope)
{
    if (fabs(d) < 1) {
        *slope = d;
        return 0.5 * d * d;
    }
    *slope = d < 0 ? -1 : 1;
    return fabs(d) - 0.5;
}

static float largest(const float *m, int64_t cells)
{
    float top = m[0];
    for (int64_t i = 1; i < cells; i++)
        top = m[i] > top ? m[i] : top;
    return top;
}

/* The Gaussian along one axis, sum 1; *from and *n: where it is not 0. */
static void profile(double at, double sigma, int64_t side, float *g,
                    int64_t *from, int64_t *n)
{
    double sum = 0, v[MAX_SIDE];
    int64_t lo = (int64_t)ceil(at - REACH * sigma);
    int64_t hi = (int64_t)floor(at + REACH * sigma);
    lo = lo < 0 ? 0 : lo;
    hi = hi > side - 1 ? side - 1 : hi;
    if (hi < lo) /* narrower than a cell: the nearest one */
        lo = hi = (int64_t)lround(fmin(fmax(at, 0), (double)side - 1));
    for (int64_t i = lo; i <= hi; i++) {
        double d = ((double)i - at) / sigma;
        v[i - lo] = exp(-0.5 * d * d);
        sum += v[i - lo];
    }
    if (!(sum > 0)) { /* so narrow that no cell's centre sees it */
        v[0] = sum = 1;
        hi = lo;
    }
    for (int64_t i = lo; i <= hi; i++)
        g[i - lo] = (float)(v[i - lo] / sum);
    *from = lo;
    *n = hi - lo + 1;
}

static double one_map(const struct fan_loss_spec *spec, const float *m,
                      const float *at, int64_t side, double k, float *grad)
{
    float p[MAX_SIDE * MAX_SIDE], gx[MAX_SIDE], gy[MAX_SIDE], ux, uy;
    int64_t cells = side * side, x0, nx, y0, ny;
    double lo = -0.5, hi = (double)side - 0.5;
    bool inside = (double)at[0] >= lo && (double)at[0] < hi &&
                  (double)at[1] >= lo && (double)at[1] < hi;
    if (!inside) { /* or not a number */
        memset(grad, 0, (size_t)cells * sizeof *grad);
        return 0;
    }
    float top = largest(m, cells),
          sum = fan_loss_exponentials(m, top, p, cells);
    float inverse = 1.0F / sum;
    fan_loss_moments(p, side, &ux, &uy);
    ux *= inverse;
    uy *= inverse;
    double a, b;
    double far = smooth((double)ux - (double)at[0], &a) +
                 smooth((double)uy - (double)at[1], &b);
    fan_loss_spread(p, side, (float)k * inverse, ux, uy,
                    (float)(spec->points * a), (float)(spec->points * b), grad);
    profile((double)at[0], spec->sigma, side, gx, &x0, &nx);
    profile((double)at[1], spec->sigma, side, gy, &y0, &ny);
    double log_sum = (double)top + log((double)sum), entropy = 0;
    for (int64_t j = 0; j < ny; j++) {
        for (int64_t i = 0; i < nx; i++) {
            float t = gy[j] * gx[i];
            int64_t c = (y0 + j) * side + x0 + i;
            entropy += (double)t * (log_sum - (double)m[c]);
            grad[c] -= (float)k * t;
        }
    }
    return k * (entropy + spec->points * far);
}

double fan_loss(const struct fan_loss_spec *spec, const float *maps,
                const float *truth, int64_t n, int64_t points, int64_t side,
                double scale, float *grad)
{
    int64_t all = n * points, cells = side * side;
    double total = 0, part[256] = {0};
    if (side > MAX_SIDE || all < 1)
        return (double)NAN;
        /* Sums of fixed groups of maps, added in their order: the same for any
         * number of threads. */
#pragma omp parallel for schedule(static)
    for (int g = 0; g < 256; g++) {
        for (int64_t i = g; i < all; i += 256)
            part[g] += one_map(spec, maps + i * cells, truth + 2 * i, side,
                               scale / (double)all, grad + i * cells);
    }
    for (int g = 0; g < 256; g++)
        total += part[g];
    return total;
}
