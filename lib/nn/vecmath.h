/* exp, sigmoid and tanh as plain arithmetic, for loops that the compiler
 * turns into SIMD (libm's are calls). Include after lib/base/clones.h.
 *
 * After the Cephes library (Moshier, expf.c and tanhf.c, 1992). Largest
 * relative error against double, over every 97th float: exp 9e-8, sigmoid
 * 2.1e-7, tanh 1.4e-7, where the result is a normal number
 * (tests/test_nn_elementwise.c). NaN gives NaN. */
#ifndef FACET_NN_VECMATH_H
#define FACET_NN_VECMATH_H

#include <stdint.h>
#include <string.h>

/* 2^n for n in -126..127, from bits. */
static inline float nn_pow2(int32_t n)
{
    uint32_t u = ((uint32_t)n + 127u) << 23;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* e^x = 2^n e^r, |r| <= ln(2)/2. Beyond 89 infinity, below -104 zero. */
static inline float nn_exp(float x)
{
    const float magic = 12582912.0F; /* 1.5 * 2^23: adding it rounds */
    x = x > 89.0F ? 89.0F : x;
    x = x < -104.0F ? -104.0F : x;
    float z = x * 1.44269504088896341F + magic;
    int32_t n;
    memcpy(&n, &z, sizeof n);
    n = (int32_t)((uint32_t)n - 0x4B400000u);
    z -= magic;
    float r = x - z * 0.693359375F;
    r += z * 2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * r * r + r + 1.0F;
    int32_t half = n >> 1; /* two steps: n reaches 128 and -150 */
    return p * nn_pow2(half) * nn_pow2(n - half);
}

static inline float nn_sigmoid_of(float x)
{
    float z = nn_exp(x < 0 ? x : -x), d = 1.0F / (1.0F + z);
    return x < 0 ? z * d : d;
}

static inline float nn_tanh_of(float x)
{
    float a = x < 0 ? -x : x;
    float big = 1.0F - 2.0F / (nn_exp(2.0F * a) + 1.0F);
    float s = x * x, p = -5.70498872745e-3F;
    p = p * s + 2.06390887954e-2F;
    p = p * s - 5.37397155531e-2F;
    p = p * s + 1.33314422036e-1F;
    p = p * s - 3.33332819422e-1F;
    float small = p * s * x + x;
    big = x < 0 ? -big : big;
    return a > 0.625F ? big : small;
}

#endif
