/* Resizing and square crops: separable filters, rows first (long contiguous
 * loops that the compiler turns into SIMD), then columns of the row sum. */
#include "lib/base/clones.h"

#include "lib/media/resize.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"

#define MAX_SIDE 65536

/* For each output position: which inputs count, and how much. */
struct axis {
    size_t n, stride;
    size_t *first, *count;
    float *weight; /* [n][stride] */
};

static void axis_free(struct axis *a)
{
    mem_free(a->first);
    mem_free(a->count);
    mem_free(a->weight);
}

/* Output i averages the inputs under the interval of width max(step, 1) round
 * origin + (i + 1/2) step; for step <= 1 that is linear interpolation. Beyond
 * the `size` inputs: nothing is added, or, with `clamp`, the weights are
 * scaled up to a sum of 1. `gain` multiplies all. */
static enum err_code axis_init(struct axis *a, size_t n, size_t size,
                               double origin, double step, bool clamp,
                               double gain, struct err *e)
{
    double width = step > 1.0 ? step : 1.0;
    double most = ceil(width) + 1.0;
    a->n = n;
    a->stride = most < (double)size ? (size_t)most : size;
    size_t weights;
    a->first = mem_array(n, sizeof *a->first);
    a->count = mem_array(n, sizeof *a->count);
    if (!size_mul(n, a->stride, &weights) || !a->first || !a->count ||
        !(a->weight = mem_array(weights, sizeof *a->weight)))
        return err_set(e, ERR_NOMEM, "no memory to resize a picture");
    for (size_t i = 0; i < n; i++) {
        double middle = origin + ((double)i + 0.5) * step;
        double lo = middle - width / 2, hi = middle + width / 2;
        lo = lo < 0 ? 0 : lo > (double)size ? (double)size : lo;
        hi = hi < 0 ? 0 : hi > (double)size ? (double)size : hi;
        size_t first = (size_t)lo, count = 0;
        float *w = a->weight + i * a->stride;
        double sum = 0;
        for (size_t k = first; count < a->stride && (double)k < hi; k++) {
            double l = (double)k > lo ? (double)k : lo;
            double r = (double)k + 1 < hi ? (double)k + 1 : hi;
            double part = r - l;
            if (part < 1e-9 && count == 0) {
                first++;
                continue;
            }
            if (part < 1e-9)
                break;
            sum += part;
            w[count++] = (float)(part / width * gain);
        }
        if (clamp && sum > 0)
            for (size_t k = 0; k < count; k++)
                w[k] = (float)((double)w[k] * width / sum);
        a->first[i] = count ? first : 0;
        a->count[i] = count;
    }
    return OK;
}

CLONES static void row_set(float *restrict acc, const uint8_t *restrict p,
                           float w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc[i] = w * (float)p[i];
}

CLONES static void row_set2(float *restrict acc, const uint8_t *restrict p,
                            const uint8_t *restrict q, float wp, float wq,
                            size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc[i] = wp * (float)p[i] + wq * (float)q[i];
}

CLONES static void row_add(float *restrict acc, const uint8_t *restrict p,
                           const uint8_t *restrict q, float wp, float wq,
                           size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc[i] += wp * (float)p[i] + wq * (float)q[i];
}

CLONES static void row_store(uint8_t *restrict to, const float *restrict p,
                             size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(int)(p[i] + 0.5f);
}

/* acc[n] = the weighted sum of the rows of output row `row`, starting at
 * byte `skip` of each; `pitch` bytes from row to row. */
static void sum_rows(const struct axis *a, size_t row, const uint8_t *src,
                     size_t pitch, size_t skip, float *acc, size_t n)
{
    size_t count = a->count[row], k = 0;
    const float *w = a->weight + row * a->stride;
    const uint8_t *p = src + a->first[row] * pitch + skip;
    if (count == 0) {
        memset(acc, 0, n * sizeof *acc);
        return;
    }
    if (count & 1)
        row_set(acc, p, w[k++], n);
    else {
        row_set2(acc, p, p + pitch, w[0], w[1], n);
        k = 2;
    }
    for (; k < count; k += 2)
        row_add(acc, p + k * pitch, p + (k + 1) * pitch, w[k], w[k + 1], n);
}

