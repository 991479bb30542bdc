/* lib/geom/linalg: solvers, singular values, rotations. Tolerances: a few
 * hundred roundings of double on numbers of order one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/geom/linalg.h"

#define N 12

static void random_matrix(struct rng *r, double *a, int n)
{
    for (int i = 0; i < n; i++)
        a[i] = rng_normal(r);
}

static double difference(const double *a, const double *b, int n)
{
    double worst = 0.0;

    for (int i = 0; i < n; i++)
        worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

/* A x, A f64[n,n], x f64[n,2]. */
static void multiply(const double *a, const double *x, double *out, int n)
{
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 2; c++) {
            out[2 * i + c] = 0.0;
            for (int k = 0; k < n; k++)
                out[2 * i + c] += a[i * n + k] * x[2 * k + c];
        }
}

static void solvers(void **state)
{
    (void)state;
    struct rng r;
    double g[N * N], spd[N * N] = {0}, copy[N * N], x[2 * N], b[2 * N];

    rng_seed(&r, 1);
    random_matrix(&r, g, N * N);
    random_matrix(&r, x, 2 * N);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            for (int k = 0; k < N; k++)
                spd[i * N + j] += g[i * N + k] * g[j * N + k];
            spd[i * N + j] += i == j ? 0.5 : 0.0;
        }
    multiply(spd, x, b, N);
    memcpy(copy, spd, sizeof copy);
    assert_true(linalg_solve_spd(copy, b, N, 2));
    assert_true(difference(b, x, 2 * N) < 1e-10);
    multiply(g, x, b, N);
    memcpy(copy, g, sizeof copy);
    assert_true(linalg_solve(copy, b, N, 2));
    assert_true(difference(b, x, 2 * N) < 1e-9);
    /* an indefinite and a singular matrix are refused */
    memcpy(copy, spd, sizeof copy);
    copy[5 * N + 5] = -1.0;
    assert_false(linalg_solve_spd(copy, b, N, 2));
    memcpy(copy, g, sizeof copy);
    memcpy(copy + 3 * N, copy + 7 * N, N * sizeof *copy);
    assert_false(linalg_solve(copy, b, N, 2));
}

static double determinant(const double m[9])
{
    return m[0] * (m[4] * m[8] - m[5] * m[7]) -
           m[1] * (m[3] * m[8] - m[5] * m[6]) +
           m[2] * (m[3] * m[7] - m[4] * m[6]);
}

static void check_svd(const double a[9])
{
    double u[9], s[3], v[9], us[9], vt[9], back[9], ut[9], gram[9];
    const double id[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};

    linalg_svd3(a, u, s, v);
    assert_true(s[0] >= s[1] && s[1] >= s[2] && s[2] >= 0.0);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            us[3 * i + j] = u[3 * i + j] * s[j];
            vt[3 * i + j] = v[3 * j + i];
            ut[3 * i + j] = u[3 * j + i];
        }
    linalg_mul3(us, vt, back);
    assert_true(difference(back, a, 9) < 1e-12 * (1.0 + s[0]));
    linalg_mul3(ut, u, gram);
    assert_true(difference(gram, id, 9) < 1e-10);
    linalg_mul3(vt, v, gram);
    assert_true(difference(gram, id, 9) < 1e-10);
}

static void singular_values(void **state)
{
    (void)state;
    struct rng r;
    double a[9];
    const double zero[9] = {0}, rank1[9] = {1, 2, 3, 2, 4, 6, -1, -2, -3};
    const double rank2[9] = {1, 0, 0, 0, 0, 0, 0, 0, -5};

    rng_seed(&r, 2);
    for (int k = 0; k < 200; k++) {
        random_matrix(&r, a, 9);
        check_svd(a);
    }
    check_svd(zero);
    check_svd(rank1);
    check_svd(rank2);
}

static void rotations(void **state)
{
    (void)state;
    struct rng r;

    rng_seed(&r, 3);
    for (int k = 0; k < 100; k++) {
        double w[3], m[9], noisy[9], back[9];

        random_matrix(&r, w, 3);
        linalg_rotation_vector(w, m);
        assert_true(fabs(determinant(m) - 1.0) < 1e-12);
        for (int i = 0; i < 9; i++)
            noisy[i] = 3.0 * m[i];
        linalg_nearest_rotation(noisy, back);
        assert_true(difference(back, m, 9) < 1e-12);
        /* a reflection has a rotation nearest to it, not itself */
        for (int i = 0; i < 3; i++)
            noisy[3 * i] = -noisy[3 * i];
        linalg_nearest_rotation(noisy, back);
        assert_true(fabs(determinant(back) - 1.0) < 1e-12);
    }
    const double x[3] = {1.5707963267948966, 0, 0};
    double m[9];

    linalg_rotation_vector(x, m); /* y towards z */
    assert_true(fabs(m[7] - 1.0) < 1e-12 && fabs(m[5] + 1.0) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solvers),
        cmocka_unit_test(singular_values),
        cmocka_unit_test(rotations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
