/* Convolutions to a few channels: our own kernels against im2col and
 * OpenBLAS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/conv.h"
#include "lib/nn/rows.h"
#include "lib/nn/threads.h"

/* Sums of up to 3,000 products in another order; bf16: the same numbers in
 * (weights too where oneDNN does it), results rounded. A tanh is at most 1 where
 * the sum under it was 50, and has that one's error. */
#define TOL 2e-5
#define TANH_TOL 1e-4
#define BF16_TOL 2e-2

struct size {
    int64_t in, out, h, w, kh, kw, pad, batch;
};

static const struct size sizes[] = {
    {64, 3, 23, 25, 7, 7, 0, 2},  {64, 3, 20, 33, 7, 7, 3, 1},
    {32, 4, 37, 16, 3, 3, 1, 3},  {48, 2, 9, 40, 3, 5, 1, 1},
    {16, 1, 19, 19, 4, 4, 1, 2},  {40, 3, 18, 24, 3, 2, 0, 1},
    {128, 1, 33, 21, 16, 1, 0, 1}};

static float *noise(size_t n, uint64_t seed)
{
    float *v = mem_array(n, sizeof *v);
    struct rng r;
    rng_seed(&r, seed);
    assert_non_null(v);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)rng_range(&r, -1, 1);
    return v;
}

/* A view of these plain numbers, in any layout and type. */
static struct nn_view view_of(const float *plain, struct nn_shape s,
                              int64_t batch, enum nn_layout layout,
                              enum dtype type)
{
    struct nn_view v = {
        .dtype = type, .layout = layout, .shape = s, .batch = batch};
    struct nn_view p = {.dtype = DT_F32, .shape = s, .batch = batch};
    v.data = mem_aligned(nn_view_bytes(&v));
    assert_non_null(v.data);
    memset(v.data, 0, nn_view_bytes(&v));
    if (plain) {
        p.data = (void *)(uintptr_t)plain;
        nn_convert(&p, &v, false);
    }
    return v;
}

static float *plain_of(const struct nn_view *v)
{
    struct nn_view p = {.dtype = DT_F32, .shape = v->shape, .batch = v->batch};
    p.data = mem_aligned(nn_view_bytes(&p));
    assert_non_null(p.data);
    nn_convert(v, &p, false);
    return p.data;
}

struct result {
    float *out, *dw, *db;
    char kernel[64];
};

static struct result run(const struct size *s, enum nn_path path,
                         enum nn_layout layout, enum dtype type,
                         enum nn_act act)
{
    struct err e = {0};
    struct nn_shape in = {s->in, s->h, s->w};
    struct nn_shape out = {s->out, s->h + 2 * s->pad - s->kh + 1,
                           s->w + 2 * s->pad - s->kw + 1};
    size_t nw = (size_t)(s->in * s->out * s->kh * s->kw);
    size_t ni = (size_t)(s->batch * s->in * s->h * s->w);
    size_t no = (size_t)(s->batch * out.c * out.h * out.w);
    float *w = noise(nw, 1), *b = noise((size_t)s->out, 2);
    float *x = noise(ni, 3), *g = noise(no, 4);
    struct nn_view vx = view_of(x, in, s->batch, layout, type);
    struct nn_view vg = view_of(g, out, s->batch, layout, type);
    struct nn_view vy = view_of(NULL, out, s->batch, layout, type);
    struct nn_conv_desc d = {.in = vx,
                             .out = vy,
                             .kernel_h = s->kh,
                             .kernel_w = s->kw,
                             .stride_h = 1,
                             .stride_w = 1,
                             .pad_h = s->pad,
                             .pad_w = s->pad,
                             .dilation_h = 1,
                             .dilation_w = 1,
                             .groups = 1,
                             .bias = true,
                             .act = act,
                             .path = path,
                             .want_dweights = !act};
    struct nn_conv *c = NULL;
    assert_int_equal(nn_conv_new(&d, &c, &e), OK);
    assert_int_equal(nn_conv_weights(c, w, b, &e), OK);
    void *scratch = mem_aligned(nn_conv_scratch(c) + 64);
    assert_non_null(scratch);
    memset(scratch, 0x7f, nn_conv_scratch(c) + 64); /* whatever was there */
    assert_int_equal(nn_conv_forward(c, vx.data, vy.data, scratch, &e), OK);
    struct result r = {.out = plain_of(&vy),
                       .dw = mem_calloc(nw, sizeof(float)),
                       .db = mem_calloc((size_t)s->out, sizeof(float))};
    assert_true(r.dw && r.db);
    memset(scratch, 0x7f, nn_conv_scratch(c) + 64);
    /* Twice: gradients are added to what is there. */
    for (int i = 0; i < 2 && !act; i++)
        assert_int_equal(nn_conv_backward_weights(c, vx.data, vg.data, r.dw,
                                                  r.db, scratch, &e),
                         OK);
    snprintf(r.kernel, sizeof r.kernel, "%s", nn_conv_kernel(c));
    nn_conv_free(&c);
    mem_free(scratch);
    mem_free(vx.data);
    mem_free(vg.data);
    mem_free(vy.data);
    mem_free(w);
    mem_free(b);
    mem_free(x);
    mem_free(g);
    return r;
}

