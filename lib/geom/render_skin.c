/* Colours of skin, lips, brows, eyes, hair and cloth, computed from the rest
 * position in millimetres so that they stick to the surface. */
#include <math.h>
#include <stdbool.h>

#include "lib/geom/render_internal.h"

static uint32_t hash3(int x, int y, int z, uint32_t seed)
{
    uint32_t h = seed ^ ((uint32_t)x * 0x8da6b343u) ^
                 ((uint32_t)y * 0xd8163841u) ^ ((uint32_t)z * 0xcb1ab31fu);
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    h ^= h >> 12;
    h *= 0x297a2d39u;
    return h ^ (h >> 15);
}

static float lattice(int x, int y, int z, uint32_t seed)
{
    return (float)(hash3(x, y, z, seed) >> 8) * (2.0f / 16777216.0f) - 1.0f;
}

float noise3(float x, float y, float z, uint32_t seed)
{
    float fx = floorf(x), fy = floorf(y), fz = floorf(z);
    int ix = (int)fx, iy = (int)fy, iz = (int)fz;
    float u = x - fx, v = y - fy, w = z - fz;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    w = w * w * (3 - 2 * w);
    float c[2][2];
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++) {
            float p = lattice(ix, iy + b, iz + a, seed);
            float q = lattice(ix + 1, iy + b, iz + a, seed);
            c[a][b] = p + (q - p) * u;
        }
    float lo = c[0][0] + (c[0][1] - c[0][0]) * v;
    float hi = c[1][0] + (c[1][1] - c[1][0]) * v;
    return lo + (hi - lo) * w;
}

float smooth_step(float lo, float hi, float x)
{
    float u = (x - lo) / (hi - lo);
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return u * u * (3 - 2 * u);
}

static float spot(float dx, float sx, float dy, float sy)
{
    float q = dx * dx / (sx * sx) + dy * dy / (sy * sy);
    return q > 9 ? 0 : expf(-q);
}

static void mix(float rgb[3], const float to[3], float w)
{
    for (int k = 0; k < 3; k++)
        rgb[k] += (to[k] - rgb[k]) * w;
}

static void scale(float rgb[3], float r, float g, float b, float w)
{
    rgb[0] *= 1 + (r - 1) * w;
    rgb[1] *= 1 + (g - 1) * w;
    rgb[2] *= 1 + (b - 1) * w;
}

/* Cover 0..1 of the brow's hair at |x| = a, y. */
static float brow_cover(const struct render_look *k, float a, float y, float sx)
{
    if (a < 10 || a > 60 || y < -36 || y > -10)
        return 0;
    float u = (a - 13) / 43.5f; /* 0 at the nose .. 1 at the temple */
    static const double line[][2] = {{8, -19.6},  {14, -20.6}, {25, -24.2},
                                     {36.5, -26}, {47, -23.6}, {55.5, -17},
                                     {60, -13}};
    float mid = (float)head_table(line, 7, (double)a);
    float half =
        k->brow_thick * (u < 0.12f ? 2.9f + 6 * u : 3.7f - 2.7f * (u - 0.12f));
    half = fmaxf(half, 0.5f);
    /* Strokes leaning outwards, more upright near the nose. */
    float lean = 0.5f + 1.8f * u;
    float s = noise3(1.3f * (a + (y - mid) * lean) + 50 * sx, y * 0.22f, sx,
                     (uint32_t)k->seed ^ 0x51u);
    float d = (y - mid) / (half * (1 + 0.22f * s));
    float ends = smooth_step(-0.06f, 0.1f, u) * smooth_step(1.06f, 0.9f, u);
    float c = smooth_step(1.15f, 0.45f, fabsf(d)) * ends;
    return c * (0.78f + 0.22f * s);
}

