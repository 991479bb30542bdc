/* Every network of lib/models against PyTorch: outputs in inference and in
 * training, gradients of the input and of all parameters, running statistics;
 * sizes as published. Goldens: tests/py/goldens_models.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/models/resnet.h"
#include "lib/models/vgg.h"
#include "lib/nn/threads.h"
#include "lib/nn/train.h"
#include "tests/support/model_cases.h"
#include "tests/support/model_weights.h"

/* Relative to the largest value of a tensor, as the issue asks; what is seen
 * is 1e-5 or less. Winograd's transforms lose about a digit. */
#define TOL_FORWARD 1e-4
#define TOL_GRADIENT 1e-3
/* A bias before a norm has little or no gradient but rounding, which grows with
 * what it is the sum of: told by the weights beside it. */
#define TOL_BIAS 1e-4
/* bf16 keeps 8 bits; errors of layers add up. Relative to the norm. */
#define TOL_BF16 0.1

static struct safetensors *golden;

/* What rounding may leave of a bias's gradient: see TOL_BIAS. */
static double bias_floor(const struct nn_params *ps, const char *name)
{
    char weight[160];
    size_t n = strlen(name);
    if (n < 4 || strcmp(name + n - 4, "bias") != 0)
        return 0;
    snprintf(weight, sizeof weight, "%.*sweight", (int)n - 4, name);
    const struct nn_param *p = nn_params_find(ps, weight);
    return p ? TOL_BIAS * largest(p->grad, p->value->count) : 0;
}

static void check_params(const struct written *w, const char *variant,
                         double tol)
{
    for (size_t i = 0; i < nn_params_count(w->ps); i++) {
        const struct nn_param *p = nn_params_at(w->ps, i);
        char part[160];
        snprintf(part, sizeof part, "%s.%s", p->buffer ? "s" : "g", p->name);
        check_digest(w, golden, variant, part,
                     p->buffer ? tensor_f32(p->value) : p->grad,
                     p->value->count, tol, bias_floor(w->ps, p->name));
    }
}

/* Forward and backward in a training plan. */
static void train_case(const struct net_case *c, const char *variant,
                       const struct nn_train_options *o, double slack)
{
    struct written w;
    struct nn_train *t = NULL;
    struct err e = {0};
    struct nn_train_options own = *o;
    write_case(&w, c, golden, false);
    own.batch = c->batch;
    own.input_grads = true;
    const float *in = w.in;
    if (nn_train_new(w.g, &own, &t, &e) || nn_train_forward(t, &in, &e))
        fail_msg("%s (%s): %s", c->name, variant, e.text);
    for (int i = 0; i < w.n_out; i++)
        nn_train_output(t, i, w.out[i]);
    check_outputs(&w, golden, variant, "train", TOL_FORWARD * slack);
    if (nn_train_backward(t, (const float *const *)w.dout, &e))
        fail_msg("%s (%s): %s", c->name, variant, e.text);
    float *din = floats(w.in_count);
    nn_train_input_grad(t, 0, din);
    check_digest(&w, golden, variant, "din", din, w.in_count,
                 TOL_GRADIENT * slack, 0);
    mem_free(din);
    check_params(&w, variant, TOL_GRADIENT * slack);
    nn_train_free(&t);
    erase_case(&w);
}

static const struct nn_train_options exact = {.mode = NN_EXACT};
static const struct nn_train_options fast = {.mode = NN_FAST};
static const struct nn_train_options blas = {.path = NN_PATH_BLAS};

static void test_training(void **state)
{
    (void)state;
    for (size_t i = 0; i < model_cases_count; i++)
        train_case(&model_cases[i], "exact", &exact, 1);
}

