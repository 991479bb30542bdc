/* Losses and the cosine-margin head: against PyTorch's numbers
 * (tests/py/goldens_loss.py) in every form that plans use; labels that are
 * none; the same bits from any number of threads; memory that runs out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/op.h"
#include "lib/nn/threads.h"
#include "tests/support/nn_check.h"

#define GOLDEN "tests/golden/nn-loss.safetensors"

struct spec {
    const char *name;
    struct nn_shape in, other; /* other 0: as in */
    int64_t batch;
    double v[3];
    bool one_sided, rough;
};

typedef int (*build_fn)(struct nn_graph *, struct nn_params *, const int *,
                        const void *);

#define BUILD(fn, call)                                                        \
    static int fn(struct nn_graph *g, struct nn_params *ps, const int *in,     \
                  const void *arg)                                             \
    {                                                                          \
        const struct spec *s = arg;                                            \
        (void)ps, (void)s;                                                     \
        return call;                                                           \
    }

BUILD(mse, nn_mse_loss(g, in[0], in[1]))
BUILD(l1, nn_l1_loss(g, in[0], in[1]))
BUILD(smooth, nn_smooth_l1_loss(g, in[0], in[1], s->v[0]))
BUILD(bce, nn_bce_logits_loss(g, in[0], in[1]))
BUILD(hinge, nn_hinge_loss(g, in[0], (enum nn_hinge)(int)s->v[0]))
BUILD(entropy, nn_cross_entropy(g, in[0], in[1], s->v[0]))

/* A smooth L1 loss divides x's bf16 rounding by beta: more room there. */
static void check(const struct spec *s, int n_in, build_fn build)
{
    struct nn_check_case c = {.name = s->name,
                              .n_in = n_in,
                              .in = {s->in, s->other.c ? s->other : s->in},
                              .batch = s->batch,
                              .no_grad = {false, s->one_sided},
                              .build = build,
                              .arg = s,
                              .bf16_tol = build == smooth ? 6e-2 : 0,
                              .no_differences = s->rough};
    nn_check(GOLDEN, &c);
}

/* The three shapes that each loss of elements is tried with. */
static const struct {
    struct nn_shape s;
    int64_t batch;
} sizes[] = {{{18, 3, 4}, 2}, {{5, 5, 7}, 3}, {{9, 1, 1}, 4}};

static void each_size(const char *name, double v, int n_in, bool one_sided,
                      build_fn build)
{
    for (int i = 0; i < 3; i++) {
        char full[64];
        snprintf(full, sizeof full, "%s%d", name, i);
        struct spec s = {.name = full,
                         .in = sizes[i].s,
                         .batch = sizes[i].batch,
                         .v = {v},
                         .one_sided = one_sided};
        check(&s, n_in, build);
    }
}

static void test_pairs(void **state)
{
    (void)state;
    each_size("mse", 0, 2, false, mse);
    each_size("l1_", 0, 2, false, l1);
    each_size("smooth1_", 1, 2, false, smooth);
    each_size("smooth0.3_", 0.3, 2, false, smooth);
    static const struct spec equal = {"l1_equal", {4, 3, 3}, {0, 0, 0}, 2,
                                      {0},        false,     true};
    static const struct spec zero = {"smooth0", {4, 3, 3}, {0, 0, 0}, 2,
                                     {0},       false,     true};
    check(&equal, 2, l1);
    check(&zero, 2, smooth);
}

static void test_gan_losses(void **state)
{
    (void)state;
    each_size("bce", 0, 2, true, bce);
    static const struct spec big = {"bce_big", {4, 1, 1}, {0, 0, 0}, 2,
                                    {0},       true,      true};
    check(&big, 2, bce);
    each_size("hinge_real", NN_HINGE_REAL, 1, false, hinge);
    each_size("hinge_fake", NN_HINGE_FAKE, 1, false, hinge);
    each_size("hinge_generator", NN_HINGE_GENERATOR, 1, false, hinge);
}

