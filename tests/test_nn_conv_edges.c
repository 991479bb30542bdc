/* Convolution kernels on many geometries drawn by chance, against the slowest
 * loop: strides, padding and dilation of their own for each axis, groups,
 * transposed or not, in any layouts and types, by oneDNN, our own kernels and
 * OpenBLAS; biases, sums and activations in the same pass; repeated runs; the
 * switch between paths; what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/conv.h"
#include "lib/nn/net.h"
#include "lib/nn/ops.h"
#include "lib/nn/rows.h"
#include "lib/nn/threads.h"
#include "lib/nn/train.h"

/* f32 sums of up to 500 products against double; Winograd's transforms lose a
 * digit; bf16 keeps 8 bits of what comes in and of the result. */
#define TOL 2e-5
#define TOL_WINOGRAD 2e-4
#define TOL_BF16 2e-2

/* More of them, from another seed: CONV_ROUNDS and CONV_SEED in the environment
 * (tests/long/conv-geometries.sh). */
#define ROUNDS 150
#define SEED 2026

/* One geometry with data: big and small as in lib/nn/conv_impl.h, arrays in
 * PyTorch's order, and what the slowest loop makes of them. */
struct job {
    struct nn_conv_desc d;
    struct nn_shape big, small;
    int64_t batch, n_big, n_small, n_weights;
    float *big_in, *small_in, *weights, *bias;
    double *down, *up, *dweights; /* small, big, weights */
};

static void *memory(size_t bytes)
{
    void *p = mem_aligned(bytes + 64);
    assert_non_null(p);
    memset(p, 0, bytes + 64);
    return p;
}

