/* Optimisers against PyTorch's steps, and against a plain loop where there is
 * more than one thread's work. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/optim.h"
#include "lib/nn/threads.h"

#define GOLDEN "tests/golden/nn-optim.safetensors"
#define P 55 /* numbers in the goldens' three parameters */

/* Both sides round at the same places; what is left is fused multiply-add and
 * the norm's order of sums. */
#define TOLERANCE 1e-6

struct golden_case {
    const char *name;
    struct nn_optim_options o;
    double fall; /* factor of lr after every step; 0: 1 */
};

static const struct golden_case cases[] = {
    {"sgd", {.kind = NN_SGD, .lr = 0.1}, 0.0},
    {"sgd-momentum", {.kind = NN_SGD, .lr = 0.05, .momentum = 0.9}, 0.0},
    {"sgd-decay",
     {.kind = NN_SGD, .lr = 0.05, .momentum = 0.9, .weight_decay = 0.01},
     0.0},
    {"sgd-nesterov",
     {.kind = NN_SGD,
      .lr = 0.05,
      .momentum = 0.8,
      .weight_decay = 0.02,
      .nesterov = true},
     0.0},
    {"sgd-lr", {.kind = NN_SGD, .lr = 0.2, .momentum = 0.9}, 0.8},
    {"sgd-norm",
     {.kind = NN_SGD, .lr = 0.1, .momentum = 0.9, .clip_norm = 2.0},
     0.0},
    {"sgd-value", {.kind = NN_SGD, .lr = 0.1, .clip_value = 0.5}, 0.0},
    {"sgd-ema", {.kind = NN_SGD, .lr = 0.1, .momentum = 0.5, .ema = 0.7}, 0.0},
    {"adam", {.kind = NN_ADAM, .lr = 0.01}, 0.0},
    {"adam-decay", {.kind = NN_ADAM, .lr = 0.01, .weight_decay = 0.1}, 0.0},
    {"adam-betas",
     {.kind = NN_ADAM, .lr = 0.02, .beta1 = 0.5, .beta2 = 0.99, .eps = 1e-3},
     0.0},
    {"adam-lr", {.kind = NN_ADAM, .lr = 0.05}, 0.7},
    {"adam-norm",
     {.kind = NN_ADAM, .lr = 0.01, .weight_decay = 0.01, .clip_norm = 1.5},
     0.0},
    {"adamw", {.kind = NN_ADAMW, .lr = 0.01, .weight_decay = 0.05}, 0.0},
    {"adamw-all",
     {.kind = NN_ADAMW,
      .lr = 0.02,
      .beta1 = 0.8,
      .beta2 = 0.95,
      .weight_decay = 0.3,
      .clip_norm = 7.0,
      .clip_value = 1.25,
      .ema = 0.9},
     0.9},
};

static const struct nn_init_spec zero = {.kind = NN_INIT_ZERO};

static struct nn_param *get(struct nn_params *ps, const char *name, int ndim,
                            int64_t a, int64_t b, bool buffer)
{
    struct err e = {0};
    struct nn_param *p = NULL;
    const int64_t shape[2] = {a, b};
    if (nn_params_get(ps, name, ndim, shape, buffer, zero, &p, &e) != OK)
        fail_msg("%s", e.text);
    return p;
}

/* The goldens' parameters a, b, c and a statistic that must stay. */
static struct nn_params *three(bool grads)
{
    struct err e = {0};
    struct nn_params *ps = nn_params_new(1, &e);
    assert_non_null(ps);
    get(ps, "a", 2, 7, 5, false);
    get(ps, "s.running_mean", 1, 3, 0, true);
    get(ps, "b", 1, 19, 0, false);
    get(ps, "c", 1, 1, 0, false);
    if (grads)
        assert_int_equal(nn_params_grads(ps, &e), OK);
    return ps;
}

/* flat[55] from or to the three. */
static void spread(struct nn_params *ps, const float *flat, bool grad)
{
    static const char *const names[3] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        struct nn_param *p = nn_params_find(ps, names[i]);
        memcpy(grad ? p->grad : tensor_f32(p->value), flat, p->value->bytes);
        flat += p->value->count;
    }
}

static void gather(const struct nn_params *ps, float *flat)
{
    static const char *const names[3] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        const struct nn_param *p = nn_params_find(ps, names[i]);
        memcpy(flat, p->value->data, p->value->bytes);
        flat += p->value->count;
    }
}