static void lips_colour(const struct render_look *k, float a, float y, float z,
                        float rgb[3], float *spec)
{
    if (a > 30 || y < 57 || y > 86 || z < -25)
        return;
    float up = (float)head_lip_upper_y((double)a);
    float low = (float)head_lip_lower_y((double)a);
    float line = (float)head_lip_line_y((double)a);
    float in = smooth_step(up - 0.9f, up + 0.8f, y) *
               smooth_step(low + 0.9f, low - 1.0f, y) *
               smooth_step(27.5f, 24.5f, a);
    float c[3] = {k->lips[0], k->lips[1], k->lips[2]};
    float wr = noise3(a * 1.1f, y * 0.12f, 3, (uint32_t)k->seed ^ 0x77u);
    float deep = y < line ? 0.82f : 1.0f; /* the upper lip is darker */
    for (int i = 0; i < 3; i++)
        c[i] *= deep * (1 + 0.09f * wr);
    mix(rgb, c, in);
    *spec += 0.7f * in * (y > line ? 1 : 0.5f);
    float part = spot(y - line, 0.9f, 0, 1) * smooth_step(28, 23.5f, a);
    scale(rgb, 0.34f, 0.26f, 0.26f, part);
    scale(rgb, 0.6f, 0.55f, 0.55f, spot(a - 25.5f, 2.2f, y - 69.8f, 1.8f));
    /* Shadow below the lower lip. */
    scale(rgb, 0.86f, 0.82f, 0.8f, spot(a, 14, y - 84.5f, 3.5f));
}

static void lids_colour(const struct render_look *k, float a, float y,
                        float rgb[3])
{
    if (a < 10 || a > 56 || y < -18 || y > 18)
        return;
    float up = (float)head_lid_y((double)a, 0);
    float low = (float)head_lid_y((double)a, 1);
    float in = smooth_step(15.5f, 19, a) * smooth_step(50, 44.5f, a);
    float wing = smooth_step(26, 44, a);
    float band = 0.9f + 0.7f * wing;
    float d = up - y; /* above the margin */
    float dark = smooth_step(band + 0.7f, band - 0.5f, d) *
                 smooth_step(-2.2f, -0.8f, d) * in;
    float lash = k->lash * (0.85f + 0.3f * noise3(a * 1.6f, 0, 1, 5));
    scale(rgb, 0.10f, 0.08f, 0.08f, fminf(0.95f, dark * lash));
    /* Wings of the lashes beyond the outer corner. */
    float tail = spot(y - (-0.6f - (a - 45) * 0.35f), 0.8f, a - 46, 2.4f);
    scale(rgb, 0.3f, 0.25f, 0.25f, k->lash * tail);
    float dl = y - low;
    float lower = smooth_step(1.5f, 0.2f, dl) * smooth_step(-1.6f, -0.4f, dl) *
                  in * (0.25f + 0.55f * wing);
    scale(rgb, 0.42f, 0.32f, 0.32f, lower * k->lash);
    /* Crease, lid shade, thin red skin under the eye. */
    scale(rgb, 0.70f, 0.58f, 0.56f, 0.75f * spot(d - 3.9f, 1.1f, a - 31, 15));
    scale(rgb, 0.88f, 0.78f, 0.76f, spot(a - 30, 15, y + 6, 8));
    scale(rgb, 0.93f, 0.82f, 0.85f, 0.8f * spot(a - 27, 11, y - 9.5f, 4.5f));
    scale(rgb, 0.85f, 0.68f, 0.66f, spot(a - 17, 5, y - 2, 5));
}

static void nose_colour(float a, float y, float z, float rgb[3])
{
    if (a > 24 || y < 20 || y > 56 || z < -5)
        return;
    float tilt = y - 45.4f + 0.18f * (a - 6.8f);
    float hole = spot(a - 6.7f, 3.2f, tilt, 1.75f);
    hole = smooth_step(0.25f, 0.75f, hole);
    scale(rgb, 0.07f, 0.04f, 0.04f, hole);
    /* Crease behind the wing; shade under the tip. */
    float c =
        spot(hypotf(a - 10.8f, (y - 40) * 0.95f) - 7.2f, 1.3f, a - 18, 5) *
        smooth_step(31, 37, y);
    scale(rgb, 0.66f, 0.54f, 0.52f, 0.8f * c);
    scale(rgb, 0.74f, 0.64f, 0.62f, spot(a, 12, y - 46.8f, 3.0f));
}

