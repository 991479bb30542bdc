/* What a landmarker gets wrong. */
#include <math.h>
#include <stddef.h>

#include "lib/geom/head_sample.h"

#define JAW_GROUP 0

/* Deviations in outer-eye distances, of both axes: a whole group moved, what
 * neighbours share, and each point by itself. The jaw slides along itself by
 * `slide` of the distance between its points. */
static const struct {
    double group, shared, single, slide;
} kind[2] = {{0.012, 0.012, 0.006, 0}, {0.015, 0.018, 0.008, 0.35}};

static void bend(struct rng *r, int first, int last, double sigma,
                 float (*points)[2], const float (*along)[2])
{
    const double keep = 0.8, fresh = sqrt(1 - keep * keep);
    double s[2] = {rng_normal(r), rng_normal(r)};
    for (int i = first; i <= last; i++) {
        for (int k = 0; k < 2; k++) {
            if (along)
                points[i][k] += (float)(sigma * s[0]) * along[i][k];
            else
                points[i][k] += (float)(sigma * s[k]);
        }
        for (int k = 0; k < 2; k++)
            s[k] = keep * s[k] + fresh * rng_normal(r);
    }
}

static void slide_jaw(struct rng *r, double share, float (*points)[2])
{
    float along[HEAD_JAW][2];
    for (int i = 0; i < HEAD_JAW; i++) {
        int a = i ? i - 1 : 0, b = i + 1 < HEAD_JAW ? i + 1 : i;
        for (int k = 0; k < 2; k++)
            along[i][k] = (points[b][k] - points[a][k]) / (float)(b - a);
    }
    bend(r, 0, HEAD_JAW - 1, share, points, (const float(*)[2])along);
}

static void move_group(struct rng *r, int first, int last, double sigma,
                       float (*points)[2])
{
    for (int k = 0; k < 2; k++) {
        float d = (float)(sigma * rng_normal(r));
        for (int i = first; i <= last; i++)
            points[i][k] += d;
    }
}

/* Points that went astray altogether. */
static void outliers(struct rng *r, double unit_px, float (*points)[2])
{
    if (rng_unit(r) < 0.05) {
        const struct landmark_group *g =
            &landmark_groups[rng_below(r, LANDMARK_GROUPS)];
        move_group(r, g->first, g->last, 0.06 * unit_px, points);
    }
    if (rng_unit(r) < 0.12) {
        int n = 1 + (int)rng_below(r, 4);
        for (int k = 0; k < n; k++) {
            int i = (int)rng_below(r, LANDMARKS);
            move_group(r, i, i, 0.10 * unit_px, points);
        }
    }
}

/* Is the point on the side that turns away? */
static bool far_side(int i, double ry_deg)
{
    int m = landmark_mirror[i];
    if (m == i)
        return false;
    /* Of each pair the lower number is the picture's left, but for the lower
     * rows of the lips, which run back. */
    bool lower_lips = (i >= 55 && i <= 59) || i >= 65;
    bool right = (i > m) != lower_lips;
    return ry_deg > 0 ? right : !right;
}

void head_noise_add(struct rng *r, double level, double unit_px, double ry_deg,
                    float (*points)[2])
{
    /* Blurred, small or odd pictures are worse as a whole. */
    double all = level * exp(0.4 * rng_normal(r));
    double hidden = fmin(fmax((fabs(ry_deg) - 20) / 60, 0), 1);
    if (level <= 0)
        return;
    slide_jaw(r, all * kind[1].slide, points);
    for (int g = 0; g < LANDMARK_GROUPS; g++) {
        int first = landmark_groups[g].first, last = landmark_groups[g].last;
        int k = g == JAW_GROUP;
        move_group(r, first, last, all * kind[k].group * unit_px, points);
        bend(r, first, last, all * kind[k].shared * unit_px, points, NULL);
        for (int i = first; i <= last; i++) {
            double s = kind[k].single;
            if (far_side(i, ry_deg))
                s += 0.03 * hidden;
            move_group(r, i, i, all * s * unit_px, points);
        }
    }
    if (level > 0.1)
        outliers(r, unit_px, points);
}
