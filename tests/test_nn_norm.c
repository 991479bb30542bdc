/* Batch, instance, group and L2 norm against PyTorch
 * (tests/py/goldens_norm.py), on every path and in every layout; what they
 * refuse; the counters of running statistics. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/threads.h"
#include "tests/support/nn_check.h"

#define GOLDEN "tests/golden/nn-norm.safetensors"

struct norm {
    enum { BATCH, INSTANCE, GROUP, L2 } kind;
    bool plain, eval, relu, on_root;
    int64_t groups;
    double momentum;
};

static struct nn_param *param(struct nn_params *ps, const char *name, int64_t c,
                              bool buffer)
{
    struct nn_param *p = NULL;
    struct err e = {0};
    if (nn_params_get(ps, name, 1, &c, buffer,
                      (struct nn_init_spec){.kind = NN_INIT_ONE}, &p, &e))
        fail_msg("%s", e.text);
    return p;
}

static int build(struct nn_graph *g, struct nn_params *ps, const int *in,
                 const void *arg)
{
    const struct norm *n = arg;
    int64_t c = nn_graph_shape(g, in[0]).c;
    struct nn_param *w = NULL, *b = NULL;
    int y;
    if (!n->plain)
        w = param(ps, "weight", c, false);
    if (n->kind == L2)
        return nn_l2_norm(g, in[0], w, 1e-3, n->on_root);
    if (!n->plain)
        b = param(ps, "bias", c, false);
    nn_graph_eval(g, n->eval);
    if (n->kind == BATCH)
        y = nn_batch_norm(g, in[0], w, b, param(ps, "running_mean", c, true),
                          param(ps, "running_var", c, true), 1e-5,
                          n->momentum > 0 ? n->momentum : 0.1);
    else if (n->kind == INSTANCE)
        y = nn_instance_norm(g, in[0], w, b, 1e-5);
    else
        y = nn_group_norm(g, in[0], n->groups, w, b, 1e-5);
    nn_graph_eval(g, false);
    return n->relu ? nn_relu(g, y) : y;
}

static const struct {
    const char *name;
    int64_t batch;
    struct nn_shape in;
    int64_t groups;
} size[] = {{"c3", 2, {3, 5, 7}, 1},
            {"c16", 3, {16, 2, 3}, 4},
            {"c20", 2, {20, 2, 5}, 5},
            {"c33", 2, {33, 2, 3}, 3}};

/* Every size of one kind. A few numbers a channel make bf16's rounding of the
 * gradients larger than usual; means far from zero cost it more digits still,
 * so those cases are for f32 alone. */
static void sizes(const char *name, struct norm n, bool half, bool inference)
{
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s.%s", name, size[i].name);
        n.groups = size[i].groups;
        struct nn_check_case c = {.name = text,
                                  .n_in = 1,
                                  .in = {size[i].in},
                                  .batch = size[i].batch,
                                  .build = build,
                                  .arg = &n,
                                  .bf16_tol = half ? 5e-2 : -1,
                                  .no_inference = !inference};
        nn_check(GOLDEN, &c);
    }
}

static void test_batch(void **state)
{
    (void)state;
    sizes("batch", (struct norm){.kind = BATCH}, false, false);
    sizes("batch_plain",
          (struct norm){.kind = BATCH, .plain = true, .momentum = 0.3}, false,
          false);
    sizes("batch_relu", (struct norm){.kind = BATCH, .relu = true}, true,
          false);
}

static void test_batch_eval(void **state)
{
    (void)state;
    sizes("batch_eval", (struct norm){.kind = BATCH, .eval = true}, true, true);
    sizes("batch_eval_relu",
          (struct norm){.kind = BATCH, .eval = true, .relu = true}, true, true);
}

static void test_batch_vector(void **state)
{
    (void)state;
    struct norm n = {.kind = BATCH};
    struct nn_check_case c = {.name = "batch.vector",
                              .n_in = 1,
                              .in = {{20, 1, 1}},
                              .batch = 6,
                              .build = build,
                              .arg = &n,
                              .no_inference = true};
    nn_check(GOLDEN, &c);
}

static void test_instance(void **state)
{
    (void)state;
    sizes("instance", (struct norm){.kind = INSTANCE}, false, true);
    sizes("instance_plain", (struct norm){.kind = INSTANCE, .plain = true},
          false, true);
}

static void test_group(void **state)
{
    (void)state;
    sizes("group", (struct norm){.kind = GROUP}, true, true);
    sizes("group_relu", (struct norm){.kind = GROUP, .relu = true}, true, true);
}

static void test_l2(void **state)
{
    (void)state;
    sizes("l2", (struct norm){.kind = L2}, true, true);
    sizes("l2_root", (struct norm){.kind = L2, .on_root = true}, true, true);
}

