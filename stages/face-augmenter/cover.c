/* Things before a face (hands, hair, microphones: here rectangles and ellipses
 * filled with one tone, with blotches, or with a piece of the same picture)
 * and shadows on it. */
#include <math.h>
#include <string.h>

#include "stages/face-augmenter/augment.h"

#define TURN 6.283185307179586
#define BLOTCHES 8 /* cells of a side of the noise */

struct cover {
    float x, y, rx, ry, c, s; /* middle, half sides, the turn's cos and sin */
    bool ellipse;
    int fill;
    float rgb[3];
    float cell[BLOTCHES + 1][BLOTCHES + 1][3];
    int dx, dy; /* where the piece of the picture is taken from */
};

enum { FILL_TONE, FILL_BLOTCHES, FILL_PIECE, FILLS };

static void draw_cover(const struct draw *d, struct rng *r, struct cover *k)
{
    double size = d->size, most = d->s->cover_size;
    double turn = rng_range(r, 0, TURN);
    k->x = (float)rng_range(r, 0.1 * size, 0.9 * size);
    k->y = (float)rng_range(r, 0.1 * size, 0.9 * size);
    k->rx = (float)(size / 2 * rng_range(r, 0.2 * most, most));
    k->ry = (float)(size / 2 * rng_range(r, 0.2 * most, most));
    k->c = (float)cos(turn);
    k->s = (float)sin(turn);
    k->ellipse = rng_unit(r) < 0.5;
    k->fill = (int)rng_below(r, FILLS);
    for (int c = 0; c < 3; c++)
        k->rgb[c] = (float)rng_range(r, 0, 255);
    for (int i = 0; i <= BLOTCHES; i++)
        for (int j = 0; j <= BLOTCHES; j++)
            for (int c = 0; c < 3; c++)
                k->cell[i][j][c] = k->rgb[c] + 40.0F * (float)rng_normal(r);
    k->dx = (int)rng_below(r, (uint64_t)d->size);
    k->dy = (int)rng_below(r, (uint64_t)d->size);
}

/* The blotches at (u,v), -1..1 across the cover. */
static void blotch(const struct cover *k, float u, float v, float out[3])
{
    float a = (u + 1) * 0.5F * BLOTCHES, b = (v + 1) * 0.5F * BLOTCHES;
    a = fminf(fmaxf(a, 0), BLOTCHES - 0.001F);
    b = fminf(fmaxf(b, 0), BLOTCHES - 0.001F);
    int i = (int)a, j = (int)b;
    a -= (float)i;
    b -= (float)j;
    for (int c = 0; c < 3; c++) {
        float p =
            k->cell[i][j][c] + b * (k->cell[i][j + 1][c] - k->cell[i][j][c]);
        float q = k->cell[i + 1][j][c] +
                  b * (k->cell[i + 1][j + 1][c] - k->cell[i + 1][j][c]);
        out[c] = p + a * (q - p);
    }
}

/* Draw the part of the cover in one row; its edge is one pixel soft. */
static void cover_row(const struct draw *d, const struct cover *k, int y)
{
    int n = d->size;
    float least = fminf(k->rx, k->ry);
    for (int x = 0; x < n; x++) {
        float px = (float)x - k->x, py = (float)y - k->y;
        float u = (k->c * px + k->s * py) / k->rx;
        float v = (k->c * py - k->s * px) / k->ry;
        float out =
            k->ellipse ? sqrtf(u * u + v * v) : fmaxf(fabsf(u), fabsf(v));
        float a = fminf((1 - out) * least + 0.5F, 1);
        if (!(a > 0))
            continue;
        float rgb[3];
        memcpy(rgb, k->rgb, sizeof rgb);
        if (k->fill == FILL_BLOTCHES)
            blotch(k, u, v, rgb);
        else if (k->fill == FILL_PIECE)
            memcpy(rgb, d->tmp + 3 * ((y + k->dy) % n * n + (x + k->dx) % n),
                   sizeof rgb);
        float *p = d->px + 3 * (y * n + x);
        for (int c = 0; c < 3; c++)
            p[c] += a * (rgb[c] - p[c]);
    }
}

void cover_face(const struct draw *d)
{
    struct rng r = draw_rng(d, "cover");
    if (!(rng_unit(&r) < d->s->cover) || !(d->s->cover_size > 0))
        return;
    int count = 1 + (int)rng_below(&r, 3);
    memcpy(d->tmp, d->px, sizeof *d->px * 3 * (size_t)(d->size * d->size));
    for (int i = 0; i < count; i++) {
        struct cover k;
        draw_cover(d, &r, &k);
        float reach = k.rx + k.ry + 1;
        int from = (int)fmaxf(k.y - reach, 0);
        int to = (int)fminf(k.y + reach, (float)(d->size - 1));
        for (int y = from; y <= to; y++)
            cover_row(d, &k, y);
    }
}

/* The darker side of a soft edge: a line or, when curved, a disc's. */
void cover_shadow(const struct draw *d)
{
    struct rng r = draw_rng(d, "shadow");
    if (!(rng_unit(&r) < d->s->often) || !(d->s->shadow > 0))
        return;
    int n = d->size;
    double turn = rng_range(&r, 0, TURN);
    float dark = (float)(d->s->shadow * rng_range(&r, 0.3, 1));
    float soft = (float)(n * rng_range(&r, 0.02, 0.5));
    float at = (float)(n * rng_range(&r, -0.3, 0.3));
    float c = (float)cos(turn), s = (float)sin(turn);
    float bend =
        rng_unit(&r) < 0.5 ? (float)rng_range(&r, -1, 1) / (float)n : 0;
    float half = (float)(n - 1) / 2;
    for (int y = 0; y < n; y++) {
        for (int x = 0; x < n; x++) {
            float px = (float)x - half, py = (float)y - half;
            float side = c * py - s * px;
            float t = (c * px + s * py - at + bend * side * side) / soft + 0.5F;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            float k = 1 - dark * t * t * (3 - 2 * t);
            float *p = d->px + 3 * (y * n + x);
            p[0] *= k;
            p[1] *= k;
            p[2] *= k;
        }
    }
}
