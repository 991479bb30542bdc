/* Inference plans: every fusion against slow plain loops, in each mode, type
 * and path, fused and not; memory shared and counted; what must be refused;
 * memory that runs out. */
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
#include "lib/nn/threads.h"
#include "tests/support/nn_plain.h"

/* f32 sums of up to some 600 products against double: about 1e-6 of the
 * largest value; Winograd's transforms lose about one digit more; bf16 keeps
 * 8 bits of every intermediate value. */
#define TOL_DIRECT 1e-5
#define TOL_WINOGRAD 1e-4
#define TOL_BF16 4e-2

static struct rng rng;

/* A graph being written, with its parameters. */
struct net {
    struct nn_graph *g;
    struct nn_params *ps;
    int n;
};

static struct net net_new(int64_t c, int64_t h, int64_t w)
{
    struct net t = {.g = nn_graph_new(NULL), .ps = nn_params_new(1, NULL)};
    assert_non_null(t.g);
    assert_non_null(t.ps);
    assert_int_equal(nn_input(t.g, c, h, w), 0);
    return t;
}

static void net_free(struct net *t)
{
    nn_graph_free(&t->g);
    nn_params_free(&t->ps);
}

static struct nn_param *param(struct net *t, int ndim, const int64_t *shape,
                              double lo, double hi)
{
    struct nn_param *p = NULL;
    char name[24];
    snprintf(name, sizeof name, "p%d", t->n++);
    assert_int_equal(nn_params_get(t->ps, name, ndim, shape, false,
                                   (struct nn_init_spec){0}, &p, NULL),
                     OK);
    for (size_t i = 0; i < p->value->count; i++)
        tensor_f32(p->value)[i] = (float)rng_range(&rng, lo, hi);
    return p;
}

/* Geometry of a convolution; zeros: kernel 3, stride 1, pad as given. */
struct geo {
    int64_t kh, kw, stride, pad, groups, dilation, output_pad;
    bool biased, transposed;
};

static int conv_of(struct net *t, int x, int64_t out, struct geo k)
{
    int64_t in = nn_graph_shape(t->g, x).c, groups = k.groups ? k.groups : 1;
    int64_t kh = k.kh ? k.kh : 3, kw = k.kw ? k.kw : kh;
    double a = 1.5 / sqrt((double)(in / groups * kh * kw));
    int64_t usual[4] = {out, in / groups, kh, kw};
    int64_t turned[4] = {in, out / groups, kh, kw};
    struct nn_param *w = param(t, 4, k.transposed ? turned : usual, -a, a);
    struct nn_param *b = k.biased ? param(t, 1, &out, -1, 1) : NULL;
    struct nn_conv_spec s = {.stride = k.stride,
                             .pad = k.pad,
                             .dilation = k.dilation,
                             .groups = k.groups};
    return k.transposed ? nn_conv_transpose(t->g, x, w, b, &s, k.output_pad)
                        : nn_conv(t->g, x, w, b, &s);
}

static int conv3(struct net *t, int x, int64_t out)
{
    return conv_of(t, x, out, (struct geo){.pad = 1});
}

static int conv1(struct net *t, int x, int64_t out)
{
    return conv_of(t, x, out, (struct geo){.kh = 1});
}

static int norm(struct net *t, int x)
{
    int64_t c = nn_graph_shape(t->g, x).c;
    struct nn_param *gamma = param(t, 1, &c, 0.5, 1.5);
    struct nn_param *beta = param(t, 1, &c, -1, 1);
    struct nn_param *mean = param(t, 1, &c, -1, 1);
    struct nn_param *var = param(t, 1, &c, 0.3, 2);
    return nn_batch_norm(t->g, x, gamma, beta, mean, var, 1e-5, 0.1);
}

static int half(struct net *t, int x, bool max)
{
    struct nn_pool_spec s = {.kernel = 2};
    return max ? nn_max_pool(t->g, x, &s) : nn_avg_pool(t->g, x, &s);
}

static int up(struct net *t, int x)
{
    struct nn_shape s = nn_graph_shape(t->g, x);
    return nn_resize_nearest(t->g, x, 2 * s.h, 2 * s.w);
}

/* ---- comparing ---- */

static size_t floats(struct nn_shape s)
{
    return (size_t)(s.c * s.h * s.w);
}

