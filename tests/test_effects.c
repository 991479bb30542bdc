/* lib/media/affine and lib/media/effects, against slow plain references. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/media/affine.h"
#include "lib/media/effects.h"
#include "lib/media/sample.h"

static struct tensor *picture(int64_t h, int64_t w, bool smooth)
{
    const int64_t shape[3] = {h, w, 3};
    struct rng r;
    struct tensor *t = tensor_new(DT_U8, 3, shape, NULL);
    assert_non_null(t);
    rng_seed(&r, 3);
    for (size_t i = 0; i < t->count; i++) {
        double x = (double)(i / 3 % (size_t)w), y = (double)(i / 3 / (size_t)w);
        tensor_u8(t)[i] =
            smooth ? (uint8_t)(128 + 60 * sin(x / 11 + (double)(i % 3)) +
                               50 * cos(y / 13))
                   : (uint8_t)rng_below(&r, 256);
    }
    return t;
}

static double at(const struct tensor *t, double x, double y, size_t c,
                 enum affine_border b)
{
    int64_t h = t->shape[0], w = t->shape[1];
    int64_t ix = (int64_t)floor(x), iy = (int64_t)floor(y);
    double sum = 0;
    for (int64_t j = 0; j < 2; j++)
        for (int64_t i = 0; i < 2; i++) {
            int64_t px = ix + i, py = iy + j;
            double k = (1 - fabs(x - (double)px)) * (1 - fabs(y - (double)py));
            bool in = px >= 0 && py >= 0 && px < w && py < h;
            if (!in && b == AFFINE_BLACK)
                continue;
            px = sample_reflect(px, w);
            py = sample_reflect(py, h);
            sum += k * tensor_u8(t)[(size_t)(py * w + px) * 3 + c];
        }
    return sum;
}

/* One sample a pixel where the picture grows, also beyond its border; the
 * mean of the taps where it shrinks. */
static void test_affine_plain(void **state)
{
    (void)state;
    static const struct {
        double m[6];
        int taps;
    } all[] = {
        {{0.7, 0.2, -9, -0.3, 0.8, 5}, 1},
        {{-0.5, 0.1, 40, 0.2, 0.6, -8}, 1},
        {{1.4, 0.9, -20, -0.9, 1.3, 20}, 2},
        {{2.6, 0, -30, 0, 2.7, -40}, 3},
    };
    struct tensor *t = picture(50, 60, false);
    float *got = mem_array(40 * 45 * 3, sizeof *got);
    assert_non_null(got);
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        for (int b = AFFINE_BLACK; b <= AFFINE_REFLECT; b++) {
            const double *m = all[k].m;
            int n = all[k].taps;
            assert_int_equal(
                image_affine(t, m, (enum affine_border)b, 40, 45, got, NULL),
                OK);
            double worst = 0;
            for (size_t i = 0; i < 40 * 45 * 3; i++) {
                double x = (double)(i / 3 % 45), y = (double)(i / 3 / 45);
                double want = 0;
                for (int j = 0; j < n * n; j++) {
                    double u = x + (j % n + 0.5) / n - 0.5;
                    double v = y + (j / n + 0.5) / n - 0.5;
                    want += at(t, m[0] * u + m[1] * v + m[2],
                               m[3] * u + m[4] * v + m[5], i % 3,
                               (enum affine_border)b) /
                            (n * n);
                }
                worst = fmax(worst, fabs(want - (double)got[i]));
            }
            /* Positions are off by up to 1/512 pixel by axis, neighbours
             * differ by up to 255: 1 level at most. */
            assert_true(worst <= 1.0);
        }
    mem_free(got);
    tensor_free(&t);
}

/* The identity is exact; a mirrored one too. */
static void test_affine_exact(void **state)
{
    (void)state;
    const double same[6] = {1, 0, 0, 0, 1, 0}, mirror[6] = {-1, 0, 29, 0, 1, 0};
    struct tensor *t = picture(20, 30, false);
    float got[20 * 30 * 3];
    assert_int_equal(image_affine(t, same, AFFINE_BLACK, 20, 30, got, NULL),
                     OK);
    for (size_t i = 0; i < t->count; i++)
        assert_true(fabsf(got[i] - (float)tensor_u8(t)[i]) < 1e-4F);
    assert_int_equal(image_affine(t, mirror, AFFINE_BLACK, 20, 30, got, NULL),
                     OK);
    for (size_t y = 0; y < 20; y++)
        for (size_t x = 0; x < 30; x++)
            for (size_t c = 0; c < 3; c++)
                assert_true(fabsf(got[(y * 30 + x) * 3 + c] -
                                  (float)tensor_u8(
                                      t)[(y * 30 + 29 - x) * 3 + c]) < 1e-4F);
    tensor_free(&t);
}

/* Shrunk sixfold, stripes of one pixel become grey (no alias), and a smooth
 * picture stays where it was. */