static void free_result(struct result *r)
{
    mem_free(r->out);
    mem_free(r->dw);
    mem_free(r->db);
}

static void close_to(const float *a, const float *b, size_t n, double tol,
                     const char *what, int size)
{
    double most = 0, off = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)b[i]));
        off = fmax(off, fabs((double)a[i] - (double)b[i]));
        assert_true(isfinite(a[i]));
    }
    if (off > tol * most)
        fail_msg("%s of size %d: off by %g of %g", what, size, off, most);
}

static void check(int i, enum nn_layout layout, enum dtype type,
                  enum nn_act act)
{
    const struct size *s = &sizes[i];
    struct result a = run(s, NN_PATH_AUTO, layout, type, act);
    struct result b = run(s, NN_PATH_BLAS, layout, type, act);
    double tol = type == DT_BF16 ? BF16_TOL : TOL;
    double out_tol = type == DT_F32 && act == NN_ACT_TANH ? TANH_TOL : tol;
    size_t no = (size_t)(s->batch * s->out * (s->h + 2 * s->pad - s->kh + 1) *
                         (s->w + 2 * s->pad - s->kw + 1));
    if (nn_conv_has_block16() && (layout == NN_BLOCK16 || s->in % 16 == 0) &&
        layout != NN_PLAIN)
        assert_memory_equal(a.kernel, "thin:", 5);
    close_to(a.out, b.out, no, out_tol, "result", i);
    close_to(a.dw, b.dw, (size_t)(s->in * s->out * s->kh * s->kw), tol,
             "gradient", i);
    close_to(a.db, b.db, (size_t)s->out, tol, "bias's gradient", i);
    free_result(&a);
    free_result(&b);
}

static void test_layouts(void **state)
{
    (void)state;
    static const enum nn_layout layouts[] = {NN_BLOCK16, NN_LAST, NN_PLAIN};
    for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++) {
        for (int k = 0; k < 3; k++) {
            check(i, layouts[k], DT_F32, NN_ACT_NONE);
            check(i, layouts[k], DT_F32, NN_ACT_TANH);
        }
    }
}

static void test_bf16(void **state)
{
    (void)state;
    for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++) {
        check(i, NN_BLOCK16, DT_BF16, NN_ACT_NONE);
        check(i, NN_LAST, DT_BF16, NN_ACT_RELU);
    }
}

/* The same bits whatever else the threads do. */
static void test_repeats(void **state)
{
    (void)state;
    const struct size *s = &sizes[0];
    struct result a = run(s, NN_PATH_AUTO, NN_BLOCK16, DT_F32, NN_ACT_NONE);
    struct result b = run(s, NN_PATH_AUTO, NN_BLOCK16, DT_F32, NN_ACT_NONE);
    assert_memory_equal(a.dw, b.dw,
                        (size_t)(s->in * s->out * s->kh * s->kw) * 4);
    free_result(&a);
    free_result(&b);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct nn_view in = {.layout = NN_BLOCK16,
                         .dtype = DT_F32,
                         .shape = {64, 20, 20},
                         .batch = 1},
                   out = in;
    out.shape = (struct nn_shape){3, 18, 18};
    struct nn_conv_desc d = {.in = in,
                             .out = out,
                             .kernel_h = 3,
                             .kernel_w = 3,
                             .stride_h = 1,
                             .stride_w = 1,
                             .dilation_h = 1,
                             .dilation_w = 1,
                             .groups = 1,
                             .want_dweights = true};
    for (uint64_t n = 1;; n++) {
        struct nn_conv *c = NULL;
        struct err e = {0};
        int64_t live = mem_live();
        mem_fail_nth(n);
        enum err_code r = nn_conv_new(&d, &c, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        nn_conv_free(&c);
        assert_int_equal(mem_live(), live);
        if (!hit) {
            assert_int_equal(r, OK);
            break;
        }
        assert_int_equal(r, ERR_NOMEM);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