static void compare(struct net *t, const struct nn_options *o, const float *in,
                    struct nn_plain *const *want)
{
    struct err e = {0};
    struct nn_net *net = NULL;
    float *out[16];
    int n_out = nn_graph_outputs(t->g);
    if (nn_plan(t->g, o, &net, &e)) {
        print_error("%s\n", e.text);
        fail();
    }
    for (int i = 0; i < n_out; i++) {
        out[i] = mem_array(nn_plain_size(want[0], i) * (size_t)o->batch,
                           sizeof **out);
        assert_non_null(out[i]);
    }
    double tol = o->bf16              ? TOL_BF16
                 : o->mode == NN_FAST ? TOL_WINOGRAD
                                      : TOL_DIRECT;
    for (int again = 0; again < 2; again++) { /* the arena is reused */
        if (nn_run(net, &in, out, &e)) {
            print_error("%s\n", e.text);
            fail();
        }
        for (int i = 0; i < n_out * (int)o->batch; i++) {
            int k = i / (int)o->batch, b = i % (int)o->batch;
            size_t n = nn_plain_size(want[b], k);
            const double *w = nn_plain_out(want[b], k);
            double top = 1e-3, worst = 0;
            for (size_t p = 0; p < n; p++) {
                double d = w[p] - (double)out[k][(size_t)b * n + p];
                top = fmax(top, fabs(w[p]));
                worst = d == d ? fmax(worst, fabs(d)) : HUGE_VAL;
            }
            if (!(worst <= tol * top)) {
                print_error("path %d mode %d bf16 %d unfused %d batch %d "
                            "output %d picture %d: off by %g of %g\n",
                            o->path, o->mode, o->bf16, o->unfused,
                            (int)o->batch, k, b, worst, top);
                fail();
            }
        }
    }
    for (int i = 0; i < n_out; i++)
        mem_free(out[i]);
    nn_net_free(&net);
}

/* A graph with one input, in all ways, with one picture and two. Frees it. */
static void check(struct net t)
{
    struct err e = {0};
    if (nn_graph_status(t.g, &e)) {
        print_error("%s\n", e.text);
        fail();
    }
    size_t n = floats(nn_graph_shape(t.g, 0));
    float *in = mem_array(2 * n, sizeof *in);
    assert_non_null(in);
    for (size_t i = 0; i < 2 * n; i++)
        in[i] = (float)rng_range(&rng, -1, 1);
    struct nn_plain *want[2];
    for (size_t b = 0; b < 2; b++)
        want[b] = nn_plain_run(t.g, in + b * n);
    for (int k = 0; k < 32; k++) {
        struct nn_options o = {.mode = k & 1 ? NN_FAST : NN_EXACT,
                               .unfused = k & 2,
                               .batch = k & 4 ? 2 : 1,
                               .bf16 = k & 8,
                               .path = k & 16 ? NN_PATH_BLAS : NN_PATH_DNNL};
        if ((o.bf16 && (!nn_has_bf16() || o.path == NN_PATH_BLAS)) ||
            (o.path == NN_PATH_DNNL && !nn_has_dnnl()))
            continue;
        compare(&t, &o, in, want);
    }
    nn_plain_free(want[0]);
    nn_plain_free(want[1]);
    mem_free(in);
    net_free(&t);
}

/* ---- fusions ---- */

static void test_convolutions(void **state)
{
    (void)state;
    static const struct {
        int64_t in, h, w, out;
        struct geo k;
    } c[] = {
        {3, 20, 24, 16, {.kh = 7, .stride = 2, .pad = 3}},
        {16, 26, 26, 32, {.pad = 1, .biased = true}},
        {17, 9, 11, 5, {.pad = 1}},
        {1, 1, 1, 1, {.kh = 1, .biased = true}},
        {32, 24, 25, 16, {.pad = 1}},
        {8, 12, 13, 68, {.kh = 1, .biased = true}},
        {4, 10, 10, 6, {.kh = 3, .kw = 1}},
        {16, 15, 14, 20, {.stride = 2, .pad = 1, .biased = true}},
        {6, 11, 17, 7, {.kh = 5, .kw = 4, .stride = 3, .pad = 2}},
        {32, 9, 8, 48, {.pad = 1, .groups = 2, .biased = true}},
        {16, 9, 8, 16, {.pad = 2, .dilation = 2}},
        {16,
         7,
         8,
         32,
         {.stride = 2, .pad = 1, .output_pad = 1, .transposed = true}},
        {5,
         6,
         7,
         9,
         {.kh = 4, .stride = 2, .pad = 1, .transposed = true, .biased = true}},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        struct net t = net_new(c[i].in, c[i].h, c[i].w);
        nn_output(t.g, conv_of(&t, 0, c[i].out, c[i].k));
        check(t);
    }
}

