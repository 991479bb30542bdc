/* Products of matrices: against a plain one, and "the same bits": wherever in
 * memory the matrices lie, whichever thread calls, beside whom, and however
 * often, as long as the number of threads is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>
#include <omp.h>
#include <pthread.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/gemm.h"
#include "lib/nn/threads.h"

enum { SHIFTS = 17, CALLERS = 4, ROUNDS = 3 };

struct shape {
    int64_t m, n, k;
};

/* Rows and columns of one, tiles and what is left of them, layers of the
 * lifting network, and enough work for threads. */
static const struct shape shapes[] = {
    {1, 1, 1},      {1, 64, 136},    {64, 1, 64},   {7, 5, 3},
    {16, 16, 16},   {33, 17, 65},    {64, 64, 136}, {64, 204, 64},
    {64, 8199, 12}, {12, 8199, 128}, {136, 64, 64}, {200, 300, 150},
};

struct job {
    struct shape s;
    bool ta, tb;
    float beta;
    size_t shift;    /* of all three, in floats */
    float *mem;      /* a, b and c, each with room for a shift */
    const float *in; /* what they hold at first, one after the other */
};

static size_t room(const struct shape *s)
{
    return (size_t)(s->m * s->k + s->k * s->n + s->m * s->n);
}

/* C of the product, behind A and B in the job's memory. */
static float *product(struct job *j)
{
    const struct shape *s = &j->s;
    size_t na = (size_t)(s->m * s->k), nb = (size_t)(s->k * s->n);
    float *a = j->mem + j->shift, *b = a + na + SHIFTS, *c = b + nb + SHIFTS;
    memcpy(a, j->in, na * sizeof *a);
    memcpy(b, j->in + na, nb * sizeof *b);
    memcpy(c, j->in + na + nb, (size_t)(s->m * s->n) * sizeof *c);
    nn_gemm(j->ta, j->tb, s->m, s->n, s->k, 1, a, j->ta ? s->m : s->k, b,
            j->tb ? s->k : s->n, j->beta, c, s->n);
    return c;
}

static float *fill(const struct shape *s)
{
    struct rng r;
    rng_seed(&r, 5);
    float *in = mem_array(room(s), sizeof *in);
    assert_non_null(in);
    for (size_t i = 0; i < room(s); i++)
        in[i] = (float)rng_normal(&r);
    return in;
}

static float *scratch(const struct shape *s)
{
    float *p = mem_aligned((room(s) + 3 * (size_t)SHIFTS) * sizeof *p);
    assert_non_null(p);
    return p;
}

/* In double precision, in the order of k. Tolerance: k roundings of sums that
 * are about sqrt(k) large, five times over. */
static void check_plain(const struct job *j, const float *c)
{
    const struct shape *s = &j->s;
    const float *a = j->in, *b = a + s->m * s->k, *c0 = b + s->k * s->n;
    double tol = 5 * 6e-8 * (double)s->k + 1e-6;
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t n = 0; n < s->n; n++) {
            double sum = (double)j->beta * (double)c0[i * s->n + n];
            for (int64_t k = 0; k < s->k; k++)
                sum += (double)a[j->ta ? k * s->m + i : i * s->k + k] *
                       (double)b[j->tb ? n * s->k + k : k * s->n + n];
            if (fabs(sum - (double)c[i * s->n + n]) > tol * (1 + fabs(sum)))
                fail_msg("%lldx%lldx%lld at %lld, %lld: %g against %g",
                         (long long)s->m, (long long)s->n, (long long)s->k,
                         (long long)i, (long long)n, (double)c[i * s->n + n],
                         sum);
        }
}

static void each(void (*check)(struct job *))
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kind = 0; kind < 4; kind++) {
            struct job j = {.s = shapes[i],
                            .ta = kind & 1,
                            .tb = kind & 2,
                            .beta = kind == 3};
            float *in = fill(&j.s);
            j.in = in;
            j.mem = scratch(&j.s);
            check(&j);
            mem_free(j.mem);
            mem_free(in);
        }
}

static void any_place(struct job *j)
{
    size_t bytes = (size_t)(j->s.m * j->s.n) * sizeof(float);
    float *first = mem_alloc(bytes);
    assert_non_null(first);
    j->shift = 0;
    const float *c = product(j);
    memcpy(first, c, bytes);
    check_plain(j, c);
    for (j->shift = 1; j->shift < SHIFTS; j->shift++)
        if (memcmp(product(j), first, bytes) != 0)
            fail_msg("%lldx%lldx%lld%s%s: other bits %zu floats further on",
                     (long long)j->s.m, (long long)j->s.n, (long long)j->s.k,
                     j->ta ? ", A turned" : "", j->tb ? ", B turned" : "",
                     j->shift);
    mem_free(first);
}

static void test_any_place(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        nn_threads_set(threads);
        each(any_place);
    }
    nn_threads_set(0);
}

struct caller {
    pthread_t thread;
    struct job job;
    const float *want;
    bool same;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    size_t bytes = (size_t)(c->job.s.m * c->job.s.n) * sizeof(float);
    nn_threads_set(1); /* OpenMP's number is a thread's own */
    c->same = true;
    for (int i = 0; i < ROUNDS; i++)
        c->same = c->same && memcmp(product(&c->job), c->want, bytes) == 0;
    return NULL;
}

/* Several threads at once, each with matrices elsewhere. */
static void any_caller(struct job *j)
{
    struct caller c[CALLERS];
    size_t bytes = (size_t)(j->s.m * j->s.n) * sizeof(float);
    float *want = mem_alloc(bytes);
    assert_non_null(want);
    nn_threads_set(1);
    memcpy(want, product(j), bytes);
    for (int i = 0; i < CALLERS; i++) {
        c[i] = (struct caller){.job = *j, .want = want};
        c[i].job.mem = scratch(&j->s);
        c[i].job.shift = (size_t)i * 5;
        assert_int_equal(pthread_create(&c[i].thread, NULL, call, &c[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(c[i].thread, NULL);
        assert_true(c[i].same);
        mem_free(c[i].job.mem);
    }
    mem_free(want);
    nn_threads_set(0);
}

static void test_any_caller(void **state)
{
    (void)state;
    each(any_caller);
}

/* What the environment says of the load must not take threads away. */
static void test_so_many_threads(void **state)
{
    (void)state;
    omp_set_dynamic(1);
    nn_threads_set(3);
    assert_false(omp_get_dynamic());
    int n = 0;
#pragma omp parallel
#pragma omp single
    n = omp_get_num_threads();
    assert_int_equal(n, 3);
    nn_threads_set(0);
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        /* First: LLVM's libomp 14 gives the main thread no others any more once
         * several threads have called. Ours are programs of one such thread. */
        cmocka_unit_test(test_so_many_threads),
        cmocka_unit_test(test_any_place),
        cmocka_unit_test(test_any_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
