/* Passes where each pixel has a number of its own. */
#include "lib/base/clones.h"

#include "lib/nn/pixels.h"

#include <string.h>

#define LANES 16

/* acc[p] += sum of a b k over the n channels of each of `pixels` pixels. */
CLONES
static void pixels_dot(const float *a, const float *b, const float *k,
                       float *restrict acc, int64_t n, int64_t pixels)
{
    if (n == 1) {
        float w = k ? k[0] : 1.0F;
        for (int64_t p = 0; p < pixels; p++)
            acc[p] += a[p] * b[p] * w;
        return;
    }
    for (int64_t p = 0; p < pixels; p++) {
        const float *u = a + p * n, *v = b + p * n;
        float part[LANES] = {0}, sum = 0;
        int64_t i = 0;
        for (; i + LANES <= n && k; i += LANES) {
            for (int j = 0; j < LANES; j++)
                part[j] += u[i + j] * v[i + j] * k[i + j];
        }
        for (; i + LANES <= n; i += LANES) {
            for (int j = 0; j < LANES; j++)
                part[j] += u[i + j] * v[i + j];
        }
        for (; i < n; i++)
            sum += u[i] * v[i] * (k ? k[i] : 1.0F);
        for (int j = 0; j < LANES; j++)
            sum += part[j];
        acc[p] += sum;
    }
}

/* Pixels of run i of a plane: the first, and how many. */
static int64_t pixels_of(const struct nn_segs *s, int64_t i, int64_t *n)
{
    struct nn_seg r = nn_seg_at(s, 0, 0, i);
    *n = s->wide ? 1 : r.n / s->lane;
    return r.at / s->lane;
}

void nn_pixel_sums(const struct nn_view *a, const struct nn_view *b,
                   const float *k, float *sum)
{
    struct nn_segs s = nn_segs_of(a);
    int64_t area = a->shape.h * a->shape.w;
    /* All runs of one pixel belong together. */
    int64_t each = s.wide ? (s.lane - 1) / NN_ROW + 1 : 1;
    int64_t chunks = s.per_plane / each, total = s.pictures * chunks;
#pragma omp parallel for schedule(static) if (s.pictures * s.stride >=         \
                                              NN_PARALLEL)
    for (int64_t i = 0; i < total; i++) {
        float one[NN_ROW], two[NN_ROW];
        int64_t picture = i / chunks, first = i % chunks * each, n;
        int64_t at = pixels_of(&s, first, &n);
        float *to = sum + picture * area + at;
        memset(to, 0, (size_t)n * sizeof *to);
        for (int64_t r = 0; r < s.planes * each; r++) {
            struct nn_seg g =
                nn_seg_at(&s, picture, r / each, first + r % each);
            const float *p = nn_row_get(a, g.at, g.n, one);
            const float *q = a == b ? p : nn_row_get(b, g.at, g.n, two);
            pixels_dot(p, q, k ? k + g.c : NULL, to, g.n / n, n);
        }
    }
}

static void spread(float *row, const float *px, int64_t lane, int64_t n)
{
    for (int64_t i = 0; i < n; i += lane, px++) {
        for (int64_t j = 0; j < lane && i + j < n; j++)
            row[i + j] = *px;
    }
}

void nn_each_pixel(const struct nn_view *a, const struct nn_view *b,
                   const struct nn_view *dst, bool add, nn_fn_channel *f,
                   const float *const *chan, int n_k, const float *const *px,
                   int n_px, bool shared)
{
    struct nn_segs s = nn_segs_of(dst);
    int64_t total = s.pictures * s.planes * s.per_plane;
    int64_t area = dst->shape.h * dst->shape.w;
#pragma omp parallel for schedule(static) if (s.pictures * s.stride >=         \
                                              NN_PARALLEL)
    for (int64_t i = 0; i < total; i++) {
        float one[NN_ROW], two[NN_ROW], to[NN_ROW];
        float rows[NN_CHANNEL_ROWS][NN_ROW];
        const float *k[NN_CHANNEL_ROWS];
        int64_t plane = i / s.per_plane, run = i % s.per_plane, n;
        struct nn_seg r =
            nn_seg_at(&s, plane / s.planes, plane % s.planes, run);
        int64_t pixel = pixels_of(&s, run, &n);
        if (!shared)
            pixel += r.b * area;
        for (int j = 0; j < n_k + n_px; j++) {
            k[j] = rows[j];
            if (j < n_k)
                nn_repeat(rows[j], chan[j] + r.c, s.wide ? r.n : r.period, r.n);
            else if (s.lane == 1)
                k[j] = px[j - n_k] + pixel;
            else
                spread(rows[j], px[j - n_k] + pixel, s.wide ? r.n : s.lane,
                       r.n);
        }
        const float *p = nn_row_get(a, r.at, r.n, one);
        const float *q = b ? nn_row_get(b, r.at, r.n, two) : NULL;
        float *d = add ? to : nn_row_at(dst, r.at, to);
        f(p, q, d, k, r.n, NULL);
        nn_row_put(dst, r.at, r.n, d, add);
    }
}
