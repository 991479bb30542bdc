/* Colour, blur, noise and compression of training pictures. */
#include "lib/base/clones.h"

#include "lib/media/effects.h"

#include <math.h>
#include <string.h>

#include "lib/media/image.h"
#include "lib/media/resize.h"

#define MOST_RADIUS 75
#define MOST_STEPS 128

/* c = a b, 3 x 3 */
static void multiply(const double a[9], const double b[9], double c[9])
{
    double out[9];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            out[3 * i + k] = a[3 * i] * b[k] + a[3 * i + 1] * b[3 + k] +
                             a[3 * i + 2] * b[6 + k];
    memcpy(c, out, sizeof out);
}

void effect_colour_matrix(const struct effect_colour *c, float m[12])
{
    /* NTSC's YIQ and its inverse (Poynton, Digital Video and HD, ch. 28). */
    static const double to[9] = {0.299,    0.587,     0.114,
                                 0.595716, -0.274453, -0.321263,
                                 0.211456, -0.522591, 0.311135};
    static const double from[9] = {1,       0.9563, 0.6210,  1,     -0.2721,
                                   -0.6474, 1,      -1.1070, 1.7046};
    double s = (double)c->saturation, a = (double)c->hue_rad;
    double turn[9] = {1,           0, 0,          0,         s * cos(a),
                      -s * sin(a), 0, s * sin(a), s * cos(a)};
    double r[9];
    multiply(turn, to, r);
    multiply(from, r, r);
    double k = (double)c->gain * (double)c->contrast;
    double warm[3] = {1 + (double)c->warmth, 1, 1 - (double)c->warmth};
    for (int i = 0; i < 3; i++) {
        /* The inverse is rounded: greys must stay greys exactly. */
        double sum = r[3 * i] + r[3 * i + 1] + r[3 * i + 2];
        for (int j = 0; j < 3; j++)
            m[4 * i + j] = (float)(r[3 * i + j] / sum * k * warm[i]);
        m[4 * i + 3] = (float)(127.5 * (1 - (double)c->contrast));
    }
}

CLONES static void colours(float *px, size_t n, const float m[12])
{
    for (size_t i = 0; i < n; i++) {
        float r = px[3 * i], g = px[3 * i + 1], b = px[3 * i + 2];
        px[3 * i] = m[0] * r + m[1] * g + m[2] * b + m[3];
        px[3 * i + 1] = m[4] * r + m[5] * g + m[6] * b + m[7];
        px[3 * i + 2] = m[8] * r + m[9] * g + m[10] * b + m[11];
    }
}

void effect_matrix(float *px, size_t n, const float m[12])
{
    colours(px, n, m);
}

void effect_gamma(float *px, size_t n, float gamma)
{
    float table[2041]; /* eight entries a grey level */
    for (int i = 0; i <= 2040; i++)
        table[i] = 255.0F * powf((float)i / 2040.0F, gamma);
    for (size_t i = 0; i < 3 * n; i++) {
        float v = px[i] * 8.0F + 0.5F;
        v = v > 0.0F ? v : 0.0F; /* also what is no number */
        px[i] = table[(int)(v < 2040.0F ? v : 2040.0F)];
    }
}

CLONES static void add_scaled(float *restrict to, const float *restrict p,
                              float k, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += k * p[i];
}

static size_t clamp(int64_t v, size_t n)
{
    return v < 0 ? 0 : v >= (int64_t)n ? n - 1 : (size_t)v;
}

/* to += k times the row moved by dx pixels, edges repeated. */
static void add_moved(float *to, const float *row, size_t w, int64_t dx,
                      float k)
{
    int64_t n = (int64_t)w, from = dx < 0 ? -dx : 0, end = dx > 0 ? n - dx : n;
    from = from > n ? n : from;
    end = end < from ? from : end;
    for (int64_t x = 0; x < from; x++)
        for (int c = 0; c < 3; c++)
            to[3 * x + c] += k * row[3 * clamp(x + dx, w) + (size_t)c];
    add_scaled(to + 3 * from, row + 3 * (from + dx), k,
               (size_t)(3 * (end - from)));
    for (int64_t x = end; x < n; x++)
        for (int c = 0; c < 3; c++)
            to[3 * x + c] += k * row[3 * clamp(x + dx, w) + (size_t)c];
}