/* Moustache, chin, jaw, and up to the sideburns. */
static void beard(const struct render_look *k, const float p[3], float rgb[3])
{
    float a = fabsf(p[0]), y = p[1], z = p[2];
    float line = 80 - 0.42f * a; /* upper edge on the cheek */
    float cover = smooth_step(line - 7, line + 9, y);
    cover = fmaxf(cover, spot(a, 25, y - 56.5f, 6));
    cover = fmaxf(cover, 0.9f * smooth_step(60, 72, a) * smooth_step(2, 40, y));
    cover *= smooth_step(-80, -62, z) * smooth_step(135, 110, y);
    if (a < 30 && y > 57 && y < 86) {
        float lips = fmaxf((float)head_lip_upper_y((double)a) - y,
                           y - (float)head_lip_lower_y((double)a));
        cover *= smooth_step(0, 3, lips + fmaxf(0, a - 24));
    }
    float n = 0.75f + 0.45f * noise3(p[0] * 1.7f, y * 1.7f, z * 1.7f, 9);
    float t[3];
    for (int i = 0; i < 3; i++)
        t[i] = 0.55f * k->hair[i] + 0.12f * k->skin[i];
    mix(rgb, t, fminf(0.93f, k->stubble * cover * n));
}

void skin_albedo(const struct render_look *k, const float p[3], float rgb[3],
                 float *spec)
{
    float a = fabsf(p[0]), y = p[1], z = p[2];
    uint32_t seed = (uint32_t)k->seed;
    for (int i = 0; i < 3; i++)
        rgb[i] = k->skin[i];
    *spec = k->oil * (0.5f + 0.8f * spot(a, 14, y + 48, 20) +
                      0.9f * spot(a, 6, y - 26, 16));
    float m = noise3(p[0] / 9, y / 9, z / 9, seed) +
              0.6f * noise3(p[0] / 3.1f, y / 3.1f, z / 3.1f, seed + 1);
    scale(rgb, 1.02f, 0.94f, 0.93f, k->mottle * m);
    if (z > -40) {
        float b = 0.85f * spot(a - 43, 19, y - 33, 17) +
                  0.8f * spot(a, 13, y - 37, 9) +
                  0.4f * spot(a, 16, y - 104, 10);
        scale(rgb, 1.0f, 0.78f, 0.78f, k->blush * b);
        scale(rgb, 1.0f, 0.985f, 0.93f, spot(a, 40, y + 45, 24));
        nose_colour(a, y, z, rgb);
        lips_colour(k, a, y, z, rgb, spec);
        lids_colour(k, a, y, rgb);
        float bc = brow_cover(k, a, y, p[0] < 0 ? -1.0f : 1.0f);
        mix(rgb, k->brow, fminf(1, fmaxf(0, bc * k->brow_dark)));
    }
    if (y < 70 && (y < -22 || a > 55)) { /* roots under and at the hairline */
        float d = hair_inside(k, atan2f(a, z + 62), y);
        float t = k->style == HAIR_SHAVED ? 0.55f : 0.85f;
        float n = 0.8f + 0.3f * noise3(p[0] * 1.1f, y * 1.1f, z * 1.1f, 8);
        mix(rgb, k->hair, fminf(0.9f, t * n * smooth_step(-5, 6, d)));
    }
    if (k->stubble > 0 && y > 0 && y < 135 && z > -80)
        beard(k, p, rgb);
}