static float *noise(struct rng *r, int64_t n, double size)
{
    float *v = memory((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        /* Exact in bf16, so that only arithmetic is compared. */
        uint16_t half;
        v[i] = (float)rng_range(r, -size, size);
        nn_to_bf16(&v[i], &half, 1);
        nn_from_bf16(&half, &v[i], 1);
    }
    return v;
}

static int64_t pick(struct rng *r, int64_t lo, int64_t hi)
{
    return lo + (int64_t)rng_below(r, (uint64_t)(hi - lo + 1));
}

/* ---- geometries ---- */

/* The larger side that this axis of the smaller one belongs to; 0: none. */
static int64_t side(struct rng *r, int64_t small, int64_t k, int64_t s,
                    int64_t p, int64_t d, bool transposed)
{
    int64_t most = transposed && d > s ? d : s;
    int64_t n =
        (small - 1) * s + d * (k - 1) + 1 - 2 * p + pick(r, 0, most - 1);
    return n > 0 ? n : 0;
}

static bool geometry(struct rng *r, struct job *j)
{
    struct nn_conv_desc *d = &j->d;
    bool usual = rng_below(r, 3) == 0; /* as in networks */
    *d = (struct nn_conv_desc){.kernel_h = pick(r, 1, 4),
                               .kernel_w = pick(r, 1, 5),
                               .stride_h = pick(r, 1, 3),
                               .stride_w = pick(r, 1, 3),
                               .pad_h = pick(r, 0, 2),
                               .pad_w = pick(r, 0, 3),
                               .dilation_h = pick(r, 1, 3),
                               .dilation_w = pick(r, 1, 2),
                               .groups = 1,
                               .transposed = rng_below(r, 2),
                               .bias = rng_below(r, 2)};
    if (usual) {
        d->kernel_w = d->kernel_h = 3;
        d->pad_w = d->pad_h = 1;
        d->stride_w = d->stride_h = pick(r, 1, 2);
        d->dilation_w = d->dilation_h = 1;
    }
    int64_t each = pick(r, 1, 20), other = pick(r, 1, 20);
    if (rng_below(r, 3) == 0)
        d->groups = pick(r, 2, 4);
    if (rng_below(r, 8) == 0) { /* depthwise */
        d->groups = pick(r, 2, 33);
        each = other = 1;
    }
    if (d->groups == 1 && rng_below(r, 4) == 0) { /* as conv_rows.c's */
        d->kernel_w = pick(r, 3, 9);
        d->stride_w = pick(r, 1, 6);
        each = pick(r, 1, 4);
    }
    j->small = (struct nn_shape){d->groups * other, pick(r, 1, 7),
                                 rng_below(r, 4) ? pick(r, 1, 18) : 1};
    j->big = (struct nn_shape){d->groups * each,
                               side(r, j->small.h, d->kernel_h, d->stride_h,
                                    d->pad_h, d->dilation_h, d->transposed),
                               side(r, j->small.w, d->kernel_w, d->stride_w,
                                    d->pad_w, d->dilation_w, d->transposed)};
    j->batch = pick(r, 1, 2);
    return j->big.h && j->big.w;
}

/* Every product of the convolution once, into all three results. */
static void slow(struct job *j)
{
    const struct nn_conv_desc *d = &j->d;
    int64_t ic = j->big.c / d->groups, oc = j->small.c / d->groups;
    int64_t row = ic * d->kernel_h * d->kernel_w, px = j->small.h * j->small.w;
    for (int64_t at = 0; at < j->n_small; at++) {
        int64_t b = at / px / j->small.c, o = at / px % j->small.c;
        int64_t y0 = at % px / j->small.w * d->stride_h - d->pad_h;
        int64_t x0 = at % j->small.w * d->stride_w - d->pad_w;
        for (int64_t t = 0; t < row; t++) {
            int64_t c = t / d->kernel_w / d->kernel_h + o / oc * ic;
            int64_t y = y0 + t / d->kernel_w % d->kernel_h * d->dilation_h;
            int64_t x = x0 + t % d->kernel_w * d->dilation_w;
            if (y < 0 || x < 0 || y >= j->big.h || x >= j->big.w)
                continue;
            int64_t from = ((b * j->big.c + c) * j->big.h + y) * j->big.w + x;
            double w = (double)j->weights[o * row + t];
            j->down[at] += w * (double)j->big_in[from];
            j->up[from] += w * (double)j->small_in[at];
            j->dweights[o * row + t] +=
                (double)j->big_in[from] * (double)j->small_in[at];
        }
    }
}

/* Data for a geometry, and what should come of it. */
static void fill(struct rng *r, struct job *j)
{
    const struct nn_conv_desc *d = &j->d;
    j->n_big = j->batch * j->big.c * j->big.h * j->big.w;
    j->n_small = j->batch * j->small.c * j->small.h * j->small.w;
    j->n_weights =
        j->small.c * (j->big.c / d->groups) * d->kernel_h * d->kernel_w;
    j->big_in = noise(r, j->n_big, 1);
    j->small_in = noise(r, j->n_small, 1);
    j->weights = noise(r, j->n_weights, 0.5);
    j->bias = noise(r, d->transposed ? j->big.c : j->small.c, 1);
    j->down = memory((size_t)j->n_small * sizeof(double));
    j->up = memory((size_t)j->n_big * sizeof(double));
    j->dweights = memory((size_t)j->n_weights * sizeof(double));
    slow(j);
}

static void erase(struct job *j)
{
    mem_free(j->big_in);
    mem_free(j->small_in);
    mem_free(j->weights);
    mem_free(j->bias);
    mem_free(j->down);
    mem_free(j->up);
    mem_free(j->dweights);
}

/* ---- views ---- */

static struct nn_view view(struct nn_shape s, int64_t batch,
                           enum nn_layout layout, enum dtype type)
{
    return (struct nn_view){
        .dtype = type, .layout = layout, .shape = s, .batch = batch};
}

/* Plain numbers into new memory of this form. */
static void *formed(const struct nn_view *form, const float *plain)
{
    struct nn_view v = *form, p = view(v.shape, v.batch, NN_PLAIN, DT_F32);
    v.data = memory(nn_view_bytes(&v));
    p.data = (void *)(uintptr_t)plain; /* only read */
    nn_convert(&p, &v, false);
    return v.data;
}

/* The kernel in use, for texts of failures. */
static char kernel_name[64];

static void fail_with(const struct nn_conv_desc *d, const char *what)
{
    static const char *const layouts[] = {"plain", "last", "block16"};
    fail_msg("%s [%lld,%lld,%lld,%lld] (%s) to [%lld,%lld,%lld] (%s), kernel "
             "%lldx%lld, stride %lld,%lld, padding %lld,%lld, dilation "
             "%lld,%lld, %lld groups, %s, kernel '%s': %s",
             d->transposed ? "transposed" : "usual", (long long)d->in.batch,
             (long long)d->in.shape.c, (long long)d->in.shape.h,
             (long long)d->in.shape.w, layouts[d->in.layout],
             (long long)d->out.shape.c, (long long)d->out.shape.h,
             (long long)d->out.shape.w, layouts[d->out.layout],
             (long long)d->kernel_h, (long long)d->kernel_w,
             (long long)d->stride_h, (long long)d->stride_w,
             (long long)d->pad_h, (long long)d->pad_w, (long long)d->dilation_h,
             (long long)d->dilation_w, (long long)d->groups,
             dtype_name(d->in.dtype), kernel_name, what);
}

/* Compare and free what was made. */
static void check(const struct nn_conv_desc *d, const char *what,
                  const struct nn_view *form, void *data, const double *want,
                  double tol)
{
    struct nn_view v = *form, p = view(v.shape, v.batch, NN_PLAIN, DT_F32);
    double worst = 0, top = 1e-3;
    v.data = data;
    p.data = memory(nn_view_bytes(&p));
    nn_convert(&v, &p, false);
    const float *got = p.data;
    for (size_t i = 0; i < nn_view_bytes(&p) / sizeof(float); i++) {
        double off = fabs((double)got[i] - want[i]);
        top = fmax(top, fabs(want[i]));
        worst = off <= worst ? worst : isnan(off) ? HUGE_VAL : off;
    }
    if (!(worst <= tol * top)) {
        char text[100];
        snprintf(text, sizeof text, "%s off by %g of %g", what, worst, top);
        fail_with(d, text);
    }
    mem_free(p.data);
    mem_free(data);
}

/* ---- one geometry, one way ---- */

static double act_of(enum nn_act a, double x, double alpha)
{
    switch (a) {
    case NN_ACT_RELU:
        return x > 0 ? x : 0;
    case NN_ACT_LEAKY:
        return x > 0 ? x : alpha * x;
    case NN_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case NN_ACT_TANH:
        return tanh(x);
    case NN_ACT_SILU:
        return x / (1 + exp(-x));
    case NN_ACT_NONE:
        break;
    }
    return x;
}

/* What the forward pass should make: act(result + bias + before). */
static double *wanted(const struct job *j, const struct nn_conv_desc *d,
                      const float *before)
{
    const double *sum = d->transposed ? j->up : j->down;
    int64_t n = d->transposed ? j->n_big : j->n_small;
    struct nn_shape s = d->out.shape;
    double *w = memory((size_t)n * sizeof *w);
    for (int64_t i = 0; i < n; i++) {
        double x = sum[i];
        x += d->bias ? (double)j->bias[i / (s.h * s.w) % s.c] : 0;
        x += before ? (double)before[i] : 0;
        w[i] = act_of(d->act, x, (double)d->alpha);
    }
    return w;
}

static double tolerance(const struct nn_conv_desc *d)
{
    if (d->in.dtype == DT_BF16 || d->out.dtype == DT_BF16)
        return TOL_BF16;
    return d->winograd ? TOL_WINOGRAD : TOL;
}

/* With gradients: forward, data, and weights twice for the same bits, then
 * once more on top. */
static void train(const struct job *j, struct nn_conv_desc d)
{
    struct err e = {0};
    struct nn_conv *c = NULL;
    double tol = tolerance(&d);
    d.training = d.want_din = d.want_dweights = true;
    if (nn_conv_new(&d, &c, &e) ||
        nn_conv_weights(c, j->weights, d.bias ? j->bias : NULL, &e))
        fail_with(&d, e.text);
    snprintf(kernel_name, sizeof kernel_name, "%s", nn_conv_kernel(c));
    assert_null(strstr(kernel_name, "ref"));
    void *scratch = memory(nn_conv_scratch(c));
    void *in = formed(&d.in, d.transposed ? j->small_in : j->big_in);
    void *dout = formed(&d.out, d.transposed ? j->big_in : j->small_in);
    void *out = memory(nn_view_bytes(&d.out));
    void *din = memory(nn_view_bytes(&d.in));
    memset(scratch, 0x7f, nn_conv_scratch(c)); /* whatever was there */
    assert_int_equal(nn_conv_forward(c, in, out, scratch, &e), OK);
    double *want = wanted(j, &d, NULL);
    check(&d, "result", &d.out, out, want, tol);
    mem_free(want);
    assert_int_equal(nn_conv_backward_data(c, dout, din, scratch, &e), OK);
    check(&d, "gradient", &d.in, din, d.transposed ? j->down : j->up, tol);
    size_t n = (size_t)j->n_weights, nb = (size_t)d.out.shape.c;
    float *dw[2], *db[2];
    for (int i = 0; i < 3; i++) {
        if (i < 2) {
            dw[i] = memory(n * sizeof(float));
            db[i] = memory(nb * sizeof(float));
        }
        assert_int_equal(nn_conv_backward_weights(c, in, dout, dw[i % 2],
                                                  d.bias ? db[i % 2] : NULL,
                                                  scratch, &e),
                         OK);
        if (i == 1) {
            assert_memory_equal(dw[0], dw[1], n * sizeof(float));
            assert_memory_equal(db[0], db[1], nb * sizeof(float));
        }
    }
    double *twice = memory(n * sizeof *twice); /* dw[0] was added to */
    for (size_t i = 0; i < n; i++)
        twice[i] = 2 * j->dweights[i];
    struct nn_view flat =
        view((struct nn_shape){j->n_weights, 1, 1}, 1, NN_PLAIN, DT_F32);
    check(&d, "gradient of weights", &flat, dw[1], j->dweights, tol);
    check(&d, "two gradients of weights", &flat, dw[0], twice, tol);
    mem_free(twice);
    double *sums = memory(nb * sizeof *sums);
    const float *g = d.transposed ? j->big_in : j->small_in;
    int64_t px = d.out.shape.h * d.out.shape.w;
    for (int64_t i = 0; d.bias && i < j->batch * d.out.shape.c * px; i++)
        sums[i / px % d.out.shape.c] += (double)g[i];
    flat.shape.c = (int64_t)nb;
    check(&d, "gradient of bias", &flat, db[1], sums, tol);
    mem_free(sums);
    mem_free(db[0]);
    mem_free(in);
    mem_free(dout);
    mem_free(scratch);
    nn_conv_free(&c);
}

/* In inference, with what plans put into the kernel. */
static void infer(const struct job *j, struct nn_conv_desc d, struct rng *r)
{
    struct err e = {0};
    struct nn_conv *c = NULL;
    d.act = (enum nn_act)rng_below(r, NN_ACT_SILU + 1);
    d.alpha = 0.2F;
    d.sum = rng_below(r, 2);
    if (nn_conv_new(&d, &c, &e) ||
        nn_conv_weights(c, j->weights, d.bias ? j->bias : NULL, &e))
        fail_with(&d, e.text);
    snprintf(kernel_name, sizeof kernel_name, "%s", nn_conv_kernel(c));
    assert_null(strstr(kernel_name, "ref"));
    void *scratch = memory(nn_conv_scratch(c));
    void *in = formed(&d.in, d.transposed ? j->small_in : j->big_in);
    float *before =
        d.sum ? noise(r, d.transposed ? j->n_big : j->n_small, 2) : NULL;
    void *out = before ? formed(&d.out, before) : memory(nn_view_bytes(&d.out));
    memset(scratch, 0x7f, nn_conv_scratch(c));
    assert_int_equal(nn_conv_forward(c, in, out, scratch, &e), OK);
    double *want = wanted(j, &d, before);
    check(&d, "result", &d.out, out, want, tolerance(&d));
    mem_free(want);
    mem_free(before);
    mem_free(in);
    mem_free(scratch);
    nn_conv_free(&c);
}

/* k: oneDNN in f32, in bf16, OpenBLAS. */
static void each_way(struct rng *r, const struct job *j, int k,
                     enum nn_layout in, enum nn_layout out)
{
    struct nn_conv_desc d = j->d;
    enum dtype t = k == 1 ? DT_BF16 : DT_F32;
    if (k < 2 && (!nn_has_dnnl() || (k == 1 && !nn_has_bf16())))
        return;
    d.path = k == 2 ? NN_PATH_BLAS : NN_PATH_DNNL;
    d.winograd = k == 0 && rng_below(r, 2);
    d.lean = d.winograd && rng_below(r, 2);
    d.in = view(d.transposed ? j->small : j->big, j->batch, in, t);
    d.out = view(d.transposed ? j->big : j->small, j->batch, out, t);
    train(j, d);
    infer(j, d, r);
}

static int64_t from_environment(const char *name, int64_t otherwise)
{
    const char *s = getenv(name);
    return s ? strtoll(s, NULL, 10) : otherwise;
}

static void test_geometries(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, (uint64_t)from_environment("CONV_SEED", SEED));
    int64_t rounds = from_environment("CONV_ROUNDS", ROUNDS);
    for (int64_t i = 0; i < rounds; i++) {
        struct job j;
        while (!geometry(&r, &j))
            continue;
        fill(&r, &j);
        for (int k = 0; k < 3; k++) {
            enum nn_layout in = (enum nn_layout)rng_below(&r, 3), out = in;
            if (rng_below(&r, 3) == 0)
                out = (enum nn_layout)rng_below(&r, 3);
            each_way(&r, &j, k, in, out);
        }
        erase(&j);
    }
}