static void test_single_operators(void **state)
{
    (void)state;
    for (int c = 5; c <= 48; c += 43) {
        struct net t = net_new(c, 9, 14);
        int two[3] = {0, nn_relu(t.g, 0), norm(&t, 0)};
        nn_output(t.g, two[1]);
        nn_output(t.g, two[2]);
        nn_output(t.g, nn_add(t.g, two[1], two[2]));
        nn_output(t.g, nn_concat(t.g, two, 3));
        nn_output(t.g, half(&t, 0, false));
        nn_output(t.g, half(&t, 0, true));
        nn_output(t.g, up(&t, 0));
        nn_output(t.g, 0);
        nn_output(t.g, nn_leaky_relu(t.g, two[2], 0.2));
        nn_output(t.g, nn_tanh(t.g, 0));
        nn_output(t.g, nn_sigmoid(t.g, two[1]));
        nn_output(t.g, nn_silu(t.g, two[1]));
        check(t);
    }
}

/* conv + norm + activation, with and without somebody reading in between. */
static void test_folding(void **state)
{
    (void)state;
    struct net t = net_new(16, 24, 25);
    int a = conv_of(&t, 0, 32, (struct geo){.pad = 1, .biased = true});
    int r = nn_relu(t.g, norm(&t, a)); /* folds */
    int b = conv1(&t, r, 16);
    int n = norm(&t, b); /* does not: b is an output */
    nn_output(t.g, b);
    int q = nn_relu(t.g, n);
    nn_output(t.g, n); /* nor does this ReLU into the norm */
    nn_output(t.g, nn_relu(t.g, conv_of(&t, q, 20,
                                        (struct geo){.stride = 2, .pad = 1})));
    check(t);
    t = net_new(16, 12, 13); /* each activation, folded and not */
    int y = nn_leaky_relu(t.g, norm(&t, conv3(&t, 0, 32)), 0.2);
    y = nn_silu(t.g, norm(&t, conv3(&t, y, 16)));
    y = nn_leaky_relu(t.g, norm(&t, y), 0.1);
    y = nn_sigmoid(t.g, conv3(&t, y, 32));
    nn_output(t.g, nn_relu(t.g, nn_add(t.g, y, conv1(&t, 0, 32))));
    nn_output(t.g, nn_tanh(t.g, norm(&t, conv3(&t, y, 5))));
    check(t);
}

/* Norm and activation after transposed and grouped convolutions. */
static void test_folding_transposed(void **state)
{
    (void)state;
    struct net t = net_new(16, 7, 9);
    struct geo k = {.stride = 2, .pad = 1, .output_pad = 1, .transposed = true};
    int y = nn_relu(t.g, norm(&t, conv_of(&t, 0, 32, k)));
    k.groups = 2;
    k.biased = true;
    y = nn_relu(t.g, norm(&t, conv_of(&t, y, 6, k)));
    nn_output(t.g, nn_tanh(t.g, conv3(&t, y, 3)));
    k = (struct geo){.pad = 1, .groups = 4, .biased = true};
    nn_output(t.g, norm(&t, conv_of(&t, 0, 8, k)));
    check(t);
}

/* Frames of zeros go into a convolution where they are even and it reads
 * them; reflections and uneven ones stay. */
static void test_padding(void **state)
{
    (void)state;
    struct net t = net_new(16, 10, 11);
    int p = nn_pad(t.g, 0, NN_PAD_ZERO, 2, 2, 2, 2);
    int a = conv3(&t, p, 16), b = conv_of(&t, p, 16, (struct geo){.kh = 5});
    nn_output(t.g, a);
    nn_output(t.g, half(&t, p, true));
    p = nn_pad(t.g, nn_relu(t.g, b), NN_PAD_ZERO, 1, 1, 1, 0);
    nn_output(t.g, conv_of(&t, p, 17, (struct geo){.stride = 2}));
    p = nn_pad(t.g, nn_relu(t.g, b), NN_PAD_REFLECT, 3, 3, 3, 3);
    p = conv_of(&t, p, 16, (struct geo){.kh = 7});
    nn_output(t.g, nn_add(t.g, p, b));
    check(t);
}

