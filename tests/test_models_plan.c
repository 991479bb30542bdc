/* Every network in inference plans: against PyTorch, against the training
 * plan's evaluation, and in bf16. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/net.h"
#include "lib/nn/threads.h"
#include "lib/nn/train.h"
#include "tests/support/model_cases.h"
#include "tests/support/model_weights.h"

/* Relative to the largest value; fast (Winograd) loses about a digit. */
#define TOL 1e-4
#define TOL_FAST 1e-3
/* Two ways of computing the same in f32: relative to the norm. */
#define TOL_PLANS 1e-5
/* bf16 keeps 8 bits, and errors of layers add up: relative to the norm. */
#define TOL_BF16 0.1

static struct safetensors *golden;

static void run_plan(struct written *w, const struct nn_options *o,
                     const char *variant, float **out)
{
    struct nn_net *net = NULL;
    struct err e = {0};
    struct nn_options own = *o;
    const float *in = w->in;
    own.batch = w->c->batch;
    if (nn_plan(w->g, &own, &net, &e) || nn_run(net, &in, out, &e))
        fail_msg("%s (%s): %s", w->c->name, variant, e.text);
    nn_net_free(&net);
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

static void evaluate(struct written *w)
{
    struct nn_train *t = NULL;
    struct err e = {0};
    struct nn_train_options o = {.batch = w->c->batch, .no_backward = true};
    const float *in = w->in;
    if (nn_train_new(w->g, &o, &t, &e) || nn_train_forward(t, &in, &e))
        fail_msg("%s: %s", w->c->name, e.text);
    for (int i = 0; i < w->n_out; i++)
        nn_train_output(t, i, w->dout[i]);
    nn_train_free(&t);
}

static void compare_plans(const struct written *w, double tol, bool differs)
{
    for (int i = 0; i < w->n_out; i++) {
        double d = distance(w->out[i], w->dout[i], w->count[i]);
        if (!(d <= tol) || (differs && d == 0.0))
            fail_msg("%s: output %d is %.3g off the training plan's",
                     w->c->name, i, d);
    }
}

static void test_plans(void **state)
{
    static const struct {
        const char *name;
        struct nn_options o;
        double tol;
    } variants[] = {
        {"exact", {.mode = NN_EXACT}, TOL},
        {"fast", {.mode = NN_FAST}, TOL_FAST},
        {"blas", {.path = NN_PATH_BLAS}, TOL},
        {"unfused", {.unfused = true}, TOL},
    };
    (void)state;
    for (size_t i = 0; i < model_cases_count; i++) {
        struct written w;
        write_case(&w, &model_cases[i], golden, true);
        evaluate(&w);
        for (size_t k = 0; k < sizeof variants / sizeof *variants; k++) {
            run_plan(&w, &variants[k].o, variants[k].name, w.out);
            check_outputs(&w, golden, variants[k].name, "eval",
                          variants[k].tol);
            if (variants[k].o.mode == NN_EXACT)
                compare_plans(&w, TOL_PLANS, false);
        }
        erase_case(&w);
    }
}

static void test_bf16(void **state)
{
    (void)state;
    if (!nn_has_bf16())
        skip();
    for (size_t i = 0; i < model_cases_count; i++) {
        struct written w;
        write_case(&w, &model_cases[i], golden, true);
        evaluate(&w);
        run_plan(&w, &(struct nn_options){.bf16 = true}, "bf16", w.out);
        compare_plans(&w, TOL_BF16, true);
        erase_case(&w);
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
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
