/* The inner loops of passes over activations. Plain C that the compiler turns
 * into SIMD; each is compiled for several instruction sets and chosen when the
 * program starts. */
#include "lib/base/clones.h"

#include "lib/nn/pass_rows.h"

#include <float.h>
#include <string.h>

/* Loops that may write where they read, element by element. */
#if defined(__GNUC__) && !defined(__clang__)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

CLONES
static void add(float *restrict d, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] + b[i];
}

CLONES
static void add_into(float *restrict d, const float *restrict a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        d[i] += a[i];
}

/* NaN stays NaN, as in PyTorch. */
static inline float rectified(float v, bool leaky, float slope)
{
    return leaky ? (v < 0 ? slope * v : v) : (0 > v ? 0 : v);
}

/* One loop for each way of rectifying, so that each is straight SIMD: x is
 * the value before. */
#define EACH_WAY(n, out, value)                                                \
    do {                                                                       \
        if (!r.on) {                                                           \
            INDEPENDENT for (int64_t i = 0; i < (n); i++)(out) = (value);      \
        } else if (r.slope == 0) {                                             \
            INDEPENDENT for (int64_t i = 0; i < (n); i++)(out) =               \
                rectified((value), false, 0);                                  \
        } else {                                                               \
            INDEPENDENT for (int64_t i = 0; i < (n); i++)(out) =               \
                rectified((value), true, r.slope);                             \
        }                                                                      \
    } while (0)

/* 16 channels a pixel: scale and shift stay in registers. d and s may be the
 * same: `restrict` promises no more than that no pixel is read after another
 * has been written in its place. */
#define EACH_PIXEL(value)                                                      \
    for (int64_t p = 0; p < n; p++) {                                          \
        float *restrict o = d + p * ds;                                        \
        const float *q = s + p * ss;                                           \
        float x[16];                                                           \
        for (int i = 0; i < 16; i++)                                           \
            x[i] = q[i] * k[i] + t[i];                                         \
        for (int i = 0; i < 16; i++)                                           \
            o[i] = (value);                                                    \
    }

CLONES
static void affine16(float *d, int64_t ds, const float *s, int64_t ss,
                     const float *scale, const float *shift,
                     struct nn_rectify r, int64_t n)
{
    float k[16], t[16], slope = r.slope;
    memcpy(k, scale, sizeof k);
    memcpy(t, shift, sizeof t);
    if (!r.on)
        EACH_PIXEL(x[i])
    else if (slope == 0)
        EACH_PIXEL(rectified(x[i], false, 0))
    else
        EACH_PIXEL(rectified(x[i], true, slope))
}

CLONES
static void affine(float *d, int64_t ds, struct nn_rows s,
                   const float *restrict scale, const float *restrict shift,
                   struct nn_rectify r, int64_t n, int64_t k)
{
    if (k == 16) {
        affine16(d, ds, s.p, s.stride, scale, shift, r, n);
        return;
    }
    if (k == 1 && ds == 1 && s.stride == 1) {
        float a = scale[0], b = shift[0];
        EACH_WAY(n, d[i], s.p[i] * a + b);
        return;
    }
    for (int64_t p = 0; p < n; p++) {
        float *o = d + p * ds;
        const float *q = s.p + p * s.stride;
        EACH_WAY(k, o[i], q[i] * scale[i] + shift[i]);
    }
}

CLONES
static void copy(float *d, int64_t ds, struct nn_rows s, struct nn_rectify r,
                 int64_t n, int64_t k)
{
    if (ds == k && s.stride == k) {
        if (!r.on && d == s.p)
            return;
        EACH_WAY(n * k, d[i], s.p[i]);
        return;
    }
    for (int64_t p = 0; p < n; p++) {
        float *o = d + p * ds;
        const float *q = s.p + p * s.stride;
        EACH_WAY(k, o[i], q[i]);
    }
}

CLONES
static void pool4(float *restrict d, const float *restrict a,
                  const float *restrict b, int64_t stride, int64_t n, int64_t k,
                  bool max)
{
    for (int64_t p = 0; p < n; p++) {
        const float *u = a + 2 * p * stride, *v = b + 2 * p * stride;
        float *o = d + p * k;
        if (max) {
            for (int64_t i = 0; i < k; i++) {
                float x = u[i] > u[stride + i] ? u[i] : u[stride + i];
                float y = v[i] > v[stride + i] ? v[i] : v[stride + i];
                o[i] = x > y ? x : y;
            }
        } else {
            for (int64_t i = 0; i < k; i++)
                o[i] =
                    ((u[i] + u[stride + i]) + (v[i] + v[stride + i])) * 0.25F;
        }
    }
}

static inline float from_bf16(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* To nearest, ties to even; NaN stays NaN. */
static inline uint16_t to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    uint32_t r = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
    uint32_t nan = (u >> 16) | 0x40u;
    return (uint16_t)((u & 0x7FFFFFFFu) > 0x7F800000u ? nan : r);
}

/* 64 elements at a time, so that whole vectors of 16-bit numbers are moved. */
#define WIDE 64

CLONES
static void affine_bf16(uint16_t *d, const uint16_t *s, const float *scale,
                        const float *shift, struct nn_rectify r, int64_t n)
{
    float k[WIDE], t[WIDE];
    for (int i = 0; i < WIDE; i++) {
        k[i] = scale ? scale[i % 16] : 1.0F;
        t[i] = scale ? shift[i % 16] : 0.0F;
    }
    float floor = r.on ? 0 : -FLT_MAX, slope = r.on ? r.slope : 1;
    for (int64_t p = 0; p < n * 16; p += WIDE) {
        int64_t m = n * 16 - p < WIDE ? n * 16 - p : WIDE;
        uint16_t in[WIDE], out[WIDE];
        float v[WIDE];
        if (m == WIDE)
            memcpy(in, s + p, sizeof in);
        else
            memcpy(in, s + p, (size_t)m * sizeof *in);
        for (int i = 0; i < WIDE; i++) {
            v[i] = from_bf16(in[i]) * k[i] + t[i];
            v[i] = floor > v[i] ? slope * v[i] : v[i];
        }
        for (int i = 0; i < WIDE; i++)
            out[i] = to_bf16(v[i]);
        if (m == WIDE)
            memcpy(d + p, out, sizeof out);
        else
            memcpy(d + p, out, (size_t)m * sizeof *out);
    }
}

/* ---- as others call them ---- */

void nn_rows_add(float *restrict d, const float *a, const float *b, int64_t n)
{
    add(d, a, b, n);
}

void nn_rows_add_into(float *restrict d, const float *restrict a, int64_t n)
{
    add_into(d, a, n);
}

void nn_rows_affine(float *d, int64_t ds, struct nn_rows s,
                    const float *restrict scale, const float *restrict shift,
                    struct nn_rectify r, int64_t n, int64_t k)
{
    affine(d, ds, s, scale, shift, r, n, k);
}

void nn_rows_copy(float *d, int64_t ds, struct nn_rows s, struct nn_rectify r,
                  int64_t n, int64_t k)
{
    copy(d, ds, s, r, n, k);
}

void nn_rows_pool4(float *restrict d, const float *restrict a,
                   const float *restrict b, int64_t stride, int64_t n,
                   int64_t k, bool max)
{
    pool4(d, a, b, stride, n, k, max);
}

void nn_rows_affine16(uint16_t *d, const uint16_t *s, const float *scale,
                      const float *shift, struct nn_rectify r, int64_t n)
{
    affine_bf16(d, s, scale, shift, r, n);
}
