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

/* What one group of points does together, then each of them. */
static void step_group(const struct one_euro *p, struct one_euro_face *f,
                       const struct landmark_group *g, double dt,
                       double size_px, float in[LANDMARKS][3])
{
    double d_alpha = one_euro_alpha(p->d_cutoff, dt), v[2] = {0, 0};
    for (int i = g->first; i <= g->last; i++)
        for (int k = 0; k < 3; k++) { /* as the paper: from what came out */
            double now = ((double)in[i][k] - f->x[i][k]) / dt;
            f->v[i][k] += d_alpha * (now - f->v[i][k]);
            if (k < 2)
                v[k] += f->v[i][k] / (g->last - g->first + 1);
        }
    double speed = hypot(v[0], v[1]) / size_px;
    double a = one_euro_alpha(p->min_cutoff + p->beta * speed, dt);
    for (int i = g->first; i <= g->last; i++)
        for (int k = 0; k < 3; k++)
            f->x[i][k] += a * ((double)in[i][k] - f->x[i][k]);
}

void one_euro_step(const struct one_euro *p, struct one_euro_face *f, double dt,
                   double size_px, float in[LANDMARKS][3],
                   float out[LANDMARKS][3])
{
    for (int i = 0; !f->begun && i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++)
            f->x[i][k] = (double)in[i][k];
    for (int g = 0; f->begun && dt > 0 && g < LANDMARK_GROUPS; g++)
        step_group(p, f, &landmark_groups[g], dt, size_px, in);
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++)
            out[i][k] = (float)f->x[i][k];
    if (!f->begun)
        memset(f->v, 0, sizeof f->v);
    f->begun = true;
}
