/* A run that was cut and resumed is, bit for bit, one that was not: networks
 * with dropout and batch norm, every optimiser, schedules that look back, GAN
 * pairs; one thread and two, f32 and bf16. Nothing of the first half is alive
 * in the second but its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/models/gan_pair.h"
#include "lib/nn/checkpoint.h"
#include "lib/nn/layer.h"
#include "lib/nn/threads.h"

#define BATCH 4
#define SIDE 16
#define STEPS 9
#define CUT 5
#define PICTURES ((size_t)BATCH * 3 * SIDE * SIDE)
#define CLASSES 10

static char path[2][32] = {"/tmp/facet-whole-XXXXXX", "/tmp/facet-cut-XXXXXX"};

static int make_files(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int fd = mkstemp(path[i]);
        if (fd < 0)
            return -1;
        close(fd);
    }
    return 0;
}

static int drop_files(void **state)
{
    (void)state;
    return unlink(path[0]) | unlink(path[1]);
}

/* Both files hold the same bytes? They hold all there is of a run. */
static bool same_files(void)
{
    struct err e = {0};
    struct buf b[2];
    for (int i = 0; i < 2; i++) {
        if (file_read(path[i], 1 << 26, &b[i], &e))
            fail_msg("%s", e.text);
    }
    bool same =
        b[0].len == b[1].len && memcmp(b[0].data, b[1].data, b[0].len) == 0;
    buf_free(&b[0]);
    buf_free(&b[1]);
    return same;
}

struct recipe {
    const char *name;
    struct nn_optim_options optim;
    struct nn_schedule schedule;
};

static const struct recipe recipes[] = {
    {"SGD with momentum, cosine",
     {.kind = NN_SGD, .momentum = 0.9, .nesterov = true, .weight_decay = 1e-3},
     {.kind = NN_COSINE, .lr = 0.05, .warmup = 3, .total = 9}},
    {"Adam, plateau",
     {.kind = NN_ADAM, .beta1 = 0.5, .clip_norm = 1.0},
     {.kind = NN_PLATEAU,
      .lr = 1e-3,
      .factor = 0.5,
      .patience = 1,
      .cooldown = 1,
      .threshold = 0.2}},
    {"AdamW, averaged, steps",
     {.kind = NN_ADAMW, .weight_decay = 0.1, .ema = 0.9},
     {.kind = NN_STEP_DECAY, .lr = 2e-3, .factor = 0.5, .every = 2}},
    {"SGD, averaged, plateau",
     {.kind = NN_SGD, .ema = 0.5, .clip_value = 0.1},
     {.kind = NN_PLATEAU, .lr = 0.1, .factor = 0.5, .threshold = 0.5}},
};

/* One network on the way. */
struct run {
    struct nn_params *ps;
    struct nn_train *train;
    struct nn_optim *optim;
    struct nn_schedule schedule;
    struct rng data;
    uint64_t step, runs;
    double best;
};

/* conv, norm, ReLU, dropout, conv, norm, leaky ReLU, two linear layers (the
 * first large enough for two threads at the optimiser), cross entropy. */
static void write_net(struct nn_graph *g, struct nn_params *ps)
{
    struct nn_scope s = nn_scope(g, ps);
    const struct nn_conv_layer a = {.out = 16, .kernel = 3, .pad = 1};
    const struct nn_conv_layer b = {
        .out = 16, .kernel = 3, .pad = 1, .stride = 2, .no_bias = true};
    int x = nn_input(g, 3, SIDE, SIDE), label = nn_input(g, 1, 1, 1);
    x = nn_conv_layer(&s, x, "conv1", &a);
    x = nn_relu(g, nn_batch_norm_layer(&s, x, "bn1"));
    x = nn_conv_layer(&s, nn_dropout(g, x, 0.3), "conv2", &b);
    x = nn_leaky_relu(g, nn_batch_norm_layer(&s, x, "bn2"), 0.2);
    x = nn_linear_layer(&s, nn_flatten(g, x), "hidden", 48, false);
    x = nn_dropout(g, nn_relu(g, x), 0.5);
    x = nn_linear_layer(&s, x, "out", CLASSES, false);
    nn_output(g, nn_cross_entropy(g, x, label, 0.1));
}

