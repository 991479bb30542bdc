/* What stands around a convolution's products: bias, activation, gradient of
 * the bias; for methods whose kernels do not do it themselves. */
#include "lib/base/clones.h"

#include "lib/nn/conv_impl.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "lib/nn/rows.h"

#define PARALLEL 16384 /* elements below which a second thread costs more */
#define CHUNK 256      /* rows summed in float before they go into doubles */
#define WIDE 16        /* channels summed side by side */

CLONES
static void add_bias(float *restrict row, int64_t n, float bias)
{
    for (int64_t i = 0; i < n; i++)
        row[i] += bias;
}

CLONES
static void leaky(float *restrict row, int64_t n, float alpha)
{
    for (int64_t i = 0; i < n; i++)
        row[i] = row[i] > 0 ? row[i] : alpha * row[i];
}

CLONES
static void relu(float *restrict row, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        row[i] = row[i] > 0 ? row[i] : 0;
}

static void activate(float *row, int64_t n, enum nn_act act, float alpha)
{
    switch (act) {
    case NN_ACT_NONE:
        break;
    case NN_ACT_RELU:
        relu(row, n);
        break;
    case NN_ACT_LEAKY:
        leaky(row, n, alpha);
        break;
    case NN_ACT_SIGMOID:
        for (int64_t i = 0; i < n; i++)
            row[i] = 1 / (1 + expf(-row[i]));
        break;
    case NN_ACT_TANH:
        for (int64_t i = 0; i < n; i++)
            row[i] = tanhf(row[i]);
        break;
    case NN_ACT_SILU:
        for (int64_t i = 0; i < n; i++)
            row[i] /= 1 + expf(-row[i]);
        break;
    }
}

void nn_conv_activate(float *row, int64_t n, float bias, enum nn_act act,
                      float alpha)
{
    if (bias != 0)
        add_bias(row, n, bias);
    activate(row, n, act, alpha);
}

/* Pixels of `lane` channels: row[p][c] += bias[c]. */
CLONES
static void add_lanes(float *restrict row, int64_t pixels, int64_t lane,
                      const float *restrict bias)
{
    if (lane == 16) {
        float b[16];
        memcpy(b, bias, sizeof b);
        for (int64_t p = 0; p < pixels; p++) {
            for (int i = 0; i < 16; i++)
                row[p * 16 + i] += b[i];
        }
        return;
    }
    for (int64_t p = 0; p < pixels; p++) {
        for (int64_t i = 0; i < lane; i++)
            row[p * lane + i] += bias[i];
    }
}

CLONES
static void conv_rows_add_row(float *restrict row, const float *restrict add,
                              int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        row[i] += add[i];
}

/* n elements from `at` on: a whole number of pixels of the plane, or a part of
 * one pixel's channels, first that of number c. */
static void finish_row(const struct nn_view *v, const struct nn_view *add,
                       int64_t at, int64_t n, int64_t c, const float *bias,
                       enum nn_act act, float alpha)
{
    float tmp[NN_ROW], sum[NN_ROW];
    float *row = nn_row_at(v, at, tmp);
    (void)nn_row_get(v, at, n, row);
    int64_t lane = nn_view_lane(v);
    if (add)
        conv_rows_add_row(row, nn_row_get(add, at, n, sum), n);
    if (bias && lane == 1) {
        add_bias(row, n, bias[c]);
    } else if (bias && lane == 16 && v->layout == NN_BLOCK16) {
        float b[16] = {0};
        for (int i = 0; i < 16 && c + i < v->shape.c; i++)
            b[i] = bias[c + i];
        add_lanes(row, n / 16, 16, b);
    } else if (bias) {
        int64_t each = n < lane ? n : lane;
        add_lanes(row, n / each, each, bias + c);
    }
    activate(row, n, act, alpha);
    nn_row_put(v, at, n, row, false);
}