/* Where oneDNN 2.6 is wrong, so that others do it: a kernel that meets nothing
 * but padding somewhere (crashes), output padding of a whole stride (refused),
 * gradients of weights in bf16 where a row is shorter than a stride (read what
 * nobody wrote), those of strided 1x1 for few channels-last (other bits in each
 * run), groups of 12 channels-last in bf16 (its generator gives up). */
static void test_beyond(void **state)
{
    (void)state;
    /* kernel, stride, padding, dilation; groups */
    static const struct {
        int64_t g[9];
        bool transposed;
        struct nn_shape big, small;
    } odd[] = {
        {{2, 3, 3, 3, 1, 3, 2, 1, 1}, false, {10, 1, 17}, {16, 1, 7}},
        {{1, 1, 1, 1, 2, 1, 1, 1, 1}, false, {16, 3, 4}, {16, 7, 6}},
        {{1, 4, 1, 1, 1, 0, 3, 2, 1}, true, {17, 6, 9}, {9, 7, 2}},
        {{4, 4, 1, 2, 2, 2, 3, 1, 1}, false, {14, 12, 1}, {7, 7, 1}},
        {{2, 3, 1, 3, 0, 2, 1, 1, 3}, true, {57, 8, 2}, {57, 7, 2}},
        {{1, 1, 2, 2, 0, 0, 1, 1, 1}, false, {12, 12, 24}, {10, 6, 12}},
        {{4, 5, 2, 1, 0, 0, 1, 1, 3}, false, {36, 7, 9}, {36, 2, 5}},
    };
    struct rng r;
    rng_seed(&r, 5);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const int64_t *g = odd[i].g;
        struct job j = {.d = {.kernel_h = g[0],
                              .kernel_w = g[1],
                              .stride_h = g[2],
                              .stride_w = g[3],
                              .pad_h = g[4],
                              .pad_w = g[5],
                              .dilation_h = g[6],
                              .dilation_w = g[7],
                              .groups = g[8],
                              .transposed = odd[i].transposed,
                              .bias = true},
                        .big = odd[i].big,
                        .small = odd[i].small,
                        .batch = 1};
        fill(&r, &j);
        for (int k = 0; k < 3 * 3 * 6; k++) /* activations are by chance */
            each_way(&r, &j, k % 3, (enum nn_layout)(k / 3 % 3),
                     (enum nn_layout)(k / 3 % 3));
        erase(&j);
    }
}

