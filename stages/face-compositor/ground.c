/* What stands behind faces and is none. */
#include <math.h>

#include "lib/media/affine.h"
#include "stages/face-compositor/scene.h"

#define TRIES 24
#define CELLS 7 /* of a side of the blotches */

static double range(struct scene *s, double lo, double hi)
{
    return rng_range(s->rng, lo, hi);
}

/* Soft blotches of two tones, and noise: walls, sky, out-of-focus rooms. */
static void tones(struct scene *s)
{
    float cell[CELLS + 1][CELLS + 1][3], a[3], spread;
    spread = (float)(rng_unit(s->rng) < 0.3 ? 0 : range(s, 5, 60));
    float noise = (float)(rng_unit(s->rng) < 0.5 ? 0 : range(s, 2, 25));
    for (int c = 0; c < 3; c++)
        a[c] = (float)range(s, 0, 255);
    for (int i = 0; i <= CELLS; i++)
        for (int j = 0; j <= CELLS; j++) {
            float grey = spread * (float)rng_normal(s->rng);
            for (int c = 0; c < 3; c++)
                cell[i][j][c] =
                    a[c] + grey + 0.3F * spread * (float)rng_normal(s->rng);
        }
    for (int y = 0; y < s->side; y++) {
        float v = (float)y * CELLS / (float)s->side;
        int j = (int)v;
        v -= (float)j;
        for (int x = 0; x < s->side; x++) {
            float u = (float)x * CELLS / (float)s->side;
            int i = (int)u;
            u -= (float)i;
            float *p = s->px + 3 * (y * s->side + x);
            float n = noise > 0 ? noise * (float)rng_normal(s->rng) : 0;
            for (int c = 0; c < 3; c++) {
                float top =
                    cell[j][i][c] + u * (cell[j][i + 1][c] - cell[j][i][c]);
                float low = cell[j + 1][i][c] +
                            u * (cell[j + 1][i + 1][c] - cell[j + 1][i][c]);
                p[c] = top + v * (low - top) + n;
            }
        }
    }
}

/* A rectangle of the picture that its face, a tenth grown, does not reach. */
static bool faceless(struct scene *s, const struct shot *shot, double at[4])
{
    double w = (double)shot->frame->shape[1], h = (double)shot->frame->shape[0];
    const double *b = shot->box;
    double gx = 0.1 * (b[2] - b[0]), gy = 0.1 * (b[3] - b[1]);
    for (int i = 0; i < TRIES; i++) {
        double rw = range(s, 0.08, 0.7) * w, rh = range(s, 0.08, 0.7) * h;
        at[0] = range(s, -0.5, w - 0.5 - rw);
        at[1] = range(s, -0.5, h - 0.5 - rh);
        at[2] = at[0] + rw;
        at[3] = at[1] + rh;
        bool beside = at[2] < b[0] - gx || at[0] > b[2] + gx ||
                      at[3] < b[1] - 2 * gy || at[1] > b[3] + gy;
        if (beside && rw >= 12 && rh >= 12)
            return true;
    }
    return false;
}

/* That piece over the rectangle [x0,x1) x [y0,y1) of the scene. */
static enum err_code piece(struct scene *s, const struct shot *shot, int x0,
                           int y0, int x1, int y1, struct err *e)
{
    double at[4];
    if (x1 - x0 < 2 || y1 - y0 < 2 || !faceless(s, shot, at))
        return OK;
    double kx = (at[2] - at[0]) / (x1 - x0), ky = (at[3] - at[1]) / (y1 - y0);
    bool turned = rng_unit(s->rng) < 0.25; /* upside down */
    if (rng_unit(s->rng) < 0.8)            /* as it is, not stretched */
        kx = ky = fmin(kx, ky);
    const double m[6] = {
        kx, 0, at[0], 0, turned ? -ky : ky, turned ? at[3] : at[1]};
    int w = x1 - x0, h = y1 - y0;
    enum err_code r =
        image_affine(shot->frame, m, AFFINE_REFLECT, h, w, s->tmp, e);
    for (int y = 0; y < h && !r; y++)
        for (int i = 0; i < 3 * w; i++)
            s->px[3 * ((y0 + y) * s->side + x0) + i] = s->tmp[3 * y * w + i];
    return r;
}

enum err_code scene_ground(struct scene *s, const struct shot *const *shot,
                           int n, struct err *e)
{
    enum err_code r = OK;
    tones(s);
    double kind = rng_unit(s->rng);
    if (kind < 0.2 || n < 1)
        return OK;
    if (kind < 0.8) /* one piece everywhere */
        r = piece(s, shot[0], 0, 0, s->side, s->side, e);
    int pieces = kind < 0.5 ? 0 : 1 + (int)rng_below(s->rng, 6);
    for (int i = 0; i < pieces && !r; i++) {
        int w = (int)(range(s, 0.1, 0.7) * s->side);
        int h = (int)(range(s, 0.1, 0.7) * s->side);
        int x = (int)range(s, 0, s->side - w),
            y = (int)range(s, 0, s->side - h);
        r = piece(s, shot[i % n], x, y, x + w, y + h, e);
    }
    return r;
}