/* FAN's block: raw parts side by side plus the input, norms in between. */
static int block(struct net *t, int x, int64_t out)
{
    int part[3], y = x;
    for (int i = 0; i < 3; i++)
        part[i] = y =
            conv3(t, nn_relu(t->g, norm(t, y)), i ? out / 4 : out / 2);
    int r = nn_graph_shape(t->g, x).c == out
                ? x
                : conv1(t, nn_relu(t->g, norm(t, x)), out);
    return nn_add(t->g, nn_concat(t->g, part, 3), r);
}

static void test_blocks_and_hourglass(void **state)
{
    (void)state;
    for (int64_t c = 24; c <= 64; c += 40) { /* 24: parts of 12, 6, 6 */
        struct net t = net_new(3, 24, 26);
        int x = nn_relu(t.g, norm(&t, conv3(&t, 0, 16)));
        x = block(&t, block(&t, x, c), c);
        int low = block(&t, half(&t, x, false), c);
        int y = nn_add(t.g, block(&t, x, c), up(&t, low));
        y = conv_of(&t, y, c, (struct geo){.kh = 1, .biased = true});
        nn_output(t.g, y);
        int z = conv_of(&t, y, c, (struct geo){.kh = 1, .biased = true});
        nn_output(t.g, nn_add(t.g, nn_add(t.g, x, y), z));
        check(t);
    }
}

/* ResNet's block; the way round it before or after the convolutions. */
static int residual(struct net *t, int x, int64_t out, int64_t stride,
                    bool before)
{
    int way = x;
    bool change = stride > 1 || nn_graph_shape(t->g, x).c != out;
    struct geo first = {.pad = 1, .stride = stride};
    struct geo side = {.kh = 1, .stride = stride};
    if (change && before)
        way = norm(t, conv_of(t, x, out, side));
    int y = nn_relu(t->g, norm(t, conv_of(t, x, out, first)));
    y = norm(t, conv3(t, y, out));
    if (change && !before)
        way = norm(t, conv_of(t, x, out, side));
    return nn_relu(t->g, before ? nn_add(t->g, way, y) : nn_add(t->g, y, way));
}

static void test_residuals(void **state)
{
    (void)state;
    struct net t = net_new(3, 25, 24);
    int x = nn_relu(t.g, norm(&t, conv3(&t, 0, 16)));
    struct nn_pool_spec odd = {.kernel = 3, .stride = 2, .pad = 1};
    x = nn_max_pool(t.g, x, &odd);
    x = residual(&t, residual(&t, x, 16, 1, false), 32, 2, false);
    x = residual(&t, residual(&t, x, 32, 1, true), 20, 2, true);
    nn_output(t.g, x);
    int64_t f = 4 * nn_graph_shape(t.g, x).c, k[2] = {7, 20};
    int v = nn_global_avg_pool(t.g, x);
    nn_output(
        t.g, nn_linear(t.g, v, param(&t, 2, k, -1, 1), param(&t, 1, k, -1, 1)));
    f = nn_graph_shape(t.g, x).h * nn_graph_shape(t.g, x).w * 20;
    k[1] = f;
    nn_output(t.g, nn_linear(t.g, nn_flatten(t.g, nn_dropout(t.g, x, 0.5)),
                             param(&t, 2, k, -0.2, 0.2), NULL));
    check(t);
}

/* A convolution may add to x's memory only where nobody reads x later: not
 * here, where it is an output, read by another convolution, by a sum that is
 * taken later, by a norm, by the convolution itself, or made after it. */
static void test_sums_that_need_memory(void **state)
{
    (void)state;
    struct net t = net_new(16, 8, 9);
    int x = nn_relu(t.g, conv3(&t, 0, 16));
    int a = nn_add(t.g, x, conv1(&t, x, 16)); /* reads x itself */
    nn_output(t.g, a);
    int b = nn_add(t.g, a, conv3(&t, nn_relu(t.g, a), 16)); /* an output */
    int c = nn_add(t.g, conv3(&t, nn_tanh(t.g, b), 16), b);
    int late = conv3(&t, b, 16); /* reads b after it was summed */
    int d = nn_add(t.g, c, late);
    int early = nn_add(t.g, d, b);
    int q = nn_add(t.g, conv3(&t, nn_tanh(t.g, d), 16), d);
    nn_output(t.g, nn_add(t.g, early, q));
    int y = conv3(&t, q, 16);
    int z = nn_add(t.g, y, nn_relu(t.g, q)); /* made after the convolution */
    int w = nn_add(t.g, conv3(&t, nn_sigmoid(t.g, z), 16), z);
    nn_output(t.g, nn_add(t.g, norm(&t, z), w));
    nn_output(t.g, nn_add(t.g, conv1(&t, 0, 16), 0)); /* the input's copy */
    nn_output(t.g, nn_add(t.g, z, z));
    check(t);
}