/* ---- the path ---- */

static struct nn_graph *one_layer(struct nn_params *ps, int64_t c)
{
    struct nn_graph *g = nn_graph_new(NULL);
    struct nn_param *w = NULL;
    assert_non_null(g);
    assert_int_equal(nn_params_get(ps, "w", 4, (const int64_t[]){c, c, 3, 3},
                                   false, (struct nn_init_spec){NN_INIT_ONE, 0},
                                   &w, NULL),
                     OK);
    nn_output(g, nn_conv(g, nn_input(g, c, 4, 4), w, NULL,
                         &(struct nn_conv_spec){.pad = 1}));
    return g;
}

static bool plan_names(const struct nn_graph *g, bool training,
                       const char *word)
{
    struct nn_net *n = NULL;
    struct nn_train *t = NULL;
    struct buf b;
    buf_init(&b, 1 << 16);
    if (training) {
        assert_int_equal(
            nn_train_new(g, &(struct nn_train_options){0}, &t, NULL), OK);
        assert_int_equal(nn_train_describe(t, &b, NULL), OK);
    } else {
        assert_int_equal(nn_plan(g, &(struct nn_options){0}, &n, NULL), OK);
        assert_int_equal(nn_net_describe(n, &b, NULL), OK);
    }
    bool found = strstr(buf_str(&b), word);
    buf_free(&b);
    nn_net_free(&n);
    nn_train_free(&t);
    return found;
}

