/* What the face detector learns from: which cells are faces, and how far their
 * boxes are off. */
#include <math.h>
#include <string.h>

#include "lib/models/detector.h"

/* Of a face's sides: how far from its middle a cell is a face, and how far it
 * is nothing that counts. */
#define MIDDLE 0.22
#define NEAR 0.42
/* Sizes so much beyond a level's are left to themselves. */
#define BEYOND 1.35
#define BETA 0.1

enum label { NONE, IGNORED, FACE };

/* The label of cell (i,j), and of a face its number. Of several the one whose
 * middle is nearest in units of its size. */
static enum label label_of(const struct detector_level *l,
                           const struct detector_truth *t, int64_t i, int64_t j,
                           int *which)
{
    double x = ((double)i + 0.5) * l->stride - 0.5;
    double y = ((double)j + 0.5) * l->stride - 0.5, best = (double)INFINITY;
    enum label label = NONE;
    for (int k = 0; k < t->n; k++) {
        const float *b = t->box[k];
        double w = (double)b[2] - (double)b[0], h = (double)b[3] - (double)b[1];
        if (!(w > 0 && h > 0))
            continue;
        double dx = fabs(x - ((double)b[0] + (double)b[2]) / 2);
        double dy = fabs(y - ((double)b[1] + (double)b[3]) / 2);
        double far = fmax(dx / w, dy / h), size = sqrt(w * h);
        /* The cell in which the middle lies is always a face's. */
        double half = l->stride / 2.0;
        bool middle = far <= MIDDLE || (dx <= half && dy <= half);
        bool near = far <= NEAR || (dx <= 1.5 * half && dy <= 1.5 * half);
        if (!near || size < l->from / BEYOND || size > l->to * BEYOND)
            continue;
        bool mine = size >= l->from && size <= l->to;
        if (middle && mine && !t->ignore[k] && far < best) {
            best = far;
            *which = k;
            label = FACE;
        } else if (label == NONE) {
            label = IGNORED;
        }
    }
    return label;
}

/* Focal loss of logit x and its slope, for a face or for none. */
static double focal(const struct detector_loss_spec *s, double x, bool face,
                    double *slope)
{
    double z = face ? x : -x, a = face ? s->alpha : 1 - s->alpha;
    double p = 1 / (1 + exp(-z)), q = 1 - p; /* p: of the truth */
    double log_p = z > 0 ? -log1p(exp(-z)) : z - log1p(exp(z));
    double k = pow(q, s->gamma);
    double d = a * k * (s->gamma * p * log_p - q);
    *slope = face ? d : -d;
    return -a * k * log_p;
}

static double smooth(double d, double *slope)
{
    if (fabs(d) < BETA) {
        *slope = d / BETA;
        return 0.5 * d * d / BETA;
    }
    *slope = d < 0 ? -1 : 1;
    return fabs(d) - 0.5 * BETA;
}

static double box_loss(const struct detector_level *l, const float *b,
                       int64_t i, int64_t j, const float v[4], double d[4])
{
    double w = (double)b[2] - (double)b[0], h = (double)b[3] - (double)b[1];
    double s = l->stride, sum = 0;
    double x = (((double)b[0] + (double)b[2]) / 2 + 0.5) / s - 0.5 - (double)i;
    double y = (((double)b[1] + (double)b[3]) / 2 + 0.5) / s - 0.5 - (double)j;
    const double want[4] = {x, y, log(w / l->size), log(h / l->size)};
    const double unit[4] = {s / w, s / h, 1, 1};
    for (int k = 0; k < 4; k++) {
        sum += smooth(((double)v[k] - want[k]) * unit[k], &d[k]);
        d[k] *= unit[k];
    }
    return sum;
}

static double one_picture(const struct detector_loss_spec *spec,
                          const struct detector_level *l, const float *m,
                          const struct detector_truth *t, int64_t h, int64_t w,
                          double k, float *grad)
{
    int64_t cells = h * w;
    double sum = 0, slope;
    memset(grad, 0, sizeof *grad * DETECTOR_CHANNELS * (size_t)cells);
    for (int64_t j = 0; j < h; j++) {
        for (int64_t i = 0; i < w; i++) {
            int64_t c = j * w + i;
            int which = -1;
            enum label is = label_of(l, t, i, j, &which);
            if (is == IGNORED)
                continue;
            sum += focal(spec, (double)m[c], is == FACE, &slope);
            grad[c] = (float)(k * slope);
            if (is != FACE)
                continue;
            float v[4];
            double d[4];
            for (int a = 0; a < 4; a++)
                v[a] = m[(a + 1) * cells + c];
            sum += spec->box * box_loss(l, t->box[which], i, j, v, d);
            for (int a = 0; a < 4; a++)
                grad[(a + 1) * cells + c] = (float)(k * spec->box * d[a]);
        }
    }
    return k * sum;
}

double detector_loss(const struct detector_loss_spec *spec,
                     const struct detector_level *l, const float *maps,
                     const struct detector_truth *truth, int64_t n, int64_t h,
                     int64_t w, double scale, float *grad)
{
    int64_t size = DETECTOR_CHANNELS * h * w;
    double total = 0, part[256] = {0};
    /* Sums of fixed groups, added in their order. */
#pragma omp parallel for schedule(static)
    for (int g = 0; g < 256; g++) {
        for (int64_t p = g; p < n; p += 256)
            part[g] += one_picture(spec, l, maps + p * size, &truth[p], h, w,
                                   scale, grad + p * size);
    }
    for (int g = 0; g < 256; g++)
        total += part[g];
    return total;
}

int64_t detector_positives(const struct detector_truth *truth, int64_t n,
                           int64_t h, int64_t w)
{
    int64_t sum = 0;
    for (int64_t p = 0; p < n; p++) {
        for (int k = 0; k < DETECTOR_LEVELS; k++) {
            const struct detector_level *l = &detector_level[k];
            int which;
            for (int64_t j = 0; j < h / l->stride; j++)
                for (int64_t i = 0; i < w / l->stride; i++)
                    sum += label_of(l, &truth[p], i, j, &which) == FACE;
        }
    }
    return sum;
}