/* More norms of one sum than a pass has outputs; norms of norms. */
static void test_many_readers(void **state)
{
    (void)state;
    struct net t = net_new(16, 6, 7);
    int a = conv3(&t, 0, 16), last = a;
    for (int i = 0; i < 6; i++)
        last = nn_add(t.g, last, nn_relu(t.g, norm(&t, a)));
    nn_output(t.g, norm(&t, nn_relu(t.g, norm(&t, norm(&t, last)))));
    int sum = nn_add(t.g, a, nn_tanh(t.g, a)), end = nn_relu(t.g, sum);
    for (int i = 0; i < 6; i++) /* of a sum */
        end = nn_add(t.g, end, norm(&t, sum));
    nn_output(t.g, end);
    for (int i = 0; i < 3; i++) /* of an input, before a ReLU and after */
        end = nn_add(t.g, end, nn_relu(t.g, norm(&t, 0)));
    nn_output(t.g, end);
    check(t);
}

/* Sums of more terms than a pass takes, concats of concats. */
static void test_many_pieces(void **state)
{
    (void)state;
    struct net t = net_new(16, 6, 8);
    int x[8], y[8], low = half(&t, 0, true);
    for (int i = 0; i < 8; i++) {
        x[i] = conv1(&t, 0, 16);
        y[i] = i % 2 ? up(&t, conv1(&t, low, 16)) : conv1(&t, 0, 16);
    }
    int a = nn_concat(t.g, x, 8), b = nn_concat(t.g, y, 8);
    nn_output(t.g, nn_relu(t.g, nn_add(t.g, a, b)));
    int two[2] = {nn_concat(t.g, x, 4), nn_concat(t.g, y, 3)};
    nn_output(t.g, nn_concat(t.g, two, 2));
    int sum = x[0];
    for (int i = 1; i < 8; i++)
        sum = nn_add(t.g, sum, nn_add(t.g, x[i], y[i]));
    nn_output(t.g, norm(&t, sum));
    check(t);
}

/* A U-Net down to one pixel; parts that are no whole blocks. */
static void test_unet(void **state)
{
    (void)state;
    for (int64_t c = 6; c <= 16; c += 10) {
        struct net t = net_new(3, 8, 8);
        struct geo down = {.kh = 4, .stride = 2, .pad = 1};
        struct geo rise = {.kh = 4, .stride = 2, .pad = 1, .transposed = true};
        int a = conv_of(&t, 0, c, down);
        int b = norm(&t, conv_of(&t, nn_leaky_relu(t.g, a, 0.2), 2 * c, down));
        int d = conv_of(&t, nn_leaky_relu(t.g, b, 0.2), 2 * c, down);
        int two[2] = {b, norm(&t, conv_of(&t, nn_relu(t.g, d), 2 * c, rise))};
        int y = nn_relu(t.g, nn_concat(t.g, two, 2));
        two[0] = a;
        two[1] = norm(&t, conv_of(&t, y, c, rise));
        y = nn_relu(t.g, nn_concat(t.g, two, 2));
        nn_output(t.g, nn_tanh(t.g, conv_of(&t, y, 3, rise)));
        check(t);
    }
}

/* Few output channels: several pixels are made at once, where they divide the
 * width; uneven concats of them among blocks that Winograd wants. */
static void test_few_channels(void **state)
{
    (void)state;
    struct net t = net_new(16, 26, 32);
    int x = nn_relu(t.g, norm(&t, conv3(&t, 0, 32)));
    struct geo wide = {.kh = 7, .pad = 3, .biased = true};
    int one = nn_tanh(t.g, norm(&t, conv_of(&t, x, 1, wide)));
    int three = conv3(&t, x, 3), five = conv_of(&t, x, 5, wide);
    nn_output(t.g, nn_concat(t.g, (int[]){one, three, five}, 3));
    nn_output(t.g, nn_relu(t.g, nn_add(t.g, conv3(&t, x, 3), three)));
    nn_output(t.g, conv_of(&t, x, 8, (struct geo){.kh = 3, .kw = 4}));
    check(t);
}