/* FACET_NN_PATH=blas takes plans that do not ask for a path to OpenBLAS. */
static void test_path(void **state)
{
    (void)state;
    struct nn_params *ps = nn_params_new(1, NULL);
    assert_non_null(ps);
    struct nn_graph *g = one_layer(ps, 16);
    for (int training = 0; training < 2; training++) {
        assert_int_equal(unsetenv("FACET_NN_PATH"), 0);
        assert_true(plan_names(g, training, "blas:") == !nn_has_dnnl());
        assert_int_equal(setenv("FACET_NN_PATH", "blas", 1), 0);
        assert_true(plan_names(g, training, "blas:"));
    }
    assert_int_equal(unsetenv("FACET_NN_PATH"), 0);
    nn_graph_free(&g);
    nn_params_free(&ps);
}

/* ---- what is refused ---- */

static void refused(const struct nn_conv_desc *d, enum err_code code,
                    const char *text)
{
    struct nn_conv *c = NULL;
    struct err e = {0};
    assert_int_equal(nn_conv_new(d, &c, &e), code);
    assert_null(c);
    if (!strstr(e.text, text))
        fail_msg("'%s' does not say '%s'", e.text, text);
}

/* 3x3 from 4 channels of 6x6 to 8. */
static struct nn_conv_desc good(void)
{
    return (struct nn_conv_desc){
        .in = view((struct nn_shape){4, 6, 6}, 1, NN_PLAIN, DT_F32),
        .out = view((struct nn_shape){8, 4, 4}, 1, NN_PLAIN, DT_F32),
        .kernel_h = 3,
        .kernel_w = 3,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .groups = 1};
}

