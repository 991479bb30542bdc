/* Small dense linear algebra: Cholesky, LU, the 3x3 singular value
 * decomposition and rotations. */
#include "lib/geom/linalg.h"

#include <math.h>

bool linalg_solve_spd(double *a, double *b, int n, int m)
{
    for (int j = 0; j < n; j++) {
        double *row = a + j * n;
        double d = row[j], scale = fabs(row[j]);

        for (int k = 0; k < j; k++)
            d -= row[k] * row[k];
        if (!(d > scale * 1e-14) || !isfinite(d))
            return false;
        d = sqrt(d);
        row[j] = d;
        for (int i = j + 1; i < n; i++) {
            double *ri = a + i * n;
            double v = ri[j];

            for (int k = 0; k < j; k++)
                v -= ri[k] * row[k];
            ri[j] = v / d;
        }
    }
    for (int c = 0; c < m; c++) {
        for (int i = 0; i < n; i++) {
            double v = b[i * m + c];

            for (int k = 0; k < i; k++)
                v -= a[i * n + k] * b[k * m + c];
            b[i * m + c] = v / a[i * n + i];
        }
        for (int i = n - 1; i >= 0; i--) {
            double v = b[i * m + c];

            for (int k = i + 1; k < n; k++)
                v -= a[k * n + i] * b[k * m + c];
            b[i * m + c] = v / a[i * n + i];
        }
    }
    return true;
}

static void swap_rows(double *a, int n, int i, int j)
{
    for (int k = 0; k < n; k++) {
        double t = a[i * n + k];

        a[i * n + k] = a[j * n + k];
        a[j * n + k] = t;
    }
}

bool linalg_solve(double *a, double *b, int n, int m)
{
    double largest = 0.0;

    for (int i = 0; i < n * n; i++)
        largest = fmax(largest, fabs(a[i]));
    for (int j = 0; j < n; j++) {
        int p = j;

        for (int i = j + 1; i < n; i++)
            if (fabs(a[i * n + j]) > fabs(a[p * n + j]))
                p = i;
        if (!(fabs(a[p * n + j]) > largest * 1e-13))
            return false;
        if (p != j) {
            swap_rows(a, n, p, j);
            swap_rows(b, m, p, j);
        }
        for (int i = j + 1; i < n; i++) {
            double f = a[i * n + j] / a[j * n + j];

            if (f == 0.0)
                continue;
            for (int k = j; k < n; k++)
                a[i * n + k] -= f * a[j * n + k];
            for (int k = 0; k < m; k++)
                b[i * m + k] -= f * b[j * m + k];
        }
    }
    for (int i = n - 1; i >= 0; i--)
        for (int c = 0; c < m; c++) {
            double v = b[i * m + c];

            for (int k = i + 1; k < n; k++)
                v -= a[i * n + k] * b[k * m + c];
            b[i * m + c] = v / a[i * n + i];
        }
    return true;
}

/* Rotate columns p and q of x and of v so that those of x are orthogonal;
 * returns how far they were from it (cosine). */
static double jacobi_pair(double x[9], double v[9], int p, int q)
{
    double alpha = 0.0, beta = 0.0, gamma = 0.0;

    for (int i = 0; i < 3; i++) {
        alpha += x[3 * i + p] * x[3 * i + p];
        beta += x[3 * i + q] * x[3 * i + q];
        gamma += x[3 * i + p] * x[3 * i + q];
    }
    double norm = sqrt(alpha * beta);

    if (!(norm > 0.0) || fabs(gamma) <= 1e-16 * norm)
        return 0.0;
    double zeta = (beta - alpha) / (2.0 * gamma);
    double t =
        (zeta >= 0.0 ? 1.0 : -1.0) / (fabs(zeta) + sqrt(1.0 + zeta * zeta));
    double c = 1.0 / sqrt(1.0 + t * t), s = c * t;

    for (int i = 0; i < 3; i++) {
        double xp = x[3 * i + p], xq = x[3 * i + q];
        double vp = v[3 * i + p], vq = v[3 * i + q];

        x[3 * i + p] = c * xp - s * xq;
        x[3 * i + q] = s * xp + c * xq;
        v[3 * i + p] = c * vp - s * vq;
        v[3 * i + q] = s * vp + c * vq;
    }
    return fabs(gamma) / norm;
}

