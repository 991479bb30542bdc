/* Matrix products on OpenBLAS. Its own threads stay unused: in the pthread
 * build they are a second pool beside OpenMP's, where oneDNN and our loops
 * run, and both would spin for the same cores. */
#include "lib/nn/gemm.h"

#include <cblas.h>
#include <omp.h>
#include <pthread.h>

/* Multiply-adds that a thread should have: below this, starting it costs more
 * than it saves (a barrier takes some 10 us, a core does 100 GFLOP/s). */
#define PER_THREAD (1 << 20)
#define ALIGN 16 /* parts begin at multiples: the kernels' own tile */

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* OpenBLAS's OpenMP build sets OpenMP's number of threads as well. */
static void single(void)
{
    int n = omp_get_max_threads();
    openblas_set_num_threads(1);
    omp_set_num_threads(n);
}

/* A[m,k] from row i on, C too; B from column j on. */
struct part {
    int64_t i, m, j, n;
};

/* Threads along m and n: as square as can be, so that each reads the least. */
static void grid(int64_t m, int64_t n, int threads, int *tm, int *tn)
{
    double best = -1;
    for (int t = 1; t <= threads; t++) {
        if (threads % t)
            continue;
        int64_t pm = (m + t - 1) / t, pn = n / (threads / t) + 1;
        double cost = (double)pm + (double)pn;
        if (best < 0 || cost < best) {
            best = cost;
            *tm = t;
            *tn = threads / t;
        }
    }
}

/* The t-th of `parts` pieces of n. */
static void piece(int64_t n, int parts, int t, int64_t *from, int64_t *count)
{
    int64_t each = ((n + parts - 1) / parts + ALIGN - 1) / ALIGN * ALIGN;
    *from = t * each < n ? t * each : n;
    *count = n - *from < each ? n - *from : each;
}

void nn_gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha,
             const float *a, int64_t lda, const float *b, int64_t ldb,
             float beta, float *c, int64_t ldc)
{
    (void)pthread_once(&once, single);
    int threads = omp_in_parallel() ? 1 : omp_get_max_threads(), tm, tn;
    double work = (double)m * (double)n * (double)k / PER_THREAD;
    if (threads > work)
        threads = work < 1 ? 1 : (int)work;
    grid(m, n, threads, &tm, &tn);
#pragma omp parallel for schedule(static, 1)                                   \
    num_threads(threads) if (threads > 1)
    for (int t = 0; t < tm * tn; t++) {
        struct part p;
        piece(m, tm, t / tn, &p.i, &p.m);
        piece(n, tn, t % tn, &p.j, &p.n);
        if (p.m < 1 || p.n < 1)
            continue;
        cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans,
                    tb ? CblasTrans : CblasNoTrans, (blasint)p.m, (blasint)p.n,
                    (blasint)k, alpha, a + (ta ? p.i : p.i * lda), (blasint)lda,
                    b + (tb ? p.j * ldb : p.j), (blasint)ldb, beta,
                    c + p.i * ldc + p.j, (blasint)ldc);
    }
}
