/* Activations, add, multiply, scale, normalize, concat and slice against
 * PyTorch (tests/py/goldens_elementwise.py); dropout by what it promises; the
 * vector exp, sigmoid and tanh against libm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/vecmath.h"
#include "lib/nn/threads.h"
#include "tests/support/nn_check.h"

#define GOLDEN "tests/golden/nn-elementwise.safetensors"

typedef int make(struct nn_graph *g, struct nn_params *ps, const int *in,
                 const void *arg);

static int make_relu(struct nn_graph *g, struct nn_params *ps, const int *in,
                     const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_relu(g, in[0]);
}

static int make_leaky(struct nn_graph *g, struct nn_params *ps, const int *in,
                      const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_leaky_relu(g, in[0], 0.2);
}

static int make_sigmoid(struct nn_graph *g, struct nn_params *ps, const int *in,
                        const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_sigmoid(g, in[0]);
}

static int make_tanh(struct nn_graph *g, struct nn_params *ps, const int *in,
                     const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_tanh(g, in[0]);
}

static int make_silu(struct nn_graph *g, struct nn_params *ps, const int *in,
                     const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_silu(g, in[0]);
}

static int make_prelu(struct nn_graph *g, struct nn_params *ps, const int *in,
                      const void *arg)
{
    (void)arg;
    int64_t c = nn_graph_shape(g, in[0]).c;
    struct nn_param *p = NULL;
    struct err e = {0};
    c = c == 3 ? 1 : c;
    if (nn_params_get(ps, "slope", 1, &c, false,
                      (struct nn_init_spec){.kind = NN_INIT_ONE}, &p, &e))
        fail_msg("%s", e.text);
    return nn_prelu(g, in[0], p);
}

static int make_add(struct nn_graph *g, struct nn_params *ps, const int *in,
                    const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_add(g, in[0], in[1]);
}

static int make_add_relu(struct nn_graph *g, struct nn_params *ps,
                         const int *in, const void *arg)
{
    return nn_relu(g, make_add(g, ps, in, arg));
}

static int make_mul(struct nn_graph *g, struct nn_params *ps, const int *in,
                    const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_mul(g, in[0], in[1]);
}

static int make_square(struct nn_graph *g, struct nn_params *ps, const int *in,
                       const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_mul(g, in[0], in[0]);
}

static int make_scale(struct nn_graph *g, struct nn_params *ps, const int *in,
                      const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_scale(g, in[0], -1.5, 0.25);
}

static int make_normalize(struct nn_graph *g, struct nn_params *ps,
                          const int *in, const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_normalize(g, in[0], (const float[]){0.485F, 0.456F, 0.406F},
                        (const float[]){0.229F, 0.224F, 0.225F});
}

static int make_concat(struct nn_graph *g, struct nn_params *ps, const int *in,
                       const void *arg)
{
    (void)ps;
    return nn_concat(g, in, *(const int *)arg);
}

static int make_slice(struct nn_graph *g, struct nn_params *ps, const int *in,
                      const void *arg)
{
    (void)ps;
    const int64_t *a = arg;
    return nn_slice(g, in[0], a[0], a[1]);
}

static const struct nn_shape shape[] = {{3, 5, 7}, {20, 2, 5}, {33, 2, 3}};
static const char *const word[] = {"c3", "c20", "c33"};

/* "<name>.<size>" at each size; second: what a second input looks like. */
enum second { NONE, WHOLE, PER_CHANNEL, PER_PIXEL, ONE };

static void sizes(const char *name, make *f, enum second second)
{
    for (int i = 0; i < 3; i++) {
        char text[64];
        struct nn_shape s = shape[i];
        struct nn_shape forms[] = {s, s, {s.c, 1, 1}, {1, s.h, s.w}, {1, 1, 1}};
        snprintf(text, sizeof text, "%s.%s", name, word[i]);
        struct nn_check_case c = {.name = text,
                                  .n_in = second == NONE ? 1 : 2,
                                  .in = {s, forms[second]},
                                  .batch = 2,
                                  .build = f};
        nn_check(GOLDEN, &c);
    }
}

static void test_activations(void **state)
{
    (void)state;
    sizes("relu", make_relu, NONE);
    sizes("leaky_relu", make_leaky, NONE);
    sizes("sigmoid", make_sigmoid, NONE);
    sizes("tanh", make_tanh, NONE);
    sizes("silu", make_silu, NONE);
    sizes("prelu", make_prelu, NONE);
}

