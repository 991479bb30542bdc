/* Jitter, steps and lag of signals whose values are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/geom/steadiness.h"

#define N 100

static struct steady_frame f[N];

/* A face of size 50; the truth at t: two sines; found `lag` later. */
static void clip(double amount, double lag, double fps)
{
    memset(f, 0, sizeof f);
    for (int t = 0; t < N; t++) {
        f[t].time_s = 3 + t / fps;
        f[t].found = true;
        for (int i = 0; i < LANDMARKS; i++) {
            double x = 100 + i, y = 200 - i / 2.0;
            if (i == 36 || i == 45)
                x = i == 36 ? 120 : 170, y = 150;
            for (int k = 0; k < 2; k++) {
                double s = t / fps - (k ? lag : 0);
                float *p = k ? f[t].seen[i] : f[t].truth[i];
                p[0] = (float)(x + amount * sin(3.1 * s + 0.02 * i));
                p[1] = (float)(y + amount / 2 * sin(2.2 * s + 1));
            }
        }
    }
}

static struct steadiness measure(void)
{
    struct steadiness s;
    struct err e = {0};
    assert_int_equal(steadiness_measure(f, N, &s, &e), OK);
    assert_int_equal(s.frames, N);
    return s;
}

static void lag(void **state)
{
    (void)state;
    for (double fps = 15; fps < 70; fps *= 2)
        for (double want = -0.05; want < 0.4; want += 0.033) {
            clip(20, want, fps);
            struct steadiness s = measure();
            assert_true(s.has_lag);
            /* cubics at 15 a second are off by up to 0.01 px of 20, at worst
             * in slope 60 px/s: well below a millisecond */
            assert_true(fabs(s.lag_s - want) < 5e-4);
        }
}

/* A constant error of the points and noise do not shift the lag. */
static void lag_of_noisy(void **state)
{
    struct rng r;
    (void)state;
    rng_seed(&r, 1);
    clip(20, 0.08, 25);
    for (int t = 0; t < N; t++)
        for (int i = 0; i < LANDMARKS; i++)
            for (int c = 0; c < 2; c++)
                f[t].seen[i][c] += (float)(rng_normal(&r) + i % 5 - 3 * c);
    for (int t = 7; t < N; t += 10)
        f[t].found = false;
    struct steadiness s = measure();
    assert_int_equal(s.found, 90);
    /* 1 px in 68 points, 70 frames, speeds of about 25 px/s: 0.6 ms */
    assert_true(s.has_lag && fabs(s.lag_s - 0.08) < 3e-3);
}

static void still(void **state)
{
    (void)state;
    clip(0, 0, 25);
    for (int t = 0; t < N; t++)
        for (int i = 0; i < LANDMARKS; i++) {
            f[t].seen[i][0] += t % 2 ? 3 : -3; /* about ... */
            f[t].seen[i][1] += 4;              /* ... a constant error */
        }
    struct steadiness s = measure();
    assert_false(s.has_lag);
    assert_true(fabs(s.size - 50) < 1e-9 && s.travel < 1e-9);
    assert_true(fabs(s.jitter - 3) < 1e-9);
    assert_true(fabs(s.step - 6) < 1e-9);
    assert_true(fabs(s.error - 5) < 1e-9);
    /* a frame that was not found breaks the chain of steps and nothing else */
    f[50].found = false;
    s = measure();
    assert_int_equal(s.found, N - 1);
    assert_true(fabs(s.step - 6) < 1e-9);
    assert_true(fabs(s.error - 5) < 1e-9);
}

static void refused(void **state)
{
    struct steadiness s;
    struct err e = {0};
    (void)state;
    clip(1, 0, 25);
    f[5].time_s = f[4].time_s;
    assert_int_equal(steadiness_measure(f, N, &s, &e), ERR_DATA);
    clip(1, 0, 25);
    f[5].seen[3][1] = NAN;
    assert_int_equal(steadiness_measure(f, N, &s, &e), ERR_DATA);
    f[5].found = false; /* then nobody looks */
    assert_int_equal(steadiness_measure(f, N, &s, &e), OK);
    for (int t = 0; t < N; t++)
        f[t].found = false;
    assert_int_equal(steadiness_measure(f, N, &s, &e), ERR_DATA);
    assert_int_equal(steadiness_measure(f, 0, &s, &e), ERR_DATA);
    /* one frame is a clip, if a short one */
    clip(1, 0, 25);
    assert_int_equal(steadiness_measure(f, 1, &s, &e), OK);
    assert_false(s.has_lag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lag),
        cmocka_unit_test(lag_of_noisy),
        cmocka_unit_test(still),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
