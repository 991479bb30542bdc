/* Pooling on many sizes against the slowest loop; grids that point nowhere;
 * vectors of bf16 pictures; memory that runs out; what builders refuse. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/op.h"
#include "lib/nn/ops.h"
#include "lib/nn/rows.h"
#include "lib/nn/threads.h"
#include "lib/nn/train.h"

static void *memory(size_t bytes)
{
    void *p = mem_aligned(bytes + 1);
    assert_non_null(p);
    return p;
}

/* Pooling in the slowest way, of one plane of PyTorch's order. */
static float slow_pool(const float *in, struct nn_shape s, int64_t oy,
                       int64_t ox, const struct nn_pool_spec *p, bool max,
                       int64_t *from)
{
    double sum = 0;
    float best = -INFINITY;
    int64_t count = 0, y0 = oy * p->stride - p->pad;
    int64_t x0 = ox * p->stride - p->pad;
    for (int64_t y = y0; y < y0 + p->kernel; y++) {
        for (int64_t x = x0; x < x0 + p->kernel; x++) {
            bool inside = y >= 0 && x >= 0 && y < s.h && x < s.w;
            count += inside || (p->count_include_pad && y < s.h + p->pad &&
                                x < s.w + p->pad);
            if (!inside)
                continue;
            sum += (double)in[y * s.w + x];
            if (in[y * s.w + x] > best) {
                best = in[y * s.w + x];
                *from = y * s.w + x;
            }
        }
    }
    return max ? best : (float)(sum / (double)count);
}

/* One exec of a pooling node, forward and backward, in this form. */
static void pool_once(const struct nn_graph *g, int node, enum nn_path path,
                      enum nn_layout layout, bool max)
{
    const struct nn_node *n = &g->node[node];
    const struct nn_pool_spec *p = nn_attr(n);
    struct nn_shape s = g->node[n->in[0]].shape, o = n->shape;
    struct err e = {0};
    struct rng r;
    rng_seed(&r, 7);
    struct nn_exec x = {.node = n, .path = path, .training = true};
    x.backward = x.din_wanted[0] = true;
    struct nn_view plain[3]; /* in, out, din as PyTorch has them */
    for (int i = 0; i < 3; i++) {
        plain[i] = (struct nn_view){
            .dtype = DT_F32, .shape = i == 1 ? o : s, .batch = 2};
        plain[i].data = memory(nn_view_bytes(&plain[i]));
    }
    x.in[0] = plain[0];
    x.out = plain[1];
    x.in[0].layout = x.out.layout = layout;
    x.din[0] = x.in[0];
    x.dout = x.out;
    assert_int_equal(n->op->prepare(&x, &e), OK);
    struct nn_view *own[] = {&x.in[0], &x.out, &x.din[0], &x.dout};
    for (int i = 0; i < 4; i++)
        own[i]->data = memory(nn_view_bytes(own[i]));
    x.scratch = memory(x.scratch_bytes);
    x.keep = memory(x.keep_bytes);
    float *in = plain[0].data, *out = plain[1].data, *din = plain[2].data;
    for (int64_t i = 0; i < 2 * s.c * s.h * s.w; i++)
        in[i] = (float)rng_below(&r, 9) - 4; /* with ties */
    for (int64_t i = 0; i < 2 * o.c * o.h * o.w; i++)
        out[i] = (float)rng_below(&r, 9) - 4;
    nn_convert(&plain[0], &x.in[0], false);
    nn_convert(&plain[1], &x.dout, false);
    assert_int_equal(n->op->forward(&x, &e), OK);
    assert_int_equal(n->op->backward(&x, &e), OK);
    nn_convert(&x.din[0], &plain[2], false);
    for (int64_t c = 0; c < 2 * s.c; c++) {
        for (int64_t i = 0; i < o.h * o.w; i++) {
            int64_t from = 0,
                    at = nn_index(&x.out, c / s.c, c % s.c, i / o.w, i % o.w);
            float want = slow_pool(in + c * s.h * s.w, s, i / o.w, i % o.w, p,
                                   max, &from);
            float got = ((const float *)x.out.data)[at];
            assert_true(fabsf(got - want) < 1e-5F);
            din[c * s.h * s.w + from] -= out[c * o.h * o.w + i];
        }
        for (int64_t i = 0; i < s.h * s.w && max; i++)
            assert_true(fabsf(din[c * s.h * s.w + i]) < 1e-5F);
    }
    n->op->release(&x);
    for (int i = 0; i < 4; i++)
        mem_free(own[i]->data);
    for (int i = 0; i < 3; i++)
        mem_free(plain[i].data);
    mem_free(x.scratch);
    mem_free(x.keep);
}