static void test_sums(void **state)
{
    (void)state;
    sizes("add", make_add, WHOLE);
    sizes("add_relu", make_add_relu, WHOLE);
    sizes("scale", make_scale, NONE);
    struct nn_check_case c = {.name = "normalize",
                              .n_in = 1,
                              .in = {{3, 5, 7}},
                              .batch = 2,
                              .build = make_normalize};
    nn_check(GOLDEN, &c);
}

static void test_products(void **state)
{
    (void)state;
    sizes("mul", make_mul, WHOLE);
    sizes("mul_channel", make_mul, PER_CHANNEL);
    sizes("mul_pixel", make_mul, PER_PIXEL);
    sizes("mul_one", make_mul, ONE);
    struct nn_check_case c = {.name = "square",
                              .n_in = 1,
                              .in = {shape[1]},
                              .batch = 2,
                              .build = make_square};
    nn_check(GOLDEN, &c);
}

static void test_channels(void **state)
{
    (void)state;
    static const int64_t parts[4][3] = {
        {3, 5, 0}, {16, 16, 20}, {7, 16, 33}, {16, 0, 0}};
    static const int64_t slices[4][3] = {
        {20, 0, 3}, {33, 16, 17}, {40, 5, 20}, {3, 2, 1}};
    for (int i = 0; i < 4; i++) {
        char text[64];
        int n = 0;
        snprintf(text, sizeof text, "concat.%d", i);
        struct nn_check_case c = {
            .name = text, .batch = 2, .build = make_concat, .arg = &n};
        for (; n < 3 && parts[i][n]; n++)
            c.in[n] = (struct nn_shape){parts[i][n], 2, 3};
        c.n_in = n;
        nn_check(GOLDEN, &c);
        snprintf(text, sizeof text, "slice.%d", i);
        c = (struct nn_check_case){.name = text,
                                   .n_in = 1,
                                   .in = {{slices[i][0], 2, 3}},
                                   .batch = 2,
                                   .build = make_slice,
                                   .arg = &slices[i][1]};
        nn_check(GOLDEN, &c);
    }
}

/* Numbers for the whole batch, as losses are weighed and summed. */
static int make_losses(struct nn_graph *g, struct nn_params *ps, const int *in,
                       const void *arg)
{
    (void)ps;
    (void)arg;
    int a = nn_mean(g, nn_mul(g, in[0], in[0])), b = nn_mean(g, in[1]);
    return nn_add(g, nn_scale(g, a, 0.5, 1), nn_mul(g, a, nn_tanh(g, b)));
}

/* A number for the whole batch times each picture's. */
static int make_by_whole(struct nn_graph *g, struct nn_params *ps,
                         const int *in, const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_mul(g, in[0], nn_mean(g, in[1]));
}

static int make_chain(struct nn_graph *g, struct nn_params *ps, const int *in,
                      const void *arg)
{
    int y = nn_silu(g, in[0]);
    y = nn_mul(g, y, nn_sigmoid(g, in[1]));
    y = nn_concat(g, (const int[]){y, in[0]}, 2);
    y = nn_slice(g, y, 3, nn_graph_shape(g, in[0]).c);
    return make_prelu(g, ps, &y, arg);
}

static void test_whole(void **state)
{
    (void)state;
    struct nn_check_case c = {.name = "losses",
                              .n_in = 2,
                              .in = {shape[1], shape[1]},
                              .batch = 2,
                              .build = make_losses};
    nn_check_differences(&c, 3);
    c.name = "by whole";
    c.build = make_by_whole;
    nn_check_differences(&c, 4);
}

/* Pictures of many chunks, and more channels than a row of channels-last
 * holds: every op makes the same in every layout. */
static void test_large(void **state)
{
    (void)state;
    static const struct nn_shape large[] = {
        {20, 67, 41}, {4, 190, 180}, {2500, 3, 2}};
    for (int i = 0; i < 9; i++) {
        struct nn_shape s = large[i / 3];
        struct nn_shape forms[] = {s, {s.c, 1, 1}, {1, s.h, s.w}};
        struct nn_check_case c = {.name = i < 6 ? "large" : "wide",
                                  .n_in = 2,
                                  .in = {s, forms[i % 3]},
                                  .batch = 2,
                                  .build = i % 3 ? make_mul : make_chain};
        nn_check_layouts(&c, (uint64_t)i);
    }
}

/* ---- dropout ---- */

struct drop {
    double p;
    bool behind, eval;
    int64_t c;
};

#define DROP_SIDE 40

