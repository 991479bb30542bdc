/* Inference plans: no allocation that fails leaves anything behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/net.h"
#include "lib/nn/ops.h"
#include "lib/nn/threads.h"

static enum err_code build_and_run(bool unfused, bool bf16, const float *in,
                                   float *const *out)
{
    struct err e = {0};
    struct nn_net *net = NULL;
    struct nn_graph *g = nn_graph_new(&e);
    struct nn_params *ps = nn_params_new(1, &e);
    struct nn_param *w = NULL, *v = NULL, *fc = NULL;
    const int64_t c = 3, k[4] = {4, 3, 3, 3}, l[2] = {2, 4};
    const struct nn_init_spec one = {.kind = NN_INIT_ONE};
    enum err_code r = g && ps ? OK : ERR_NOMEM;
    if (!r)
        r = nn_params_get(ps, "w", 4, k, false, one, &w, &e);
    if (!r)
        r = nn_params_get(ps, "v", 1, &c, false, one, &v, &e);
    if (!r)
        r = nn_params_get(ps, "fc", 2, l, false, one, &fc, &e);
    if (!r) {
        int x = nn_input(g, 3, 16, 16);
        for (int i = 0; i < 70 && x >= 0; i++) /* past the first growth */
            x = nn_relu(g, x);
        int y = nn_batch_norm(g, x, v, v, v, v, 1e-5, 0.1);
        y = nn_conv(g, y, w, NULL, &(struct nn_conv_spec){.pad = 1});
        nn_output(g, nn_add(g, y, nn_tanh(g, y)));
        nn_output(g, nn_batch_norm(g, x, v, v, v, v, 1e-5, 0.1));
        nn_output(g, nn_linear(g, nn_global_avg_pool(g, y), fc, NULL));
        struct nn_options o = {.batch = 1, .unfused = unfused, .bf16 = bf16};
        r = nn_plan(g, &o, &net, &e);
    }
    if (!r)
        r = nn_run(net, &in, out, &e);
    nn_net_free(&net);
    nn_graph_free(&g);
    nn_params_free(&ps);
    return r;
}

static void test_no_memory(void **state)
{
    (void)state;
    static float in[3 * 256], a[4 * 256], b[3 * 256], c[2];
    float *const out[3] = {a, b, c};
    for (int way = 0; way < 3; way++) {
        if (way == 2 && !nn_has_bf16())
            continue;
        assert_int_equal(build_and_run(way == 1, way == 2, in, out), OK);
        int64_t live = mem_live();
        uint64_t n = 1;
        for (;; n++) {
            mem_fail_nth(n);
            enum err_code r = build_and_run(way == 1, way == 2, in, out);
            bool hit = mem_fail_hit();
            mem_fail_nth(0);
            assert_int_equal(mem_live(), live);
            assert_int_equal(r, hit ? ERR_NOMEM : OK);
            if (!hit)
                break;
        }
        assert_true(n > 20);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    nn_threads_set(2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
