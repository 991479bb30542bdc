/* Ten training steps against PyTorch's: GlobalGenerator with MSE, and the GAN
 * pair. Goldens: tests/py/goldens_steps.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/models/gan_pair.h"
#include "lib/models/global_generator.h"
#include "lib/models/resnet.h"
#include "lib/models/vgg.h"
#include "lib/nn/threads.h"
#include "tests/support/model_weights.h"

#define GOLDEN "tests/golden/nn-steps.safetensors"
#define STEPS 10
#define BATCH 4
#define GAIN 10
#define SHIFT 2
#define BLOCK 8 /* pixels of one noise value */
/* Relative; as the issue asks. PyTorch in float32 and float64 are 1e-6 apart;
 * so are we in exact mode, 1e-5 in fast. */
#define TOL 1e-3

static struct safetensors *golden;

static const struct nn_optim_options adam = {
    .kind = NN_ADAM, .lr = 1e-3, .beta1 = 0.5, .beta2 = 0.999};
static const struct global_generator_spec small = {
    .width = 8, .down = 2, .blocks = 2};

static float *floats(size_t n)
{
    float *v = mem_array(n, sizeof *v);
    assert_non_null(v);
    return v;
}

/* As seeded() of goldens_steps.py. */
static void seed(struct nn_params *ps)
{
    seed_weights(ps, GAIN, SHIFT);
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        struct nn_param *p = nn_params_at(ps, i);
        const struct tensor *t = p->value;
        if (t->ndim != 2 && !(t->ndim == 4 && t->shape[0] == 3))
            continue;
        for (size_t k = 0; k < t->count; k++)
            tensor_f32(t)[k] /= (float)GAIN;
    }
}

/* Noise in blocks, f32[planes,side,side]. */
static void blocks(const char *name, int64_t planes, int64_t side, float *v)
{
    int64_t n = side / BLOCK;
    float *coarse = floats((size_t)(planes * n * n));
    seeded_noise(name, coarse, (size_t)(planes * n * n));
    for (int64_t i = 0; i < planes * side * side; i++) {
        int64_t x = i % side, y = i / side % side, p = i / side / side;
        v[i] = coarse[(p * n + y / BLOCK) * n + x / BLOCK];
    }
    mem_free(coarse);
}

/* x f32[BATCH,6,side,side], y f32[BATCH,3,side,side]: sample() there. */
static void sample(const char *name, int step, int64_t side, float *x, float *y)
{
    char full[32];
    int64_t plane = side * side;
    snprintf(full, sizeof full, "%s.x%d", name, step);
    blocks(full, BATCH * 6, side, x);
    snprintf(full, sizeof full, "%s.y%d", name, step);
    blocks(full, BATCH * 3, side, y);
    for (int64_t b = 0; b < BATCH; b++) {
        for (int64_t i = 0; i < 3 * plane; i++)
            y[b * 3 * plane + i] =
                x[b * 6 * plane + i] * 0.5F + y[b * 3 * plane + i] * 0.25F;
    }
}

static struct tensor *want(const char *name)
{
    struct tensor *t = NULL;
    struct err e = {0};
    if (safetensors_tensor(golden, name, &t, &e))
        fail_msg("%s", e.text);
    return t;
}

static void near(const char *what, int step, double got, float expected)
{
    if (!(fabs(got - (double)expected) <= TOL * fabs((double)expected)))
        fail_msg("step %d: %s is %.7g, PyTorch's %.7g", step, what, got,
                 (double)expected);
}

