/* The generator's method `warp` without the stage: its files belong to the
 * stage, not to the library, so they are compiled in here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stages/generator/ground.c"
#include "stages/generator/matte.c"
#include "stages/generator/mirror.c"
#include "stages/generator/pyramid.c"
#include "stages/generator/warp.c"

#include "lib/base/rng.h"
#include "lib/geom/head.h"
#include "lib/geom/rotation.h"

static struct tensor *picture(int64_t h, int64_t w, bool grey)
{
    const int64_t shape[3] = {h, w, 3};
    struct err e;
    struct rng g;
    struct tensor *t = tensor_new(DT_U8, 3, shape, &e);

    assert_non_null(t);
    rng_seed(&g, 9);
    for (int64_t i = 0; i < h * w; i++) {
        double x = (double)(i % w), y = (double)(i / w);
        double v = 110 + 50 * sin(x / 9) + 40 * cos(y / 7) + 6 * rng_normal(&g);

        for (int c = 0; c < 3; c++)
            tensor_u8(t)[3 * i + c] =
                (uint8_t)fmin(fmax(grey ? v : v + 15 * c, 0), 255);
    }
    return t;
}

static void face(double unit, double cx, double cy, double ry_deg,
                 float out[LANDMARKS][3])
{
    float m[LANDMARKS][3];
    double r[9];
    struct err e;

    assert_int_equal(head_landmarks(NULL, m, &e), OK);
    rotation_from_euler(0, ry_deg, 0, r);
    for (int i = 0; i < LANDMARKS; i++)
        for (int a = 0; a < 3; a++) {
            double v = 0.0;

            for (int k = 0; k < 3; k++)
                v += r[3 * a + k] * (double)m[i][k];
            out[i][a] = (float)(unit * v + (a == 0 ? cx : a == 1 ? cy : 0.0));
        }
}

static void turn(const float in[LANDMARKS][3], double rx, double ry, double rz,
                 float out[LANDMARKS][3])
{
    double m[9];

    rotation_from_euler(rx, ry, rz, m);
    rotation_about_mean(m, &in[0][0], &out[0][0], LANDMARKS);
}

/* Prepare, one view, release. */
static enum err_code run(struct tensor *img, float pts[LANDMARKS][3],
                         const double pose[3], struct tensor **out,
                         struct err *e)
{
    const float(*at)[3] = (const float(*)[3])pts;
    float target[LANDMARKS][3];
    void *source = NULL;
    enum err_code rc;

    *out = NULL;
    turn(at, pose[0], pose[1], pose[2], target);
    rc = generator_warp.prepare(img, at, NULL, &source, e);
    if (rc == OK)
        rc = generator_warp.view(source, (const float(*)[3])target, out, e);
    generator_warp.release(source);
    return rc;
}

static void no_turn_is_the_source(void **state)
{
    (void)state;
    const double pose[3] = {0, 0, 0};
    double turns[] = {0, 35, -50};
    float pts[LANDMARKS][3];
    struct tensor *img = picture(131, 117, false), *out;
    struct err e;

    for (int k = 0; k < 3; k++) {
        face(40, 58, 60, turns[k], pts);
        assert_int_equal(run(img, pts, pose, &out, &e), OK);
        assert_true(tensor_equal(img, out));
        tensor_free(&out);
    }
    tensor_free(&img);
}

/* A turned source has a hidden side, so that the mirrored one is drawn too; a
 * grey picture stays grey, and what is far from the head stays as it is. */
static void grey_and_still(void **state)
{
    (void)state;
    const double pose[3] = {5, -45, 0};
    float pts[LANDMARKS][3];
    struct tensor *img = picture(240, 320, true), *out;
    struct err e;

    face(30, 160, 120, 40, pts);
    assert_int_equal(run(img, pts, pose, &out, &e), OK);
    assert_false(tensor_equal(img, out));
    for (size_t i = 0; i < out->count; i += 3) {
        const uint8_t *p = tensor_u8(out) + i;

        assert_true(p[0] == p[1] && p[1] == p[2]);
    }
    for (int64_t y = 0; y < 240; y++)
        assert_memory_equal(tensor_u8(img) + y * 960, tensor_u8(out) + y * 960,
                            3 * 30);
    tensor_free(&out);
    tensor_free(&img);
}