/* A fast plan in which some convolutions run channels-last and some in
 * blocks. */
static void test_mixed_layouts(void **state)
{
    (void)state;
    struct net t = net_new(3, 48, 48);
    struct geo down = {.kh = 5, .stride = 2, .pad = 2};
    int x = nn_relu(t.g, norm(&t, conv1(&t, 0, 16)));
    x = nn_relu(t.g, norm(&t, conv_of(&t, x, 128, down)));
    x = nn_pad(t.g, x, NN_PAD_REFLECT, 1, 1, 1, 1);
    x = nn_relu(t.g, norm(&t, conv_of(&t, x, 64, (struct geo){0})));
    x = nn_add(t.g, x, norm(&t, conv3(&t, nn_sigmoid(t.g, x), 64)));
    nn_output(t.g, nn_relu(t.g, conv3(&t, x, 32)));
    if (nn_has_dnnl() && nn_conv_has_block16()) {
        struct nn_options o = {.mode = NN_FAST, .path = NN_PATH_DNNL};
        struct nn_net *net = NULL;
        struct buf b;
        buf_init(&b, 1 << 20);
        assert_int_equal(nn_plan(t.g, &o, &net, NULL), OK);
        assert_int_equal(nn_net_describe(net, &b, NULL), OK);
        bool wino = nn_has_winograd(); /* else all runs channels-last */
        assert_true(!strstr(buf_str(&b), "convert") == !wino);
        assert_true(!strstr(buf_str(&b), "wino") == !wino);
        buf_free(&b);
        nn_net_free(&net);
    }
    check(t);
}

/* MB of weights as the plan's table says, to 0.1, and how many Winograd kernels
 * there are. */
static double weights_of(struct net *t, const struct nn_options *o, int *wino)
{
    struct nn_net *net = NULL;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(nn_plan(t->g, o, &net, NULL), OK);
    assert_int_equal(nn_net_describe(net, &b, NULL), OK);
    *wino = 0;
    for (const char *p = buf_str(&b); (p = strstr(p, "wino")); p++)
        ++*wino;
    const char *said = strstr(buf_str(&b), ", weights ");
    assert_non_null(said);
    double mb = strtod(said + 10, NULL);
    buf_free(&b);
    nn_net_free(&net);
    return mb;
}

/* A plan like another keeps what that one keeps, whatever it would choose by
 * itself, so that it has no weights of its own. */
static void follow(struct net *t)
{
    for (size_t keep = 0; keep < 2; keep++) {
        struct nn_options o = {.mode = NN_FAST,
                               .fast_bytes = keep ? (size_t)1 << 30 : 1};
        struct nn_net *first = NULL;
        int wino = 0;
        assert_int_equal(nn_plan(t->g, &o, &first, NULL), OK);
        struct nn_options p = {.mode = NN_FAST, .batch = 3, .like = first};
        assert_true(weights_of(t, &p, &wino) < 0.11);
        nn_net_free(&first);
    }
}

/* Winograd's weights: none are kept, as many as may be, all. The results are
 * right in each case. */
static void test_fast_bytes(void **state)
{
    (void)state;
    enum { side = 64, large = 96 * 96 * 27 * 4, small = 96 * 256 * 27 * 4 };
    static const size_t budget[] = {1,     large - 1,     large,
                                    small, small + large, 0};
    /* The smaller picture's come first, as they lose most. */
    static const size_t kept[] = {0, 0, large, small, small + large, small};
    struct net t = net_new(16, side, side);
    int x = nn_relu(t.g, norm(&t, conv1(&t, 0, 96)));
    x = half(&t, nn_relu(t.g, norm(&t, conv3(&t, x, 96))), true);
    nn_output(t.g, conv3(&t, x, 256));
    double least = 0;
    size_t n = floats(nn_graph_shape(t.g, 0));
    float *in = mem_array(n, sizeof *in);
    assert_non_null(in);
    for (size_t i = 0; i < n; i++)
        in[i] = (float)rng_range(&rng, -1, 1);
    struct nn_plain *want = nn_plain_run(t.g, in);
    for (size_t i = 0; i < sizeof budget / sizeof *budget; i++) {
        struct nn_options o = {
            .mode = NN_FAST, .batch = 1, .fast_bytes = budget[i]};
        int wino = 0;
        double mb = weights_of(&t, &o, &wino);
        least = i ? least : mb;
        compare(&t, &o, in, &want);
        if (!nn_has_dnnl() || !nn_conv_has_block16())
            continue;
        bool has = nn_has_winograd();
        assert_int_equal(wino, has ? 2 : 0);
        assert_true(fabs(mb - least - (has ? (double)kept[i] * 1e-6 : 0)) <
                    0.11);
    }
    nn_plain_free(want);
    mem_free(in);
    follow(&t);
    net_free(&t);
}