/* The text of what building or planning refuses. */
static void refuses(const struct norm *n, int64_t c, int64_t h, int64_t w,
                    const char *text)
{
    struct err e = {0};
    struct nn_graph *g = nn_graph_new(&e);
    struct nn_params *ps = nn_params_new(1, &e);
    struct nn_train *t = NULL;
    assert_non_null(g);
    assert_non_null(ps);
    int x = nn_input(g, c, h, w);
    nn_output(g, build(g, ps, &x, n));
    assert_int_equal(nn_train_new(g, &(struct nn_train_options){0}, &t, &e),
                     ERR_ARG);
    if (!strstr(e.text, text))
        fail_msg("'%s' does not say '%s'", e.text, text);
    nn_graph_free(&g);
    nn_params_free(&ps);
}

static void test_refused(void **state)
{
    (void)state;
    refuses(&(struct norm){.kind = GROUP, .groups = 3}, 4, 2, 2,
            "do not divide");
    refuses(&(struct norm){.kind = GROUP, .groups = 0}, 4, 2, 2,
            "do not divide");
    refuses(&(struct norm){.kind = BATCH}, 4, 1, 1, "more than one number");
    refuses(&(struct norm){.kind = BATCH, .momentum = 2}, 4, 2, 2, "momentum");
    refuses(&(struct norm){.kind = L2, .plain = true}, 4, 2, 2, "scale");
    struct err e = {0};
    struct nn_graph *g = nn_graph_new(&e);
    struct nn_params *ps = nn_params_new(1, &e);
    assert_non_null(g);
    assert_non_null(ps);
    struct nn_param *p = param(ps, "weight", 5, false);
    int x = nn_input(g, 4, 2, 2);
    assert_int_equal(nn_instance_norm(g, x, p, NULL, 1e-5), -1);
    assert_int_equal(nn_graph_status(g, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "both or neither"));
    nn_graph_free(&g);
    g = nn_graph_new(&e);
    assert_non_null(g);
    x = nn_input(g, 4, 2, 2);
    assert_int_equal(nn_instance_norm(g, x, p, p, 1e-5), -1);
    assert_int_equal(nn_graph_status(g, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "one number a channel"));
    nn_graph_free(&g);
    nn_params_free(&ps);
}

/* Each training pass counts, and tells plans that the statistics changed;
 * an eval pass does not. */
static void test_counters(void **state)
{
    (void)state;
    for (int eval = 0; eval < 2; eval++) {
        struct err e = {0};
        struct norm n = {.kind = BATCH, .eval = eval};
        struct nn_graph *g = nn_graph_new(&e);
        struct nn_params *ps = nn_params_new(1, &e);
        struct nn_train *t = NULL;
        float in[2 * 4 * 4] = {1, 2, 3};
        const float *x0 = in;
        assert_non_null(g);
        assert_non_null(ps);
        int x = nn_input(g, 4, 2, 2);
        nn_output(g, build(g, ps, &x, &n));
        struct nn_train_options o = {.batch = 2};
        assert_int_equal(nn_train_new(g, &o, &t, &e), OK);
        const struct nn_param *m = nn_params_find(ps, "running_mean");
        uint64_t version = m->version;
        for (int i = 0; i < 3; i++)
            assert_int_equal(nn_train_forward(t, &x0, &e), OK);
        assert_int_equal(m->updates, eval ? 0 : 3);
        assert_int_equal(m->version - version, eval ? 0 : 3);
        nn_train_free(&t);
        nn_graph_free(&g);
        nn_params_free(&ps);
    }
}

/* Pictures of many chunks, rows and parts of the sums, and more channels than
 * a row of channels-last holds: the op makes the same in every layout, and
 * on oneDNN. */
static void test_large(void **state)
{
    (void)state;
    static const struct nn_shape shapes[] = {
        {4, 190, 180}, {20, 67, 41}, {2500, 3, 2}};
    struct norm kinds[] = {
        {.kind = BATCH}, {.kind = INSTANCE}, {.kind = GROUP}, {.kind = L2}};
    for (int i = 0; i < 12; i++) {
        struct norm *n = &kinds[i % 4];
        n->groups = i < 4 ? 2 : 5;
        struct nn_check_case c = {.name = i < 8 ? "large" : "wide",
                                  .n_in = 1,
                                  .in = {shapes[i / 4]},
                                  .batch = 2,
                                  .build = build,
                                  .arg = n,
                                  .bf16_tol = 5e-2};
        nn_check_layouts(&c, (uint64_t)i);
    }
}

/* One training pass of our own loops; the result, then gradients of gamma and
 * beta behind it. */
