/* lib/media/resize against slow plain references. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/media/resize.h"

static struct tensor *noise(int64_t h, int64_t w, int64_t c, uint64_t seed)
{
    const int64_t shape[3] = {h, w, c};
    struct rng r;
    struct tensor *t = tensor_new(DT_U8, 3, shape, NULL);
    assert_non_null(t);
    rng_seed(&r, seed);
    for (size_t i = 0; i < t->count; i++)
        tensor_u8(t)[i] = (uint8_t)rng_below(&r, 256);
    return t;
}

static double overlap(double lo, double hi, double pixel)
{
    double l = fmax(lo, pixel), r = fmin(hi, pixel + 1);
    return r > l ? r - l : 0;
}

/* The mean over the box of one output pixel, edges repeated (clamp) or zero
 * outside, straight from the definition, in double. */
static double plain(const struct tensor *t, double x0, double y0, double dx,
                    double dy, int64_t u, int64_t v, int64_t ch, bool clamp)
{
    int64_t h = t->shape[0], w = t->shape[1], c = t->shape[2];
    double bx = fmax(dx, 1), by = fmax(dy, 1), sum = 0, weight = 0;
    double mx = x0 + ((double)u + .5) * dx, my = y0 + ((double)v + .5) * dy;
    for (int64_t y = 0; y < h; y++) {
        double wy = overlap(my - by / 2, my + by / 2, (double)y);
        for (int64_t x = 0; wy > 0 && x < w; x++) {
            double k = wy * overlap(mx - bx / 2, mx + bx / 2, (double)x);
            weight += k;
            sum += k * tensor_u8(t)[(y * w + x) * c + ch];
        }
    }
    return clamp ? sum / weight : sum / (bx * by);
}

static void resize_matches_plain(void **state)
{
    (void)state;
    static const int cases[][5] = {
        {7, 9, 3, 7, 9},    {7, 9, 3, 3, 4},     {7, 9, 1, 20, 31},
        {40, 30, 4, 5, 61}, {33, 64, 2, 64, 13}, {1, 1, 3, 5, 5},
        {50, 50, 3, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int *k = cases[i];
        struct tensor *src = noise(k[0], k[1], k[2], i);
        struct tensor *dst = image_resize(src, k[3], k[4], NULL);
        assert_non_null(dst);
        assert_int_equal(dst->shape[0], k[3]);
        assert_int_equal(dst->shape[1], k[4]);
        assert_int_equal(dst->shape[2], k[2]);
        size_t at = 0;
        for (int v = 0; v < k[3]; v++)
            for (int u = 0; u < k[4]; u++)
                for (int c = 0; c < k[2]; c++) {
                    double want = plain(src, 0, 0, (double)k[1] / k[4],
                                        (double)k[0] / k[3], u, v, c, true);
                    /* half a level of rounding, and float sums */
                    assert_true(fabs(tensor_u8(dst)[at++] - want) < 0.501);
                }
        tensor_free(&src);
        tensor_free(&dst);
    }
}

static void same_size_is_identity(void **state)
{
    (void)state;
    struct tensor *src = noise(31, 17, 3, 9);
    struct tensor *dst = image_resize(src, 31, 17, NULL);
    assert_non_null(dst);
    assert_true(tensor_equal(src, dst));
    tensor_free(&src);
    tensor_free(&dst);
}

/* A window is resized as if there were nothing beside it. */
static void window_is_a_picture(void **state)
{
    (void)state;
    static const int64_t cases[][6] = {
        /* x0, y0, w, h to w, h */
        {0, 0, 23, 19, 23, 19},  {5, 3, 10, 12, 10, 12}, {5, 3, 10, 12, 4, 5},
        {13, 9, 10, 10, 31, 17}, {22, 18, 1, 1, 3, 3},   {0, 4, 23, 1, 7, 1},
    };
    struct tensor *src = noise(19, 23, 3, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t *c = cases[i];
        const int64_t shape[3] = {c[3], c[2], 3};
        struct tensor *part = tensor_new(DT_U8, 3, shape, NULL);
        assert_non_null(part);
        for (int64_t y = 0; y < c[3]; y++)
            for (int64_t k = 0; k < c[2] * 3; k++)
                tensor_u8(part)[y * c[2] * 3 + k] =
                    tensor_u8(src)[((c[1] + y) * 23 + c[0]) * 3 + k];
        struct tensor *want = image_resize(part, c[5], c[4], NULL);
        struct tensor *got =
            image_resize_window(src, c[0], c[1], c[2], c[3], c[5], c[4], NULL);
        assert_non_null(want);
        assert_non_null(got);
        assert_true(tensor_equal(want, got));
        tensor_free(&part);
        tensor_free(&want);
        tensor_free(&got);
    }
    static const int64_t out[][4] = {
        {-1, 0, 5, 5}, {0, -1, 5, 5}, {19, 0, 5, 5},       {0, 15, 5, 5},
        {0, 0, 0, 5},  {0, 0, 5, 0},  {INT64_MAX, 0, 5, 5}};
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
        struct err e;
        assert_null(image_resize_window(src, out[i][0], out[i][1], out[i][2],
                                        out[i][3], 4, 4, &e));
        assert_int_equal(e.code, ERR_ARG);
    }
    tensor_free(&src);
}

