/* Rotations in the seed's convention, and the tables of the 68 points. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/geom/landmarks.h"
#include "lib/geom/rotation.h"

static void apply(const double m[9], const double v[3], double out[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = m[3 * k] * v[0] + m[3 * k + 1] * v[1] + m[3 * k + 2] * v[2];
}

/* networks.md: x right, y down; +ry turns the nose to the picture's right,
 * +rx up; R = Rz Ry Rx. */
static void directions(void **state)
{
    (void)state;
    const double nose[3] = {0, 0, 1}, right[3] = {1, 0, 0};
    double m[9], v[3];
    rotation_from_euler(0, 30, 0, m);
    apply(m, nose, v);
    assert_true(fabs(v[0] - 0.5) < 1e-12 && fabs(v[1]) < 1e-12);
    rotation_from_euler(30, 0, 0, m);
    apply(m, nose, v);
    assert_true(fabs(v[1] + 0.5) < 1e-12 && v[2] > 0.8);
    rotation_from_euler(0, 0, 30, m);
    apply(m, right, v);
    assert_true(fabs(v[1] - 0.5) < 1e-12 && v[0] > 0.8);
    /* The order: first x, then y, then z. */
    double a[9], b[9], c[9], t[3], u[3];
    rotation_from_euler(20, 0, 0, a);
    rotation_from_euler(0, -35, 0, b);
    rotation_from_euler(0, 0, 50, c);
    rotation_from_euler(20, -35, 50, m);
    const double w[3] = {0.3, -0.7, 0.2};
    apply(a, w, t);
    apply(b, t, u);
    apply(c, u, t);
    apply(m, w, u);
    for (int k = 0; k < 3; k++)
        assert_true(fabs(t[k] - u[k]) < 1e-12);
}

static void there_and_back(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 5);
    for (int i = 0; i < 200; i++) {
        double in[3] = {rng_range(&r, -179, 179), rng_range(&r, -89, 89),
                        rng_range(&r, -179, 179)};
        double m[9], out[3];
        rotation_from_euler(in[0], in[1], in[2], m);
        rotation_to_euler(m, &out[0], &out[1], &out[2]);
        for (int k = 0; k < 3; k++)
            assert_true(fabs(in[k] - out[k]) < 1e-9);
    }
    /* At the pole any rx, rz with the same matrix will do. */
    double m[9], n[9], x, y, z;
    rotation_from_euler(25, 90, 10, m);
    rotation_to_euler(m, &x, &y, &z);
    rotation_from_euler(x, y, z, n);
    for (int k = 0; k < 9; k++)
        assert_true(fabs(m[k] - n[k]) < 1e-7);
}

static void about_the_mean(void **state)
{
    (void)state;
    float p[4][3] = {{1, 2, 3}, {4, -2, 0}, {7, 7, 1}, {0, 1, 0}}, q[4][3];
    double m[9], mean[3] = {0, 0, 0};
    rotation_from_euler(10, 40, -20, m);
    rotation_about_mean(m, p[0], q[0], 4);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++)
            mean[k] += (double)(q[i][k] - p[i][k]);
    for (int k = 0; k < 3; k++)
        assert_true(fabs(mean[k]) < 1e-5); /* float rounding of four points */
    for (int i = 1; i < 4; i++) {
        double a = 0, b = 0;
        for (int k = 0; k < 3; k++) {
            a += pow((double)(p[i][k] - p[0][k]), 2);
            b += pow((double)(q[i][k] - q[0][k]), 2);
        }
        assert_true(fabs(a - b) < 1e-4);
    }
    rotation_about_mean(m, p[0], p[0], 4); /* in place */
    assert_memory_equal(p, q, sizeof p);
    rotation_about_mean(m, p[0], q[0], 0); /* nothing */
}

static void tables(void **state)
{
    (void)state;
    for (int i = 0; i < LANDMARKS; i++)
        assert_int_equal(landmark_mirror[landmark_mirror[i]], i);
    int next = 0;
    for (int g = 0; g < LANDMARK_GROUPS; g++) {
        assert_int_equal(landmark_groups[g].first, next);
        next = landmark_groups[g].last + 1;
    }
    assert_int_equal(next, LANDMARKS);
    /* networks.md "Pose picture". */
    const uint8_t aqua[3] = {0x00, 0xFF, 0xFF}, pink[3] = {0xFF, 0x00, 0xFF};
    assert_memory_equal(landmark_groups[4].rgb, aqua, 3);
    assert_memory_equal(landmark_groups[8].rgb, pink, 3);
    assert_true(landmark_groups[5].closed && !landmark_groups[0].closed);
    float p[LANDMARKS][3];
    memset(p, 0, sizeof p);
    p[36][0] = -3;
    p[45][1] = 4;
    p[8][1] = 9;
    double box[4];
    assert_true(fabs(landmark_outer_eye(p[0], 3) - 5) < 1e-9);
    landmark_box(p[0], 3, box);
    assert_true(box[0] == -3 && box[1] == 0 && box[2] == 0 && box[3] == 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directions), cmocka_unit_test(there_and_back),
        cmocka_unit_test(about_the_mean), cmocka_unit_test(tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
