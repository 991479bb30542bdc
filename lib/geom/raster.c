/* A z-buffer triangle rasteriser: exact edge functions on a 1/1024 pixel grid,
 * so that neighbours leave no gap and share no pixel. */
#include "lib/geom/raster.h"

#include <math.h>
#include <stdbool.h>

#include "lib/base/mem.h"

#define SUB_BITS 10
#define SUB (1 << SUB_BITS)
/* Corners beyond this many pixels go through the slow path in double: inside
 * it, edge functions stay below 2^62. */
#define GUARD_PX 131072.0
#define MAX_SIDE 32768

enum err_code raster_new(int width, int height, struct raster **out,
                         struct err *e)
{
    *out = NULL;
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return err_set(e, ERR_ARG, "raster of %d x %d: each side must be 1..%d",
                       width, height, MAX_SIDE);
    size_t n = (size_t)width * (size_t)height;
    struct raster *r = mem_calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for a raster");
    r->width = width;
    r->height = height;
    r->triangle = mem_array(n, sizeof *r->triangle);
    r->z = mem_array(n, sizeof *r->z);
    r->bary = mem_array(n, sizeof *r->bary);
    if (!r->triangle || !r->z || !r->bary) {
        raster_free(&r);
        return err_set(e, ERR_NOMEM, "no memory for a raster of %d x %d", width,
                       height);
    }
    raster_clear(r);
    *out = r;
    return OK;
}

void raster_free(struct raster **rp)
{
    struct raster *r = *rp;
    if (!r)
        return;
    mem_free(r->triangle);
    mem_free(r->z);
    mem_free(r->bary);
    mem_free(r);
    *rp = NULL;
}

void raster_clear(struct raster *r)
{
    size_t n = (size_t)r->width * (size_t)r->height;
    for (size_t i = 0; i < n; i++) {
        r->triangle[i] = -1;
        r->z[i] = -INFINITY;
        r->bary[i][0] = r->bary[i][1] = 0;
    }
}

/* Put one covered sample; the first of equal depths stays. */
static inline void put(struct raster *r, size_t at, int32_t id, double b0,
                       double b1, const double z[3])
{
    float depth = (float)(z[2] + b0 * (z[0] - z[2]) + b1 * (z[1] - z[2]));
    if (!(depth > r->z[at]))
        return;
    r->z[at] = depth;
    r->triangle[at] = id;
    r->bary[at][0] = (float)b0;
    r->bary[at][1] = (float)b1;
}

static inline int64_t min3(int64_t a, int64_t b, int64_t c)
{
    int64_t m = a < b ? a : b;
    return m < c ? m : c;
}

static inline int64_t max3(int64_t a, int64_t b, int64_t c)
{
    int64_t m = a > b ? a : b;
    return m > c ? m : c;
}

/* With positive area in picture axes, top edges run right, left edges up. */
static inline int64_t edge_bias(int64_t dx, int64_t dy)
{
    return dy < 0 || (dy == 0 && dx > 0) ? 0 : -1;
}

/* Corners on the sub-pixel grid. flip: corners 1 and 2 were exchanged to make
 * the area positive. */
static void draw_fixed(struct raster *r, const int64_t x[3], const int64_t y[3],
                       int64_t area, const double z[3], bool flip, int32_t id)
{
    int64_t x0 = (min3(x[0], x[1], x[2]) + SUB - 1) >> SUB_BITS;
    int64_t y0 = (min3(y[0], y[1], y[2]) + SUB - 1) >> SUB_BITS;
    int64_t x1 = max3(x[0], x[1], x[2]) >> SUB_BITS;
    int64_t y1 = max3(y[0], y[1], y[2]) >> SUB_BITS;
    x0 = x0 < 0 ? 0 : x0;
    y0 = y0 < 0 ? 0 : y0;
    x1 = x1 >= r->width ? r->width - 1 : x1;
    y1 = y1 >= r->height ? r->height - 1 : y1;
    if (x0 > x1 || y0 > y1)
        return;
    /* Edge k is opposite to corner k. */
    int64_t row[3], step_x[3], step_y[3], bias[3];
    for (int k = 0; k < 3; k++) {
        int a = (k + 1) % 3, b = (k + 2) % 3;
        int64_t dx = x[b] - x[a], dy = y[b] - y[a];
        bias[k] = edge_bias(dx, dy);
        row[k] = dx * (y0 * SUB - y[a]) - dy * (x0 * SUB - x[a]) + bias[k];
        step_x[k] = -dy * SUB;
        step_y[k] = dx * SUB;
    }
    double inv = 1.0 / (double)area;
    for (int64_t py = y0; py <= y1; py++) {
        int64_t e0 = row[0], e1 = row[1], e2 = row[2];
        size_t at = (size_t)py * (size_t)r->width + (size_t)x0;
        for (int64_t px = x0; px <= x1; px++, at++) {
            if ((e0 | e1 | e2) >= 0) {
                double b0 = (double)(e0 - bias[0]) * inv;
                double b1 = flip ? (double)(e2 - bias[2]) * inv
                                 : (double)(e1 - bias[1]) * inv;
                put(r, at, id, b0, b1, z);
            }
            e0 += step_x[0];
            e1 += step_x[1];
            e2 += step_x[2];
        }
        for (int k = 0; k < 3; k++)
            row[k] += step_y[k];
    }
}