#define WRONG(field, value, code, text)                                        \
    do {                                                                       \
        struct nn_conv_desc d_ = good();                                       \
        d_.field = value;                                                      \
        refused(&d_, code, text);                                              \
    } while (0)

static void test_refused(void **state)
{
    (void)state;
    WRONG(in.dtype, DT_F16, ERR_ARG, "f32 or bf16");
    WRONG(in.batch, 2, ERR_ARG, "batches of 2 and 1");
    WRONG(out.shape.c, 0, ERR_ARG, "impossible size");
    WRONG(in.shape.h, INT64_MAX, ERR_ARG, "impossible size");
    WRONG(stride_h, 0, ERR_ARG, "impossible kernel");
    WRONG(pad_w, -1, ERR_ARG, "impossible kernel");
    WRONG(dilation_w, INT64_MAX, ERR_ARG, "impossible kernel");
    WRONG(groups, 3, ERR_ARG, "4 and 8 channels in 3 groups");
    WRONG(out.shape.h, 5, ERR_ARG, "6x6 does not become 5x4");
    WRONG(transposed, true, ERR_ARG, "does not become");
    struct nn_conv_desc d = good();
    d.act = NN_ACT_RELU;
    d.want_din = true;
    refused(&d, ERR_ARG, "fused activation");
    if (!nn_has_dnnl())
        WRONG(path, NN_PATH_DNNL, ERR_UNSUPPORTED, "without oneDNN");
}

static void test_order_of_calls(void **state)
{
    (void)state;
    static float in[4 * 36], out[8 * 16], w[8 * 36], bias[8];
    for (int k = 0; k < 2; k++) {
        struct nn_conv_desc d = good();
        struct nn_conv *c = NULL;
        struct err e = {0};
        d.path = k ? NN_PATH_BLAS : NN_PATH_AUTO;
        if (!k && !nn_has_dnnl())
            continue;
        assert_int_equal(nn_conv_new(&d, &c, &e), OK);
        void *scratch = memory(nn_conv_scratch(c));
        assert_int_equal(nn_conv_forward(c, in, out, scratch, &e), ERR_STATE);
        assert_non_null(strstr(e.text, "no weights"));
        assert_int_equal(nn_conv_weights(c, w, bias, &e), ERR_ARG);
        assert_int_equal(nn_conv_weights(c, w, NULL, &e), OK);
        assert_int_equal(nn_conv_forward(c, in, out, scratch, &e), OK);
        assert_int_equal(nn_conv_backward_data(c, out, in, scratch, &e),
                         ERR_STATE);
        assert_non_null(strstr(e.text, "not prepared"));
        nn_conv_free(&c);
        nn_conv_free(&c);
        nn_conv_free(NULL);
        d.bias = true;
        assert_int_equal(nn_conv_new(&d, &c, &e), OK);
        assert_int_equal(nn_conv_weights(c, w, NULL, &e), ERR_ARG);
        assert_non_null(strstr(e.text, "missing"));
        nn_conv_free(&c);
        mem_free(scratch);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    nn_threads_set(2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_geometries),     cmocka_unit_test(test_beyond),
        cmocka_unit_test(test_path),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_order_of_calls),
    };
    const char *only = getenv("CMOCKA_TEST_FILTER");
    if (only)
        cmocka_set_test_filter(only);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