/* One row of sums to one output row of interleaved floats, C channels. */
static inline __attribute__((always_inline)) void
sum_columns_body(const struct axis *a, const float *acc, size_t c, float *out)
{
    for (size_t i = 0; i < a->n; i++, out += c) {
        const float *w = a->weight + i * a->stride;
        const float *p = acc + a->first[i] * c;
        float s[4] = {0, 0, 0, 0};
        for (size_t k = 0; k < a->count[i]; k++)
            for (size_t j = 0; j < c; j++)
                s[j] += w[k] * *p++;
        for (size_t j = 0; j < c; j++)
            out[j] = s[j];
    }
}

CLONES static void sum_columns_3(const struct axis *a, const float *acc,
                                 float *out)
{
    sum_columns_body(a, acc, 3, out);
}

static void sum_columns(const struct axis *a, const float *acc, size_t c,
                        float *out)
{
    if (c == 3)
        sum_columns_3(a, acc, out);
    else
        sum_columns_body(a, acc, c, out);
}

/* The same for three channels into three planes. */
CLONES static void sum_columns_planar(const struct axis *a, const float *acc,
                                      size_t base, float *r, float *g, float *b)
{
    for (size_t i = 0; i < a->n; i++) {
        const float *w = a->weight + i * a->stride;
        size_t count = a->count[i];
        float s0 = 0, s1 = 0, s2 = 0;
        if (count) {
            const float *p = acc + (a->first[i] - base) * 3;
            for (size_t k = 0; k < count; k++, p += 3) {
                s0 += w[k] * p[0];
                s1 += w[k] * p[1];
                s2 += w[k] * p[2];
            }
        }
        r[i] = s0;
        g[i] = s1;
        b[i] = s2;
    }
}

/* Window (x0, y0) of w x h pixels of src to all of dst. */
static enum err_code resize_into(const struct tensor *src,
                                 const size_t window[4], struct tensor *dst,
                                 struct err *e)
{
    size_t x0 = window[0], y0 = window[1], sw = window[2], sh = window[3];
    size_t h = (size_t)dst->shape[0], w = (size_t)dst->shape[1];
    size_t c = (size_t)src->shape[2], pitch = (size_t)src->shape[1] * c;
    const uint8_t *from = tensor_u8(src) + y0 * pitch;
    struct axis rows = {0}, columns = {0};
    float *acc = mem_array(sw * c, sizeof *acc);
    float *out = mem_array(w * c, sizeof *out);
    enum err_code rc = OK;
    if (!acc || !out)
        rc = err_set(e, ERR_NOMEM, "no memory to resize a picture");
    if (!rc)
        rc = axis_init(&rows, h, sh, 0, (double)sh / (double)h, true, 1, e);
    if (!rc)
        rc = axis_init(&columns, w, sw, 0, (double)sw / (double)w, true, 1, e);
    for (size_t y = 0; !rc && y < h; y++) {
        sum_rows(&rows, y, from, pitch, x0 * c, acc, sw * c);
        if (sw == w) {
            row_store(tensor_u8(dst) + y * w * c, acc, w * c);
            continue;
        }
        sum_columns(&columns, acc, c, out);
        row_store(tensor_u8(dst) + y * w * c, out, w * c);
    }
    axis_free(&rows);
    axis_free(&columns);
    mem_free(acc);
    mem_free(out);
    return rc;
}

