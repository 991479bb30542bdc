/* Matrix products on OpenBLAS, split over our own threads. */
#ifndef FACET_NN_GEMM_H
#define FACET_NN_GEMM_H

#include <stdbool.h>
#include <stdint.h>

/* C[m,n] = alpha op(A) op(B) + beta C, row-major; op(A) is A[m,k], or
 * A[k,m] transposed where ta; leading dimensions in floats. C is not read
 * where beta is 0. The split over threads depends on m, n, k and the number of
 * threads only, so that a run repeated gives the same bits. Called from within
 * a parallel region it runs on the calling thread alone. */
void nn_gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha,
             const float *a, int64_t lda, const float *b, int64_t ldb,
             float beta, float *c, int64_t ldc);

#endif