static void test_training_fast(void **state)
{
    static const char *const names[] = {"fan", "generator", "resnet-18", "s3fd",
                                        "unet"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        train_case(find_case(names[i]), "fast", &fast, 10);
}

static void test_training_blas(void **state)
{
    (void)state;
    for (size_t i = 0; i < model_cases_count; i++) {
        if (strcmp(model_cases[i].name, "generator") != 0 &&
            strcmp(model_cases[i].name, "fan") != 0)
            train_case(&model_cases[i], "blas", &blas, 1);
    }
}

/* In inference: by a training plan of eval nodes. */
static void test_eval(void **state)
{
    (void)state;
    for (size_t i = 0; i < model_cases_count; i++) {
        struct written w;
        struct nn_train *t = NULL;
        struct err e = {0};
        write_case(&w, &model_cases[i], golden, true);
        struct nn_train_options o = {.batch = w.c->batch, .no_backward = true};
        const float *in = w.in;
        if (nn_train_new(w.g, &o, &t, &e) || nn_train_forward(t, &in, &e))
            fail_msg("%s: %s", w.c->name, e.text);
        for (int k = 0; k < w.n_out; k++)
            nn_train_output(t, k, w.out[k]);
        check_outputs(&w, golden, "eval", "eval", TOL_FORWARD);
        nn_train_free(&t);
        erase_case(&w);
    }
}

static double distance(const float *a, const float *b, size_t n)
{
    double sum = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        all += (double)b[i] * (double)b[i];
    }
    return sqrt(sum / all);
}

static void test_training_bf16(void **state)
{
    (void)state;
    if (!nn_has_bf16())
        skip();
    for (size_t i = 0; i < model_cases_count; i++) {
        struct written w;
        struct nn_train *t = NULL;
        struct err e = {0};
        write_case(&w, &model_cases[i], golden, false);
        for (int b = 0; b < 2; b++) {
            struct nn_train_options o = {
                .batch = w.c->batch, .no_backward = true, .bf16 = b == 1};
            const float *in = w.in;
            if (nn_train_new(w.g, &o, &t, &e) || nn_train_forward(t, &in, &e))
                fail_msg("%s: %s", w.c->name, e.text);
            for (int k = 0; k < w.n_out; k++)
                nn_train_output(t, k, b ? w.out[k] : w.dout[k]);
            nn_train_free(&t);
        }
        for (int k = 0; k < w.n_out; k++) {
            double d = distance(w.out[k], w.dout[k], w.count[k]);
            if (d > TOL_BF16 || !(d > 0))
                fail_msg("%s: output %d differs by %.3g in bf16", w.c->name, k,
                         d);
        }
        erase_case(&w);
    }
}

/* A loss of two pictures that a frozen network looks at, against the goldens
 * "<name>.loss" and "<name>.din". */
static void check_loss(const char *name, double gain, int64_t h, int64_t w,
                       int (*build)(const struct nn_scope *s, int a, int b))
{
    struct err e = {0};
    struct nn_params *ps = nn_params_new(1, &e);
    struct nn_graph *g = nn_graph_new(&e);
    struct tensor *want = NULL;
    struct nn_train *t = NULL;
    const size_t n = (size_t)(2 * 3 * h * w);
    float *a = floats(n), *b = floats(n), *d = floats(n), loss;
    char full[32], why[192];
    assert_true(ps && g);
    struct nn_scope s = nn_scope(g, ps);
    int x = nn_input(g, 3, h, w), y = nn_input(g, 3, h, w);
    nn_output(g, build(&s, x, y));
    seed_weights(ps, gain, 0);
    snprintf(full, sizeof full, "%s.a", name);
    seeded_noise(full, a, n);
    snprintf(full, sizeof full, "%s.b", name);
    seeded_noise(full, b, n);
    snprintf(full, sizeof full, "%s.loss", name);
    struct nn_train_options o = {.batch = 2, .input_grads = true};
    if (nn_train_new(g, &o, &t, &e) ||
        nn_train_forward(t, (const float *[]){a, b}, &e) ||
        nn_train_backward(t, NULL, &e) ||
        safetensors_tensor(golden, full, &want, &e))
        fail_msg("%s", e.text);
    nn_train_output(t, 0, &loss);
    double expected = (double)tensor_f32(want)[0];
    if (fabs((double)loss - expected) > 1e-5 * expected)
        fail_msg("%s is %.8g, not %.8g", full, (double)loss, expected);
    nn_train_input_grad(t, 0, d);
    snprintf(full, sizeof full, "%s.din", name);
    if (!digest_check(golden, full, d, n, TOL_GRADIENT, 0, why, sizeof why))
        fail_msg("%s: %s", full, why);
    nn_train_input_grad(t, 1, d);
    assert_true(largest(d, n) == 0);
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        assert_null(nn_params_at(ps, i)->grad); /* frozen */
        assert_int_equal(nn_params_at(ps, i)->updates, 0);
    }
    tensor_free(&want);
    nn_train_free(&t);
    nn_graph_free(&g);
    nn_params_free(&ps);
    mem_free(a);
    mem_free(b);
    mem_free(d);
}

