/* The One-Euro filter: its formulas, constants to the bit, steps, speed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/geom/one_euro.h"

#define PI 3.14159265358979323846

static void fill(float p[LANDMARKS][3], double x, double y, double z)
{
    for (int i = 0; i < LANDMARKS; i++) {
        p[i][0] = (float)(x + i);
        p[i][1] = (float)(y - i);
        p[i][2] = (float)z;
    }
}

/* alpha as the paper's equations 5 and 6 write it. */
static void alpha(void **state)
{
    (void)state;
    for (double fc = 0.1; fc < 50; fc *= 1.7)
        for (double dt = 1e-3; dt < 2; dt *= 2.3) {
            double tau = 1 / (2 * PI * fc), want = 1 / (1 + tau / dt);
            assert_true(fabs(one_euro_alpha(fc, dt) - want) < 1e-14);
        }
    assert_true(fabs(one_euro_alpha(3, 0)) <= 0);
}

/* The reference code's scalar filter (gery.casiez.net/1euro, the form of the
 * paper's Algorithm 1), written out for one coordinate. */
struct plain {
    double x, dx;
    int begun;
};

static double plain_alpha(double cutoff, double rate)
{
    double te = 1 / rate, tau = 1 / (2 * PI * cutoff);
    return 1 / (1 + tau / te);
}

static double plain_step(struct plain *f, const struct one_euro *p, double rate,
                         double v)
{
    double dx = f->begun ? (v - f->x) * rate : 0;
    double a = plain_alpha(p->d_cutoff, rate);
    f->dx = f->begun ? a * dx + (1 - a) * f->dx : dx;
    double b = plain_alpha(p->min_cutoff + p->beta * fabs(f->dx), rate);
    f->x = f->begun ? b * v + (1 - b) * f->x : v;
    f->begun = 1;
    return f->x;
}

/* Motion along x alone, size 1: the scalar filter. */
static void as_reference(void **state)
{
    (void)state;
    const struct one_euro p = {1.1, 0.04, 0.8};
    struct one_euro_face f = {0};
    struct plain plain = {0};
    float in[LANDMARKS][3], out[LANDMARKS][3];
    struct rng r;
    rng_seed(&r, 3);
    for (int k = 0; k < 200; k++) {
        fill(in, 100 + 30 * sin(k * 0.07) + rng_normal(&r), 50, 5);
        one_euro_step(&p, &f, 1 / 30.0, 1, in, out);
        double want = plain_step(&plain, &p, 30, (double)in[7][0]);
        /* floats of about 130: 8e-6 apart */
        assert_true(fabs((double)out[7][0] - want) < 2e-5);
    }
}

static void constant(void **state)
{
    (void)state;
    const struct one_euro p = {0.3, 7, 1};
    struct one_euro_face f = {0};
    float in[LANDMARKS][3], out[LANDMARKS][3];
    fill(in, 0.1, 1.0 / 3, -7.7);
    for (int k = 0; k < 50; k++) {
        one_euro_step(&p, &f, 0.01 * (k % 7), 10, in, out);
        assert_memory_equal(in, out, sizeof in);
    }
}

/* How far a unit step has come after t seconds. */
static double step_at(const struct one_euro *p, double fps, double t,
                      double size_px)
{
    struct one_euro_face f = {0};
    float in[LANDMARKS][3], out[LANDMARKS][3];
    fill(in, 0, 0, 0);
    one_euro_step(p, &f, 0, size_px, in, out);
    fill(in, 1, 0, 0);
    for (int k = 0; k < (int)lround(t * fps); k++)
        one_euro_step(p, &f, 1 / fps, size_px, in, out);
    return (double)out[0][0];
}

/* beta 0: 1 - (1 - alpha)^n; it approaches the analogue 1 - exp(-2 pi fc t) as
 * frames come closer, and differs by less than a frame's share at any rate. */
static void step(void **state)
{
    (void)state;
    const struct one_euro p = {1.5, 0, 1};
    double a = one_euro_alpha(1.5, 1 / 25.0);
    assert_true(fabs(step_at(&p, 25, 0.2, 1) - (1 - pow(1 - a, 5))) < 1e-6);
    double before = 1;
    for (double fps = 15; fps <= 240; fps *= 2) {
        double want = 1 - exp(-2 * PI * 1.5 * 0.4);
        double off = fabs(step_at(&p, fps, 0.4, 1) - want);
        assert_true(off < 2 * PI * 1.5 / fps / 2);
        assert_true(off < before);
        before = off;
    }
}

/* The size of the face is the unit of speed: twice the picture with a face of
 * twice the size gives twice the numbers. */