/* Nodes that nobody needs, inputs and nodes that are several outputs. */
static void test_ends(void **state)
{
    (void)state;
    struct net t = net_new(4, 6, 6);
    int a = conv3(&t, 0, 16);
    (void)norm(&t, conv3(&t, a, 8)); /* for nothing */
    int b = nn_relu(t.g, a), c = nn_dropout(t.g, b, 0.5);
    nn_output(t.g, c);
    nn_output(t.g, b);
    nn_output(t.g, a);
    nn_output(t.g, nn_detach(t.g, 0));
    nn_output(t.g, 0);
    check(t);
}

/* ---- plans ---- */

/* Two inputs; graph and parameters go before the plan runs; memory is shared
 * and counted. */
static void test_plans_by_themselves(void **state)
{
    (void)state;
    struct err e = {0};
    for (int way = 0; way < 4; way++) {
        struct nn_options o = {.mode = way & 1 ? NN_FAST : NN_EXACT,
                               .unfused = way & 2};
        struct net t = net_new(16, 32, 32);
        int second = nn_input(t.g, 16, 32, 32), y = nn_add(t.g, 0, second);
        for (int i = 0; i < 10; i++)
            y = nn_relu(t.g, norm(&t, conv3(&t, y, 16)));
        nn_output(t.g, y);
        int64_t k[2] = {3, 16};
        nn_output(t.g, nn_linear(t.g, nn_global_avg_pool(t.g, y),
                                 param(&t, 2, k, -1, 1), NULL));
        size_t n = floats(nn_graph_shape(t.g, y));
        float *in[2], *out[2], *before = mem_array(n, sizeof *before), few[3];
        assert_non_null(before);
        for (int i = 0; i < 2; i++) {
            in[i] = mem_array(n, sizeof **in);
            assert_non_null(in[i]);
            for (size_t p = 0; p < n; p++)
                in[i][p] = (float)rng_range(&rng, -1, 1);
        }
        const float *const from[2] = {in[0], in[1]};
        struct nn_net *net = NULL;
        assert_int_equal(nn_plan(t.g, &o, &net, &e), OK);
        out[0] = before;
        out[1] = few;
        assert_int_equal(nn_run(net, from, out, &e), OK);
        memset(tensor_f32(nn_params_at(t.ps, 0)->value), 0, 64);
        net_free(&t);
        float *after = mem_array(n, sizeof *after), same[3];
        assert_non_null(after);
        out[0] = after;
        out[1] = same;
        assert_int_equal(nn_run(net, from, out, &e), OK);
        assert_memory_equal(before, after, n * sizeof *after);
        assert_memory_equal(few, same, sizeof few);
        /* Fused, two pictures of 64 KiB are alive at once, unfused three. */
        assert_true(nn_net_arena_bytes(net) <= 4 * 65536);
        assert_true(nn_net_bytes(net) >=
                    nn_net_arena_bytes(net) + 10 * 9 * 16 * 16 * 4);
        struct buf b;
        buf_init(&b, 1 << 20);
        assert_int_equal(nn_net_describe(net, &b, &e), OK);
        assert_non_null(strstr(buf_str(&b), "conv"));
        assert_non_null(strstr(buf_str(&b), "linear"));
        assert_non_null(strstr(buf_str(&b), "total"));
        assert_int_equal(!strstr(buf_str(&b), "+norm+act"), o.unfused);
        buf_free(&b);
        buf_init(&b, 100);
        assert_int_equal(nn_net_describe(net, &b, &e), ERR_NOMEM);
        buf_free(&b);
        nn_net_free(&net);
        mem_free(before);
        mem_free(after);
        mem_free(in[0]);
        mem_free(in[1]);
    }
}