void nn_conv_finish(const struct nn_view *v, const void *add, const float *bias,
                    enum nn_act act, float alpha)
{
    if (!add && !bias && !act)
        return;
    struct nn_view other = *v;
    other.data = (void *)(uintptr_t)add; /* only read */
    int64_t lane = nn_view_lane(v), planes = nn_view_planes(v);
    int64_t size = v->shape.h * v->shape.w * lane; /* of a plane */
    int64_t each = lane > NN_ROW ? NN_ROW : NN_ROW / lane * lane;
    int64_t total = v->batch * planes;
    int64_t cuts = (size + each - 1) / each;
    if (lane > NN_ROW) /* rows are parts of one pixel */
        cuts = v->shape.h * v->shape.w * ((lane + each - 1) / each);
#pragma omp parallel for collapse(2) if (total * size >= PARALLEL)
    for (int64_t p = 0; p < total; p++) {
        for (int64_t k = 0; k < cuts; k++) {
            int64_t at = k * each, n = size - at < each ? size - at : each;
            int64_t c = p % planes * lane;
            if (lane > NN_ROW) {
                int64_t per = (lane + each - 1) / each, first = k % per * each;
                at = k / per * lane + first;
                n = lane - first < each ? lane - first : each;
                c = first;
            }
            finish_row(v, add ? &other : NULL, p * size + at, n, c, bias, act,
                       alpha);
        }
    }
    if (act == NN_ACT_SIGMOID)
        nn_zero_padding(v);
}

/* sum[i] += of n rows of `wide` channels, rows `lane` elements apart. */
CLONES
static void sum_f32(const float *restrict p, int64_t n, int64_t lane,
                    int64_t wide, double *restrict sum)
{
    for (int64_t k = 0; k < n; k += CHUNK) {
        float s[WIDE] = {0};
        int64_t end = n - k < CHUNK ? n : k + CHUNK;
        if (wide == WIDE) {
            for (int64_t r = k; r < end; r++) {
                for (int i = 0; i < WIDE; i++)
                    s[i] += p[r * lane + i];
            }
        } else {
            for (int64_t r = k; r < end; r++) {
                for (int64_t i = 0; i < wide; i++)
                    s[i] += p[r * lane + i];
            }
        }
        for (int64_t i = 0; i < wide; i++)
            sum[i] += (double)s[i];
    }
}

/* A plane of one channel is summed as rows of WIDE numbers and a rest. */
static void sum_plane(const float *p, int64_t n, double *sum)
{
    double s[WIDE] = {0};
    sum_f32(p, n / WIDE, WIDE, WIDE, s);
    sum_f32(p + n / WIDE * WIDE, 1, WIDE, n % WIDE, s);
    for (int i = 0; i < WIDE; i++)
        *sum += s[i];
}

/* Channels first .. first + wide - 1 of a plane of one picture. */
static void sum_part(const struct nn_view *v, int64_t at, int64_t pixels,
                     int64_t wide, double *sum)
{
    int64_t lane = nn_view_lane(v);
    if (v->dtype == DT_F32) {
        const float *p = (const float *)v->data + at;
        if (lane == 1)
            sum_plane(p, pixels, sum);
        else
            sum_f32(p, pixels, lane, wide, sum);
        return;
    }
    const uint16_t *h = (const uint16_t *)v->data + at;
    float row[NN_ROW];
    int64_t each = lane == 1 ? NN_ROW : NN_ROW / WIDE;
    for (int64_t k = 0; k < pixels; k += each) {
        int64_t n = pixels - k < each ? pixels - k : each;
        if (lane == 1) {
            nn_from_bf16(h + k, row, n);
            sum_plane(row, n, sum);
        } else if (lane == wide) {
            nn_from_bf16(h + k * lane, row, n * lane);
            sum_f32(row, n, wide, wide, sum);
        } else {
            for (int64_t r = 0; r < n; r++)
                nn_from_bf16(h + (k + r) * lane, row + r * wide, wide);
            sum_f32(row, n, wide, wide, sum);
        }
    }
}

void nn_conv_bias_grad(const struct nn_view *v, float *dbias)
{
    int64_t lane = nn_view_lane(v), c = v->shape.c;
    int64_t each = lane < WIDE ? lane : WIDE, parts = (c + each - 1) / each;
    int64_t pixels = v->shape.h * v->shape.w, stride = nn_view_stride(v);
#pragma omp parallel for if (v->batch * stride >= PARALLEL)
    for (int64_t k = 0; k < parts; k++) {
        double sum[WIDE] = {0};
        int64_t first = k * each, wide = c - first < each ? c - first : each;
        int64_t at = first / lane * lane * pixels + first % lane;
        for (int64_t b = 0; b < v->batch; b++)
            sum_part(v, b * stride + at, pixels, wide, sum);
        for (int64_t i = 0; i < wide; i++)
            dbias[first + i] += (float)sum[i];
    }
}
