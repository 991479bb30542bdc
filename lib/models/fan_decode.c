/* FAN: heatmaps to points. */
#include "lib/base/clones.h"

#include <math.h>
#include <stddef.h>

#include "lib/models/fan.h"
#include "lib/models/fan_pairs.h"
#include "lib/nn/vecmath.h"

const int fan_mirror_point[68] = {
    16, 15, 14, 13, 12, 11, 10, 9,  8,  7,  6,  5,  4,  3,  2,  1,  0,
    26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 27, 28, 29, 30, 35, 34, 33,
    32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, 54, 53, 52,
    51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65};

static int sign(float v)
{
    return (v > 0) - (v < 0);
}

/* FA, utils.py get_preds_fromhm: only off the border. */
static void quarter(const float *m, int w, int x, int y, double *u, double *v)
{
    *u = x;
    *v = y;
    if (x > 0 && x < w - 1 && y > 0 && y < w - 1) {
        const float *c = m + y * w + x;
        *u += 0.25 * sign(c[1] - c[-1]);
        *v += 0.25 * sign(c[w] - c[-w]);
    }
}

static void centroid(const float *m, int w, int x, int y, double *u, double *v)
{
    double sum = 0, su = 0, sv = 0;
    for (int j = y - 2; j <= y + 2; j++) {
        for (int i = x - 2; i <= x + 2; i++) {
            if (i < 0 || j < 0 || i >= w || j >= w)
                continue;
            double k = (double)m[j * w + i];
            if (k <= 0)
                continue;
            sum += k;
            su += k * i;
            sv += k * j;
        }
    }
    *u = sum > 0 ? su / sum : x;
    *v = sum > 0 ? sv / sum : y;
}

#define NEAR 3 /* cells to each side */

/* exp(m - top) summed over a map. */
CLONES static float fan_decode_exponentials(const float *m, float top, int n)
{
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += nn_exp(m[i] - top);
    return sum;
}

/* The mean near the maximum: what lies farther away is another opinion. */
static float softmax(const float *m, int w, int x, int y, double *u, double *v)
{
    float top = m[y * w + x];
    double near = 0, su = 0, sv = 0;
    for (int j = y - NEAR; j <= y + NEAR; j++) {
        for (int i = x - NEAR; i <= x + NEAR; i++) {
            if (i < 0 || j < 0 || i >= w || j >= w)
                continue;
            double k = (double)nn_exp(m[j * w + i] - top);
            near += k;
            su += k * i;
            sv += k * j;
        }
    }
    *u = su / near; /* the maximum itself is 1 */
    *v = sv / near;
    return (float)(near / (double)fan_decode_exponentials(m, top, w * w));
}

#define LANES 32

/* The first place of the largest of n values (n a multiple of LANES; NaN never
 * counts). The maximum is taken in independent lanes, which compilers make
 * vectors of: maps are scanned for every look, and one chain of compares was
 * 4 % of the landmarker's time. */
static int first_max(const float *m, int n)
{
    float lane[LANES], peak = -INFINITY;
    for (int k = 0; k < LANES; k++)
        lane[k] = -INFINITY;
    for (int c = 0; c < n; c += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] = m[c + k] > lane[k] ? m[c + k] : lane[k];
    for (int k = 0; k < LANES; k++)
        peak = lane[k] > peak ? lane[k] : peak;
    for (int c = 0; c < n; c++)
        if (m[c] >= peak)
            return c;
    return 0;
}

void fan_decode_at(const float *maps, int w, enum fan_decode how,
                   float xy[FAN_POINTS][2], float *score)
{
    for (int i = 0; i < FAN_POINTS; i++) {
        const float *m = maps + i * w * w;
        int best = first_max(m, w * w);
        float peak = m[best];
        double u, v;
        if (how == FAN_SOFTMAX)
            peak = softmax(m, w, best % w, best / w, &u, &v);
        else if (how == FAN_QUARTER)
            quarter(m, w, best % w, best / w, &u, &v);
        else
            centroid(m, w, best % w, best / w, &u, &v);
        xy[i][0] = (float)(4.0 * u + 1.5);
        xy[i][1] = (float)(4.0 * v + 1.5);
        if (score)
            score[i] = peak;
    }
}

void fan_decode(const float *maps, enum fan_decode how, float xy[FAN_POINTS][2],
                float *score)
{
    fan_decode_at(maps, FAN_MAP, how, xy, score);
}
