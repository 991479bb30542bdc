/* Learning-rate schedules against PyTorch's over their lives. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/safetensors.h"
#include "lib/nn/schedule.h"

#define GOLDEN "tests/golden/nn-optim.safetensors"

/* Goldens are f32, so half a unit of that in the last place. */
#define TOLERANCE 1e-7

static const struct {
    const char *name;
    struct nn_schedule s;
} cases[] = {
    {"step", {.kind = NN_STEP_DECAY, .lr = 0.4, .factor = 0.3, .every = 7.0}},
    {"step-warm",
     {.kind = NN_STEP_DECAY,
      .lr = 0.4,
      .factor = 0.5,
      .every = 10.0,
      .warmup = 6.0}},
    {"cosine", {.kind = NN_COSINE, .lr = 0.4, .total = 25.0, .lr_min = 0.01}},
    {"cosine-warm",
     {.kind = NN_COSINE, .lr = 0.4, .total = 35.0, .warmup = 5.0}},
    {"constant-warm", {.kind = NN_CONSTANT, .lr = 0.4, .warmup = 8.0}},
    {"plateau",
     {.kind = NN_PLATEAU,
      .lr = 0.4,
      .factor = 0.5,
      .patience = 2,
      .threshold = 1e-2}},
    {"plateau-cool",
     {.kind = NN_PLATEAU,
      .lr = 0.4,
      .factor = 0.3,
      .cooldown = 3,
      .threshold = 1e-3,
      .lr_min = 0.02}},
    {"plateau-flat",
     {.kind = NN_PLATEAU,
      .lr = 0.4,
      .factor = 0.1,
      .patience = 3,
      .threshold = 1e-4}},
    {"plateau-max",
     {.kind = NN_PLATEAU,
      .lr = 0.4,
      .factor = 0.6,
      .patience = 1,
      .threshold = 0.05,
      .lr_min = 0.1,
      .larger_is_better = true}},
};

static struct tensor *golden(const struct safetensors *f, const char *name,
                             const char *leaf)
{
    char full[64];
    struct tensor *t = NULL;
    struct err e = {0};
    snprintf(full, sizeof full, "%s.%s", name, leaf);
    if (safetensors_tensor(f, full, &t, &e) != OK)
        fail_msg("%s", e.text);
    return t;
}

static void follow(const struct safetensors *f, const char *name,
                   struct nn_schedule s)
{
    struct err e = {0};
    struct tensor *lr = golden(f, name, "lr"), *metric = NULL;
    if (s.kind == NN_PLATEAU)
        metric = golden(f, name, "metric");
    assert_int_equal(nn_schedule_check(&s, &e), OK);
    for (size_t u = 0; u < lr->count; u++) {
        double ours = nn_schedule_lr(&s, (double)u);
        double theirs = tensor_get(lr, u);
        if (fabs(ours - theirs) > TOLERANCE * fabs(theirs) + 1e-12)
            fail_msg("%s at unit %zu: %.9g, PyTorch %.9g", name, u, ours,
                     theirs);
        bool fell = nn_schedule_report(&s, metric ? tensor_get(metric, u) : 0);
        assert_int_equal(fell, nn_schedule_lr(&s, (double)u) < ours);
        assert_int_equal(nn_schedule_check(&s, &e), OK);
    }
    tensor_free(&lr);
    tensor_free(&metric);
}

static void test_golden(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors *f = NULL;
    if (safetensors_read(GOLDEN, &f, &e) != OK)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        follow(f, cases[i].name, cases[i].s);
    safetensors_free(&f);
}