static void test_affine_shrinks(void **state)
{
    (void)state;
    const double m[6] = {6, 0, 2.5, 0, 6, 2.5};
    struct tensor *t = picture(240, 240, true);
    float got[40 * 40 * 3];
    double worst = 0;
    assert_int_equal(image_affine(t, m, AFFINE_REFLECT, 40, 40, got, NULL), OK);
    for (size_t y = 2; y < 38; y++)
        for (size_t x = 2; x < 38; x++) {
            double want = at(t, 6 * (double)x + 2.5, 6 * (double)y + 2.5, 0,
                             AFFINE_REFLECT);
            worst = fmax(worst, fabs(want - (double)got[(y * 40 + x) * 3]));
        }
    /* Averaging 6 pixels of a wave 69 long takes 1 % of its 110 levels, the
     * wider filter some more; a shift by a quarter pixel of the result would
     * show as 8. */
    assert_true(worst < 5);
    for (size_t i = 0; i < t->count; i++)
        tensor_u8(t)[i] = i / 3 % 2 ? 255 : 0;
    assert_int_equal(image_affine(t, m, AFFINE_REFLECT, 40, 40, got, NULL), OK);
    for (size_t i = 0; i < 40 * 40 * 3; i++)
        assert_true(fabsf(got[i] - 127.5F) < 2.0F);
    tensor_free(&t);
}

static void test_affine_refuses(void **state)
{
    (void)state;
    const double good[6] = {1, 0, 0, 0, 1, 0};
    const int64_t grey[2] = {4, 4}, none[3] = {0, 4, 3};
    struct tensor *t = picture(4, 4, false);
    struct tensor *g = tensor_new(DT_U8, 2, grey, NULL);
    struct tensor *z = tensor_new(DT_U8, 3, none, NULL);
    float out[48];
    struct err e;
    for (int i = 0; i < 6; i++) {
        double m[6];
        memcpy(m, good, sizeof m);
        m[i] = i % 2 ? (double)NAN : 2e6;
        assert_int_equal(image_affine(t, m, AFFINE_BLACK, 4, 4, out, &e),
                         ERR_ARG);
    }
    assert_int_equal(image_affine(t, good, AFFINE_BLACK, 0, 4, out, &e),
                     ERR_ARG);
    assert_int_equal(image_affine(g, good, AFFINE_BLACK, 4, 4, out, &e),
                     ERR_ARG);
    assert_int_equal(image_affine(z, good, AFFINE_BLACK, 4, 4, out, &e),
                     ERR_ARG);
    tensor_free(&t);
    tensor_free(&g);
    tensor_free(&z);
}

static void test_colour(void **state)
{
    (void)state;
    const struct effect_colour same = {1, 1, 1, 0, 0};
    struct effect_colour c = {1, 1, 0, 0, 0};
    float m[12], px[6] = {200, 100, 50, 80, 80, 80};
    effect_colour_matrix(&same, m);
    for (int i = 0; i < 12; i++) /* the inverse of YIQ has four digits */
        assert_true(fabsf(m[i] - (i % 5 == 0 ? 1.0F : 0.0F)) < 2e-3F);
    effect_colour_matrix(&c, m); /* grey: the luma of Rec. 601 */
    effect_matrix(px, 2, m);
    for (int i = 0; i < 3; i++) {
        assert_true(fabsf(px[i] - 124.2F) < 0.1F);
        assert_true(fabsf(px[3 + i] - 80) < 0.01F);
    }
    /* Greys stay greys under any turn and saturation; 2 x light, 1.5 x
     * contrast about 127.5. */
    c = (struct effect_colour){2, 1.5F, 1.7F, 0.6F, 0};
    effect_colour_matrix(&c, m);
    effect_matrix(px + 3, 1, m);
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(px[3 + i] - (1.5F * 160 - 63.75F)) < 0.01F);
    c = (struct effect_colour){1, 1, 1, 0, 0.2F};
    effect_colour_matrix(&c, m);
    float grey[3] = {100, 100, 100};
    effect_matrix(grey, 1, m);
    assert_true(fabsf(grey[0] - 120) < 0.01F && fabsf(grey[2] - 80) < 0.01F);
}

static void test_gamma(void **state)
{
    (void)state;
    float px[6] = {0, 64, 255, -20, 300, NAN};
    effect_gamma(px, 2, 0.5F);
    assert_true(px[0] <= 0 && px[0] >= 0);
    assert_true(fabs((double)px[1] - 255 * sqrt(64 / 255.0)) < 0.2);
    assert_true(fabsf(px[2] - 255) < 1e-3F && fabsf(px[4] - 255) < 1e-3F);
    assert_true(px[3] <= 0 && px[5] <= 0);
}

/* A dot keeps its sum, and gets the asked-for width. */
static void test_blur(void **state)
{
    (void)state;
    enum { N = 41 };
    static float px[N * N * 3], tmp[N * N * 3];
    double sum = 0, xx = 0, yy = 0;
    px[(20 * N + 20) * 3] = 1000;
    effect_blur(px, N, N, 3, tmp);
    for (int i = 0; i < N * N; i++) {
        double v = (double)px[3 * i], x = i % N - 20, y = i / N - 20;
        sum += v;
        xx += v * x * x;
        yy += v * y * y;
        assert_true(px[3 * i + 1] <= 0 && px[3 * i + 2] <= 0);
    }
    assert_true(fabs(sum - 1000) < 0.01);
    /* Cut at 2.5 deviations it is some 6 % narrower. */
    assert_true(fabs(sqrt(xx / sum) - 2.85) < 0.15);
    assert_true(fabs(xx - yy) < 0.01 * xx);
    for (int i = 0; i < N * N * 3; i++)
        px[i] = 77; /* edges repeated: one tone stays */
    effect_blur(px, N, N, 10, tmp);
    effect_motion(px, N, N, 60, 0.4F, tmp);
    for (int i = 0; i < N * N * 3; i++)
        assert_true(fabsf(px[i] - 77) < 1e-3F);
}