/* Many windows on many sizes, oneDNN's kernels and our loops alike. */
static void test_random_pools(void **state)
{
    (void)state;
    static const int64_t channels[] = {1, 3, 16, 19, 33};
    struct rng r;
    rng_seed(&r, 11);
    for (int i = 0; i < 150; i++) {
        bool max = i % 2;
        struct nn_graph *g = nn_graph_new(NULL);
        assert_non_null(g);
        int x = nn_input(g, channels[rng_below(&r, 5)],
                         1 + (int64_t)rng_below(&r, 12),
                         1 + (int64_t)rng_below(&r, 12));
        struct nn_pool_spec s = {.kernel = 1 + (int64_t)rng_below(&r, 5),
                                 .stride = (int64_t)rng_below(&r, 5)};
        s.pad = (int64_t)rng_below(&r, (uint64_t)(s.kernel / 2 + 1));
        s.ceil_mode = rng_below(&r, 2);
        s.count_include_pad = rng_below(&r, 2);
        int y = max ? nn_max_pool(g, x, &s) : nn_avg_pool(g, x, &s);
        for (int k = 0; k < 6 && y >= 0; k++) {
            if (k % 2 || nn_has_dnnl())
                pool_once(g, y, k % 2 ? NN_PATH_BLAS : NN_PATH_DNNL,
                          (enum nn_layout)(k / 2), max);
        }
        nn_graph_free(&g);
    }
}

/* The picture 1..9 sampled along y = 0 at these x, and gradients of ones. */
static void wild_grid(bool border, enum nn_layout layout, const float *at,
                      const float *want)
{
    struct nn_graph *g = nn_graph_new(NULL);
    assert_non_null(g);
    int in = nn_input(g, 1, 3, 3), grid = nn_input(g, 2, 1, 6);
    const struct nn_node *n = &g->node[nn_grid_sample(g, in, grid, border, 1)];
    struct nn_exec x = {.node = n, .path = NN_PATH_BLAS};
    struct nn_view *v[] = {&x.in[0], &x.in[1],  &x.out,
                           &x.dout,  &x.din[0], &x.din[1]};
    for (int i = 0; i < 6; i++) {
        struct nn_shape s[] = {{1, 3, 3}, {2, 1, 6}, {1, 1, 6}};
        *v[i] = (struct nn_view){.dtype = DT_F32,
                                 .layout = layout,
                                 .shape = s[i < 3    ? i
                                            : i == 3 ? 2
                                                     : i - 4],
                                 .batch = 1};
        v[i]->data = memory(nn_view_bytes(v[i]));
        memset(v[i]->data, 0, nn_view_bytes(v[i]));
    }
    float *p = x.in[0].data, *q = x.in[1].data, *out = x.out.data;
    float *dout = x.dout.data, *din = x.din[0].data;
    for (int64_t i = 0; i < 9; i++)
        p[nn_index(&x.in[0], 0, 0, i / 3, i % 3)] = (float)(i + 1);
    for (int64_t i = 0; i < 6; i++) {
        q[nn_index(&x.in[1], 0, 0, 0, i)] = at[i];
        dout[nn_index(&x.out, 0, 0, 0, i)] = 1;
    }
    struct err e = {0};
    assert_int_equal(n->op->forward(&x, &e), OK);
    assert_int_equal(n->op->backward(&x, &e), OK);
    for (int64_t i = 0; i < 6; i++) {
        float got = out[nn_index(&x.out, 0, 0, 0, i)];
        assert_true(isnan(want[i]) ? isnan(got) : fabsf(got - want[i]) < 1e-5F);
    }
    for (int64_t i = 0; i < 9; i++)
        assert_true(isfinite(din[nn_index(&x.din[0], 0, 0, i / 3, i % 3)]));
    for (int i = 0; i < 6; i++)
        mem_free(v[i]->data);
    nn_graph_free(&g);
}

/* Far away, infinite, not a number. */
static void test_wild_grid(void **state)
{
    (void)state;
    const float at[] = {1e30F, -1e30F, INFINITY, -INFINITY, NAN, 0};
    const float zeros[] = {0, 0, 0, 0, NAN, 5};
    const float border[] = {6, 4, 6, 4, 4, 5};
    for (int layout = 0; layout < 3; layout++) {
        wild_grid(false, (enum nn_layout)layout, at, zeros);
        wild_grid(true, (enum nn_layout)layout, at, border);
    }
}