static int perceptual(const struct nn_scope *s, int a, int b)
{
    return vgg_loss(s, a, b, 8);
}

static int identity(const struct nn_scope *s, int a, int b)
{
    struct resnet_spec p = resnet_34;
    p.width = 8;
    return resnet_identity_loss(s, a, b, &p);
}

static void test_losses(void **state)
{
    (void)state;
    check_loss("vgg-loss", RELU_GAIN, 32, 48, perceptual);
    check_loss("identity", 1, 48, 64, identity);
}

/* Parameters and multiply-adds as published (networks.md). */
static void test_sizes(void **state)
{
    static const struct {
        const char *model;
        struct nn_shape in;
        double parameters, gflop;
    } want[] = {
        {"fan", {3, 256, 256}, 23.82e6, 50.5},
        {"resnet-depth", {71, 256, 256}, 58.50e6, 37.1},
        {"s3fd", {3, 256, 256}, 22.46e6, 0},
        {"global-generator", {6, 224, 224}, 45.6e6, 80.5},
        {"global-generator", {6, 128, 128}, 45.6e6, 26.3},
        {"resnet-18", {3, 224, 224}, 11689512, 3.63},
        {"resnet-34", {3, 224, 224}, 21284672 + 513.0 * 5994, 7.33},
        {"resnet-50", {3, 224, 224}, 25557032, 8.18},
        {"unet", {6, 64, 64}, 31039491, 0},
        {"patch-gan", {3, 256, 256}, 2765633, 0},
        {"lift", {136, 1, 1}, 1737949, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct err e = {0};
        struct nn_params *ps = nn_params_new(1, &e);
        struct nn_graph *g = nn_graph_new(&e);
        assert_true(ps && g);
        struct nn_scope s = nn_scope(g, ps);
        const struct model *m = model_find(want[i].model);
        assert_non_null(m);
        if (m->build(&s, want[i].in, NULL, "", &e))
            fail_msg("%s: %s", m->name, e.text);
        double n = (double)nn_params_total(ps);
        double unit = want[i].parameters < 40e6 ? 0.005e6 : 0.05e6;
        print_message("%s: %.0f parameters, %.2f GFLOP\n", m->name, n,
                      nn_graph_gflop(g));
        if (fabs(n - want[i].parameters) > unit)
            fail_msg("%s: %.0f parameters", m->name, n);
        if (want[i].gflop > 0 && fabs(nn_graph_gflop(g) - want[i].gflop) > 0.05)
            fail_msg("%s: %.2f GFLOP", m->name, nn_graph_gflop(g));
        nn_graph_free(&g);
        nn_params_free(&ps);
    }
}

static int open_golden(void **state)
{
    (void)state;
    struct err e = {0};
    if (!safetensors_read(MODEL_GOLDENS, &golden, &e))
        return 0;
    print_error("%s\n", e.text);
    return 1;
}

static int close_golden(void **state)
{
    (void)state;
    safetensors_free(&golden);
    return 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_training_fast),
        cmocka_unit_test(test_training_blas),
        cmocka_unit_test(test_training_bf16),
        cmocka_unit_test(test_eval),
        cmocka_unit_test(test_losses),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