static void refused(struct net t, int node, const struct nn_options *o,
                    enum err_code code, const char *text)
{
    struct err e = {0};
    struct nn_net *net = NULL;
    assert_int_equal(node, -1);
    assert_int_equal(nn_plan(t.g, o, &net, &e), code);
    assert_null(net);
    if (!strstr(e.text, text)) {
        print_error("'%s' does not say '%s'\n", e.text, text);
        fail();
    }
    net_free(&t);
}

static void test_refuses(void **state)
{
    (void)state;
    const struct nn_options o = {0};
    struct net t = net_new(4, 8, 8);
    refused(t, nn_relu(t.g, 7), &o, ERR_ARG, "does not exist");
    t = net_new(4, 8, 8);
    refused(t, nn_add(t.g, 0, half(&t, 0, false)), &o, ERR_ARG, "node 2 (add)");
    t = net_new(4, 8, 8);
    refused(t, -1, &o, ERR_ARG, "an output");
    t = net_new(4, 8, 8);
    nn_output(t.g, 0);
    refused(t, -1, &(struct nn_options){.batch = -1}, ERR_ARG, "batch");
    t = net_new(4, 8, 8);
    nn_output(t.g, 0);
    refused(t, -1, &(struct nn_options){.bf16 = true, .path = NN_PATH_BLAS},
            ERR_UNSUPPORTED, "bf16");
    for (int folded = 0; folded < 2; folded++) {
        t = net_new(4, 8, 8);
        int x = norm(&t, folded ? conv3(&t, 0, 4) : 0);
        nn_output(t.g, x);
        nn_output(t.g, conv3(&t, x, 4));
        size_t last = nn_params_count(t.ps) - 2;
        tensor_f32(nn_params_at(t.ps, last)->value)[2] = -1;
        refused(t, -1, &o, ERR_DATA, nn_params_at(t.ps, last)->name);
    }
    nn_net_free(NULL);
}

/* Wide convolutions of a bf16 plan that is to be fast are Winograd's, in f32,
 * with what lies between them; the others stay in bf16. */
static void test_mixed(void **state)
{
    (void)state;
    struct net t = net_new(32, 17, 17);
    int x = nn_relu(t.g, norm(&t, conv3(&t, 0, 256)));
    int y = nn_pad(t.g, x, NN_PAD_REFLECT, 1, 1, 1, 1);
    y = nn_relu(t.g,
                norm(&t, conv_of(&t, y, 256, (struct geo){.biased = true})));
    y = nn_pad(t.g, y, NN_PAD_REFLECT, 1, 1, 1, 1);
    x = nn_add(t.g, norm(&t, conv_of(&t, y, 256, (struct geo){0})), x);
    nn_output(t.g, x);
    nn_output(t.g, nn_tanh(t.g, conv3(&t, x, 32)));
    if (nn_has_bf16() && nn_has_dnnl() && nn_conv_has_block16()) {
        struct nn_options o = {.mode = NN_FAST, .bf16 = true, .batch = 2};
        for (int k = 0; k < 2; k++) { /* one picture is too small to pay */
            struct err e = {0};
            struct nn_net *net = NULL;
            struct buf b;
            buf_init(&b, 1 << 20);
            o.batch = k ? 1 : 2;
            assert_int_equal(nn_plan(t.g, &o, &net, &e), OK);
            assert_int_equal(nn_net_describe(net, &b, &e), OK);
            int wino = 0, half = 0;
            for (const char *p = buf_str(&b); (p = strstr(p, "wino")); p++)
                wino++;
            for (const char *p = buf_str(&b); (p = strstr(p, "_bf16")); p++)
                half++;
            assert_int_equal(wino, k || !nn_has_winograd() ? 0 : 2);
            assert_true(half >= 2);
            buf_free(&b);
            nn_net_free(&net);
        }
    }
    check(t);
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    nn_threads_set(2);
    rng_seed(&rng, 20);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_single_operators),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_folding_transposed),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_blocks_and_hourglass),
        cmocka_unit_test(test_residuals),
        cmocka_unit_test(test_sums_that_need_memory),
        cmocka_unit_test(test_many_readers),
        cmocka_unit_test(test_many_pieces),
        cmocka_unit_test(test_unet),
        cmocka_unit_test(test_few_channels),
        cmocka_unit_test(test_mixed_layouts),
        cmocka_unit_test(test_fast_bytes),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_plans_by_themselves),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
