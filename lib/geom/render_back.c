/* Backdrops: plain, studio, out-of-focus lights, out-of-focus room. Linear
 * colour, drawn once for a size and a seed. */
#include <math.h>
#include <stddef.h>

#include "lib/base/rng.h"
#include "lib/geom/render_internal.h"

struct patch {
    double x, y, rx, ry, soft;
    float rgb[3];
};

static void colour(struct rng *r, double lo, double hi, double sat,
                   float rgb[3])
{
    double g = rng_range(r, lo, hi);
    for (int k = 0; k < 3; k++)
        rgb[k] = (float)(g * (1 + sat * rng_range(r, -1, 1)));
}

static double cover(const struct patch *p, double x, double y, bool round)
{
    double dx = fabs(x - p->x) / p->rx, dy = fabs(y - p->y) / p->ry;
    double d = round ? hypot(dx, dy) : fmax(dx, dy);
    double u = (1 + p->soft - d) / (2 * p->soft);
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return u * u * (3 - 2 * u);
}

static int make_patches(enum render_backdrop kind, struct rng *r,
                        struct patch *p, int max)
{
    int n = kind == BACK_BOKEH  ? 14 + (int)rng_below(r, 10)
            : kind == BACK_ROOM ? 7 + (int)rng_below(r, 6)
                                : 0;
    n = n > max ? max : n;
    for (int i = 0; i < n; i++) {
        p[i].x = rng_range(r, -0.1, 1.1);
        p[i].y = rng_range(r, -0.1, 1.1);
        if (kind == BACK_BOKEH) {
            p[i].rx = p[i].ry = rng_range(r, 0.02, 0.12);
            p[i].soft = rng_range(r, 0.12, 0.4);
            colour(r, 0.05, 0.6, 0.5, p[i].rgb);
        } else {
            p[i].rx = rng_range(r, 0.05, 0.35);
            p[i].ry = rng_range(r, 0.05, 0.5);
            p[i].soft = rng_range(r, 0.10, 0.5);
            colour(r, 0.02, 0.5, 0.22, p[i].rgb);
        }
    }
    return n;
}

void backdrop_draw(enum render_backdrop kind, uint64_t seed, int w, int h,
                   float (*rgb)[3])
{
    struct rng r;
    rng_seed(&r, seed);
    float top[3], low[3];
    colour(&r, 0.05, 0.5, 0.18, top);
    for (int k = 0; k < 3; k++)
        low[k] = top[k] * (float)rng_range(&r, 0.45, 1.25);
    double gx = rng_range(&r, 0.3, 0.7), gy = rng_range(&r, 0.25, 0.6);
    struct patch p[24];
    int n = make_patches(kind, &r, p, 24);
    double side = w > h ? w : h;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double u = (x + 0.5) / side, v = (y + 0.5) / side;
            float *o = rgb[(size_t)y * (size_t)w + (size_t)x];
            double glow = 1;
            if (kind == BACK_STUDIO)
                glow = 0.55 +
                       1.1 * exp(-((u - gx) * (u - gx) + (v - gy) * (v - gy)) /
                                 0.12);
            for (int k = 0; k < 3; k++)
                o[k] = (float)((double)(top[k] + (low[k] - top[k]) * (float)v) *
                               glow);
            for (int i = 0; i < n; i++) {
                float c = (float)cover(&p[i], u, v, kind == BACK_BOKEH);
                float a = kind == BACK_BOKEH ? 0.55f : 0.85f;
                for (int k = 0; c > 0 && k < 3; k++)
                    o[k] += (p[i].rgb[k] - o[k]) * c * a;
            }
            float g = noise3((float)(u * 5), (float)(v * 5), 0, (uint32_t)seed);
            for (int k = 0; k < 3; k++)
                o[k] = fmaxf(0, o[k] * (1 + 0.05f * g));
        }
}