/* cross(b - a, p - a), computed the same way whichever end comes first, so
 * that two triangles sharing the edge get exactly opposite values. */
static double edge_double(const double a[2], const double b[2], double px,
                          double py)
{
    bool swap = a[1] > b[1] || (a[1] == b[1] && a[0] > b[0]);
    const double *p = swap ? b : a, *q = swap ? a : b;
    double v = (q[0] - p[0]) * (py - p[1]) - (q[1] - p[1]) * (px - p[0]);
    return swap ? -v : v;
}

/* Very large triangles: every pixel of the clipped box, in double. */
static void draw_large(struct raster *r, double c[3][2], double area,
                       const double z[3], int32_t id)
{
    double lo[2], hi[2];
    double side[2] = {(double)r->width - 1, (double)r->height - 1};
    for (int k = 0; k < 2; k++) {
        lo[k] = ceil(fmax(0, fmin(c[0][k], fmin(c[1][k], c[2][k]))));
        hi[k] = floor(fmin(side[k], fmax(c[0][k], fmax(c[1][k], c[2][k]))));
        if (!(lo[k] <= hi[k]))
            return;
    }
    double sign = area > 0 ? 1 : -1;
    for (double py = lo[1]; py <= hi[1]; py++)
        for (double px = lo[0]; px <= hi[0]; px++) {
            double w[3];
            bool in = true;
            for (int k = 0; k < 3 && in; k++) {
                const double *a = c[(k + 1) % 3], *b = c[(k + 2) % 3];
                w[k] = sign * edge_double(a, b, px, py);
                double dx = sign * (b[0] - a[0]), dy = sign * (b[1] - a[1]);
                bool edge = dy < 0 || (dy == 0 && dx > 0);
                in = w[k] > 0 || (w[k] == 0 && edge);
            }
            double sum = in ? w[0] + w[1] + w[2] : 0;
            if (sum > 0)
                put(r, (size_t)py * (size_t)r->width + (size_t)px, id,
                    w[0] / sum, w[1] / sum, z);
        }
}

static void draw_one(struct raster *r, const float *const v[3], int cull,
                     int32_t id)
{
    double c[3][2], z[3];
    bool large = false;
    for (int k = 0; k < 3; k++) {
        if (!isfinite(v[k][0]) || !isfinite(v[k][1]) || !isfinite(v[k][2]))
            return;
        c[k][0] = (double)v[k][0];
        c[k][1] = (double)v[k][1];
        z[k] = (double)v[k][2];
        large |= fabs(c[k][0]) > GUARD_PX || fabs(c[k][1]) > GUARD_PX;
    }
    if (large) {
        double area = (c[1][0] - c[0][0]) * (c[2][1] - c[0][1]) -
                      (c[1][1] - c[0][1]) * (c[2][0] - c[0][0]);
        if (area != 0 && !(cull > 0 && area > 0))
            draw_large(r, c, area, z, id);
        return;
    }
    int64_t x[3], y[3];
    for (int k = 0; k < 3; k++) {
        x[k] = llrint(c[k][0] * SUB);
        y[k] = llrint(c[k][1] * SUB);
    }
    int64_t area =
        (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0]);
    if (area == 0 || (cull > 0 && area > 0))
        return;
    bool flip = area < 0;
    if (flip) {
        int64_t t = x[1];
        x[1] = x[2];
        x[2] = t;
        t = y[1];
        y[1] = y[2];
        y[2] = t;
        area = -area;
    }
    draw_fixed(r, x, y, area, z, flip, id);
}

void raster_draw(struct raster *r, const float (*xyz)[3],
                 const int32_t (*triangle)[3], int n_triangles, int cull)
{
    for (int i = 0; i < n_triangles; i++) {
        const float *const v[3] = {xyz[triangle[i][0]], xyz[triangle[i][1]],
                                   xyz[triangle[i][2]]};
        draw_one(r, v, cull, i);
    }
}
