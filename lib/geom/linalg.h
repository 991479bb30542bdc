/* Small dense linear algebra for geometry (n up to a few hundred), in double,
 * row-major. Larger problems belong to lib/nn. Test: tests/test_linalg.c */
#ifndef FACET_GEOM_LINALG_H
#define FACET_GEOM_LINALG_H

#include <stdbool.h>

/* Solve A X = B for symmetric positive definite A f64[n,n] by Cholesky; B
 * f64[n,m] is replaced by X, A by its factor. false if A is not positive
 * definite to working precision (B is then undefined). */
bool linalg_solve_spd(double *a, double *b, int n, int m);

/* Solve A X = B for general A by LU with partial pivoting; A and B are
 * overwritten, B by X. false if A is singular to working precision. */
bool linalg_solve(double *a, double *b, int n, int m);

/* A = U diag(s) V^T of a 3x3 matrix, s descending and >= 0, U and V
 * orthogonal (either may be a reflection). One-sided Jacobi. */
void linalg_svd3(const double a[9], double u[9], double s[3], double v[9]);

/* The rotation nearest to m in the Frobenius norm (Kabsch 1976; det +1). */
void linalg_nearest_rotation(const double m[9], double r[9]);

/* out = a b, 3x3; out may be neither. */
void linalg_mul3(const double a[9], const double b[9], double out[9]);

/* Rotation by the vector w (axis times angle in radians; Rodrigues). */
void linalg_rotation_vector(const double w[3], double r[9]);

#endif