/* A head, as a disc, before a wall with a straight line across it. */
static struct tensor *wall(int64_t h, int64_t w, double unit, double cx,
                           double cy)
{
    const int64_t shape[3] = {h, w, 3};
    struct err e;
    struct rng g;
    struct tensor *t = tensor_new(DT_U8, 3, shape, &e);

    assert_non_null(t);
    rng_seed(&g, 4);
    for (int64_t i = 0; i < h * w; i++) {
        double x = ((double)(i % w) - cx) / unit;
        double y = ((double)(i / w) - cy) / unit;
        bool head = hypot(x, 0.8 * (y + 0.35)) < 0.95;
        bool body = y > 1.0 && fabs(x) < 0.4 + 0.8 * (y - 1.0);
        bool line = fabs(y + 1.1) < 0.04;

        for (int c = 0; c < 3; c++) {
            double v = body   ? 40 + 30 * c
                       : head ? 210 - 45 * c
                       : line ? 60
                              : 120 + 30 * c;

            tensor_u8(t)[3 * i + c] = (uint8_t)(v + 4 * rng_normal(&g));
        }
    }
    return t;
}

/* What is behind the head stays, also close to it: a straight line does not
 * bend, and the head is drawn over it. */
static void background_stays(void **state)
{
    (void)state;
    const double unit = 50, poses[][3] = {{20, 0, 0}, {-20, 10, 0}};
    float pts[LANDMARKS][3];
    struct tensor *img = wall(300, 320, unit, 160, 150), *out;
    struct err e;

    face(unit, 160, 150, 0, pts);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(run(img, pts, poses[k], &out, &e), OK);
        assert_false(tensor_equal(img, out));
        for (int64_t y = 60; y < 140; y++)
            for (int64_t x = 20; x < 300; x++) {
                size_t at = (size_t)(y * 320 + x) * 3;

                if (fabs((double)x - 160) < 1.6 * unit)
                    continue;
                /* three times the wall's noise; the line differs by 60 */
                assert_in_range(abs(tensor_u8(img)[at] - tensor_u8(out)[at]), 0,
                                12);
            }
        tensor_free(&out);
    }
    tensor_free(&img);
}

/* A head that fills the picture leaves no background to learn from. */
static void no_background(void **state)
{
    (void)state;
    float pts[LANDMARKS][3];
    struct tensor *img = picture(90, 80, false);
    struct warp_source *s;
    void *source;
    struct err e;

    face(50, 40, 50, 0, pts);
    assert_int_equal(
        generator_warp.prepare(img, (const float(*)[3])pts, NULL, &source, &e),
        OK);
    s = source;
    assert_null(s->matte);
    generator_warp.release(source);
    tensor_free(&img);
}

/* Odd sizes, faces cut by the border or wholly outside, any turn. */
static void hard_cases(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {
        {1, 1}, {2, 3}, {1, 200}, {97, 1}, {64, 63}};
    static const double poses[][3] = {
        {0, 30, 0}, {-90, 0, 0}, {0, 180, 0}, {33, -80, 170}};
    struct err e;

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (size_t j = 0; j < sizeof poses / sizeof *poses; j++) {
            int64_t h = sizes[k][0], w = sizes[k][1];
            struct tensor *img = picture(h, w, false), *out;
            float pts[LANDMARKS][3];

            face(0.4 * (double)(h + w), (double)w * 0.4, (double)h * 0.9,
                 10.0 * (double)j, pts);
            enum err_code rc = run(img, pts, poses[j], &out, &e);

            assert_true(rc == OK || rc == ERR_DATA || rc == ERR_NOFACE);
            if (rc == OK)
                assert_true(out->shape[0] == h && out->shape[1] == w);
            if (h == 64)
                assert_int_equal(rc, OK);
            tensor_free(&out);
            tensor_free(&img);
        }
}