static struct tensor *tensor_of(const struct safetensors *f, const char *name,
                                const char *leaf)
{
    char full[64];
    struct tensor *t = NULL;
    struct err e = {0};
    snprintf(full, sizeof full, "%s%s", name, leaf);
    if (safetensors_find(f, full, NULL) &&
        safetensors_tensor(f, full, &t, &e) != OK)
        fail_msg("%s", e.text);
    return t;
}

static void compare(const char *name, const char *what, size_t step,
                    const struct nn_params *ps, const struct tensor *want)
{
    float ours[P];
    const float *theirs = tensor_f32(want) + step * P;
    gather(ps, ours);
    for (int i = 0; i < P; i++) {
        double gap = fabs((double)ours[i] - (double)theirs[i]);
        if (gap > TOLERANCE * fmax(1.0, fabs((double)theirs[i])))
            fail_msg("%s, %s %d after step %zu: %.9g, PyTorch %.9g", name, what,
                     i, step, (double)ours[i], (double)theirs[i]);
    }
}

static void follow(const struct safetensors *f, const struct golden_case *c)
{
    struct err e = {0};
    struct nn_params *ps = three(true), *average = three(false);
    struct nn_optim *o = NULL;
    struct tensor *start = tensor_of(f, "start", ""),
                  *grads = tensor_of(f, "grads", ""),
                  *out = tensor_of(f, c->name, ".out"),
                  *norms = tensor_of(f, c->name, ".norm"),
                  *ema = tensor_of(f, c->name, ".ema");
    assert_true(start && grads && out && start->count == P);
    assert_int_equal(norms != NULL, c->o.clip_norm > 0.0);
    assert_int_equal(ema != NULL, c->o.ema > 0.0);
    spread(ps, tensor_f32(start), false);
    assert_int_equal(nn_optim_new(ps, &c->o, &o, &e), OK);
    double lr = c->o.lr;
    for (size_t t = 0; t < (size_t)grads->shape[0]; t++) {
        double norm = -1.0;
        spread(ps, tensor_f32(grads) + t * P, true);
        nn_optim_set_lr(o, lr);
        assert_true(nn_optim_lr(o) == lr);
        if (nn_optim_step(o, &norm, &e) != OK)
            fail_msg("%s: %s", c->name, e.text);
        lr *= c->fall > 0.0 ? c->fall : 1.0;
        compare(c->name, "weight", t, ps, out);
        if (norms && fabs(norm - tensor_get(norms, t)) >
                         TOLERANCE * tensor_get(norms, t))
            fail_msg("%s: norm %.9g at step %zu, PyTorch %.9g", c->name, norm,
                     t, tensor_get(norms, t));
        if (ema) {
            assert_int_equal(nn_optim_ema(o, average, &e), OK);
            compare(c->name, "average", t, average, ema);
        }
        assert_memory_equal(nn_params_find(ps, "a")->grad,
                            tensor_f32(grads) + t * P, 35 * sizeof(float));
    }
    assert_int_equal(nn_optim_steps(o), grads->shape[0]);
    assert_int_equal(nn_params_find(ps, "b")->version, grads->shape[0]);
    assert_int_equal(nn_params_find(ps, "s.running_mean")->version, 0);
    tensor_free(&start);
    tensor_free(&grads);
    tensor_free(&out);
    tensor_free(&norms);
    tensor_free(&ema);
    nn_optim_free(&o);
    nn_params_free(&average);
    nn_params_free(&ps);
}

static void test_golden(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors *f = NULL;
    if (safetensors_read(GOLDEN, &f, &e) != OK)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        follow(f, &cases[i]);
    safetensors_free(&f);
}

/* A set large enough for chunks and threads, with odd sizes. */
static struct nn_params *large(void)
{
    struct err e = {0};
    struct nn_params *ps = nn_params_new(5, &e);
    struct nn_param *p;
    const int64_t shapes[3][2] = {{331, 257}, {8193, 3}, {17, 1}};
    static const char *const names[3] = {"w", "x.y", "z"};
    assert_non_null(ps);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            nn_params_get(ps, names[i], 2, shapes[i], false,
                          (struct nn_init_spec){NN_INIT_NORMAL, 1.0}, &p, &e),
            OK);
    assert_int_equal(nn_params_grads(ps, &e), OK);
    return ps;
}

static void random_grads(struct nn_params *ps, struct rng *r)
{
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        struct nn_param *p = nn_params_at(ps, i);
        for (size_t k = 0; k < p->value->count; k++)
            p->grad[k] = (float)rng_normal(r);
    }
}