static void mse_steps(const struct nn_train_options *o)
{
    enum { SIDE = 32 };
    struct err e = {0};
    struct nn_params *ps = nn_params_new(1, &e);
    struct nn_graph *g = nn_graph_new(&e);
    struct nn_train *t = NULL;
    struct nn_optim *opt = NULL;
    struct tensor *losses = want("mse.losses");
    float *x = floats(BATCH * 6 * SIDE * SIDE);
    float *y = floats(BATCH * 3 * SIDE * SIDE), loss;
    assert_true(ps && g);
    struct nn_scope s = nn_scope(g, ps);
    int made = global_generator(&s, nn_input(g, 6, SIDE, SIDE), &small);
    nn_output(g, nn_mse_loss(g, made, nn_input(g, 3, SIDE, SIDE)));
    seed(ps);
    if (nn_train_new(g, o, &t, &e) || nn_optim_new(ps, &adam, &opt, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < STEPS; i++) {
        sample("mse", i, SIDE, x, y);
        nn_params_zero_grad(ps);
        if (nn_train_forward(t, (const float *[]){x, y}, &e) ||
            nn_train_backward(t, NULL, &e) || nn_optim_step(opt, NULL, &e))
            fail_msg("step %d: %s", i, e.text);
        nn_train_output(t, 0, &loss);
        near("MSE", i, (double)loss, tensor_f32(losses)[i]);
    }
    nn_optim_free(&opt);
    nn_train_free(&t);
    nn_graph_free(&g);
    nn_params_free(&ps);
    tensor_free(&losses);
    mem_free(x);
    mem_free(y);
}

static int generator(const struct nn_scope *s, int x, const void *arg)
{
    return global_generator(s, x, arg);
}

static int discriminator(const struct nn_scope *s, int x, const void *arg)
{
    return resnet_discriminator(s, x, arg, 0);
}

#define GAN_SIDE 64

/* ps[0] the generator's, ps[1] the discriminator's parameters. */
static struct gan_pair_options gan_options(struct nn_params *const ps[2],
                                           const struct nn_train_options *o)
{
    static const struct resnet_spec dis = {.blocks = {2, 2, 2, 2}, .width = 8};
    return (struct gan_pair_options){
        .generator = {ps[0], generator, &small, adam},
        .discriminator = {ps[1], discriminator, &dis, adam},
        .input = {6, GAN_SIDE, GAN_SIDE},
        .target = {3, GAN_SIDE, GAN_SIDE},
        .real = 0.95,
        .fake = 0.05,
        .weight = 0.25,
        .train = *o};
}

static void check_statistics(const struct nn_params *ps, const char *golden_of,
                             const char *name)
{
    struct tensor *t = want(golden_of);
    const struct nn_param *p = nn_params_find(ps, name);
    assert_true(p && p->value->count == t->count);
    assert_int_equal(p->updates, 3 * STEPS);
    double most = largest(tensor_f32(t), t->count);
    for (size_t i = 0; i < t->count; i++) {
        double d = (double)tensor_f32(p->value)[i] - (double)tensor_f32(t)[i];
        if (!(fabs(d) <= TOL * most))
            fail_msg("%s[%zu] is off by %.2g", name, i, d);
    }
    tensor_free(&t);
}

static void gan_steps(const struct nn_train_options *o)
{
    struct err e = {0};
    struct nn_params *ps[2] = {nn_params_new(1, &e), nn_params_new(2, &e)};
    struct gan_pair *pair = NULL;
    struct tensor *losses = want("gan.losses");
    float *x = floats(BATCH * 6 * GAN_SIDE * GAN_SIDE);
    float *y = floats(BATCH * 3 * GAN_SIDE * GAN_SIDE);
    assert_true(ps[0] && ps[1]);
    struct gan_pair_options p = gan_options(ps, o);
    if (gan_pair_new(&p, &pair, &e))
        fail_msg("%s", e.text);
    seed(ps[0]);
    seed(ps[1]);
    for (int i = 0; i < STEPS; i++) {
        const float *l = tensor_f32(losses) + (ptrdiff_t)i * 3;
        struct gan_losses got;
        sample("gan", i, GAN_SIDE, x, y);
        if (gan_pair_step(pair, x, y, &got, &e))
            fail_msg("step %d: %s", i, e.text);
        near("the discriminator's loss", i, got.discriminator, l[0]);
        near("MSE", i, got.content, l[1]);
        near("the adversarial loss", i, got.adversarial, l[2]);
        near("the generator's loss", i, got.generator, l[1] + 0.25F * l[2]);
    }
    check_statistics(ps[1], "gan.mean", "bn1.running_mean");
    check_statistics(ps[1], "gan.var", "bn1.running_var");
    assert_true(nn_optim_steps(gan_pair_generator_optim(pair)) == STEPS);
    assert_true(nn_optim_steps(gan_pair_discriminator_optim(pair)) == STEPS);
    gan_pair_free(&pair);
    assert_null(pair);
    nn_params_free(&ps[0]);
    nn_params_free(&ps[1]);
    tensor_free(&losses);
    mem_free(x);
    mem_free(y);
}

static const struct nn_train_options plans[] = {
    {.mode = NN_EXACT, .batch = BATCH},
    {.mode = NN_FAST, .batch = BATCH},
    {.path = NN_PATH_BLAS, .batch = BATCH},
};

static void test_mse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        mse_steps(&plans[i]);
}

static void test_gan(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        gan_steps(&plans[i]);
}

static void test_gan_refuses(void **state)
{
    (void)state;
    struct err e = {0};
    struct nn_params *ps[2] = {nn_params_new(1, &e), nn_params_new(2, &e)};
    struct gan_pair *pair = NULL;
    assert_true(ps[0] && ps[1]);
    struct gan_pair_options p = gan_options(ps, &plans[0]);
    p.real = 1.5;
    assert_int_equal(gan_pair_new(&p, &pair, &e), ERR_ARG);
    assert_null(pair);
    assert_non_null(strstr(e.text, "1.5"));
    p.real = 0.95;
    p.weight = -1;
    assert_int_equal(gan_pair_new(&p, &pair, &e), ERR_ARG);
    p.weight = 0.25;
    p.target.h = 32;
    assert_int_equal(gan_pair_new(&p, &pair, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "[3,64,64]"));
    nn_params_free(&ps[0]);
    nn_params_free(&ps[1]);
    gan_pair_free(&pair);
}

static int dropped_discriminator(const struct nn_scope *s, int x,
                                 const void *arg)
{
    return resnet_discriminator(s, x, arg, 0.5);
}