static void test_motion(void **state)
{
    (void)state;
    enum { N = 31 };
    static float px[N * N * 3], tmp[N * N * 3];
    px[(15 * N + 15) * 3 + 2] = 90;
    effect_motion(px, N, N, 8, 1.5707963F, tmp); /* straight down */
    double sum = 0;
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            float v = px[(y * N + x) * 3 + 2];
            sum += (double)v;
            assert_true((v > 9.9F) == (x == 15 && abs(y - 15) <= 4));
        }
    assert_true(fabs(sum - 90) < 0.01);
}

static void test_noise(void **state)
{
    (void)state;
    enum { N = 40000 };
    static float px[3 * N];
    for (int mono = 0; mono < 2; mono++) {
        struct rng r;
        double s = 0, ss = 0, same = 0;
        rng_seed(&r, 11);
        memset(px, 0, sizeof px);
        effect_noise(px, N, 5, mono, &r);
        for (int i = 0; i < 3 * N; i++) {
            s += (double)px[i];
            ss += (double)(px[i] * px[i]);
            same += i % 3 && fabsf(px[i] - px[i - i % 3]) < 1e-6F;
        }
        /* 40,000 independent values: the mean is good to 0.025 (5 of its
         * deviations: 0.125), the deviation to 0.018. */
        assert_true(fabs(s / (3 * N)) < 0.125);
        assert_true(fabs(sqrt(ss / (3 * N)) - 5) < 0.1);
        assert_true(mono ? same > 2 * N - 1 : same < (double)N / 10);
    }
}

static void test_bytes_and_files(void **state)
{
    (void)state;
    const float v[7] = {-3, 0.49F, 0.5F, 254.4F, 254.6F, 900, NAN};
    const uint8_t want[7] = {0, 0, 1, 254, 255, 255, 0};
    uint8_t got[7];
    effect_to_u8(v, 7, got);
    assert_memory_equal(got, want, 7);

    struct tensor *t = picture(64, 48, true), *same = tensor_copy(t, NULL);
    float px[64 * 48 * 3];
    struct err e;
    double off = 0;
    assert_int_equal(effect_jpeg(&t, 95, &e), OK);
    assert_true(t->ndim == 3 && t->shape[0] == 64 && t->shape[1] == 48);
    for (size_t i = 0; i < t->count; i++) {
        off += abs(tensor_u8(t)[i] - tensor_u8(same)[i]);
        px[i] = (float)tensor_u8(same)[i];
    }
    off /= (double)t->count;
    assert_true(off > 0 && off < 3); /* smooth, at quality 95 */
    assert_int_equal(effect_jpeg(&t, 5, &e), OK);
    double worse = 0;
    for (size_t i = 0; i < t->count; i++)
        worse += abs(tensor_u8(t)[i] - tensor_u8(same)[i]);
    assert_true(worse / (double)t->count > 2 * off);
    /* Waves of 69 pixels survive a factor of 3, noise does not. */
    assert_int_equal(effect_rescale(px, 64, 48, 3, &e), OK);
    off = 0;
    for (size_t i = 0; i < t->count; i++)
        off += fabs((double)px[i] - tensor_u8(same)[i]);
    assert_true(off / (double)t->count < 2);
    for (size_t i = 0; i < t->count; i++)
        px[i] = i / 3 % 2 ? 255 : 0;
    assert_int_equal(effect_rescale(px, 64, 48, 4, &e), OK);
    for (size_t i = 0; i < t->count; i++)
        assert_true(fabsf(px[i] - 127.5F) < 1);
    /* No memory, at each place. */
    int64_t live = mem_live();
    for (uint64_t nth = 1;; nth++) {
        mem_fail_nth(nth);
        enum err_code r = effect_rescale(px, 64, 48, 4, &e);
        if (!r)
            r = effect_jpeg(&t, 50, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(r, hit ? ERR_NOMEM : OK);
        assert_int_equal(mem_live(), live);
        if (!hit)
            break;
    }
    tensor_free(&t);
    tensor_free(&same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_affine_plain),
                                       cmocka_unit_test(test_affine_exact),
                                       cmocka_unit_test(test_affine_shrinks),
                                       cmocka_unit_test(test_affine_refuses),
                                       cmocka_unit_test(test_colour),
                                       cmocka_unit_test(test_gamma),
                                       cmocka_unit_test(test_blur),
                                       cmocka_unit_test(test_motion),
                                       cmocka_unit_test(test_noise),
                                       cmocka_unit_test(test_bytes_and_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
