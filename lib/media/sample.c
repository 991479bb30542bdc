/* Sampling u8 pictures between pixels. */
#include "lib/media/sample.h"

#include <math.h>
#include <stdbool.h>

/* fminf and fmaxf are calls, for the sake of NaN, which is not met here. */
static inline float least(float a, float b)
{
    return a < b ? a : b;
}

static inline float most(float a, float b)
{
    return a > b ? a : b;
}

int64_t sample_reflect(int64_t v, int64_t n)
{
    int64_t period = 2 * n;

    v %= period;
    if (v < 0)
        v += period;
    return v < n ? v : period - 1 - v;
}

/* Whole part and fraction; far-off coordinates are pulled in (they only
 * occur where nothing sensible can be shown). */
static int64_t split(float v, float *frac)
{
    float f = floorf(least(most(v, -1e6f), 1e6f));

    *frac = least(most(v - f, 0.0f), 1.0f);
    return (int64_t)f;
}

/* Pointers to n neighbouring pixels of n rows, from (x0,y0). */
static void gather(const struct sample_source *s, int64_t x0, int64_t y0, int n,
                   const uint8_t *p[16])
{
    bool inside =
        x0 >= 0 && y0 >= 0 && x0 + n <= s->width && y0 + n <= s->height;

    for (int j = 0; j < n; j++) {
        int64_t y = inside ? y0 + j : sample_reflect(y0 + j, s->height);
        const uint8_t *row = s->rgb + y * s->width * 3;

        for (int i = 0; i < n; i++) {
            int64_t x = inside ? x0 + i : sample_reflect(x0 + i, s->width);

            p[j * n + i] = row + x * 3;
        }
    }
}

void sample_bilinear(const struct sample_source *s, float x, float y,
                     float rgb[3])
{
    const uint8_t *p[16];
    float fx, fy;
    int64_t x0 = split(x, &fx), y0 = split(y, &fy);

    gather(s, x0, y0, 2, p);
    for (int c = 0; c < 3; c++) {
        float a = (float)p[0][c] + fx * ((float)p[1][c] - (float)p[0][c]);
        float b = (float)p[2][c] + fx * ((float)p[3][c] - (float)p[2][c]);

        rgb[c] = a + fy * (b - a);
    }
}

static void keys(float t, float w[4])
{
    float t2 = t * t, t3 = t2 * t;

    w[0] = 0.5f * (-t3 + 2.0f * t2 - t);
    w[1] = 0.5f * (3.0f * t3 - 5.0f * t2 + 2.0f);
    w[2] = 0.5f * (-3.0f * t3 + 4.0f * t2 + t);
    w[3] = 0.5f * (t3 - t2);
}

/* Four neighbouring pixels of four rows, weighted: a channel a lane, the sums
 * in the order of the plain loop below, so the bits are the same. */
static inline void bicubic_inside(const struct sample_source *s, int64_t x0,
                                  int64_t y0, const float wx[4],
                                  const float wy[4], float rgb[3])
{
    const uint8_t *row = s->rgb + (y0 * s->width + x0) * 3;
    float v[3] = {0.0f, 0.0f, 0.0f}, lo[3], hi[3];

    for (int j = 0; j < 4; j++, row += s->width * 3) {
        float p[12];

        for (int i = 0; i < 12; i++)
            p[i] = (float)row[i];
        for (int c = 0; c < 3; c++)
            v[c] += wy[j] * (wx[0] * p[c] + wx[1] * p[3 + c] +
                             wx[2] * p[6 + c] + wx[3] * p[9 + c]);
        if (j == 1 || j == 2)
            for (int c = 0; c < 3; c++) {
                float small = least(p[3 + c], p[6 + c]);
                float large = most(p[3 + c], p[6 + c]);

                lo[c] = j == 1 ? small : least(lo[c], small);
                hi[c] = j == 1 ? large : most(hi[c], large);
            }
    }
    for (int c = 0; c < 3; c++)
        rgb[c] = most(lo[c], least(v[c], hi[c]));
}

void sample_bicubic(const struct sample_source *s, float x, float y,
                    float rgb[3])
{
    const uint8_t *p[16];
    float fx, fy, wx[4], wy[4];
    int64_t x0 = split(x, &fx), y0 = split(y, &fy);

    keys(fx, wx);
    keys(fy, wy);
    if (x0 >= 1 && y0 >= 1 && x0 + 3 <= s->width && y0 + 3 <= s->height) {
        bicubic_inside(s, x0 - 1, y0 - 1, wx, wy, rgb);
        return;
    }
    gather(s, x0 - 1, y0 - 1, 4, p);
    for (int c = 0; c < 3; c++) {
        float v = 0.0f;

        for (int j = 0; j < 4; j++)
            v += wy[j] *
                 (wx[0] * (float)p[4 * j][c] + wx[1] * (float)p[4 * j + 1][c] +
                  wx[2] * (float)p[4 * j + 2][c] +
                  wx[3] * (float)p[4 * j + 3][c]);
        float a = (float)p[5][c], b = (float)p[6][c];
        float d = (float)p[9][c], f = (float)p[10][c];

        rgb[c] = most(least(least(a, b), least(d, f)),
                      least(v, most(most(a, b), most(d, f))));
    }
}