/* AdamW in double, straight from the paper (Loshchilov and Hutter 2019). */
static void plain_adamw(double *w, double *m, double *v, const float *g,
                        size_t n, int t, double clip)
{
    for (size_t i = 0; i < n; i++) {
        double d = clip * (double)g[i];
        m[i] = 0.9 * m[i] + 0.1 * d;
        v[i] = 0.999 * v[i] + 0.001 * d * d;
        w[i] -= 0.01 * 0.1 * w[i];
        w[i] -= 0.01 * (m[i] / (1.0 - pow(0.9, t))) /
                (sqrt(v[i] / (1.0 - pow(0.999, t))) + 1e-8);
    }
}

static void test_large(void **state)
{
    (void)state;
    struct err e = {0};
    struct nn_params *ps = large();
    struct nn_optim *o = NULL;
    const struct nn_optim_options opt = {
        .kind = NN_ADAMW, .lr = 0.01, .weight_decay = 0.1, .clip_norm = 50.0};
    assert_int_equal(nn_optim_new(ps, &opt, &o, &e), OK);
    size_t total = (size_t)nn_params_total(ps), at = 0;
    double *w = mem_calloc(3 * total, sizeof *w), *m = w + total;
    double *v = m + total;
    assert_non_null(w);
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        const struct tensor *t = nn_params_at(ps, i)->value;
        for (size_t k = 0; k < t->count; k++)
            w[at++] = tensor_get(t, k);
    }
    struct rng r;
    rng_seed(&r, 9);
    for (int t = 1; t <= 5; t++) {
        double sum = 0.0, norm;
        random_grads(ps, &r);
        for (size_t i = 0; i < nn_params_count(ps); i++) {
            const struct nn_param *p = nn_params_at(ps, i);
            for (size_t k = 0; k < p->value->count; k++)
                sum += (double)p->grad[k] * (double)p->grad[k];
        }
        assert_int_equal(nn_optim_step(o, &norm, &e), OK);
        assert_true(fabs(norm - sqrt(sum)) < 1e-9 * norm);
        at = 0;
        for (size_t i = 0; i < nn_params_count(ps); i++) {
            const struct nn_param *p = nn_params_at(ps, i);
            size_t n = p->value->count;
            plain_adamw(w + at, m + at, v + at, p->grad, n, t,
                        50.0 / (sqrt(sum) + 1e-6));
            for (size_t k = 0; k < n; k++)
                assert_true(fabs(w[at + k] - tensor_get(p->value, k)) < 3e-6);
            at += n;
        }
    }
    mem_free(w);
    nn_optim_free(&o);
    nn_params_free(&ps);
}

static void run_with(int threads, struct nn_params *ps)
{
    struct err e = {0};
    struct nn_optim *o = NULL;
    const struct nn_optim_options opt = {.kind = NN_SGD,
                                         .lr = 0.1,
                                         .momentum = 0.9,
                                         .nesterov = true,
                                         .clip_norm = 30.0,
                                         .ema = 0.99};
    struct rng r;
    rng_seed(&r, 3);
    nn_threads_set(threads);
    assert_int_equal(nn_optim_new(ps, &opt, &o, &e), OK);
    for (int t = 0; t < 4; t++) {
        random_grads(ps, &r);
        assert_int_equal(nn_optim_step(o, NULL, &e), OK);
    }
    assert_int_equal(nn_optim_ema(o, ps, &e), OK);
    nn_optim_free(&o);
    nn_threads_set(0);
}

/* With the ramp the average follows the weights from the start: after 60 steps
 * of a line that goes up by 1 a step it is near the end of it, where the
 * plain one with 0.999 stands near its beginning. By hand, step by step. */
static void test_average_ramp(void **state)
{
    (void)state;
    struct err e = {0};
    for (int ramp = 0; ramp < 2; ramp++) {
        struct nn_params *ps = large(), *to = large();
        struct nn_optim *o = NULL;
        const struct nn_optim_options opt = {
            .kind = NN_SGD, .lr = 1, .ema = 0.999, .ema_ramp = ramp};
        assert_int_equal(nn_optim_new(ps, &opt, &o, &e), OK);
        double first = (double)tensor_f32(nn_params_at(ps, 0)->value)[0];
        double want = 0;
        for (int t = 0; t < 60; t++) {
            for (size_t i = 0; i < nn_params_count(ps); i++)
                for (size_t k = 0; k < nn_params_at(ps, i)->value->count; k++)
                    nn_params_at(ps, i)->grad[k] = -1;
            assert_int_equal(nn_optim_step(o, NULL, &e), OK);
            double keep = !t ? 0 : ramp ? (1.0 + t) / (10.0 + t) : 0.999;
            want = keep * want + (1 - keep) * (first + t + 1);
        }
        assert_int_equal(nn_optim_ema(o, to, &e), OK);
        double got = (double)tensor_f32(nn_params_at(to, 0)->value)[0];
        assert_true(fabs(got - want) < 1e-3); /* sixty roundings of f32 */
        assert_true(ramp ? got > first + 50 : got < first + 5);
        nn_optim_free(&o);
        nn_params_free(&ps);
        nn_params_free(&to);
    }
}

