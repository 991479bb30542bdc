/* lib/geom/fit: pose, depth and similarity on heads of known shape. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/geom/fit.h"
#include "lib/geom/linalg.h"
#include "lib/geom/rotation.h"

#define SCALE 60.0 /* pixels between the outer eye corners, mean head */

/* A random head's points in a picture: xyz in pixels, z without offset. */
static void random_face(struct rng *g, double turn_deg, double noise_px,
                        float out[LANDMARKS][3], double r[9])
{
    struct head_params p;
    float m[LANDMARKS][3];
    struct err e;

    memset(&p, 0, sizeof p);
    for (int i = 0; i < HEAD_IDENTITY; i++)
        p.identity[i] = rng_normal(g);
    for (int i = 0; i < HEAD_EXPRESSION; i++)
        p.expression[i] = rng_unit(g) < 0.3 ? rng_range(g, 0.0, 0.6) : 0.0;
    assert_int_equal(head_landmarks(&p, m, &e), OK);
    rotation_from_euler(rng_range(g, -20, 20),
                        rng_range(g, -turn_deg, turn_deg),
                        rng_range(g, -20, 20), r);
    for (int i = 0; i < LANDMARKS; i++)
        for (int a = 0; a < 3; a++) {
            double v = 0.0;

            for (int k = 0; k < 3; k++)
                v += r[3 * a + k] * (double)m[i][k];
            out[i][a] = (float)(SCALE * v + (a < 2 ? 100.0 : 0.0) +
                                (a < 2 ? noise_px * rng_normal(g) : 0.0));
        }
}

static double angle_deg(const double a[9], const double b[9])
{
    double trace = 0.0;

    for (int i = 0; i < 9; i++)
        trace += a[i] * b[i];
    return acos(fmax(-1.0, fmin(1.0, 0.5 * (trace - 1.0)))) * 57.29577951;
}

/* Without noise and with the true model the pose is exact to rounding of the
 * f32 points (1e-5 px of 100): 1e-4 degrees. */
static void exact_pose(void **state)
{
    (void)state;
    struct rng g;
    float model[LANDMARKS][3], pts[LANDMARKS][3];
    struct err e;

    rng_seed(&g, 5);
    assert_int_equal(head_landmarks(NULL, model, &e), OK);
    for (int k = 0; k < 100; k++) {
        double r[9], rx = rng_range(&g, -80, 80), ry = rng_range(&g, -85, 85);
        struct fit_pose p;

        rotation_from_euler(rx, ry, rng_range(&g, -180, 180), r);
        for (int i = 0; i < LANDMARKS; i++)
            for (int a = 0; a < 3; a++)
                pts[i][a] =
                    (float)(SCALE * (r[3 * a] * (double)model[i][0] +
                                     r[3 * a + 1] * (double)model[i][1] +
                                     r[3 * a + 2] * (double)model[i][2]) +
                            50.0);
        assert_int_equal(fit_scaled_orthography((const float(*)[3])model,
                                                &pts[0][0], 3, NULL, LANDMARKS,
                                                &p, &e),
                         OK);
        assert_true(angle_deg(p.r, r) < 1e-3);
        assert_true(fabs(p.scale - SCALE) < 1e-3);
        assert_true(p.rms_px < 1e-4);
    }
}

/* Figures over 200 random heads, up to 50 degrees, with half a pixel of noise
 * at 60 px between the eyes. The bounds are twice what was measured when the
 * test was written: a worse fit is a fault, a better one is not. */
static void depth_of_random_heads(void **state)
{
    (void)state;
    struct rng g;
    struct err e;
    double depth = 0.0, flat = 0.0, pose = 0.0, worst = 0.0;
    const int heads = 200;

    rng_seed(&g, 7);
    for (int k = 0; k < heads; k++) {
        float pts[LANDMARKS][3], xyz[LANDMARKS][3];
        double r[9], mean = 0.0, err2 = 0.0, own2 = 0.0;
        struct fit_pose p;

        random_face(&g, 50, 0.5, pts, r);
        assert_int_equal(fit_landmark_depth(&pts[0][0], 3, NULL, xyz, &p, &e),
                         OK);
        for (int i = 0; i < LANDMARKS; i++) {
            mean += (double)pts[i][2] / LANDMARKS;
            assert_true(xyz[i][0] == pts[i][0] && xyz[i][1] == pts[i][1]);
        }
        for (int i = 0; i < LANDMARKS; i++) {
            double z = (double)pts[i][2] - mean;

            err2 += pow((double)xyz[i][2] - z, 2) / LANDMARKS;
            own2 += z * z / LANDMARKS;
        }
        depth += sqrt(err2) / heads;
        flat += sqrt(own2) / heads;
        double turned = angle_deg(p.r, r);

        pose += turned / heads;
        worst = fmax(worst, turned);
    }
    printf("depth error %.2f px rms of %.2f px; pose error mean %.2f, worst "
           "%.2f degrees (eyes %.0f px apart, noise 0.5 px)\n",
           depth, flat, pose, worst, SCALE);
    assert_true(depth < 0.09 * flat);
    assert_true(pose < 2.0);
    assert_true(worst < 9.0);
}