/* A picture of several bands shows no seam: a turn about the vertical moves
 * rows little, so a ramp down the picture stays a ramp. */
static void bands_join(void **state)
{
    (void)state;
    const int64_t shape[3] = {1500, 1400, 3};
    const double pose[3] = {0, 15, 0};
    float pts[LANDMARKS][3];
    struct err e;
    struct tensor *img = tensor_new(DT_U8, 3, shape, &e), *out;

    assert_non_null(img);
    for (int64_t y = 0; y < 1500; y++)
        for (int64_t x = 0; x < 1400; x++)
            memset(tensor_u8(img) + (y * 1400 + x) * 3, (int)(y / 6), 3);
    face(420, 700, 750, 0, pts);
    assert_int_equal(run(img, pts, pose, &out, &e), OK);
    assert_true(1400 * 1500 > 2 * BAND_PIXELS);
    /* one level is six rows; a band drawn out of place is off by hundreds */
    for (int64_t y = 1; y < 1500; y++) {
        int a = tensor_u8(out)[(y * 1400 + 700) * 3];
        int b = tensor_u8(out)[((y - 1) * 1400 + 700) * 3];

        assert_true(abs(a - b) <= 3);
    }
    tensor_free(&out);
    tensor_free(&img);
}

static void refuses(void **state)
{
    (void)state;
    float pts[LANDMARKS][3], bad[LANDMARKS][3];
    struct tensor *img = picture(80, 90, false), *out;
    void *source;
    struct err e;

    face(25, 45, 40, 0, pts);
    memcpy(bad, pts, sizeof bad);
    bad[50][1] = NAN;
    assert_int_equal(
        generator_warp.prepare(img, (const float(*)[3])bad, NULL, &source, &e),
        ERR_DATA);
    bad[50][1] = 1e6f;
    assert_int_equal(
        generator_warp.prepare(img, (const float(*)[3])bad, NULL, &source, &e),
        ERR_DATA);
    face(0.5, 45, 40, 0, bad);
    assert_int_equal(
        generator_warp.prepare(img, (const float(*)[3])bad, NULL, &source, &e),
        ERR_NOFACE);
    assert_null(source);
    assert_int_equal(
        generator_warp.prepare(img, (const float(*)[3])pts, NULL, &source, &e),
        OK);
    memset(bad, 0, sizeof bad);
    assert_int_equal(
        generator_warp.view(source, (const float(*)[3])bad, &out, &e),
        ERR_DATA);
    assert_null(out);
    bad[1][2] = INFINITY;
    assert_int_equal(
        generator_warp.view(source, (const float(*)[3])bad, &out, &e),
        ERR_DATA);
    generator_warp.release(source);
    generator_warp.release(NULL);
    tensor_free(&img);
}

static void no_memory(void **state)
{
    (void)state;
    const double pose[3] = {0, -40, 0};
    float pts[LANDMARKS][3];
    struct tensor *img = picture(100, 110, false), *out;
    struct err e;
    int64_t live = mem_live();

    face(25, 40, 34, 35, pts);
    for (uint64_t n = 1; n < 400; n++) {
        mem_fail_nth(n);
        enum err_code rc = run(img, pts, pose, &out, &e);
        bool hit = mem_fail_hit();

        mem_fail_nth(0);
        assert_int_equal(rc, hit ? ERR_NOMEM : OK);
        tensor_free(&out);
        assert_int_equal(mem_live(), live);
        if (!hit) {
            assert_true(n > 20);
            tensor_free(&img);
            return;
        }
    }
    fail_msg("never without a failure");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory),
        cmocka_unit_test(no_turn_is_the_source),
        cmocka_unit_test(grey_and_still),
        cmocka_unit_test(background_stays),
        cmocka_unit_test(no_background),
        cmocka_unit_test(hard_cases),
        cmocka_unit_test(bands_join),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
