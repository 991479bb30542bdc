/* Affine warps with 16.16 fixed-point positions, so that the same bytes come
 * out on every CPU. */
#include "lib/media/affine.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/media/resize.h"
#include "lib/media/sample.h"

#define MOST_TAPS 3
#define ONE 65536.0

struct source {
    const uint8_t *rgb;
    int64_t w, h;
    enum affine_border border;
};

static const uint8_t black[3];

static inline const uint8_t *pixel(const struct source *s, int64_t x, int64_t y)
{
    if (x < 0 || y < 0 || x >= s->w || y >= s->h) {
        if (s->border == AFFINE_BLACK)
            return black;
        x = sample_reflect(x, s->w);
        y = sample_reflect(y, s->h);
    }
    return s->rgb + (y * s->w + x) * 3;
}

/* Add the bilinear sample at (fx,fy), in 1/65536 of a pixel, times 65536. */
static inline void add_sample(const struct source *s, int64_t fx, int64_t fy,
                              uint32_t sum[3])
{
    int64_t x = fx >> 16, y = fy >> 16;
    uint32_t u = (uint32_t)(fx >> 8) & 255, v = (uint32_t)(fy >> 8) & 255;
    const uint8_t *a, *b, *c, *d;
    if (x >= 0 && y >= 0 && x + 1 < s->w && y + 1 < s->h) {
        a = s->rgb + (y * s->w + x) * 3;
        b = a + 3;
        c = a + s->w * 3;
        d = c + 3;
    } else {
        a = pixel(s, x, y);
        b = pixel(s, x + 1, y);
        c = pixel(s, x, y + 1);
        d = pixel(s, x + 1, y + 1);
    }
    uint32_t wd = u * v, wb = (u << 8) - wd, wc = (v << 8) - wd;
    uint32_t wa = 65536 - wb - wc - wd;
    for (int k = 0; k < 3; k++)
        sum[k] += wa * a[k] + wb * b[k] + wc * c[k] + wd * d[k];
}

/* 255 * 65536 * 9 taps fits 32 bits. */
static void warp(const struct source *s, const double m[6], int taps, int64_t h,
                 int64_t w, float *dst)
{
    const float k = 1.0F / (65536.0F * (float)(taps * taps));
    int64_t sub[MOST_TAPS][2][2]; /* what a tap adds, by axis */
    for (int i = 0; i < taps; i++) {
        double o = (i + 0.5) / taps - 0.5;
        for (int axis = 0; axis < 2; axis++) {
            sub[i][axis][0] = llround(m[axis] * o * ONE);
            sub[i][axis][1] = llround(m[3 + axis] * o * ONE);
        }
    }
    /* Half a step of 1/256 rounds the position instead of cutting it. */
    for (int64_t y = 0; y < h; y++) {
        double x0 = m[1] * (double)y + m[2] + 0.5 / 256;
        double y0 = m[4] * (double)y + m[5] + 0.5 / 256;
        for (int64_t x = 0; x < w; x++, dst += 3) {
            int64_t fx = (int64_t)floor((x0 + m[0] * (double)x) * ONE);
            int64_t fy = (int64_t)floor((y0 + m[3] * (double)x) * ONE);
            uint32_t sum[3] = {0, 0, 0};
            if (taps == 1) {
                add_sample(s, fx, fy, sum);
            } else {
                for (int j = 0; j < taps; j++)
                    for (int i = 0; i < taps; i++)
                        add_sample(s, fx + sub[i][0][0] + sub[j][1][0],
                                   fy + sub[i][0][1] + sub[j][1][1], sum);
            }
            for (int c = 0; c < 3; c++)
                dst[c] = (float)sum[c] * k;
        }
    }
}

static bool usable(const double m[6], int64_t h, int64_t w)
{
    for (int i = 0; i < 6; i++)
        if (!isfinite(m[i]) || fabs(m[i]) > 1e6)
            return false;
    return h >= 1 && w >= 1 && h <= 65536 && w <= 65536;
}

enum err_code image_affine(const struct tensor *src, const double m[6],
                           enum affine_border border, int64_t h, int64_t w,
                           float *dst, struct err *e)
{
    char text[64];
    if (src->dtype != DT_U8 || src->ndim != 3 || src->shape[2] != 3 ||
        !src->count)
        return err_set(e, ERR_ARG, "cannot warp %s: not u8[H,W,3]",
                       tensor_describe(src, text, sizeof text));
    if (!usable(m, h, w))
        return err_set(e, ERR_ARG, "cannot warp to %lld x %lld pixels by this",
                       (long long)w, (long long)h);
    double n[6];
    memcpy(n, m, sizeof n);
    double step = fmax(hypot(m[0], m[3]), hypot(m[1], m[4]));
    struct source s = {tensor_u8(src), src->shape[1], src->shape[0], border};
    struct tensor *small = NULL;
    if (step > MOST_TAPS) { /* to a step of 1.5, which two taps take */
        int64_t sw = llround(fmax(1, (double)s.w * 1.5 / step));
        int64_t sh = llround(fmax(1, (double)s.h * 1.5 / step));
        double kx = (double)sw / (double)s.w, ky = (double)sh / (double)s.h;
        small = image_resize(src, sh, sw, e);
        if (!small)
            return e->code;
        for (int i = 0; i < 3; i++) {
            n[i] *= kx;
            n[3 + i] *= ky;
        }
        n[2] += 0.5 * kx - 0.5;
        n[5] += 0.5 * ky - 0.5;
        s = (struct source){tensor_u8(small), sw, sh, border};
        step = fmax(hypot(n[0], n[3]), hypot(n[1], n[4]));
    }
    /* A tenth beyond one sample a pixel cannot be seen. */
    int taps = (int)fmin(fmax(ceil(step - 0.1), 1), MOST_TAPS);
    warp(&s, n, taps, h, w, dst);
    tensor_free(&small);
    return OK;
}