static void run_new(struct run *r, const struct recipe *how,
                    const struct nn_train_options *t, uint64_t seed)
{
    struct err e = {0};
    struct nn_graph *g = nn_graph_new(&e);
    *r = (struct run){.ps = nn_params_new(seed, &e)};
    assert_true(g && r->ps);
    write_net(g, r->ps);
    if (nn_train_new(g, t, &r->train, &e) ||
        nn_optim_new(r->ps, &how->optim, &r->optim, &e))
        fail_msg("%s", e.text);
    nn_graph_free(&g);
    r->schedule = how->schedule;
    rng_seed(&r->data, seed);
    r->best = (double)seed;
}

static void run_free(struct run *r)
{
    nn_train_free(&r->train);
    nn_optim_free(&r->optim);
    nn_params_free(&r->ps);
}

static void take_step(struct run *r)
{
    struct err e = {0};
    float x[PICTURES], label[BATCH], loss;
    const float *in[] = {x, label};
    for (size_t i = 0; i < PICTURES; i++)
        x[i] = (float)rng_normal(&r->data);
    for (size_t i = 0; i < BATCH; i++)
        label[i] = (float)rng_below(&r->data, CLASSES);
    nn_optim_set_lr(r->optim, nn_schedule_lr(&r->schedule, (double)r->step));
    nn_params_zero_grad(r->ps);
    if (nn_train_forward(r->train, in, &e) ||
        nn_train_backward(r->train, NULL, &e) ||
        nn_optim_step(r->optim, NULL, &e))
        fail_msg("step %d: %s", (int)r->step, e.text);
    nn_train_output(r->train, 0, &loss);
    (void)nn_schedule_report(&r->schedule, (double)loss);
    if (r->step == 0 || (double)loss < r->best)
        r->best = (double)loss;
    r->step++;
}

static void run_file(struct run *r, const char *file, bool save)
{
    struct err e = {0};
    const struct nn_checkpoint_part parts[] = {
        {"net", r->ps, r->optim, &r->schedule}, {0}};
    const struct nn_checkpoint_value values[] = {
        {"step", &r->step, NULL},      {"runs", &r->runs, NULL},
        {"best", NULL, &r->best},      {"rng0", &r->data.s[0], NULL},
        {"rng1", &r->data.s[1], NULL}, {"rng2", &r->data.s[2], NULL},
        {"rng3", &r->data.s[3], NULL}, {0}};
    if (save)
        r->runs = nn_train_runs(r->train);
    if (save ? nn_checkpoint_save(file, parts, values, NULL, &e)
             : nn_checkpoint_load(file, parts, values, &e))
        fail_msg("%s", e.text);
    if (!save)
        nn_train_set_runs(r->train, r->runs);
}

/* What is left are weights, statistics and the optimiser. */
static void forget(struct run *r)
{
    r->schedule = recipes[0].schedule;
    r->best = 0;
    rng_seed(&r->data, 0);
    nn_train_set_runs(r->train, 0);
}

/* Two runs of the same; the second is cut. `used`: the plan that goes on has
 * run before. `spoil` changes something of what was resumed; only weights and
 * the optimiser are compared then. */
static bool resumed_is_same(const struct recipe *how,
                            const struct nn_train_options *t, bool used,
                            void (*spoil)(struct run *))
{
    struct run r;
    for (int cut = 0; cut < 2; cut++) {
        run_new(&r, how, t, 1);
        while (r.step < (cut ? CUT : STEPS))
            take_step(&r);
        if (spoil && !cut)
            forget(&r);
        run_file(&r, path[cut], true);
        run_free(&r);
    }
    run_new(&r, how, t, 2);
    if (used)
        take_step(&r);
    run_file(&r, path[1], false);
    assert_int_equal(r.step, CUT);
    if (spoil)
        spoil(&r);
    while (r.step < STEPS)
        take_step(&r);
    if (spoil)
        forget(&r);
    run_file(&r, path[1], true);
    run_free(&r);
    return same_files();
}

/* Recipe i with one thread, or several. */
static void check_recipe(size_t i, const struct nn_train_options *t,
                         int threads, bool used)
{
    nn_threads_set(threads);
    if (!resumed_is_same(&recipes[i], t, used, NULL))
        fail_msg("%s, %d threads: the resumed run ends elsewhere",
                 recipes[i].name, threads);
    nn_threads_set(0);
}