static int with_vgg(struct nn_graph *g, int fake, int target, const void *arg)
{
    struct nn_params *vgg = NULL;
    memcpy(&vgg, arg, sizeof vgg);
    struct nn_scope s = nn_scope(g, vgg);
    return nn_add(g, nn_mse_loss(g, fake, target),
                  vgg_loss(&s, fake, target, 2));
}

/* Two steps with a perceptual loss and dropout; the dropout's state is runs. */
static void two_steps(struct nn_params *vgg, uint64_t runs,
                      struct gan_losses losses[2], double *mse)
{
    struct err e = {0};
    struct nn_params *ps[2] = {nn_params_new(1, &e), nn_params_new(2, &e)};
    struct gan_pair *pair = NULL;
    const size_t n = BATCH * 3 * GAN_SIDE * GAN_SIDE;
    float *x = floats(2 * n), *y = floats(n);
    assert_true(ps[0] && ps[1]);
    struct gan_pair_options p = gan_options(ps, &plans[0]);
    p.discriminator.build = dropped_discriminator;
    p.content = with_vgg;
    p.content_arg = &vgg;
    if (gan_pair_new(&p, &pair, &e))
        fail_msg("%s", e.text);
    gan_pair_set_runs(pair, runs);
    for (int i = 0; i < 2; i++) {
        sample("gan", i, GAN_SIDE, x, y);
        if (gan_pair_step(pair, x, y, &losses[i], &e))
            fail_msg("%s", e.text);
    }
    assert_true(gan_pair_runs(pair) == runs + 2);
    assert_true(gan_pair_bytes(pair) > 4 * n);
    *mse = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)gan_pair_made(pair)[i] - (double)y[i];
        *mse += d * d / (double)n;
    }
    gan_pair_free(&pair);
    nn_params_free(&ps[0]);
    nn_params_free(&ps[1]);
    mem_free(x);
    mem_free(y);
}

static void test_gan_content(void **state)
{
    (void)state;
    struct err e = {0};
    struct nn_params *vgg = nn_params_new(3, &e);
    struct gan_losses a[2], b[2], c[2];
    double mse;
    assert_non_null(vgg);
    two_steps(vgg, 0, a, &mse);
    two_steps(vgg, 0, b, &mse);
    two_steps(vgg, 5, c, &mse);
    assert_memory_equal(a, b, sizeof a);
    assert_true(c[0].discriminator != a[0].discriminator);
    assert_true(c[0].content == a[0].content); /* no dropout before it */
    assert_true(c[1].content > mse && mse > 0);
    near("all", 1, c[1].generator,
         (float)(c[1].content + 0.25 * c[1].adversarial));
    for (size_t i = 0; i < nn_params_count(vgg); i++)
        assert_null(nn_params_at(vgg, i)->grad);
    nn_params_free(&vgg);
}

static int tiny_generator(const struct nn_scope *s, int x, const void *arg)
{
    struct nn_conv_layer c = {.out = 3, .kernel = 3, .pad = 1};
    (void)arg;
    return nn_conv_layer(s, x, "c", &c);
}

static int tiny_discriminator(const struct nn_scope *s, int x, const void *arg)
{
    struct nn_conv_layer c = {.out = 1, .kernel = 3, .stride = 2};
    (void)arg;
    return nn_conv_layer(s, x, "c", &c);
}

/* Every allocation of planning and of a step fails in turn. */
static void test_gan_memory(void **state)
{
    float x[6 * 64] = {0.5F}, y[3 * 64] = {0.25F};
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct err e = {0};
        struct gan_losses losses;
        struct gan_pair *pair = NULL;
        int64_t before = mem_live();
        mem_fail_nth(n);
        struct nn_params *g = nn_params_new(1, &e);
        struct nn_params *d = g ? nn_params_new(2, &e) : NULL;
        enum err_code r = ERR_NOMEM;
        if (d) {
            struct gan_pair_options p = {
                .generator = {g, tiny_generator, NULL, adam},
                .discriminator = {d, tiny_discriminator, NULL, adam},
                .input = {6, 8, 8},
                .target = {3, 8, 8},
                .real = 1,
                .weight = 1};
            r = gan_pair_new(&p, &pair, &e);
            if (!r)
                r = gan_pair_step(pair, x, y, &losses, &e);
        }
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        gan_pair_free(&pair);
        nn_params_free(&g);
        nn_params_free(&d);
        assert_true(mem_live() == before);
        if (!hit) {
            assert_int_equal(r, OK);
            assert_true(n > 20);
            break;
        }
        assert_int_equal(r, ERR_NOMEM);
    }
}

static int open_golden(void **state)
{
    (void)state;
    struct err e = {0};
    if (!safetensors_read(GOLDEN, &golden, &e))
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
        cmocka_unit_test(test_mse),         cmocka_unit_test(test_gan),
        cmocka_unit_test(test_gan_content), cmocka_unit_test(test_gan_refuses),
        cmocka_unit_test(test_gan_memory),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