void eye_albedo(const struct shade_ctx *c, const struct shade_in *in,
                float rgb[3], float *gloss)
{
    const float *g = c->gaze[in->side > 0];
    float d[3] = {in->tex[0] - (float)in->side * (float)EYE_X,
                  in->tex[1] - (float)EYE_Y, in->tex[2] - (float)EYE_Z};
    float n = 1 / sqrtf(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
    float cosa = (d[0] * g[0] + d[1] * g[1] + d[2] * g[2]) * n;
    float ang = acosf(fminf(1, fmaxf(-1, cosa))) * (float)EYE_R; /* mm */
    static const float white[3] = {0.74f, 0.70f, 0.66f};
    static const float vein[3] = {0.62f, 0.34f, 0.30f};
    for (int i = 0; i < 3; i++)
        rgb[i] = white[i];
    float far = smooth_step(7, 13, fabsf(d[0]) + 0.2f * fabsf(d[1]));
    mix(rgb, vein, 0.65f * far);
    /* Iris: rays, a dark rim, a lighter ring round the pupil. */
    float phi = atan2f(d[1] * n - g[1] * cosa, d[0] * n - g[0] * cosa);
    float ray = noise3(phi * 9, ang * 0.6f, 2, (uint32_t)c->s->look.seed);
    float ir[3];
    for (int i = 0; i < 3; i++)
        ir[i] = c->s->look.iris[i] * (0.85f + 0.4f * ray) *
                (1.25f - 0.5f * smooth_step(2.5f, 5.9f, ang));
    mix(rgb, ir, smooth_step(6.45f, 5.95f, ang));
    static const float black[3] = {0.008f, 0.007f, 0.007f};
    mix(rgb, black, 0.75f * spot(ang - 6.1f, 0.7f, 0, 1));
    mix(rgb, black, smooth_step(2.5f, 2.05f, ang));
    *gloss = 1;
    /* The upper lid and its lashes shade the ball. */
    float up = (float)head_lid_y((double)(in->tex[0] * (float)in->side), 0);
    float sh = smooth_step(up + 4.0f, up + 0.2f, in->tex[1]);
    scale(rgb, 0.42f, 0.40f, 0.42f, sh);
}

void hair_albedo(const struct render_look *k, const float p[3], float rgb[3],
                 float *band)
{
    uint32_t seed = (uint32_t)k->seed ^ 0xabcu;
    /* Strands run away from the crown, or from the parting. */
    float dx = p[0] - (k->style == HAIR_SIDE ? k->part_x : 0);
    float dz = p[2] + 78, dy = p[1] + 119;
    float across = atan2f(dx, dz) * 26;
    float along = sqrtf(dx * dx + dz * dz + dy * dy);
    if (k->style == HAIR_SIDE || k->style == HAIR_LONG ||
        k->style == HAIR_BOB) /* from the parting straight to the sides */
        across = (p[2] + 78 + 0.35f * (p[1] + 100)) * 0.55f;
    if ((k->style == HAIR_LONG || k->style == HAIR_BOB) && p[1] > -30)
        across += (p[1] + 30) * -0.19f; /* then down */
    float s;
    if (k->style == HAIR_CURLY) {
        s = 0.7f * noise3(p[0] / 4, p[1] / 4, p[2] / 4, seed) +
            0.5f * noise3(p[0] / 1.6f, p[1] / 1.6f, p[2] / 1.6f, seed + 3);
        *band = 0.3f;
    } else {
        float wave = 0.35f * noise3(along / 30, across / 9, 0, seed + 5);
        s = 0.6f * noise3(across * 2.2f + wave, along / 26, 1, seed) +
            0.5f * noise3(across * 0.7f + wave, along / 40, 7, seed + 1) +
            0.35f * noise3(across * 3.6f + wave, along / 14, 4, seed + 2);
        *band = 0.75f + 0.5f * s;
    }
    for (int i = 0; i < 3; i++)
        rgb[i] = k->hair[i] * fmaxf(0.15f, 1 + 0.75f * s);
}

void cloth_albedo(const struct render_look *k, const float p[3], float rgb[3])
{
    float w = noise3(p[0] * 0.8f, p[1] * 0.8f, p[2] * 0.8f, 31);
    float fold = noise3(p[0] / 26, p[1] / 55, p[2] / 40, (uint32_t)k->seed);
    for (int i = 0; i < 3; i++)
        rgb[i] = k->cloth[i] * (1 + 0.06f * w + 0.22f * fold);
    /* Neckline: skin above, a seam, cloth below. */
    float a = fabsf(p[0]), front = smooth_step(-95, -60, p[2]);
    float edge = 146.0f + (k->collar == 2 ? -12.0f : 0.0f) +
                 front * (k->collar == 1   ? fmaxf(0, 62 - 1.05f * a)
                          : k->collar == 0 ? 10
                                           : 2);
    float skin[3], spec;
    const float q[3] = {p[0], 160, p[2]};
    skin_albedo(k, q, skin, &spec);
    scale(rgb, 0.6f, 0.6f, 0.6f, spot(p[1] - edge - 5, 1.3f, 0, 1));
    mix(rgb, skin, smooth_step(edge + 0.8f, edge - 0.8f, p[1]));
}
