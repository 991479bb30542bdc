/* lib/geom/crop: the square round a face, and its matrix. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/geom/crop.h"

/* Doubles, a handful of operations on numbers below 1e4. */
#define TINY 1e-9

static void assert_near(double a, double b, double tol)
{
    if (!(fabs(a - b) <= tol))
        print_error("%.12g is not %.12g\n", a, b);
    assert_true(fabs(a - b) <= tol);
}

static void test_box(void **state)
{
    (void)state;
    const double box[4] = {100, 80, 200, 180};
    /* face-alignment: centre moved up by 0.12 of the height, side 200 times
     * (w + h) / 195 (utils.py, crop). */
    struct crop c = crop_of_box(CROP_FAN, box);
    assert_near(c.side, 200.0 * 200 / 195, TINY);
    assert_near(c.x0 + c.side / 2, 150.5, TINY);
    assert_near(c.y0 + c.side / 2, 130.5 - 12, TINY);
    c = crop_of_box(CROP_FACET, box); /* grown up by 22, then 0.06 of 122 */
    assert_near(c.side, 200.0 * 222 / 195, TINY);
    assert_near(c.y0 + c.side / 2, 119.5 - 0.06 * 122, TINY);
}

static void test_box_ok(void **state)
{
    (void)state;
    const double good[4] = {-5, -5, -4, -4};
    const double bad[][4] = {{0, 0, 0.5, 9},
                             {0, 0, 9, 0.5},
                             {9, 0, 0, 9},
                             {(double)NAN, 0, 9, 9},
                             {0, 0, (double)INFINITY, 9},
                             {0, -2e6, 9, 9}};
    assert_true(crop_box_ok(good));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(crop_box_ok(bad[i]));
}

/* The unchanged matrix takes the crop's corners to the corners. */
static void test_plain(void **state)
{
    (void)state;
    const struct crop c = {12.25, -7, 96};
    struct affine a = crop_affine(c, 64), back;
    double p[2];
    affine_apply(&a, 12.25 - 0.5, -7 - 0.5, p); /* continuous (0,0) */
    assert_near(p[0], -0.5, TINY);
    assert_near(p[1], -0.5, TINY);
    affine_apply(&a, 12.25 + 96 - 0.5, -7 + 96 - 0.5, p);
    assert_near(p[0], 63.5, TINY);
    assert_near(p[1], 63.5, TINY);
    assert_true(affine_invert(&a, &back));
    affine_apply(&back, 31.5, 31.5, p);
    assert_near(p[0], 12.25 + 48 - 0.5, TINY);
    assert_near(p[1], -7 + 48 - 0.5, TINY);
}

static void test_changes(void **state)
{
    (void)state;
    const struct crop c = {0, 0, 100}; /* middle at pixel 49.5 */
    struct crop_change g = {.scale = 1, .aspect = 1};
    double p[2], q[2];
    g.mirror = true;
    struct affine a = crop_changed(c, 100, &g);
    affine_apply(&a, 10, 20, p);
    assert_near(p[0], 89, TINY); /* column 10 of 0..99 from the other side */
    assert_near(p[1], 20, TINY);
    g = (struct crop_change){.scale = 2, .aspect = 1};
    a = crop_changed(c, 100, &g);
    affine_apply(&a, 9.5, 49.5, p);
    assert_near(p[0], 29.5, TINY); /* 40 from the middle, now 20 */
    g = (struct crop_change){.scale = 1, .aspect = 4};
    a = crop_changed(c, 100, &g);
    affine_apply(&a, 59.5, 59.5, p);
    assert_near(p[0], 54.5, TINY); /* twice as wide: half as far */
    assert_near(p[1], 69.5, TINY); /* half as high: twice as far */
    g = (struct crop_change){.scale = 1, .aspect = 1, .shift_x = 0.1};
    a = crop_changed(c, 100, &g);
    affine_apply(&a, 59.5, 49.5, p);
    assert_near(p[0], 49.5, TINY); /* the crop moved right by 10 */
    /* Turned clockwise by 90 degrees, the crop's right is the picture's
     * down: what lies below the middle comes to the right. */
    g = (struct crop_change){
        .scale = 1, .aspect = 1, .turn_rad = 1.5707963267948966};
    a = crop_changed(c, 100, &g);
    affine_apply(&a, 49.5, 59.5, p);
    assert_near(p[0], 59.5, TINY);
    assert_near(p[1], 49.5, TINY);
    /* With all at once the inverse is one, and mirror still means x' =
     * size - 1 - x. */
    g = (struct crop_change){.scale = 1.3,
                             .shift_x = 0.1,
                             .shift_y = -0.2,
                             .turn_rad = 0.7,
                             .aspect = 1.2};
    struct affine b = crop_changed(c, 64, &g), back;
    g.mirror = true;
    a = crop_changed(c, 64, &g);
    assert_true(affine_invert(&a, &back));
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 100; i++) {
        double x = rng_range(&r, -200, 200), y = rng_range(&r, -200, 200);
        affine_apply(&a, x, y, p);
        affine_apply(&b, x, y, q);
        assert_near(p[0], 63 - q[0], TINY);
        assert_near(p[1], q[1], TINY);
        affine_apply(&back, p[0], p[1], q);
        assert_near(q[0], x, TINY);
        assert_near(q[1], y, TINY);
    }
}

static void test_no_inverse(void **state)
{
    (void)state;
    const struct affine flat = {{1, 2, 0, 2, 4, 0}};
    const struct affine nan = {{(double)NAN, 0, 0, 0, 1, 0}};
    struct affine out;
    assert_false(affine_invert(&flat, &out));
    assert_false(affine_invert(&nan, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_box), cmocka_unit_test(test_box_ok),
        cmocka_unit_test(test_plain), cmocka_unit_test(test_changes),
        cmocka_unit_test(test_no_inverse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