/* out and din of a plan with dropout on ones; out's size is 2 x c x 40 x 40. */
static void drop(const struct drop *d, uint64_t seed, uint64_t run, float *out,
                 float *din)
{
    struct err e = {0};
    struct nn_graph *g = nn_graph_new(&e);
    struct nn_params *ps = nn_params_new(1, &e);
    struct nn_train *t = NULL;
    assert_non_null(g);
    assert_non_null(ps);
    size_t n = (size_t)(2 * d->c * DROP_SIDE * DROP_SIDE);
    int x = nn_input(g, d->c, DROP_SIDE, DROP_SIDE);
    if (d->behind) { /* so that the planner has another layout */
        struct nn_param *w = NULL;
        assert_int_equal(
            nn_params_get(ps, "w", 4, (const int64_t[]){d->c, d->c, 1, 1},
                          false, (struct nn_init_spec){.kind = NN_INIT_ZERO},
                          &w, &e),
            OK);
        for (int64_t i = 0; i < d->c; i++)
            tensor_f32(w->value)[i * d->c + i] = 1;
        x = nn_conv(g, x, w, NULL, &(struct nn_conv_spec){0});
    }
    nn_graph_eval(g, d->eval);
    nn_output(g, nn_dropout(g, x, d->p));
    struct nn_train_options o = {.batch = 2, .seed = seed, .input_grads = true};
    if (nn_train_new(g, &o, &t, &e))
        fail_msg("%s", e.text);
    nn_train_set_runs(t, run);
    for (size_t i = 0; i < n; i++)
        din[i] = 1;
    const float *in = din;
    assert_int_equal(nn_train_forward(t, &in, &e), OK);
    nn_train_output(t, 0, out);
    assert_int_equal(nn_train_backward(t, &in, &e), OK);
    nn_train_input_grad(t, 0, din);
    nn_train_free(&t);
    nn_graph_free(&g);
    nn_params_free(&ps);
}

static float *floats(size_t n)
{
    float *p = mem_array(n, sizeof *p);
    assert_non_null(p);
    return p;
}

static void test_dropout(void **state)
{
    (void)state;
    struct drop d = {.p = 0.3, .c = 20};
    size_t n = 2 * 20 * DROP_SIDE * DROP_SIDE, zeros = 0, same = 0;
    float *a = floats(n), *da = floats(n), *b = floats(n), *db = floats(n);
    drop(&d, 5, 0, a, da);
    for (size_t i = 0; i < n; i++) {
        zeros += a[i] < 0.5F;
        if (!(a[i] <= 0) && !(fabsf(a[i] - 1 / 0.7F) < 1e-6F))
            fail_msg("element %zu is %g, not 0 or 1/0.7", i, (double)a[i]);
    }
    /* 64,000 draws: a deviation of the share is 0.0018; six of them. */
    assert_true(fabs((double)zeros / (double)n - 0.3) < 0.011);
    assert_memory_equal(a, da, n * sizeof *a); /* the gradient's mask is it */
    drop(&d, 5, 0, b, db);
    assert_memory_equal(a, b, n * sizeof *a);
    d.behind = true; /* another layout, another node: the mask is by node */
    drop(&d, 5, 0, b, db);
    assert_memory_equal(b, db, n * sizeof *b);
    d.behind = false;
    drop(&d, 5, 1, b, db); /* another run, another mask */
    for (size_t i = 0; i < n; i++)
        same += fabsf(a[i] - b[i]) < 0.5F;
    assert_true(fabs((double)same / (double)n - 0.58) < 0.012);
    drop(&d, 6, 0, b, db); /* another seed */
    assert_true(memcmp(a, b, n * sizeof *a) != 0);
    d.eval = true;
    drop(&d, 5, 0, b, db);
    for (size_t i = 0; i < n; i++)
        assert_true(!(fabsf(b[i] - 1) > 0) && !(fabsf(db[i] - 1) > 0));
    mem_free(a);
    mem_free(b);
    mem_free(da);
    mem_free(db);
}

static int make_dropout(struct nn_graph *g, struct nn_params *ps, const int *in,
                        const void *arg)
{
    (void)ps;
    (void)arg;
    return nn_dropout(g, in[0], 0.4);
}

/* The same mask in every layout, type and place, for a given node: what the
 * harness compares all variants for. Behind other ops it is another node. */
static void test_dropout_layouts(void **state)
{
    (void)state;
    static const struct nn_shape large[] = {{20, 67, 41}, {2500, 3, 2}};
    for (int i = 0; i < 5; i++) {
        struct nn_check_case c = {.name = "dropout",
                                  .n_in = 1,
                                  .in = {i < 3 ? shape[i] : large[i - 3]},
                                  .batch = 2,
                                  .build = make_dropout,
                                  .no_inference = true};
        nn_check_layouts(&c, 77);
    }
}

/* ---- exp, sigmoid, tanh ---- */