static const struct nn_train_options plain = {.batch = BATCH, .seed = 11};
static const struct nn_train_options fast = {
    .batch = BATCH, .seed = 11, .mode = NN_FAST};
static const struct nn_train_options blas = {
    .batch = BATCH, .seed = 11, .path = NN_PATH_BLAS};
static const struct nn_train_options bf16 = {
    .batch = BATCH, .seed = 11, .bf16 = true};

#define RECIPES (sizeof recipes / sizeof *recipes)

static void test_one_thread(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECIPES; i++) {
        for (int used = 0; used < 2; used++) {
            check_recipe(i, &plain, 1, used);
            check_recipe(i, &fast, 1, used);
            check_recipe(i, &blas, 1, used);
        }
    }
}

/* Fewer: where other programs want the cores too, two threads mostly wait. */
static void test_two_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECIPES; i++)
        check_recipe(i, &plain, 2, i % 2);
    check_recipe(1, &fast, 2, false);
    check_recipe(2, &blas, 2, false);
}

static void test_bf16(void **state)
{
    (void)state;
    if (!nn_has_bf16() || !nn_has_dnnl())
        skip();
    for (size_t i = 0; i < RECIPES; i++)
        check_recipe(i, &bf16, 1, i % 2);
    check_recipe(1, &bf16, 2, false);
}

/* ---- The comparison can fail: each piece of state counts ---- */

static void other_runs(struct run *r)
{
    nn_train_set_runs(r->train, r->runs + 1);
}

static void other_data(struct run *r)
{
    (void)rng_u64(&r->data);
}

static void other_plateau(struct run *r)
{
    r->schedule = recipes[3].schedule;
}

/* Weights and steps stay, momenta are those of a new optimiser. */
static void other_momenta(struct run *r)
{
    struct err e = {0};
    struct nn_optim *o = NULL;
    if (nn_optim_new(r->ps, &recipes[0].optim, &o, &e))
        fail_msg("%s", e.text);
    nn_optim_free(&r->optim);
    r->optim = o;
}

static void other_statistic(struct run *r)
{
    tensor_f32(nn_params_find(r->ps, "bn2.running_var")->value)[3] *= 1.5F;
}

static void nothing(struct run *r)
{
    (void)r;
}

static void test_state_counts(void **state)
{
    (void)state;
    const struct {
        void (*spoil)(struct run *);
        int recipe;
    } pieces[] = {{other_runs, 3},
                  {other_data, 3},
                  {other_plateau, 3},
                  {other_momenta, 0},
                  {other_statistic, 3}};
    nn_threads_set(1);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        const struct recipe *r = &recipes[pieces[i].recipe];
        assert_true(resumed_is_same(r, &plain, false, nothing));
        assert_false(resumed_is_same(r, &plain, false, pieces[i].spoil));
    }
    nn_threads_set(0);
}

/* ---- A generator and a discriminator ---- */

struct gan {
    struct nn_params *ps[2];
    struct gan_pair *pair;
    uint64_t step, runs;
};

static int make_picture(const struct nn_scope *s, int x, const void *arg)
{
    const struct nn_conv_layer a = {.out = 8, .kernel = 3, .pad = 1};
    const struct nn_conv_layer b = {.out = 3, .kernel = 3, .pad = 1};
    (void)arg;
    x = nn_batch_norm_layer(s, nn_conv_layer(s, x, "a", &a), "bn");
    x = nn_dropout(s->g, nn_relu(s->g, x), 0.5);
    return nn_tanh(s->g, nn_conv_layer(s, x, "b", &b));
}

static int judge_picture(const struct nn_scope *s, int x, const void *arg)
{
    const struct nn_conv_layer a = {
        .out = 8, .kernel = 4, .pad = 1, .stride = 2};
    const struct nn_conv_layer b = {.out = 1, .kernel = 3};
    (void)arg;
    x = nn_batch_norm_layer(s, nn_conv_layer(s, x, "a", &a), "bn");
    x = nn_dropout(s->g, nn_leaky_relu(s->g, x, 0.2), 0.3);
    return nn_conv_layer(s, x, "b", &b);
}