static void test_cross_entropy(void **state)
{
    (void)state;
    static const struct spec specs[] = {
        {"ce", {7, 1, 1}, {1, 1, 1}, 5, {0}, true, false},
        {"ce_smooth", {20, 1, 1}, {1, 1, 1}, 5, {0.1}, true, false},
        {"ce_ignored", {5, 1, 1}, {1, 1, 1}, 6, {0}, true, false},
        {"ce_pixels", {4, 9, 8}, {1, 9, 8}, 2, {0}, true, false},
        {"ce_pixels_smooth", {18, 5, 4}, {1, 5, 4}, 2, {0.2}, true, false},
        {"ce_big", {6, 1, 1}, {1, 1, 1}, 4, {0}, true, true},
        {"ce_one", {1, 2, 2}, {1, 2, 2}, 3, {0}, true, true},
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        check(&specs[i], 2, entropy);
}

BUILD(cosine_loss, nn_cosine_embedding_loss(g, in[0], in[1], in[2], s->v[0]))

static void test_cosine_embedding(void **state)
{
    (void)state;
    static const struct spec specs[] = {{.name = "cosine0", .v = {0}},
                                        {.name = "cosine0.25", .v = {0.25}}};
    for (int i = 0; i < 2; i++) {
        struct nn_check_case c = {.name = specs[i].name,
                                  .n_in = 3,
                                  .in = {{21, 1, 1}, {21, 1, 1}, {1, 1, 1}},
                                  .batch = 6,
                                  .no_grad = {false, false, true},
                                  .build = cosine_loss,
                                  .arg = &specs[i]};
        nn_check(GOLDEN, &c);
    }
}

static struct nn_param *weight(struct nn_params *ps, int64_t k, int64_t f,
                               struct nn_graph *g)
{
    struct nn_param *w = NULL;
    struct err e = {0};
    if (nn_params_get(ps, "weight", 2, (const int64_t[]){k, f}, false,
                      (struct nn_init_spec){NN_INIT_UNIFORM, 1}, &w, &e))
        nn_graph_fail(g, &e);
    return w;
}

BUILD(head, nn_cosine_margin(g, in[0], weight(ps, 11, 19, g), in[1], s->v[0],
                             s->v[1], s->v[2]))
BUILD(bare, nn_cosine_margin(g, in[0], weight(ps, 11, 19, g), -1, s->v[0],
                             s->v[1], s->v[2]))

static void test_cosine_margin(void **state)
{
    (void)state;
    static const struct spec specs[] = {
        {"arcface", {19, 1, 1}, {1, 1, 1}, 7, {30, 0.5, 0}, true, false},
        {"cosface", {19, 1, 1}, {1, 1, 1}, 7, {64, 0, 0.35}, true, false},
        {"both", {19, 1, 1}, {1, 1, 1}, 7, {16, 0.3, 0.2}, true, false},
        {"plain", {19, 1, 1}, {1, 1, 1}, 7, {8, 0, 0}, true, false},
        {"arcface_unlabelled",
         {19, 1, 1},
         {1, 1, 1},
         7,
         {30, 0.5, 0},
         true,
         false},
    };
    static const struct spec none = {"margin_no_label", {19, 1, 1}, {0},  7,
                                     {30, 0.5, 0.1},    false,      false};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        check(&specs[i], 2, head);
    check(&none, 1, bare);
}

/* ---- single runs ---- */

static struct nn_train *plan(const struct nn_graph *g, int64_t batch)
{
    struct nn_train *t = NULL;
    struct err e = {0};
    struct nn_train_options o = {.batch = batch, .input_grads = true};
    if (nn_train_new(g, &o, &t, &e))
        fail_msg("%s", e.text);
    return t;
}

/* Cross entropy of two samples, three classes, with this second label. */
static struct nn_train *entropy_plan(void)
{
    struct nn_graph *g = nn_graph_new(NULL);
    assert_non_null(g);
    int x = nn_input(g, 3, 1, 1), y = nn_input(g, 1, 1, 1);
    nn_output(g, nn_cross_entropy(g, x, y, 0));
    struct nn_train *t = plan(g, 2);
    nn_graph_free(&g);
    return t;
}

static void bad_label(struct nn_train *t, float label, const char *text)
{
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const float y[2] = {2, label};
    const float *const in[2] = {x, y};
    struct err e = {0};
    assert_int_equal(nn_train_forward(t, in, &e), ERR_DATA);
    if (!strstr(e.text, "sample 1") || !strstr(e.text, text))
        fail_msg("'%s' does not name sample 1 and '%s'", e.text, text);
}

static void test_bad_labels(void **state)
{
    (void)state;
    struct nn_train *t = entropy_plan();
    bad_label(t, 3, "label 3 is not below the 3 classes");
    bad_label(t, 1e9F, "3 classes");
    bad_label(t, 1.5F, "1.5 is not a whole number");
    bad_label(t, -0.5F, "-0.5 is not a whole number");
    bad_label(t, NAN, "nan is not a whole number");
    bad_label(t, INFINITY, "inf is not a whole number");
    nn_train_free(&t);

    struct nn_graph *g = nn_graph_new(NULL);
    int a = nn_input(g, 3, 1, 1), b = nn_input(g, 3, 1, 1);
    int y = nn_input(g, 1, 1, 1);
    nn_output(g, nn_cosine_embedding_loss(g, a, b, y, 0));
    t = plan(g, 2);
    const float v[6] = {1, 2, 3, 4, 5, 6}, sides[2] = {1, 0};
    struct err e = {0};
    assert_int_equal(nn_train_forward(t, (const float *[]){v, v, sides}, &e),
                     ERR_DATA);
    assert_non_null(strstr(e.text, "sample 1"));
    nn_train_free(&t);
    nn_graph_free(&g);

    struct nn_params *ps = nn_params_new(1, &e);
    assert_non_null(ps);
    g = nn_graph_new(NULL);
    a = nn_input(g, 3, 1, 1);
    y = nn_input(g, 1, 1, 1);
    nn_output(g, nn_cosine_margin(g, a, weight(ps, 4, 3, g), y, 8, 0.5, 0));
    t = plan(g, 2);
    const float four[2] = {3, 4};
    assert_int_equal(nn_train_forward(t, (const float *[]){v, four}, &e),
                     ERR_DATA);
    assert_non_null(strstr(e.text, "cosine_margin: sample 1"));
    nn_train_free(&t);
    nn_graph_free(&g);
    nn_params_free(&ps);
}

/* PyTorch: not a number, and no gradient. */
static void test_nothing_labelled(void **state)
{
    (void)state;
    struct nn_train *t = entropy_plan();
    const float x[6] = {1, 2, 3, 4, 5, 6}, y[2] = {-1, -100};
    struct err e = {0};
    float loss = 0, d[6];
    assert_int_equal(nn_train_forward(t, (const float *[]){x, y}, &e), OK);
    nn_train_output(t, 0, &loss);
    assert_true(isnan(loss));
    assert_int_equal(nn_train_backward(t, NULL, &e), OK);
    nn_train_input_grad(t, 0, d);
    for (int i = 0; i < 6; i++)
        assert_true(fabsf(d[i]) <= 0);
    nn_train_free(&t);
}

/* Vectors of length 0: no division by it, no gradient along them. */
static void test_zero_vectors(void **state)
{
    (void)state;
    struct err e = {0};
    struct nn_params *ps = nn_params_new(1, &e);
    struct nn_graph *g = nn_graph_new(NULL);
    assert_true(ps && g);
    int a = nn_input(g, 4, 1, 1), y = nn_input(g, 1, 1, 1);
    int b = nn_input(g, 4, 1, 1), z = nn_input(g, 1, 1, 1);
    struct nn_param *w = weight(ps, 3, 4, g);
    memset(w->value->data, 0, 4 * sizeof(float));
    nn_output(g, nn_cross_entropy(g, nn_cosine_margin(g, a, w, y, 16, 0.5, 0.1),
                                  y, 0));
    nn_output(g, nn_cosine_embedding_loss(g, a, b, z, 0));
    struct nn_train *t = plan(g, 1);
    const float zero[4] = {0}, v[4] = {1, -1, 2, 0.5F}, label = 1, one = 1;
    for (int i = 0; i < 2; i++) {
        const float *in[4] = {i ? v : zero, &label, zero, &one};
        float out[2], d[4];
        assert_int_equal(nn_train_forward(t, in, &e), OK);
        assert_int_equal(nn_train_backward(t, NULL, &e), OK);
        nn_train_output(t, 0, &out[0]);
        nn_train_output(t, 1, &out[1]);
        nn_train_input_grad(t, 0, d);
        assert_true(isfinite(out[0]) && isfinite(out[1]));
        for (int k = 0; k < 4; k++)
            assert_true(isfinite(d[k]) && isfinite(w->grad[k]));
    }
    nn_train_free(&t);
    nn_graph_free(&g);
    nn_params_free(&ps);
}

/* Large enough that threads share the work. */
static void big_run(int threads, float *loss, float *d, size_t n)
{
    struct nn_graph *g = nn_graph_new(NULL);
    assert_non_null(g);
    int x = nn_input(g, 20, 61, 47), t = nn_input(g, 20, 61, 47);
    int y = nn_input(g, 1, 61, 47);
    nn_output(g, nn_mse_loss(g, x, t));
    nn_output(g, nn_smooth_l1_loss(g, x, t, 0.5));
    nn_output(g, nn_bce_logits_loss(g, x, t));
    nn_output(g, nn_cross_entropy(g, x, y, 0.1));
    nn_output(g, nn_mean(g, x));
    float *in[3];
    struct rng r;
    rng_seed(&r, 5);
    for (int i = 0; i < 3; i++) {
        in[i] = mem_array(n, sizeof(float));
        assert_non_null(in[i]);
        for (size_t k = 0; k < n; k++)
            in[i][k] =
                i < 2 ? (float)rng_range(&r, -3, 3) : (float)rng_below(&r, 20);
    }
    nn_threads_set(threads);
    struct nn_train *p = plan(g, 2);
    struct err e = {0};
    assert_int_equal(nn_train_forward(p, (const float *const *)in, &e), OK);
    assert_int_equal(nn_train_backward(p, NULL, &e), OK);
    for (int i = 0; i < 5; i++)
        nn_train_output(p, i, &loss[i]);
    nn_train_input_grad(p, 0, d);
    nn_threads_set(0);
    nn_train_free(&p);
    nn_graph_free(&g);
    for (int i = 0; i < 3; i++)
        mem_free(in[i]);
}

static void test_threads_agree(void **state)
{
    (void)state;
    size_t n = (size_t)2 * 20 * 61 * 47;
    float loss[3][5], *d[3];
    for (int i = 0; i < 3; i++) {
        d[i] = mem_array(n, sizeof(float));
        assert_non_null(d[i]);
        big_run(i + 1, loss[i], d[i], n);
        assert_memory_equal(loss[i], loss[0], sizeof loss[0]);
        assert_memory_equal(d[i], d[0], n * sizeof(float));
    }
    for (int i = 0; i < 3; i++)
        mem_free(d[i]);
}

/* ---- what cannot be ---- */

static void refused(struct nn_graph **g, int node, const char *text)
{
    struct err e = {0};
    assert_int_equal(node, -1);
    assert_int_equal(nn_graph_status(*g, &e), ERR_ARG);
    if (!strstr(e.text, text))
        fail_msg("'%s' does not say '%s'", e.text, text);
    nn_graph_free(g);
}

static struct nn_graph *graph(int x[3])
{
    struct nn_graph *g = nn_graph_new(NULL);
    assert_non_null(g);
    x[0] = nn_input(g, 4, 2, 3);
    x[1] = nn_input(g, 4, 3, 2);
    x[2] = nn_input(g, 6, 1, 1);
    return g;
}

static void test_refused(void **state)
{
    (void)state;
    int x[3];
    struct nn_graph *g = graph(x);
    refused(&g, nn_mse_loss(g, x[0], x[1]), "4x2x3, but a target of 4x3x2");
    g = graph(x);
    refused(&g, nn_l1_loss(g, x[0], 99), "does not exist");
    g = graph(x);
    refused(&g, nn_smooth_l1_loss(g, x[0], x[0], -1), "beta");
    g = graph(x);
    refused(&g, nn_smooth_l1_loss(g, x[0], x[0], (double)NAN), "beta");
    g = graph(x);
    refused(&g, nn_bce_logits_loss(g, x[0], x[2]), "target");
    g = graph(x);
    refused(&g, nn_hinge_loss(g, x[0], (enum nn_hinge)7), "side");
    g = graph(x);
    refused(&g, nn_cross_entropy(g, x[0], x[1], 0), "need labels of 1x2x3");
    g = graph(x);
    refused(&g, nn_cross_entropy(g, x[0], x[1], 1), "smoothing");
    g = graph(x);
    refused(&g, nn_cosine_embedding_loss(g, x[0], x[0], x[2], 0), "vectors");
    g = graph(x);
    refused(&g, nn_cosine_embedding_loss(g, x[2], x[2], x[2], 2), "margin");
    struct nn_params *ps = nn_params_new(1, NULL);
    assert_non_null(ps);
    g = graph(x);
    struct nn_param *w = weight(ps, 3, 6, g);
    refused(&g, nn_cosine_margin(g, x[0], w, -1, 1, 0, 0), "vector");
    g = graph(x);
    refused(&g, nn_cosine_margin(g, x[2], NULL, -1, 1, 0, 0), "weights");
    g = graph(x);
    refused(&g, nn_cosine_margin(g, x[2], w, x[0], 1, 0, 0), "label");
    g = graph(x);
    refused(&g, nn_cosine_margin(g, x[2], w, -1, 0, 0, 0), "scale");
    g = graph(x);
    refused(&g, nn_cosine_margin(g, x[2], w, -1, 1, 3.2, 0), "angle");
    nn_params_free(&ps);
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_gan_losses),
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_cosine_embedding),
        cmocka_unit_test(test_cosine_margin),
        cmocka_unit_test(test_bad_labels),
        cmocka_unit_test(test_nothing_labelled),
        cmocka_unit_test(test_zero_vectors),
        cmocka_unit_test(test_threads_agree),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
