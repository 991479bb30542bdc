/* The loss of heatmaps read as distributions: by hand, central differences,
 * and what the decoder makes of maps that are just right. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/models/fan.h"
#include "lib/models/fan_loss.h"
#include "lib/nn/threads.h"

#define SIDE 12
#define CELLS (SIDE * SIDE)
#define N 2
#define POINTS 3
#define ALL (N * POINTS)

/* The same in double, straight from the definition. */
static double plain(const struct fan_loss_spec *spec, const double *m,
                    const float *at)
{
    double sum = 0, ux = 0, uy = 0, target = 0, ce = 0, far = 0;
    for (int c = 0; c < CELLS; c++)
        sum += exp(m[c]);
    for (int c = 0; c < CELLS; c++) {
        double p = exp(m[c]) / sum;
        double dx = (c % SIDE - (double)at[0]) / spec->sigma;
        double dy = (c / SIDE - (double)at[1]) / spec->sigma;
        /* as far as the Gaussian reaches, axis by axis */
        bool near = fabs(dx) <= 4 && fabs(dy) <= 4;
        double g = near ? exp(-0.5 * (dx * dx + dy * dy)) : 0;
        ux += p * (c % SIDE);
        uy += p * (c / SIDE);
        target += g;
        ce -= g * log(p);
    }
    const double d[2] = {ux - (double)at[0], uy - (double)at[1]};
    for (int i = 0; i < 2; i++)
        far += fabs(d[i]) < 1 ? 0.5 * d[i] * d[i] : fabs(d[i]) - 0.5;
    return ce / target + spec->points * far;
}

static void fill(float *maps, float *truth, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    for (int i = 0; i < ALL * CELLS; i++)
        maps[i] = (float)(2 * rng_normal(&r));
    for (int i = 0; i < 2 * ALL; i++)
        truth[i] = (float)rng_range(&r, -0.5, SIDE - 0.5);
}

static void test_against_the_definition(void **state)
{
    (void)state;
    float maps[ALL * CELLS], truth[2 * ALL], grad[ALL * CELLS];
    double m[ALL * CELLS];
    const struct fan_loss_spec specs[] = {{1, 0.5}, {0.6, 0}, {2.5, 3}};
    for (size_t k = 0; k < 3; k++) {
        double want = 0;
        fill(maps, truth, k + 1);
        for (int i = 0; i < ALL * CELLS; i++)
            m[i] = (double)maps[i];
        for (int i = 0; i < ALL; i++)
            want += plain(&specs[k], m + i * CELLS, truth + 2 * i) / ALL;
        double got = fan_loss(&specs[k], maps, truth, N, POINTS, SIDE, 1, grad);
        assert_true(fabs(got - want) < 1e-5 * want); /* floats inside */
        /* Central differences of the definition, in double. */
        for (int i = 0; i < ALL * CELLS; i += 7) {
            const double h = 1e-4;
            int map = i / CELLS;
            double keep = m[i], up, down;
            m[i] = keep + h;
            up = plain(&specs[k], m + map * CELLS, truth + 2 * map);
            m[i] = keep - h;
            down = plain(&specs[k], m + map * CELLS, truth + 2 * map);
            m[i] = keep;
            double slope = (up - down) / (2 * h) / ALL;
            assert_true(fabs((double)grad[i] - slope) < 1e-6);
        }
    }
}

static void test_scale_and_places(void **state)
{
    (void)state;
    float maps[ALL * CELLS], truth[2 * ALL];
    static float a[ALL * CELLS], b[ALL * CELLS];
    const struct fan_loss_spec spec = {1, 0.5};
    fill(maps, truth, 9);
    double one = fan_loss(&spec, maps, truth, N, POINTS, SIDE, 1, a);
    double half = fan_loss(&spec, maps, truth, N, POINTS, SIDE, 0.5, b);
    assert_true(fabs(2 * half - one) < 1e-9 * one);
    for (int i = 0; i < ALL * CELLS; i++)
        assert_true(fabsf(2 * b[i] - a[i]) < 1e-7F);
    /* A point that is not on its map: no loss, no gradient; the others' stay.
     */
    truth[2] = -0.6F;
    truth[7] = NAN;
    double less = fan_loss(&spec, maps, truth, N, POINTS, SIDE, 1, b);
    assert_true(less < one);
    for (int i = 0; i < CELLS; i++) {
        assert_true(b[CELLS + i] == 0 && b[3 * CELLS + i] == 0);
        assert_true(b[i] == a[i] && b[5 * CELLS + i] == a[5 * CELLS + i]);
    }
}

static void test_threads(void **state)
{
    (void)state;
    float maps[ALL * CELLS], truth[2 * ALL];
    static float a[ALL * CELLS], b[ALL * CELLS];
    const struct fan_loss_spec spec = {1, 0.5};
    fill(maps, truth, 5);
    nn_threads_set(1);
    double one = fan_loss(&spec, maps, truth, N, POINTS, SIDE, 1, a);
    nn_threads_set(2);
    double two = fan_loss(&spec, maps, truth, N, POINTS, SIDE, 1, b);
    assert_memory_equal(&one, &two, sizeof one);
    assert_memory_equal(a, b, sizeof a);
}

/* Logits of Gaussians: the decoder finds their centres between the cells. */
static void test_decode(void **state)
{
    (void)state;
    struct rng r;
    float *maps =
        mem_array((size_t)FAN_POINTS * FAN_MAP * FAN_MAP, sizeof *maps);
    float want[FAN_POINTS][2], got[FAN_POINTS][2], score[FAN_POINTS];
    assert_non_null(maps);
    rng_seed(&r, 3);
    for (int i = 0; i < FAN_POINTS; i++) {
        want[i][0] = (float)rng_range(&r, 5, FAN_MAP - 6);
        want[i][1] = (float)rng_range(&r, 5, FAN_MAP - 6);
        for (int c = 0; c < FAN_MAP * FAN_MAP; c++) {
            float dx = (float)(c % FAN_MAP) - want[i][0];
            float dy = (float)(c / FAN_MAP) - want[i][1];
            maps[i * FAN_MAP * FAN_MAP + c] = -0.5F * (dx * dx + dy * dy) - 40;
        }
        /* Another, lesser opinion far away must not pull. */
        maps[i * FAN_MAP * FAN_MAP] = i % 2 ? -41.0F : -90.0F;
    }
    fan_decode(maps, FAN_SOFTMAX, got, score);
    for (int i = 0; i < FAN_POINTS; i++) {
        /* 7 x 7 cells cut the Gaussian's ends off: 0.02 cells at most. */
        assert_true(fabsf(got[i][0] - (4 * want[i][0] + 1.5F)) < 0.08F);
        assert_true(fabsf(got[i][1] - (4 * want[i][1] + 1.5F)) < 0.08F);
        assert_true(score[i] > 0.9F && score[i] < 1.0F);
        assert_true(i % 2 == 0 || score[i] < 0.96F);
    }
    mem_free(maps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_the_definition),
        cmocka_unit_test(test_scale_and_places),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