static void test_between_units(void **state)
{
    (void)state;
    struct nn_schedule s = {.kind = NN_COSINE, .lr = 2.0, .total = 4.0};
    assert_true(nn_schedule_lr(&s, 0.0) == 2.0);
    assert_true(fabs(nn_schedule_lr(&s, 2.0) - 1.0) < 1e-15);
    assert_true(nn_schedule_lr(&s, 1.5) > nn_schedule_lr(&s, 1.75));
    assert_true(nn_schedule_lr(&s, 4.0) == 0.0);
    assert_true(nn_schedule_lr(&s, 1e9) == 0.0);
    s = (struct nn_schedule){
        .kind = NN_STEP_DECAY, .lr = 1.0, .factor = 0.5, .every = 2.5};
    assert_true(nn_schedule_lr(&s, 2.49) == 1.0);
    assert_true(nn_schedule_lr(&s, 2.5) == 0.5);
    s = (struct nn_schedule){.kind = NN_CONSTANT, .lr = 1.0, .warmup = 4.0};
    assert_true(nn_schedule_lr(&s, 0.0) == 0.25);
    assert_true(nn_schedule_lr(&s, 0.5) == 0.375);
    assert_true(nn_schedule_lr(&s, 3.5) == 1.0);
    assert_false(nn_schedule_report(&s, 1.0));
    assert_false(s.started);
}

/* A number that is none never counts as better; nothing is lost by it. */
static void test_plateau_not_a_number(void **state)
{
    (void)state;
    struct nn_schedule s = {
        .kind = NN_PLATEAU, .lr = 1.0, .factor = 0.5, .patience = 1};
    assert_false(nn_schedule_report(&s, 3.0));
    assert_false(nn_schedule_report(&s, (double)NAN));
    assert_true(s.best == 3.0);
    assert_true(nn_schedule_report(&s, (double)NAN));
    assert_true(nn_schedule_lr(&s, 0.0) == 0.5);
    assert_false(nn_schedule_report(&s, 2.0));
    assert_true(s.best == 2.0);
}

static void refused(struct nn_schedule s, const char *text)
{
    struct err e = {0};
    assert_int_equal(nn_schedule_check(&s, &e), ERR_ARG);
    if (!strstr(e.text, text))
        fail_msg("'%s' lacks '%s'", e.text, text);
}

static void test_refuses(void **state)
{
    (void)state;
    double nan = (double)NAN;
    const struct nn_schedule step = cases[0].s, cosine = cases[2].s,
                             plateau = cases[5].s;
    struct nn_schedule s;
#define BAD(base, field, value, text)                                          \
    (s = (base), s.field = (value), refused(s, text))
    BAD(step, lr, -1.0, "lr cannot be -1");
    BAD(step, lr, nan, "lr cannot be");
    BAD(step, kind, (enum nn_schedule_kind)9, "no kind 9");
    BAD(step, warmup, 0.5, "warmup is 0 or at least 1, not 0.5");
    BAD(step, warmup, nan, "warmup");
    BAD(step, warmup, HUGE_VAL, "warmup");
    BAD(step, factor, 0.0, "factor cannot be 0");
    BAD(step, factor, nan, "factor");
    BAD(step, every, 0.0, "every cannot be 0");
    BAD(step, every, HUGE_VAL, "every");
    BAD(cosine, total, 0.0, "total cannot be 0");
    BAD(cosine, total, nan, "total");
    BAD(cosine, lr_min, 0.5, "lr_min is from 0 to lr");
    BAD(cosine, lr_min, nan, "lr_min");
    BAD(plateau, factor, 1.0, "between 0 and 1, not 1");
    BAD(plateau, factor, nan, "between 0 and 1");
    BAD(plateau, patience, -1, "patience -1");
    BAD(plateau, cooldown, -2, "cooldown -2");
    BAD(plateau, threshold, 1.0, "threshold");
    BAD(plateau, threshold, nan, "threshold");
    struct nn_schedule run = plateau;
    (void)nn_schedule_report(&run, 1.0);
    BAD(run, best, nan, "a plateau cannot be at");
    BAD(run, bad, 3, "bad 3");
    BAD(run, cooling, 1, "cooling 1");
    BAD(run, scale, 0.0, "scale 0");
    BAD(run, scale, nan, "scale");
#undef BAD
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_between_units),
        cmocka_unit_test(test_plateau_not_a_number),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