struct tensor *image_resize_window(const struct tensor *src, int64_t x0,
                                   int64_t y0, int64_t sw, int64_t sh,
                                   int64_t h, int64_t w, struct err *e)
{
    char text[64];
    if (src->dtype != DT_U8 || src->ndim != 3 || src->count == 0 ||
        src->shape[2] < 1 || src->shape[2] > 4) {
        err_set(e, ERR_ARG, "cannot resize %s: not u8[H,W,1..4]",
                tensor_describe(src, text, sizeof text));
        return NULL;
    }
    if (x0 < 0 || y0 < 0 || sw < 1 || sh < 1 || x0 > src->shape[1] - sw ||
        y0 > src->shape[0] - sh) {
        err_set(e, ERR_ARG, "%lld x %lld pixels at %lld, %lld are not in %s",
                (long long)sw, (long long)sh, (long long)x0, (long long)y0,
                tensor_describe(src, text, sizeof text));
        return NULL;
    }
    if (h < 1 || w < 1 || h > MAX_SIDE || w > MAX_SIDE) {
        err_set(e, ERR_ARG, "cannot resize to %lld x %lld pixels", (long long)w,
                (long long)h);
        return NULL;
    }
    const size_t window[4] = {(size_t)x0, (size_t)y0, (size_t)sw, (size_t)sh};
    const int64_t shape[3] = {h, w, src->shape[2]};
    struct tensor *dst = tensor_new(DT_U8, 3, shape, e);
    if (dst && resize_into(src, window, dst, e) != OK)
        tensor_free(&dst);
    return dst;
}

struct tensor *image_resize(const struct tensor *src, int64_t h, int64_t w,
                            struct err *e)
{
    bool flat = src->ndim != 3;
    return image_resize_window(src, 0, 0, flat ? 1 : src->shape[1],
                               flat ? 1 : src->shape[0], h, w, e);
}

/* The inputs that any output of this axis looks at: [*lo, *hi). */
static void axis_span(const struct axis *a, size_t *lo, size_t *hi)
{
    *lo = SIZE_MAX;
    *hi = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (!a->count[i])
            continue;
        if (a->first[i] < *lo)
            *lo = a->first[i];
        if (a->first[i] + a->count[i] > *hi)
            *hi = a->first[i] + a->count[i];
    }
    if (*hi == 0)
        *lo = 0;
}

enum err_code image_crop_f32(const struct tensor *src, double x0, double y0,
                             double side, int64_t size, float *dst,
                             struct err *e)
{
    char text[64];
    if (src->dtype != DT_U8 || src->ndim != 3 || src->shape[2] != 3)
        return err_set(e, ERR_ARG, "cannot crop %s: not u8[H,W,3]",
                       tensor_describe(src, text, sizeof text));
    if (!isfinite(x0) || !isfinite(y0) || !isfinite(side) || side <= 0 ||
        fabs(x0) > 1e9 || fabs(y0) > 1e9 || side > 1e9)
        return err_set(e, ERR_ARG, "cannot crop %g pixels at %g, %g", side, x0,
                       y0);
    if (size < 1 || size > MAX_SIDE)
        return err_set(e, ERR_ARG, "cannot crop to %lld pixels",
                       (long long)size);
    size_t n = (size_t)size, lo = 0, hi = 0;
    size_t sh = (size_t)src->shape[0], sw = (size_t)src->shape[1];
    double step = side / (double)n;
    struct axis rows = {0}, columns = {0};
    float *acc = NULL;
    enum err_code rc = axis_init(&rows, n, sh, y0, step, false, 1, e);
    if (!rc)
        rc = axis_init(&columns, n, sw, x0, step, false, 1.0 / 255, e);
    if (!rc) {
        axis_span(&columns, &lo, &hi);
        acc = mem_array((hi - lo) * 3, sizeof *acc);
        if (!acc)
            rc = err_set(e, ERR_NOMEM, "no memory to crop a picture");
    }
    for (size_t y = 0; !rc && y < n; y++) {
        float *to = dst + y * n;
        sum_rows(&rows, y, tensor_u8(src), sw * 3, lo * 3, acc, (hi - lo) * 3);
        sum_columns_planar(&columns, acc, lo, to, to + n * n, to + 2 * n * n);
    }
    axis_free(&rows);
    axis_free(&columns);
    mem_free(acc);
    return rc;
}