static void test_threads_same_bits(void **state)
{
    (void)state;
    struct nn_params *a = large(), *b = large();
    run_with(1, a);
    run_with(3, b);
    for (size_t i = 0; i < nn_params_count(a); i++)
        assert_true(
            tensor_equal(nn_params_at(a, i)->value, nn_params_at(b, i)->value));
    nn_params_free(&a);
    nn_params_free(&b);
}

static void test_not_finite(void **state)
{
    (void)state;
    struct err e = {0};
    struct nn_params *ps = large(), *same = large();
    struct nn_optim *o = NULL;
    const struct nn_optim_options opt = {
        .kind = NN_ADAM, .lr = 0.1, .clip_norm = 1.0, .ema = 0.5};
    const float bad[3] = {NAN, INFINITY, -INFINITY};
    assert_int_equal(nn_optim_new(ps, &opt, &o, &e), OK);
    struct nn_param *p = nn_params_find(ps, "x.y");
    for (int i = 0; i < 3; i++) {
        p->grad[8200 + i] = bad[i];
        double norm = -1.0;
        assert_int_equal(nn_optim_step(o, &norm, &e), ERR_DATA);
        assert_non_null(strstr(e.text, "'x.y' is not finite"));
        char text[40];
        snprintf(text, sizeof text, "element %d of 24579", 8200 + i);
        assert_non_null(strstr(e.text, text));
        assert_true(norm == -1.0);
        p->grad[8200 + i] = 0.0F;
    }
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        assert_true(tensor_equal(nn_params_at(ps, i)->value,
                                 nn_params_at(same, i)->value));
        assert_int_equal(nn_params_at(ps, i)->version, 0);
    }
    assert_int_equal(nn_optim_steps(o), 0);
    /* The largest floats there are have a norm in double. */
    double norm = 0.0;
    p->grad[0] = 3e38F;
    p->grad[1] = -3e38F;
    assert_int_equal(nn_optim_step(o, &norm, &e), OK);
    assert_true(fabs(norm / 4.242640687e38 - 1.0) < 1e-6);
    nn_optim_free(&o);
    nn_params_free(&ps);
    nn_params_free(&same);
}

/* What has no gradient (a frozen layer) stays, decay or not. */
static void test_frozen(void **state)
{
    (void)state;
    struct err e = {0};
    struct nn_params *ps = large(), *was = large();
    struct nn_optim *o = NULL;
    const struct nn_optim_options opt = {
        .kind = NN_SGD, .lr = 0.1, .momentum = 0.9, .weight_decay = 0.1};
    assert_int_equal(nn_optim_new(ps, &opt, &o, &e), OK);
    struct nn_param *w = nn_params_find(ps, "w"), *z = nn_params_find(ps, "z");
    mem_free(w->grad);
    w->grad = NULL;
    assert_int_equal(nn_optim_step(o, NULL, &e), OK);
    assert_true(tensor_equal(w->value, nn_params_find(was, "w")->value));
    assert_false(tensor_equal(z->value, nn_params_find(was, "z")->value));
    assert_int_equal(w->version, 0);
    assert_int_equal(z->version, 1);
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        mem_free(nn_params_at(ps, i)->grad);
        nn_params_at(ps, i)->grad = NULL;
    }
    assert_int_equal(nn_optim_step(o, NULL, &e), ERR_STATE);
    assert_string_equal(e.text, "no parameter has a gradient");
    assert_int_equal(nn_optim_steps(o), 1);
    nn_optim_free(&o);
    nn_params_free(&ps);
    nn_params_free(&was);
}

static void refused(struct nn_optim_options o, const char *text)
{
    struct err e = {0};
    struct nn_params *ps = three(false);
    struct nn_optim *x = NULL;
    assert_int_equal(nn_optim_new(ps, &o, &x, &e), ERR_ARG);
    assert_null(x);
    if (!strstr(e.text, text))
        fail_msg("'%s' lacks '%s'", e.text, text);
    nn_params_free(&ps);
}

