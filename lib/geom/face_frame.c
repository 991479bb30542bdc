/* A face's own frame in the picture, and putting a head there. */
#include "lib/geom/face_frame.h"

#include <math.h>
#include <stddef.h>

#include "lib/geom/head.h"
#include "lib/geom/linalg.h"

#define INNER 17 /* the first point that is not the jaw's */
#define NEAREST_Z 0.05

static void inner_mean(const float *p, int stride, double mean[2])
{
    mean[0] = mean[1] = 0;
    for (int i = INNER; i < LANDMARKS; i++)
        for (int k = 0; k < 2; k++)
            mean[k] += (double)p[i * stride + k] / (LANDMARKS - INNER);
}

enum err_code face_frame_reference(float out[LANDMARKS][2], struct err *e)
{
    float p[LANDMARKS][3];
    double mean[2];
    enum err_code r = head_landmarks(NULL, p, e);
    if (r)
        return r;
    inner_mean(p[0], 3, mean);
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 2; k++)
            out[i][k] = (float)((double)p[i][k] - mean[k]);
    return OK;
}

enum err_code face_frame_fit(const float reference[LANDMARKS][2],
                             const float *pts, int stride,
                             struct face_frame *out, struct err *e)
{
    double at[2], from[2], a = 0, b = 0, pp = 0, qq = 0;
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 2; k++)
            if (!(fabsf(pts[i * stride + k]) < 1e7F))
                return err_set(e, ERR_DATA, "point %d is not finite", i);
    inner_mean(pts, stride, at);
    inner_mean(reference[0], 2, from);
    for (int i = INNER; i < LANDMARKS; i++) {
        double p[2], q[2];
        for (int k = 0; k < 2; k++) {
            p[k] = (double)pts[i * stride + k] - at[k];
            q[k] = (double)reference[i][k] - from[k];
        }
        a += q[0] * p[0] + q[1] * p[1];
        b += q[0] * p[1] - q[1] * p[0];
        pp += p[0] * p[0] + p[1] * p[1];
        qq += q[0] * q[0] + q[1] * q[1];
    }
    double n = hypot(a, b);
    if (!(n > 1e-9) || !(qq > 0) || !(pp > 1e-6))
        return err_set(e, ERR_DATA, "the points are all in one place");
    *out = (struct face_frame){.centre = {at[0], at[1]},
                               .scale = sqrt(pp / qq),
                               .c = a / n,
                               .s = b / n};
    return OK;
}

void face_frame_in(const struct face_frame *f, const double p[3], double out[3])
{
    double x = p[0] - f->centre[0], y = p[1] - f->centre[1];
    out[0] = (f->c * x + f->s * y) / f->scale;
    out[1] = (f->c * y - f->s * x) / f->scale;
    out[2] = p[2] / f->scale;
}

void face_frame_out(const struct face_frame *f, const double p[3],
                    double out[3])
{
    double x = p[0], y = p[1];
    out[0] = f->centre[0] + f->scale * (f->c * x - f->s * y);
    out[1] = f->centre[1] + f->scale * (f->s * x + f->c * y);
    out[2] = f->scale * p[2];
}

void face_frame_turn_in(const struct face_frame *f, const double r[9],
                        double out[9])
{
    const double back[9] = {f->c, f->s, 0, -f->s, f->c, 0, 0, 0, 1};
    linalg_mul3(back, r, out);
}

void face_frame_turn_out(const struct face_frame *f, const double r[9],
                         double out[9])
{
    const double turn[9] = {f->c, -f->s, 0, f->s, f->c, 0, 0, 0, 1};
    linalg_mul3(turn, r, out);
}

/* Turned and drawn at scale 1, without offset. */
static void seen(const struct face_place *p, const float head[3], double out[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = p->r[3 * k] * (double)head[0] +
                 p->r[3 * k + 1] * (double)head[1] +
                 p->r[3 * k + 2] * (double)head[2];
    double by = 1 / fmax(1 - p->near * out[2], NEAREST_Z);
    out[0] *= by;
    out[1] *= by;
}

enum err_code face_place_fit(const float (*head)[3], const float (*xyz)[3],
                             struct face_place *io, struct err *e)
{
    double a[LANDMARKS][3], am[3] = {0}, bm[3] = {0}, ab = 0, aa = 0;
    for (int i = 0; i < LANDMARKS; i++) {
        seen(io, head[i], a[i]);
        for (int k = 0; k < 3; k++) {
            am[k] += a[i][k] / LANDMARKS;
            bm[k] += (double)xyz[i][k] / LANDMARKS;
        }
    }
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++) {
            ab += (a[i][k] - am[k]) * ((double)xyz[i][k] - bm[k]);
            aa += (a[i][k] - am[k]) * (a[i][k] - am[k]);
        }
    io->scale = ab / aa;
    if (!(aa > 0) || !(io->scale > 0) || !isfinite(io->scale))
        return err_set(e, ERR_DATA, "the points are degenerate");
    for (int k = 0; k < 3; k++)
        io->t[k] = bm[k] - io->scale * am[k];
    return OK;
}

void face_place_at(const struct face_place *p, const float (*head)[3], int n,
                   float (*out)[3])
{
    for (int i = 0; i < n; i++) {
        double v[3];
        seen(p, head[i], v);
        for (int k = 0; k < 3; k++)
            out[i][k] = (float)(p->scale * v[k] + p->t[k]);
    }
}