static void cross_columns(double m[9], int a, int b, int out)
{
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, k = (i + 2) % 3;

        m[3 * i + out] =
            m[3 * j + a] * m[3 * k + b] - m[3 * k + a] * m[3 * j + b];
    }
}

/* Fill the column `out` of u with a unit vector orthogonal to column a. */
static void any_orthogonal(double u[9], int a, int out)
{
    int small = 0;

    for (int i = 1; i < 3; i++)
        if (fabs(u[3 * i + a]) < fabs(u[3 * small + a]))
            small = i;
    double dot = u[3 * small + a], norm = sqrt(1.0 - dot * dot);

    for (int i = 0; i < 3; i++)
        u[3 * i + out] = ((i == small ? 1.0 : 0.0) - dot * u[3 * i + a]) / norm;
}

void linalg_svd3(const double a[9], double u[9], double s[3], double v[9])
{
    double x[9], w[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, len[3];
    int order[3] = {0, 1, 2};

    for (int i = 0; i < 9; i++)
        x[i] = a[i];
    for (int sweep = 0; sweep < 40; sweep++) {
        double off = jacobi_pair(x, w, 0, 1);

        off = fmax(off, jacobi_pair(x, w, 0, 2));
        off = fmax(off, jacobi_pair(x, w, 1, 2));
        if (off < 1e-15)
            break;
    }
    for (int j = 0; j < 3; j++)
        len[j] = sqrt(x[j] * x[j] + x[3 + j] * x[3 + j] + x[6 + j] * x[6 + j]);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2 - i; j++)
            if (len[order[j]] < len[order[j + 1]]) {
                int t = order[j];

                order[j] = order[j + 1];
                order[j + 1] = t;
            }
    for (int j = 0; j < 3; j++) {
        int o = order[j];

        s[j] = len[o];
        for (int i = 0; i < 3; i++) {
            v[3 * i + j] = w[3 * i + o];
            u[3 * i + j] = len[o] > 0.0 ? x[3 * i + o] / len[o] : 0.0;
        }
    }
    double tiny = s[0] * 1e-14;

    if (!(s[0] > 0.0)) {
        for (int i = 0; i < 9; i++)
            u[i] = i % 4 == 0 ? 1.0 : 0.0;
        return;
    }
    if (s[1] <= tiny)
        any_orthogonal(u, 0, 1);
    if (s[2] <= tiny)
        cross_columns(u, 0, 1, 2);
}

static double det3(const double m[9])
{
    return m[0] * (m[4] * m[8] - m[5] * m[7]) -
           m[1] * (m[3] * m[8] - m[5] * m[6]) +
           m[2] * (m[3] * m[7] - m[4] * m[6]);
}

void linalg_nearest_rotation(const double m[9], double r[9])
{
    double u[9], s[3], v[9];

    linalg_svd3(m, u, s, v);
    double flip = det3(u) * det3(v) < 0.0 ? -1.0 : 1.0;

    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            r[3 * i + j] = u[3 * i] * v[3 * j] + u[3 * i + 1] * v[3 * j + 1] +
                           flip * u[3 * i + 2] * v[3 * j + 2];
}

void linalg_mul3(const double a[9], const double b[9], double out[9])
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            out[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] +
                             a[3 * i + 2] * b[6 + j];
}

void linalg_rotation_vector(const double w[3], double r[9])
{
    double angle2 = w[0] * w[0] + w[1] * w[1] + w[2] * w[2];
    double angle = sqrt(angle2);
    double s = angle > 1e-8 ? sin(angle) / angle : 1.0;
    double c = angle > 1e-8 ? (1.0 - cos(angle)) / angle2 : 0.5;
    const double k[9] = {0, -w[2], w[1], w[2], 0, -w[0], -w[1], w[0], 0};
    double kk[9];

    linalg_mul3(k, k, kk);
    for (int i = 0; i < 9; i++)
        r[i] = (i % 4 == 0 ? 1.0 : 0.0) + s * k[i] + c * kk[i];
}