static double worst(float (*f)(float), double (*want)(double), float lo,
                    float hi)
{
    double off = 0;
    for (int i = 0; i <= 2000000; i++) {
        double t = (double)i / 2000000;
        float x = (float)((double)lo + ((double)hi - (double)lo) * t);
        double w = want((double)x);
        /* Results below the smallest normal float have fewer digits. */
        double d = fabs((double)f(x) - w) / fmax(fabs(w), 1.2e-38);
        if (!(d <= off))
            off = d;
    }
    return off;
}

static float f_exp(float x)
{
    return nn_exp(x);
}

static float f_sigmoid(float x)
{
    return nn_sigmoid_of(x);
}

static float f_tanh(float x)
{
    return nn_tanh_of(x);
}

static double d_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void test_vector_math(void **state)
{
    (void)state;
    assert_true(worst(f_exp, exp, -105, 88.7F) < 3e-7);
    assert_true(worst(f_exp, exp, -1, 1) < 3e-7);
    assert_true(worst(f_sigmoid, d_sigmoid, -105, 105) < 4e-7);
    assert_true(worst(f_sigmoid, d_sigmoid, -2, 2) < 4e-7);
    assert_true(worst(f_tanh, tanh, -30, 30) < 4e-7);
    assert_true(worst(f_tanh, tanh, -1, 1) < 4e-7);
    assert_true(worst(f_tanh, tanh, -1e-4F, 1e-4F) < 4e-7);
    assert_true(isinf(nn_exp(INFINITY)) && isinf(nn_exp(89.5F)) &&
                isinf(nn_exp(1e30F)));
    assert_true(nn_exp(-INFINITY) <= 0 && nn_exp(-1e30F) <= 0 &&
                nn_exp(-105) <= 0);
    assert_true(isnan(nn_exp(NAN)) && isnan(nn_sigmoid_of(NAN)) &&
                isnan(nn_tanh_of(NAN)));
    assert_true(nn_sigmoid_of(INFINITY) >= 1 && nn_sigmoid_of(-INFINITY) <= 0);
    assert_true(nn_tanh_of(INFINITY) >= 1 && nn_tanh_of(-INFINITY) <= -1);
    assert_true(nn_tanh_of(INFINITY) <= 1 && nn_tanh_of(-INFINITY) >= -1);
}

/* ---- what is refused ---- */

static void says(struct nn_graph **g, int node, const char *text)
{
    struct err e = {0};
    assert_int_equal(node, -1);
    assert_int_not_equal(nn_graph_status(*g, &e), OK);
    if (!strstr(e.text, text))
        fail_msg("'%s' does not say '%s'", e.text, text);
    nn_graph_free(g);
    *g = nn_graph_new(&e);
    assert_non_null(*g);
    (void)nn_input(*g, 4, 2, 2);
    (void)nn_input(*g, 4, 2, 3);
    (void)nn_input(*g, 17, 2, 2);
}

static void test_refused(void **state)
{
    (void)state;
    struct nn_graph *g = NULL;
    const float zero[4] = {0}, one[4] = {1, 1, 1, 1}, many[17] = {0};
    struct err e = {0};
    g = nn_graph_new(&e);
    assert_non_null(g);
    says(&g, nn_relu(g, 0), "does not exist");
    says(&g, nn_add(g, 0, 1), "different shapes");
    says(&g, nn_mul(g, 0, 1), "must be of the first's shape");
    says(&g, nn_leaky_relu(g, 0, -0.1), "negative");
    says(&g, nn_scale(g, 0, (double)INFINITY, 0), "not finite");
    says(&g, nn_normalize(g, 0, zero, zero), "cannot be");
    says(&g, nn_normalize(g, 2, many, many), "16 channels");
    says(&g, nn_concat(g, (const int[]){0, 1}, 2), "different sizes");
    says(&g, nn_concat(g, (const int[]){0}, 9), "1 to 8");
    says(&g, nn_slice(g, 0, 2, 3), "not there");
    says(&g, nn_slice(g, 0, -1, 2), "not there");
    says(&g, nn_dropout(g, 0, 1), "[0,1)");
    says(&g, nn_prelu(g, 0, NULL), "one slope");
    says(&g, nn_relu(g, 17), "does not exist");
    assert_true(nn_normalize(g, 0, zero, one) >= 0);
    nn_graph_free(&g);
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_activations),
                                       cmocka_unit_test(test_sums),
                                       cmocka_unit_test(test_products),
                                       cmocka_unit_test(test_channels),
                                       cmocka_unit_test(test_whole),
                                       cmocka_unit_test(test_large),
                                       cmocka_unit_test(test_dropout),
                                       cmocka_unit_test(test_dropout_layouts),
                                       cmocka_unit_test(test_vector_math),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
