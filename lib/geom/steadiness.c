/* How steady found points are, and how far behind. */
#include "lib/geom/steadiness.h"

#include <math.h>
#include <string.h>

#define COARSE_S 0.005
#define LEAST_FRAMES 10

static enum err_code check(const struct steady_frame *f, size_t n,
                           struct err *e)
{
    size_t found = 0;
    for (size_t t = 0; t < n; t++) {
        found += f[t].found;
        if (!isfinite(f[t].time_s) || (t > 0 && f[t].time_s <= f[t - 1].time_s))
            return err_set(e, ERR_DATA, "times of frames do not increase");
        for (int i = 0; i < 2 * LANDMARKS; i++)
            if (!isfinite(f[t].truth[i / 2][i % 2]) ||
                (f[t].found && !isfinite(f[t].seen[i / 2][i % 2])))
                return err_set(e, ERR_DATA,
                               "frame %zu: landmark %d is not finite", t,
                               i / 2);
    }
    return found ? OK : err_set(e, ERR_DATA, "no frame has found points");
}

static double off(const struct steady_frame *f, int i, int c)
{
    return (double)f->seen[i][c] - (double)f->truth[i][c];
}

/* Deviation of one coordinate, squared and summed over frames: of the truth
 * over all, of the error over those found. */
static double spread(const struct steady_frame *f, size_t n, int i, int c,
                     bool truth)
{
    double mean = 0, sum = 0, m = 0;
    for (size_t t = 0; t < n; t++)
        if (truth || f[t].found) {
            mean += truth ? (double)f[t].truth[i][c] : off(&f[t], i, c);
            m++;
        }
    mean /= m;
    for (size_t t = 0; t < n; t++)
        if (truth || f[t].found) {
            double v = truth ? (double)f[t].truth[i][c] : off(&f[t], i, c);
            sum += (v - mean) * (v - mean);
        }
    return sum;
}

static void distances(const struct steady_frame *f, size_t n,
                      struct steadiness *s)
{
    double step = 0, error = 0, jitter = 0, travel = 0, pairs = 0;
    for (size_t t = 0; t < n; t++) {
        s->size += landmark_outer_eye(f[t].truth[0], 2) / (double)n;
        s->found += f[t].found;
        bool both = t > 0 && f[t].found && f[t - 1].found;
        pairs += both;
        for (int i = 0; f[t].found && i < LANDMARKS; i++) {
            error += hypot(off(&f[t], i, 0), off(&f[t], i, 1));
            for (int c = 0; both && c < 2; c++) {
                double d = off(&f[t], i, c) - off(&f[t - 1], i, c);
                step += d * d;
            }
        }
    }
    for (int i = 0; i < LANDMARKS; i++)
        for (int c = 0; c < 2; c++) {
            jitter += spread(f, n, i, c, false);
            travel += spread(f, n, i, c, true);
        }
    double all = (double)s->found * LANDMARKS;
    s->error = error / all;
    s->jitter = sqrt(jitter / all);
    s->travel = sqrt(travel / ((double)n * LANDMARKS));
    s->step = pairs > 0 ? sqrt(step / (pairs * LANDMARKS)) : 0;
}

/* The truth's slope at frame t, per second. */
static double slope(const struct steady_frame *f, size_t n, size_t t, int i,
                    int c)
{
    size_t a = t > 0 ? t - 1 : t, b = t + 1 < n ? t + 1 : t;
    return ((double)f[b].truth[i][c] - (double)f[a].truth[i][c]) /
           (f[b].time_s - f[a].time_s);
}

/* Weights of (place, slope) at both ends: Hermite's cubic at u in 0..1. */
static void hermite(double u, double w[4])
{
    double v = 1 - u;
    w[0] = v * v * (1 + 2 * u);
    w[1] = v * v * u;
    w[2] = u * u * (3 - 2 * u);
    w[3] = -u * u * v;
}

/* The frames for which every delay lies within the clip. */
static bool usable(const struct steady_frame *f, size_t n, size_t t)
{
    return f[t].found && f[t].time_s - STEADY_LAG_MOST >= f[0].time_s - 1e-9 &&
           f[t].time_s - STEADY_LAG_LEAST <= f[n - 1].time_s + 1e-9;
}

/* Squares that are left when the truth is delayed. */
static double left(const struct steady_frame *f, size_t n, double delay_s)
{
    double sum[LANDMARKS][2] = {{0}}, square = 0, m = 0;
    size_t a = 0;
    for (size_t t = 0; t < n; t++) {
        double when = f[t].time_s - delay_s, w[4];
        if (!usable(f, n, t))
            continue;
        while (a + 2 < n && f[a + 1].time_s <= when)
            a++;
        double h = f[a + 1].time_s - f[a].time_s;
        hermite((when - f[a].time_s) / h, w);
        for (int i = 0; i < LANDMARKS; i++)
            for (int c = 0; c < 2; c++) {
                double truth = w[0] * (double)f[a].truth[i][c] +
                               w[2] * (double)f[a + 1].truth[i][c] +
                               h * (w[1] * slope(f, n, a, i, c) +
                                    w[3] * slope(f, n, a + 1, i, c));
                double d = (double)f[t].seen[i][c] - truth;
                sum[i][c] += d;
                square += d * d;
            }
        m++;
    }
    for (int i = 0; i < LANDMARKS; i++)
        for (int c = 0; c < 2; c++)
            square -= sum[i][c] * sum[i][c] / m;
    return square;
}

/* The least of the grid, then the vertex of the parabola through it and its
 * neighbours. */
static void find_lag(const struct steady_frame *f, size_t n,
                     struct steadiness *s)
{
    size_t m = 0;
    for (size_t t = 0; t < n; t++)
        m += usable(f, n, t);
    s->has_lag = m >= LEAST_FRAMES && s->travel > 0.01 * s->size;
    if (!s->has_lag)
        return;
    int steps = (int)lround((STEADY_LAG_MOST - STEADY_LAG_LEAST) / COARSE_S);
    int at = 0;
    double least = (double)INFINITY;
    for (int k = 0; k <= steps; k++) {
        double v = left(f, n, STEADY_LAG_LEAST + k * COARSE_S);
        if (v < least) {
            least = v;
            at = k;
        }
    }
    s->lag_s = STEADY_LAG_LEAST + at * COARSE_S;
    if (at == 0 || at == steps)
        return;
    double before = left(f, n, s->lag_s - COARSE_S);
    double after = left(f, n, s->lag_s + COARSE_S);
    double bend = before - 2 * least + after;
    if (bend > 0)
        s->lag_s += COARSE_S * (before - after) / (2 * bend);
}

enum err_code steadiness_measure(const struct steady_frame *f, size_t n,
                                 struct steadiness *out, struct err *e)
{
    *out = (struct steadiness){.frames = n};
    enum err_code rc = check(f, n, e);
    if (rc)
        return rc;
    distances(f, n, out);
    find_lag(f, n, out);
    return OK;
}