void effect_blur(float *px, size_t h, size_t w, float sigma, float *tmp)
{
    float k[MOST_RADIUS + 1], sum = 0;
    if (!(sigma > 0.05F))
        return;
    int radius = (int)fminf(ceilf(2.5F * sigma), MOST_RADIUS);
    for (int i = 0; i <= radius; i++) {
        k[i] = expf(-0.5F * (float)(i * i) / (sigma * sigma));
        sum += i ? 2 * k[i] : k[i];
    }
    memset(tmp, 0, h * w * 3 * sizeof *tmp);
    for (size_t y = 0; y < h; y++)
        for (int i = -radius; i <= radius; i++)
            add_moved(tmp + y * w * 3, px + y * w * 3, w, i,
                      k[i < 0 ? -i : i] / sum);
    memset(px, 0, h * w * 3 * sizeof *px);
    for (size_t y = 0; y < h; y++)
        for (int i = -radius; i <= radius; i++)
            add_scaled(px + y * w * 3, tmp + clamp((int64_t)y + i, h) * w * 3,
                       k[i < 0 ? -i : i] / sum, w * 3);
}

void effect_motion(float *px, size_t h, size_t w, float length_px,
                   float angle_rad, float *tmp)
{
    if (!(length_px > 0.5F))
        return;
    int n = (int)fminf(ceilf(length_px) + 1, MOST_STEPS);
    float dx = cosf(angle_rad), dy = sinf(angle_rad);
    memcpy(tmp, px, h * w * 3 * sizeof *tmp);
    memset(px, 0, h * w * 3 * sizeof *px);
    for (int i = 0; i < n; i++) {
        float at = length_px * ((float)i / (float)(n - 1) - 0.5F);
        int64_t mx = lroundf(at * dx), my = lroundf(at * dy);
        for (size_t y = 0; y < h; y++)
            add_moved(px + y * w * 3, tmp + clamp((int64_t)y + my, h) * w * 3,
                      w, mx, 1.0F / (float)n);
    }
}

CLONES static void to_u8(const float *v, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        float x = v[i] + 0.5F;
        x = x > 0.0F ? x : 0.0F;
        out[i] = (uint8_t)(int)(x < 255.0F ? x : 255.0F);
    }
}

void effect_to_u8(const float *v, size_t n, uint8_t *out)
{
    to_u8(v, n, out);
}

enum err_code effect_rescale(float *px, size_t h, size_t w, double factor,
                             struct err *e)
{
    const int64_t shape[3] = {(int64_t)h, (int64_t)w, 3};
    int64_t sh = llround(fmax((double)h / factor, 1));
    int64_t sw = llround(fmax((double)w / factor, 1));
    struct tensor *t = tensor_new(DT_U8, 3, shape, e);
    if (!t)
        return ERR_NOMEM;
    effect_to_u8(px, t->count, tensor_u8(t));
    struct tensor *small = image_resize(t, sh, sw, e);
    tensor_free(&t);
    t = small ? image_resize(small, (int64_t)h, (int64_t)w, e) : NULL;
    tensor_free(&small);
    if (!t)
        return e ? e->code : ERR_NOMEM;
    for (size_t i = 0; i < t->count; i++)
        px[i] = (float)tensor_u8(t)[i];
    tensor_free(&t);
    return OK;
}

/* The sum of eight bytes has mean 1020 and variance 8 (256^2 - 1) / 12. */
static inline float nearly_normal(struct rng *r)
{
    uint64_t v = rng_u64(r);
    v = (v & 0x00ff00ff00ff00ffu) + (v >> 8 & 0x00ff00ff00ff00ffu);
    uint32_t sum = (uint32_t)(v * 0x0001000100010001u >> 48);
    return ((float)sum - 1020.0F) * (1.0F / 209.0231F);
}

void effect_noise(float *px, size_t n, float sigma, int mono, struct rng *r)
{
    for (size_t i = 0; i < n; i++) {
        float v = mono ? sigma * nearly_normal(r) : 0;
        for (int c = 0; c < 3; c++)
            px[3 * i + (size_t)c] += mono ? v : sigma * nearly_normal(r);
    }
}

enum err_code effect_jpeg(struct tensor **img, int quality, struct err *e)
{
    struct buf b = {0};
    struct tensor *t = NULL;
    enum err_code r = image_encode_jpeg(*img, quality, NULL, &b, e);
    if (!r)
        r = image_decode(b.data, b.len, &image_caps_default, &t, e);
    buf_free(&b);
    if (r)
        return r;
    tensor_free(img);
    *img = t;
    return OK;
}