/* Global pooling reads bf16 and writes f32, with ties and in any layout. */
static void test_global_half(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        bool max = i % 2;
        struct nn_graph *g = nn_graph_new(NULL);
        assert_non_null(g);
        int in = nn_input(g, 19, 3, 4);
        int y = max ? nn_global_max_pool(g, in) : nn_global_avg_pool(g, in);
        const struct nn_node *n = &g->node[y];
        struct nn_exec x = {.node = n, .path = NN_PATH_BLAS, .backward = true};
        x.in[0] = (struct nn_view){.dtype = DT_BF16,
                                   .layout = (enum nn_layout)(i / 2),
                                   .shape = {19, 3, 4},
                                   .batch = 2};
        x.in[0].data = memory(nn_view_bytes(&x.in[0]));
        memset(x.in[0].data, 0, nn_view_bytes(&x.in[0]));
        x.din[0] = x.in[0];
        x.din[0].data = memory(nn_view_bytes(&x.in[0]));
        float out[38], dout[38];
        x.out = (struct nn_view){
            .data = out, .dtype = DT_F32, .shape = {19, 1, 1}, .batch = 2};
        x.dout = x.out;
        x.dout.data = dout;
        struct err e = {0};
        if (n->op->prepare)
            assert_int_equal(n->op->prepare(&x, &e), OK);
        x.keep = memory(x.keep_bytes);
        /* Channel c: c everywhere, c + 12 at two pixels. */
        for (int64_t k = 0; k < 38 * 12; k++) {
            int64_t c = k / 12, p = k % 12;
            float v = (float)(c + (p == 5 || p == 9 ? 12 : 0));
            nn_row_put(&x.in[0],
                       nn_index(&x.in[0], c / 19, c % 19, p / 4, p % 4), 1, &v,
                       false);
            dout[c] = (float)(12 * c);
        }
        assert_int_equal(n->op->forward(&x, &e), OK);
        assert_int_equal(n->op->backward(&x, &e), OK);
        for (int64_t k = 0; k < 38 * 12; k++) {
            int64_t c = k / 12, p = k % 12;
            float tmp, want = (float)(max ? p == 5 ? 12 * c : 0 : c);
            assert_true(fabsf(out[c] - (float)(c + (max ? 12 : 2))) < 1e-6F);
            assert_true(fabsf(*nn_row_get(&x.din[0],
                                          nn_index(&x.din[0], c / 19, c % 19,
                                                   p / 4, p % 4),
                                          1, &tmp) -
                              want) <= want / 256);
        }
        mem_free(x.in[0].data);
        mem_free(x.din[0].data);
        mem_free(x.keep);
        nn_graph_free(&g);
    }
}