static float *pass(const struct norm *n, int threads, size_t *count)
{
    struct err e = {0};
    const struct nn_shape s = {20, 67, 41};
    *count = 2 * (size_t)(s.c * s.h * s.w);
    struct nn_graph *g = nn_graph_new(&e);
    struct nn_params *ps = nn_params_new(1, &e);
    struct nn_train *t = NULL;
    float *in = mem_array(*count, sizeof *in);
    float *out = mem_array(*count + 40, sizeof *out);
    assert_true(g && ps && in && out);
    for (size_t i = 0; i < *count; i++)
        in[i] = (float)((i * 7919) % 1009) * 0.01F + 100;
    int x = nn_input(g, s.c, s.h, s.w);
    nn_output(g, build(g, ps, &x, n));
    nn_threads_set(threads);
    struct nn_train_options o = {.batch = 2, .path = NN_PATH_BLAS};
    assert_int_equal(nn_train_new(g, &o, &t, &e), OK);
    const float *from = in;
    assert_int_equal(nn_train_forward(t, &from, &e), OK);
    nn_train_output(t, 0, out);
    assert_int_equal(nn_train_backward(t, &from, &e), OK);
    for (int i = 0; i < 40; i++)
        out[*count + (size_t)i] =
            nn_params_find(ps, i < 20 ? "weight" : "bias")->grad[i % 20];
    nn_threads_set(2);
    nn_train_free(&t);
    nn_graph_free(&g);
    nn_params_free(&ps);
    mem_free(in);
    return out;
}

/* The same bits with one thread and with two; mean 0 and variance 1 over what
 * each kind normalises, of numbers around 105 with a deviation of 2.9. */
static void test_threads(void **state)
{
    (void)state;
    const struct norm kinds[] = {{.kind = BATCH}, {.kind = INSTANCE}};
    for (int k = 0; k < 2; k++) {
        size_t n, area = 67 * 41;
        float *a = pass(&kinds[k], 1, &n), *b = pass(&kinds[k], 2, &n);
        assert_memory_equal(a, b, (n + 40) * sizeof *a);
        for (size_t c = 0; c < 20; c++) {
            double sum = 0, square = 0;
            size_t pictures = k == 0 ? 2 : 1;
            for (size_t i = 0; i < pictures * area; i++) {
                double v =
                    (double)a[i / area * 20 * area + c * area + i % area] -
                    1; /* beta is 1 */
                sum += v;
                square += v * v;
            }
            sum /= (double)(pictures * area);
            square /= (double)(pictures * area);
            assert_true(fabs(sum) < 1e-4 && fabs(square - 1) < 1e-4);
        }
        mem_free(a);
        mem_free(b);
    }
}

/* A plan with every norm; false where memory ran out. */
static bool plan_all(enum nn_path path)
{
    struct err e = {0};
    const struct norm kinds[] = {{.kind = BATCH},
                                 {.kind = BATCH, .eval = true, .relu = true},
                                 {.kind = INSTANCE},
                                 {.kind = GROUP, .groups = 4},
                                 {.kind = L2}};
    struct nn_graph *g = nn_graph_new(&e);
    struct nn_params *ps = g ? nn_params_new(1, &e) : NULL;
    struct nn_train *t = NULL;
    bool ok = ps != NULL;
    int x = ok ? nn_input(g, 20, 6, 6) : -1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && ok; i++) {
        /* Parameters beforehand: only the plan's memory is to fail here. */
        static const char *const names[] = {"weight", "bias", "running_mean",
                                            "running_var"};
        const int64_t c = 20;
        struct nn_param *p;
        for (int k = 0; k < 4 && ok; k++)
            ok = !nn_params_get(ps, names[k], 1, &c, k > 1,
                                (struct nn_init_spec){.kind = NN_INIT_ONE}, &p,
                                &e);
        ok = ok && !nn_graph_status(g, &e);
        if (ok)
            x = build(g, ps, &x, &kinds[i]);
    }
    ok = ok && !nn_graph_status(g, &e);
    if (ok)
        nn_output(g, x);
    struct nn_train_options o = {.batch = 2, .path = path};
    ok = ok && !nn_train_new(g, &o, &t, &e);
    float in[2 * 20 * 36] = {1, 2};
    const float *from = in;
    ok = ok && !nn_train_forward(t, &from, &e);
    if (!ok)
        assert_int_equal(e.code, ERR_NOMEM);
    nn_train_free(&t);
    nn_graph_free(&g);
    nn_params_free(&ps);
    return ok;
}

static void test_no_memory(void **state)
{
    (void)state;
    for (enum nn_path p = NN_PATH_DNNL; p <= NN_PATH_BLAS; p++) {
        if (p == NN_PATH_DNNL && !nn_has_dnnl())
            continue;
        assert_true(plan_all(p));
        int64_t live = mem_live();
        bool ok = false;
        for (uint64_t n = 1; !ok; n++) {
            mem_fail_nth(n);
            ok = plan_all(p);
            assert_true(ok == !mem_fail_hit());
            mem_fail_nth(0);
            assert_int_equal(mem_live(), live);
        }
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch),        cmocka_unit_test(test_batch_eval),
        cmocka_unit_test(test_batch_vector), cmocka_unit_test(test_instance),
        cmocka_unit_test(test_group),        cmocka_unit_test(test_l2),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_counters),
        cmocka_unit_test(test_no_memory),    cmocka_unit_test(test_large),
        cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