static void any_size(void **state)
{
    (void)state;
    const struct one_euro p = {1, 5, 1};
    struct one_euro_face f = {0}, g = {0};
    float a[LANDMARKS][3], b[LANDMARKS][3], u[LANDMARKS][3], v[LANDMARKS][3];
    struct rng r;
    rng_seed(&r, 9);
    for (int k = 0; k < 60; k++) {
        for (int i = 0; i < LANDMARKS; i++)
            for (int c = 0; c < 3; c++) {
                a[i][c] = (float)(k + 3 * rng_normal(&r));
                b[i][c] = 4 * a[i][c]; /* exact */
            }
        one_euro_step(&p, &f, 0.04, 25, a, u);
        one_euro_step(&p, &g, 0.04, 100, b, v);
        for (int i = 0; i < LANDMARKS; i++)
            assert_true(fabsf(4 * u[i][1] - v[i][1]) < 1e-3F);
    }
}

/* What moves lags less with beta; what rests is as steady as without. */
static void speed_opens(void **state)
{
    (void)state;
    double lag[2], noise[2];
    for (int b = 0; b < 2; b++) {
        const struct one_euro p = {1, b ? 5 : 0, 1};
        struct one_euro_face f = {0}, g = {0};
        float in[LANDMARKS][3], out[LANDMARKS][3];
        struct rng r;
        rng_seed(&r, 4);
        noise[b] = 0;
        for (int k = 0; k < 200; k++) {
            fill(in, 4.0 * k, 0, 0);
            one_euro_step(&p, &f, 0.04, 100, in, out);
            lag[b] = 4.0 * k - (double)out[0][0];
            fill(in, 0.3 * rng_normal(&r), 0, 0);
            one_euro_step(&p, &g, 0.04, 100, in, out);
            noise[b] += k < 50 ? 0 : pow((double)out[0][0], 2) / 150;
        }
    }
    /* 1 px/ms is one face size a second: cutoff 6 Hz against 1. */
    assert_true(lag[1] < lag[0] / 4);
    assert_true(sqrt(noise[1]) < 0.3 / 2);
    assert_true(sqrt(noise[0]) < sqrt(noise[1]));
}

/* Noise of single points hardly opens the filter; a group that moves as one
 * opens for itself alone. */
static void groups(void **state)
{
    (void)state;
    const struct one_euro p = {0.5, 20, 1}, shut = {0.5, 0, 1};
    struct one_euro_face f = {0}, g = {0};
    float in[LANDMARKS][3], open[LANDMARKS][3], out[LANDMARKS][3];
    double jaw[2] = {0}, lag = 0;
    struct rng r;
    rng_seed(&r, 6);
    for (int k = 0; k < 300; k++) {
        fill(in, 0, 0, 0);
        for (int i = 0; i < LANDMARKS; i++) {
            in[i][0] += (float)rng_normal(&r);
            if (i >= 48) /* the mouth goes at 25 px, 1/4 face size a second */
                in[i][1] += (float)k;
        }
        one_euro_step(&p, &f, 0.04, 100, in, open);
        one_euro_step(&shut, &g, 0.04, 100, in, out);
        for (int i = 0; i < 17; i++) {
            jaw[0] += pow((double)open[i][0] - i, 2) / 300 / 17;
            jaw[1] += pow((double)out[i][0] - i, 2) / 300 / 17;
        }
        lag = k - ((double)open[50][1] + 50);
    }
    /* Of 1 px of noise 0.25 px is left with the filter shut and 0.31 here;
     * single points' own speeds would open it to 0.53 (all by simulation). */
    assert_true(sqrt(jaw[1]) > 0.2);
    assert_true(sqrt(jaw[0]) < 1.5 * sqrt(jaw[1]));
    /* at most 1 / (2 pi beta) face sizes behind, and half a frame's step */
    assert_true(lag > 0 && lag < 100 / (2 * PI * 20) + 0.5);
}

/* The same frame again, at the same time: what came out comes out. */
static void no_time(void **state)
{
    (void)state;
    const struct one_euro p = {1, 5, 1};
    struct one_euro_face f = {0};
    float in[LANDMARKS][3], out[LANDMARKS][3], again[LANDMARKS][3];
    fill(in, 0, 0, 0);
    one_euro_step(&p, &f, 0, 100, in, out);
    fill(in, 5, 5, 5);
    one_euro_step(&p, &f, 0.04, 100, in, out);
    struct one_euro_face before = f;
    fill(in, 9, 9, 9);
    one_euro_step(&p, &f, 0, 100, in, again);
    assert_memory_equal(out, again, sizeof out);
    assert_memory_equal(&before, &f, sizeof f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alpha),    cmocka_unit_test(as_reference),
        cmocka_unit_test(constant), cmocka_unit_test(step),
        cmocka_unit_test(any_size), cmocka_unit_test(speed_opens),
        cmocka_unit_test(no_time),  cmocka_unit_test(groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
