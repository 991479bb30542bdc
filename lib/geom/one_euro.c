/* The One-Euro filter on the points of a face. */
#include "lib/geom/one_euro.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

double one_euro_alpha(double cutoff_hz, double dt)
{
    double r = 2 * PI * cutoff_hz * dt;
    return r / (r + 1);
}

static void step_point(const struct one_euro *p, double *x, double *v,
                       double dt, double size_px, double d_alpha,
                       const float in[3])
{
    for (int k = 0; k < 3; k++) /* as the paper: from what came out last */
        v[k] += d_alpha * (((double)in[k] - x[k]) / dt - v[k]);
    double speed = hypot(v[0], v[1]) / size_px;
    double a = one_euro_alpha(p->min_cutoff + p->beta * speed, dt);
    for (int k = 0; k < 3; k++)
        x[k] += a * ((double)in[k] - x[k]);
}

void one_euro_step(const struct one_euro *p, struct one_euro_face *f, double dt,
                   double size_px, float in[LANDMARKS][3],
                   float out[LANDMARKS][3])
{
    double d_alpha = one_euro_alpha(p->d_cutoff, dt);
    for (int i = 0; i < LANDMARKS; i++) {
        if (!f->begun)
            for (int k = 0; k < 3; k++)
                f->x[i][k] = (double)in[i][k];
        else if (dt > 0)
            step_point(p, f->x[i], f->v[i], dt, size_px, d_alpha, in[i]);
        for (int k = 0; k < 3; k++)
            out[i][k] = (float)f->x[i][k];
    }
    if (!f->begun)
        memset(f->v, 0, sizeof f->v);
    f->begun = true;
}