static void test_refuses(void **state)
{
    (void)state;
    struct nn_optim_options o;
    const struct nn_optim_options good = {.kind = NN_SGD, .lr = 0.1};
    double nan = (double)NAN;
#define BAD(field, value, text) (o = good, o.field = (value), refused(o, text))
    BAD(kind, (enum nn_optim_kind)7, "no kind 7");
    BAD(lr, -0.5, "lr cannot be -0.5");
    BAD(lr, nan, "lr cannot be");
    BAD(lr, HUGE_VAL, "lr cannot be inf");
    BAD(momentum, -1.0, "momentum cannot be -1");
    BAD(nesterov, true, "nesterov needs momentum");
    BAD(beta1, 1.0, "beta1 cannot be 1");
    BAD(beta2, nan, "beta2 cannot be");
    BAD(eps, -1e-8, "eps cannot be");
    BAD(weight_decay, -1.0, "weight_decay cannot be -1");
    BAD(clip_norm, -1.0, "clip_norm cannot be -1");
    BAD(clip_value, nan, "clip_value cannot be");
    BAD(ema, 1.0, "ema cannot be 1");
#undef BAD
    refused((struct nn_optim_options){.kind = NN_ADAM, .momentum = 0.9},
            "momentum and nesterov are SGD's");

    struct err e = {0};
    struct nn_params *ps = three(true), *other = nn_params_new(1, &e);
    struct nn_optim *x = NULL;
    assert_non_null(other);
    assert_int_equal(nn_optim_new(ps, &good, &x, &e), OK);
    assert_int_equal(nn_optim_ema(x, ps, &e), ERR_STATE);
    nn_optim_set_lr(x, nan);
    assert_int_equal(nn_optim_step(x, NULL, &e), ERR_ARG);
    nn_optim_set_lr(x, 0.1);
    get(ps, "t.running_mean", 1, 2, 0, true);
    assert_int_equal(nn_optim_step(x, NULL, &e), OK);
    get(ps, "late", 1, 2, 0, false);
    assert_int_equal(nn_optim_step(x, NULL, &e), ERR_STATE);
    assert_non_null(strstr(e.text, "'late' was added after"));
    nn_optim_free(&x);

    o = good;
    o.ema = 0.9;
    assert_int_equal(nn_optim_new(ps, &o, &x, &e), OK);
    assert_int_equal(nn_optim_ema(x, other, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "no parameter 'a'"));
    nn_optim_free(&x);
    nn_params_free(&ps);
    nn_params_free(&other);
}

/* Before the first step the average is what the weights were; statistics come
 * from the set as it is. */
static void test_ema_of_statistics(void **state)
{
    (void)state;
    struct err e = {0};
    struct nn_params *ps = three(true), *to = three(false);
    struct nn_optim *o = NULL;
    const struct nn_optim_options opt = {.kind = NN_SGD, .lr = 0.1, .ema = 0.9};
    struct nn_param *s = nn_params_find(ps, "s.running_mean");
    tensor_f32(nn_params_find(ps, "c")->value)[0] = 4.0F;
    assert_int_equal(nn_optim_new(ps, &opt, &o, &e), OK);
    tensor_f32(nn_params_find(ps, "c")->value)[0] = 5.0F;
    tensor_f32(s->value)[2] = 7.0F;
    s->updates = 12;
    assert_int_equal(nn_optim_ema(o, to, &e), OK);
    s = nn_params_find(to, "s.running_mean");
    assert_true(tensor_f32(s->value)[2] == 7.0F);
    assert_int_equal(s->updates, 12);
    assert_true(tensor_f32(nn_params_find(to, "c")->value)[0] == 4.0F);
    assert_int_equal(nn_params_find(to, "c")->version, 1);
    nn_optim_free(&o);
    nn_params_free(&ps);
    nn_params_free(&to);
}

static void test_allocation_fails(void **state)
{
    (void)state;
    const struct nn_optim_options opt = {
        .kind = NN_ADAM, .lr = 0.1, .ema = 0.9};
    int64_t live = mem_live();
    uint64_t n = 1;
    for (bool hit = true; hit; n++) {
        struct err e = {0};
        struct nn_params *ps = three(false);
        struct nn_optim *o = NULL;
        mem_fail_nth(n);
        enum err_code r = nn_optim_new(ps, &opt, &o, &e);
        hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(r, hit ? ERR_NOMEM : OK);
        assert_int_equal(o != NULL, r == OK);
        nn_optim_free(&o);
        nn_params_free(&ps);
        assert_int_equal(mem_live(), live);
    }
    assert_true(n > 12);
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_average_ramp),
        cmocka_unit_test(test_threads_same_bits),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_ema_of_statistics),
        cmocka_unit_test(test_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
