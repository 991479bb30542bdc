/* Networks run in one pool of threads: oneDNN's convolutions and our own loops
 * take as many as were asked for, together. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/gemm.h"
#include "lib/nn/net.h"
#include "lib/nn/ops.h"
#include "lib/nn/threads.h"

#define SIDE 64
#define CHANNELS 64
#define WAIT_S 120 /* for threads on their way out, on a busy machine */

static int threads_now(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (const struct dirent *f; (f = readdir(d));)
        n += f->d_name[0] != '.';
    closedir(d);
    return n;
}

/* The threads of this process, once there are no more than `most`. */
static int threads_settled(int most)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    int n = threads_now();
    for (int i = 0; n > most && i < WAIT_S * 100; i++) {
        nanosleep(&pause, NULL);
        n = threads_now();
    }
    return n;
}

static void convolve(int threads)
{
    struct err e = {0};
    struct nn_net *net = NULL;
    struct nn_param *w = NULL;
    struct nn_graph *g = nn_graph_new(&e);
    struct nn_params *ps = nn_params_new(1, &e);
    const int64_t k[4] = {CHANNELS, CHANNELS, 3, 3};
    const struct nn_init_spec one = {.kind = NN_INIT_ONE};
    float *x = mem_calloc(CHANNELS * SIDE * SIDE, sizeof *x);
    float *y = mem_calloc(CHANNELS * SIDE * SIDE, sizeof *y);
    assert_true(g && ps && x && y);
    nn_threads_set(threads);
    assert_int_equal(nn_params_get(ps, "w", 4, k, false, one, &w, &e), OK);
    nn_output(g, nn_conv(g, nn_input(g, CHANNELS, SIDE, SIDE), w, NULL,
                         &(struct nn_conv_spec){.pad = 1}));
    assert_int_equal(nn_plan(g, &(struct nn_options){.batch = 1}, &net, &e),
                     OK);
    const float *in = x;
    for (int i = 0; i < 3; i++)
        assert_int_equal(nn_run(net, &in, &y, &e), OK);
    nn_net_free(&net);
    nn_graph_free(&g);
    nn_params_free(&ps);
    mem_free(x);
    mem_free(y);
}

/* A matrix product over threads of ours. */
static void multiply(int threads)
{
    const int64_t n = 384;
    float *a = mem_calloc((size_t)(n * n), sizeof *a);
    float *c = mem_calloc((size_t)(n * n), sizeof *c);
    assert_true(a && c);
    nn_threads_set(threads);
    nn_gemm(false, false, n, n, n, 1, a, n, a, n, 0, c, n);
    mem_free(a);
    mem_free(c);
}

static void test_one_pool(void **state)
{
    (void)state;
    multiply(1); /* OpenBLAS may start threads of its own, once */
    int base = threads_now();
    convolve(1);
    multiply(1);
    assert_int_equal(threads_now(), base);
    for (int n = 2; n <= 4; n++) {
        convolve(n);
        multiply(n);
        int more = threads_settled(base + n - 1) - base;
        assert_true(more >= 1 && more <= n - 1);
        multiply(n);
        convolve(n);
        more = threads_settled(base + n - 1) - base;
        assert_true(more >= 1 && more <= n - 1);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