static void gan_new(struct gan *p, const struct nn_train_options *t,
                    uint64_t seed)
{
    struct err e = {0};
    *p = (struct gan){
        .ps = {nn_params_new(seed, &e), nn_params_new(seed + 1, &e)}};
    assert_true(p->ps[0] && p->ps[1]);
    const struct gan_pair_options o = {
        .generator = {p->ps[0],
                      make_picture,
                      NULL,
                      {.kind = NN_ADAM, .lr = 1e-3, .beta1 = 0.5, .ema = 0.9}},
        .discriminator = {p->ps[1],
                          judge_picture,
                          NULL,
                          {.kind = NN_SGD, .lr = 0.01, .momentum = 0.5}},
        .input = {3, SIDE, SIDE},
        .target = {3, SIDE, SIDE},
        .real = 0.95,
        .fake = 0.05,
        .weight = 0.25,
        .train = *t};
    if (gan_pair_new(&o, &p->pair, &e))
        fail_msg("%s", e.text);
}

static void gan_free(struct gan *p)
{
    gan_pair_free(&p->pair);
    nn_params_free(&p->ps[0]);
    nn_params_free(&p->ps[1]);
}

/* The data's position is the step: each batch is drawn from it. */
static void gan_steps(struct gan *p, uint64_t until)
{
    struct err e = {0};
    struct gan_losses losses;
    float x[PICTURES], y[PICTURES];
    for (; p->step < until; p->step++) {
        struct rng r;
        rng_seed(&r, p->step);
        for (size_t i = 0; i < PICTURES; i++) {
            x[i] = (float)rng_normal(&r);
            y[i] = x[i] * 0.5F;
        }
        if (gan_pair_step(p->pair, x, y, &losses, &e))
            fail_msg("%s", e.text);
    }
}

static void gan_file(struct gan *p, const char *file, bool save)
{
    struct err e = {0};
    const struct nn_checkpoint_part parts[] = {
        {"generator", p->ps[0], gan_pair_generator_optim(p->pair), NULL},
        {"discriminator", p->ps[1], gan_pair_discriminator_optim(p->pair),
         NULL},
        {0}};
    const struct nn_checkpoint_value values[] = {
        {"step", &p->step, NULL}, {"runs", &p->runs, NULL}, {0}};
    p->runs = save ? gan_pair_runs(p->pair) : 0;
    if (save ? nn_checkpoint_save(file, parts, values, NULL, &e)
             : nn_checkpoint_load(file, parts, values, &e))
        fail_msg("%s", e.text);
    if (!save)
        gan_pair_set_runs(p->pair, p->runs);
}

static bool gan_is_same(const struct nn_train_options *t, int threads,
                        uint64_t more_runs)
{
    struct gan p;
    nn_threads_set(threads);
    gan_new(&p, t, 1);
    gan_steps(&p, STEPS);
    gan_file(&p, path[0], true);
    gan_free(&p);
    gan_new(&p, t, 1);
    gan_steps(&p, CUT);
    gan_file(&p, path[1], true);
    gan_free(&p);
    gan_new(&p, t, 5);
    gan_steps(&p, 1);
    gan_file(&p, path[1], false);
    assert_int_equal(p.step, CUT);
    gan_pair_set_runs(p.pair, p.runs + more_runs);
    gan_steps(&p, STEPS);
    gan_pair_set_runs(p.pair, STEPS);
    gan_file(&p, path[1], true);
    gan_free(&p);
    nn_threads_set(0);
    return same_files();
}

static void test_gan(void **state)
{
    (void)state;
    assert_true(gan_is_same(&plain, 1, 0));
    assert_true(gan_is_same(&blas, 1, 0));
    assert_false(gan_is_same(&plain, 1, 1));
    assert_true(gan_is_same(&plain, 2, 0));
    if (nn_has_bf16() && nn_has_dnnl())
        assert_true(gan_is_same(&bf16, 1, 0));
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_thread), cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_bf16),       cmocka_unit_test(test_state_counts),
        cmocka_unit_test(test_gan),
    };
    return cmocka_run_group_tests(tests, make_files, drop_files);
}