static void score_silences_a_point(void **state)
{
    (void)state;
    struct rng g;
    struct err e;
    float pts[LANDMARKS][3], score[LANDMARKS], good[LANDMARKS][3];
    float bad[LANDMARKS][3];
    double r[9];
    struct fit_pose p, q;

    rng_seed(&g, 11);
    random_face(&g, 20, 0.0, pts, r);
    for (int i = 0; i < LANDMARKS; i++)
        score[i] = 1.0f;
    assert_int_equal(fit_landmark_depth(&pts[0][0], 3, score, good, &p, &e),
                     OK);
    score[30] = 0.0f;
    pts[30][0] += 40.0f;
    assert_int_equal(fit_landmark_depth(&pts[0][0], 3, score, bad, &q, &e), OK);
    assert_true(angle_deg(p.r, q.r) < 2.0);
}

static void refuses(void **state)
{
    (void)state;
    float model[LANDMARKS][3], pts[LANDMARKS][3], xyz[LANDMARKS][3];
    struct fit_pose p;
    struct err e;
    double r[9], s, t[3];

    assert_int_equal(head_landmarks(NULL, model, &e), OK);
    const float(*m)[3] = (const float(*)[3])model;

    memcpy(pts, model, sizeof pts);
    pts[3][1] = NAN;
    assert_int_equal(fit_landmark_depth(&pts[0][0], 3, NULL, xyz, &p, &e),
                     ERR_DATA);
    assert_int_equal(
        fit_similarity(m, (const float(*)[3])pts, LANDMARKS, r, &s, t, &e),
        ERR_DATA);
    pts[3][1] = INFINITY;
    assert_int_equal(fit_landmark_depth(&pts[0][0], 3, NULL, xyz, &p, &e),
                     ERR_DATA);
    memset(pts, 0, sizeof pts); /* all in one place */
    assert_int_equal(fit_landmark_depth(&pts[0][0], 3, NULL, xyz, &p, &e),
                     ERR_DATA);
    assert_int_equal(
        fit_similarity(m, (const float(*)[3])pts, LANDMARKS, r, &s, t, &e),
        ERR_DATA);
    assert_int_equal(fit_scaled_orthography(m, &pts[0][0], 3, NULL, 3, &p, &e),
                     ERR_ARG);
    assert_int_equal(fit_scaled_orthography(m, &pts[0][0], 1, NULL, 68, &p, &e),
                     ERR_ARG);
    float weight[LANDMARKS] = {-1.0f};

    assert_int_equal(
        fit_scaled_orthography(m, &model[0][0], 3, weight, 68, &p, &e),
        ERR_DATA);
    memset(weight, 0, sizeof weight);
    assert_int_equal(
        fit_scaled_orthography(m, &model[0][0], 3, weight, 68, &p, &e),
        ERR_DATA);
}

static void similarity(void **state)
{
    (void)state;
    struct rng g;
    struct err e;
    float a[LANDMARKS][3], b[LANDMARKS][3];
    double r[9], back[9], s, t[3], unused[9];

    rng_seed(&g, 13);
    random_face(&g, 30, 0.0, a, unused);
    rotation_from_euler(10, 70, -30, r);
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++)
            b[i][k] = (float)(1.5 * (r[3 * k] * (double)a[i][0] +
                                     r[3 * k + 1] * (double)a[i][1] +
                                     r[3 * k + 2] * (double)a[i][2]) +
                              7.0 * k);
    assert_int_equal(fit_similarity((const float(*)[3])a, (const float(*)[3])b,
                                    LANDMARKS, back, &s, t, &e),
                     OK);
    assert_true(angle_deg(back, r) < 1e-2);
    assert_true(fabs(s - 1.5) < 1e-5);
    assert_true(fabs(t[1] - 7.0) < 1e-2);
    /* a flat face: still the turn, not a mirror image */
    for (int i = 0; i < LANDMARKS; i++)
        a[i][2] = 0.0f;
    rotation_about_mean(r, &a[0][0], &b[0][0], LANDMARKS);
    assert_int_equal(fit_similarity((const float(*)[3])a, (const float(*)[3])b,
                                    LANDMARKS, back, &s, t, &e),
                     OK);
    assert_true(angle_deg(back, r) < 1e-2);
}

static void no_memory(void **state)
{
    (void)state;
    struct rng g;
    struct err e;
    float pts[LANDMARKS][3], xyz[LANDMARKS][3];
    double r[9];
    struct fit_pose p;
    int64_t live = mem_live();

    rng_seed(&g, 17);
    random_face(&g, 20, 0.0, pts, r);
    for (uint64_t n = 1; n < 200; n++) {
        mem_fail_nth(n);
        enum err_code rc = fit_landmark_depth(&pts[0][0], 3, NULL, xyz, &p, &e);
        bool hit = mem_fail_hit();

        mem_fail_nth(0);
        assert_int_equal(mem_live(), live);
        assert_int_equal(rc, hit ? ERR_NOMEM : OK);
        if (!hit)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory), /* first: the basis is not there yet */
        cmocka_unit_test(exact_pose),
        cmocka_unit_test(depth_of_random_heads),
        cmocka_unit_test(score_silences_a_point),
        cmocka_unit_test(refuses),
        cmocka_unit_test(similarity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