static void crop_matches_plain(void **state)
{
    (void)state;
    static const double cases[][4] = {
        {0, 0, 40, 40},        {3.25, 4.75, 20, 32}, {-10.5, -3, 60, 24},
        {30, 25, 30.7, 8},     {500, 500, 10, 4},    {-1000, 5, 3000, 7},
        {10.125, 2.5, 1.5, 9}, {2, 3, 32, 32},
    };
    struct tensor *src = noise(44, 52, 3, 5);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double *k = cases[i];
        int64_t n = (int64_t)k[3];
        float *dst = mem_array((size_t)(n * n * 3), sizeof *dst);
        assert_non_null(dst);
        assert_int_equal(image_crop_f32(src, k[0], k[1], k[2], n, dst, NULL),
                         OK);
        double step = k[2] / k[3];
        for (int64_t c = 0; c < 3; c++)
            for (int64_t v = 0; v < n; v++)
                for (int64_t u = 0; u < n; u++) {
                    double want =
                        plain(src, k[0], k[1], step, step, u, v, c, false) /
                        255;
                    /* float weights and sums of up to 400 terms */
                    assert_true(fabs((double)dst[(c * n + v) * n + u] - want) <
                                2e-6);
                }
        mem_free(dst);
    }
    tensor_free(&src);
}

/* Drawn from the definition: sampling a ramp linearly gives the coordinate. */
static void crop_of_a_ramp(void **state)
{
    (void)state;
    const int64_t shape[3] = {20, 20, 3};
    struct tensor *src = tensor_new(DT_U8, 3, shape, NULL);
    assert_non_null(src);
    for (int i = 0; i < 400; i++) {
        tensor_u8(src)[i * 3] = (uint8_t)(10 * (i % 20));
        tensor_u8(src)[i * 3 + 1] = (uint8_t)(10 * (i / 20));
    }
    float dst[3 * 8 * 8];
    assert_int_equal(image_crop_f32(src, 4.5, 6.25, 4, 8, dst, NULL), OK);
    for (int v = 0; v < 8; v++)
        for (int u = 0; u < 8; u++) {
            double x = 4.5 + (u + .5) * .5 - .5, y = 6.25 + (v + .5) * .5 - .5;
            assert_true(fabs((double)dst[v * 8 + u] * 25.5 - x) < 1e-4);
            assert_true(fabs((double)dst[64 + v * 8 + u] * 25.5 - y) < 1e-4);
        }
    tensor_free(&src);
}

static void refuses(void **state)
{
    (void)state;
    struct err e;
    float dst[3];
    const int64_t flat[2] = {4, 4}, five[3] = {4, 4, 5}, empty[3] = {0, 4, 3};
    struct tensor *good = noise(4, 4, 3, 1);
    struct tensor *a = tensor_new(DT_U8, 2, flat, NULL);
    struct tensor *b = tensor_new(DT_U8, 3, five, NULL);
    struct tensor *c = tensor_new(DT_F32, 3, five, NULL);
    struct tensor *d = tensor_new(DT_U8, 3, empty, NULL);
    struct tensor *bad[] = {a, b, c, d};
    for (int i = 0; i < 4; i++) {
        assert_non_null(bad[i]);
        assert_null(image_resize(bad[i], 2, 2, &e));
        assert_int_equal(e.code, ERR_ARG);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(image_crop_f32(bad[i], 0, 0, 2, 1, dst, &e), ERR_ARG);
    static const int64_t sizes[][2] = {{0, 2}, {2, 0}, {-1, 2}, {2, 1 << 30}};
    for (int i = 0; i < 4; i++)
        assert_null(image_resize(good, sizes[i][0], sizes[i][1], &e));
    assert_int_equal(image_crop_f32(good, (double)NAN, 0, 2, 1, dst, &e),
                     ERR_ARG);
    assert_int_equal(image_crop_f32(good, 0, (double)INFINITY, 2, 1, dst, &e),
                     ERR_ARG);
    assert_int_equal(image_crop_f32(good, 0, 0, 0, 1, dst, &e), ERR_ARG);
    assert_int_equal(image_crop_f32(good, 0, 0, -3, 1, dst, &e), ERR_ARG);
    assert_int_equal(image_crop_f32(good, 0, 0, 3, 0, dst, &e), ERR_ARG);
    for (int i = 0; i < 4; i++)
        tensor_free(&bad[i]);
    tensor_free(&good);
}

static void no_memory(void **state)
{
    (void)state;
    struct err e;
    static float dst[3 * 16 * 16];
    struct tensor *src = noise(20, 20, 3, 1);
    int64_t live = mem_live();
    for (uint64_t n = 1;; n++) {
        mem_fail_nth(n);
        struct tensor *t = image_resize(src, 7, 31, &e);
        bool hit = mem_fail_hit();
        if (hit) {
            assert_null(t);
            assert_int_equal(e.code, ERR_NOMEM);
        }
        tensor_free(&t);
        assert_int_equal(mem_live(), live);
        if (!hit)
            break;
    }
    for (uint64_t n = 1;; n++) {
        mem_fail_nth(n);
        enum err_code rc = image_crop_f32(src, 1, 1, 9, 16, dst, &e);
        bool hit = mem_fail_hit();
        assert_int_equal(rc, hit ? ERR_NOMEM : OK);
        assert_int_equal(mem_live(), live);
        if (!hit)
            break;
    }
    mem_fail_nth(0);
    tensor_free(&src);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_matches_plain),
        cmocka_unit_test(same_size_is_identity),
        cmocka_unit_test(window_is_a_picture),
        cmocka_unit_test(crop_matches_plain),
        cmocka_unit_test(crop_of_a_ramp),
        cmocka_unit_test(refuses),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