/* Plans of all of these ops give everything back when memory runs out. */
static void test_no_memory(void **state)
{
    (void)state;
    struct nn_graph *g = nn_graph_new(NULL);
    assert_non_null(g);
    int x = nn_input(g, 18, 8, 8), q = nn_input(g, 2, 8, 8);
    x = nn_pad(g, x, NN_PAD_REFLECT, 1, 1, 1, 1);
    x = nn_max_pool(g, x, &(struct nn_pool_spec){.kernel = 2});
    x = nn_resize_bilinear(g, x, 8, 8, false);
    x = nn_grid_sample(g, x, q, true, false);
    x = nn_avg_pool(g, x, &(struct nn_pool_spec){.kernel = 2});
    x = nn_crop(g, nn_resize_nearest(g, x, 6, 6), 1, 1, 4, 4);
    nn_output(g, nn_mean(g, nn_reshape(g, nn_flatten(g, x), 4, 18, 4)));
    nn_output(g, nn_global_max_pool(g, x));
    int64_t live = mem_live();
    int failures = 0;
    for (uint64_t nth = 1;; nth++) {
        struct nn_train *t = NULL;
        struct err e = {0};
        struct nn_train_options o = {.batch = 2, .input_grads = true};
        mem_fail_nth(nth);
        enum err_code r = nn_train_new(g, &o, &t, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(r, hit ? ERR_NOMEM : OK);
        nn_train_free(&t);
        assert_int_equal(mem_live(), live);
        if (!hit)
            break;
        failures++;
    }
    assert_true(failures > 3);
    nn_graph_free(&g);
}

/* ---- what cannot be ---- */

static void refused(struct nn_graph **g, int node, enum err_code code,
                    const char *text)
{
    struct err e = {0};
    assert_int_equal(node, -1);
    assert_int_equal(nn_graph_status(*g, &e), code);
    if (!strstr(e.text, text))
        fail_msg("'%s' does not say '%s'", e.text, text);
    nn_graph_free(g);
}

static struct nn_graph *graph(int *x, int64_t c, int64_t h, int64_t w)
{
    struct nn_graph *g = nn_graph_new(NULL);
    assert_non_null(g);
    *x = nn_input(g, c, h, w);
    return g;
}

static void refuse_pool(struct nn_pool_spec s, const char *text)
{
    int x;
    struct nn_graph *g = graph(&x, 3, 6, 8);
    refused(&g, nn_max_pool(g, x, &s), ERR_ARG, text);
    g = graph(&x, 3, 6, 8);
    refused(&g, nn_avg_pool(g, x, &s), ERR_ARG, text);
}

static void test_refused_pools(void **state)
{
    (void)state;
    int x;
    refuse_pool((struct nn_pool_spec){.kernel = 7}, "larger than the padded");
    refuse_pool((struct nn_pool_spec){.kernel = 3, .pad = 2}, "half");
    refuse_pool((struct nn_pool_spec){.kernel = 0}, "out of range");
    refuse_pool((struct nn_pool_spec){.kernel = 2, .stride = -1}, "range");
    refuse_pool((struct nn_pool_spec){.kernel = 2, .pad = -1}, "range");
    struct nn_graph *g = graph(&x, 1, 400, 400);
    refused(&g, nn_max_pool(g, x, &(struct nn_pool_spec){.kernel = 300}),
            ERR_UNSUPPORTED, "255");
    g = graph(&x, 1, 4, 4);
    refused(&g, nn_avg_pool(g, 17, &(struct nn_pool_spec){.kernel = 2}),
            ERR_ARG, "does not exist");
}

static void test_refused(void **state)
{
    (void)state;
    int x;
    struct nn_graph *g = graph(&x, 3, 6, 8);
    refused(&g, nn_pad(g, x, NN_PAD_REFLECT, 6, 0, 0, 0), ERR_ARG, "reflect");
    g = graph(&x, 3, 6, 8);
    refused(&g, nn_pad(g, x, NN_PAD_REFLECT, 0, 0, 0, 8), ERR_ARG, "6x8");
    g = graph(&x, 3, 6, 8);
    refused(&g, nn_pad(g, x, NN_PAD_ZERO, 0, -1, 0, 0), ERR_ARG, "range");
    g = graph(&x, 3, 6, 8);
    refused(&g, nn_pad(g, x, (enum nn_pad_kind)9, 0, 1, 0, 0), ERR_ARG, "kind");
    g = graph(&x, 3, 6, 8);
    refused(&g, nn_pad(g, x, NN_PAD_ZERO, 65536, 0, 0, 0), ERR_ARG, "large");
    static const int64_t crops[][4] = {{3, 0, 4, 8},  {0, 1, 6, 8},
                                       {-1, 0, 2, 2}, {0, 0, 0, 4},
                                       {6, 0, 1, 1},  {0, 0, INT64_MAX, 1}};
    for (size_t i = 0; i < sizeof crops / sizeof *crops; i++) {
        g = graph(&x, 3, 6, 8);
        refused(
            &g,
            nn_crop(g, x, crops[i][0], crops[i][1], crops[i][2], crops[i][3]),
            ERR_ARG, "do not lie in 6x8");
    }
    g = graph(&x, 3, 6, 8);
    refused(&g, nn_reshape(g, x, 3, 6, 7), ERR_ARG, "cannot become 3x6x7");
    g = graph(&x, 3, 6, 8);
    refused(&g, nn_reshape(g, x, -3, -6, 8), ERR_ARG, "cannot become");
    g = graph(&x, 1024, 64, 64);
    refused(&g, nn_flatten(g, x), ERR_ARG, "large");
    g = graph(&x, 3, 6, 8);
    refused(&g, nn_resize_nearest(g, x, 0, 4), ERR_ARG, "size");
    g = graph(&x, 3, 6, 8);
    refused(&g, nn_resize_bilinear(g, x, 4, 1 << 20, false), ERR_ARG, "size");
    g = graph(&x, 3, 6, 8);
    refused(&g, nn_grid_sample(g, x, x, false, false), ERR_ARG, "two channels");
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_pools),  cmocka_unit_test(test_wild_grid),
        cmocka_unit_test(test_global_half),   cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_refused_pools), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
