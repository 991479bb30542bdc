/* Inner loops of convolutions to a few channels: 16 input channels in a
 * vector, results summed over its lanes at the end. All accumulators stay in
 * registers, so that each load feeds several multiply-adds. */
#include "lib/base/clones.h"
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=fast")
#elif defined(__clang__)
#pragma clang fp contract(fast)
#endif

#include "lib/nn/thin_kernel.h"

#include <string.h>

typedef float lanes __attribute__((vector_size(4 * NN_THIN_LANE)));

#define LANES NN_THIN_LANE
#define INLINE static inline __attribute__((always_inline))
#define MOST_PIXELS 16 /* of a row, summed at the same time */
#define MOST_TAPS 4

INLINE void load(lanes *v, const float *p)
{
    memcpy(v, p, sizeof *v);
}

INLINE float sum_lanes(const lanes *v)
{
    float f[LANES], s = 0;
    memcpy(f, v, sizeof f);
    for (int i = 0; i < LANES / 2; i++)
        f[i] += f[i + LANES / 2];
    for (int i = 0; i < LANES / 2; i++)
        s += f[i];
    return s;
}

/* `pixels` results from x on, of `outs` channels; both are constants where
 * this is used. */
INLINE void group(const float *const *rows, int64_t n, int64_t kw,
                  const float *w, const int outs, const int pixels, int64_t x,
                  float *const *out)
{
    lanes acc[NN_THIN_MOST][MOST_PIXELS];
    memset(acc, 0, sizeof acc);
    for (int64_t r = 0; r < n; r++) {
        const float *p = rows[r] + x * LANES;
        for (int64_t j = 0; j < kw; j++, p += LANES, w += outs * LANES) {
            lanes k[NN_THIN_MOST];
            for (int o = 0; o < outs; o++)
                load(&k[o], w + o * LANES);
            for (int q = 0; q < pixels; q++) {
                lanes v;
                load(&v, p + q * LANES);
                for (int o = 0; o < outs; o++)
                    acc[o][q] += v * k[o];
            }
        }
    }
    for (int o = 0; o < outs; o++) {
        for (int q = 0; q < pixels; q++)
            out[o][x + q] = sum_lanes(&acc[o][q]);
    }
}

/* A row in groups; the last one reaches back so that none is cut. */
INLINE void forward(const float *const *rows, int64_t n, int64_t kw,
                    const float *w, const int outs, const int pixels,
                    int64_t width, float *const *out)
{
    for (int64_t x = 0; x < width; x += pixels)
        group(rows, n, kw, w, outs, pixels,
              x + pixels <= width ? x : width - pixels, out);
}

CLONES
static void forward_row(const float *const *rows, int64_t n, int64_t kw,
                        const float *w, int outs, int64_t width,
                        float *const *out)
{
    switch (outs) {
    case 1:
        forward(rows, n, kw, w, 1, 16, width, out);
        break;
    case 2:
        forward(rows, n, kw, w, 2, 12, width, out);
        break;
    case 3:
        forward(rows, n, kw, w, 3, 8, width, out);
        break;
    default:
        forward(rows, n, kw, w, 4, 6, width, out);
        break;
    }
}

void nn_thin_forward(const float *const *rows, int64_t n, int64_t kw,
                     const float *w, int outs, int64_t width, float *const *out)
{
    forward_row(rows, n, kw, w, outs, width, out);
}

/* Taps first .. first + taps - 1 of the kernel's row. */
INLINE void weights(const float *const *rows, int64_t count, int64_t first,
                    const float *const *dout, int64_t pitch, const int outs,
                    const int taps, int64_t width, double *sum)
{
    lanes acc[MOST_TAPS][NN_THIN_MOST];
    memset(acc, 0, sizeof acc);
    for (int64_t y = 0; y < count; y++) {
        const float *p = rows[y] + first * LANES;
        for (int64_t x = 0; x < width; x++, p += LANES) {
            for (int j = 0; j < taps; j++) {
                lanes v;
                load(&v, p + j * LANES);
                for (int o = 0; o < outs; o++)
                    acc[j][o] += v * dout[o][y * pitch + x];
            }
        }
    }
    sum += first * outs * LANES;
    for (int j = 0; j < taps; j++) {
        for (int o = 0; o < outs; o++) {
            for (int i = 0; i < LANES; i++)
                sum[(j * outs + o) * LANES + i] += (double)acc[j][o][i];
        }
    }
}

/* The taps of a row by fours, then the rest. */
INLINE void taps_of(const float *const *rows, int64_t count, int64_t kw,
                    const float *const *dout, int64_t pitch, const int outs,
                    int64_t width, double *sum)
{
    int64_t j = 0;
    for (; j + 4 <= kw; j += 4)
        weights(rows, count, j, dout, pitch, outs, 4, width, sum);
    if (kw - j == 3)
        weights(rows, count, j, dout, pitch, outs, 3, width, sum);
    else if (kw - j == 2)
        weights(rows, count, j, dout, pitch, outs, 2, width, sum);
    else if (kw - j == 1)
        weights(rows, count, j, dout, pitch, outs, 1, width, sum);
}

CLONES
static void weights_row(const float *const *rows, int64_t count, int64_t kw,
                        const float *const *dout, int64_t pitch, int outs,
                        int64_t width, double *sum)
{
    switch (outs) {
    case 1:
        taps_of(rows, count, kw, dout, pitch, 1, width, sum);
        break;
    case 2:
        taps_of(rows, count, kw, dout, pitch, 2, width, sum);
        break;
    case 3:
        taps_of(rows, count, kw, dout, pitch, 3, width, sum);
        break;
    default:
        taps_of(rows, count, kw, dout, pitch, 4, width, sum);
        break;
    }
}

void nn_thin_weights(const float *const *rows, int64_t count, int64_t kw,
                     const float *const *dout, int64_t pitch, int outs,
                     int64_t width, double *sum)
{
    weights_row(rows, count, kw, dout, pitch, outs, width, sum);
}
