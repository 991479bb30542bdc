/* Convolution, transposed convolution and linear layers against PyTorch
 * (tests/py/goldens_conv.py, whose tables have the same names), on every path
 * and in every layout; what they refuse. Geometries by chance and fused parts:
 * tests/test_nn_conv_edges.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/nn/threads.h"
#include "tests/support/nn_check.h"

#define GOLDEN "tests/golden/nn-conv.safetensors"

/* One layer, as a row of a table. */
struct layer {
    const char *name;
    int64_t batch;
    struct nn_shape in;
    int64_t out, kh, kw;
    struct nn_conv_spec spec; /* stride, padding, dilation, groups */
    int64_t output_pad;       /* transposed */
    bool bias;
};

/* How it is used: transposed, or with a frame before it. */
struct use {
    const struct layer *layer;
    bool transposed, padded;
    enum nn_pad_kind kind;
    int64_t frame[4]; /* top, bottom, left, right */
};

static struct nn_param *param(struct nn_params *ps, const char *name, int ndim,
                              const int64_t *shape)
{
    struct nn_param *p = NULL;
    struct err e = {0};
    const struct nn_init_spec init = {NN_INIT_NORMAL, 0.1};
    if (nn_params_get(ps, name, ndim, shape, false, init, &p, &e))
        fail_msg("%s", e.text);
    return p;
}

static int build(struct nn_graph *g, struct nn_params *ps, const int *in,
                 const void *arg)
{
    const struct use *u = arg;
    const struct layer *l = u->layer;
    const int64_t *f = u->frame;
    int64_t usual[4] = {l->out, l->in.c / l->spec.groups, l->kh, l->kw};
    int64_t turned[4] = {l->in.c, l->out / l->spec.groups, l->kh, l->kw};
    struct nn_param *w = param(ps, "weight", 4, u->transposed ? turned : usual);
    struct nn_param *b = l->bias ? param(ps, "bias", 1, &l->out) : NULL;
    int x = in[0];
    if (u->padded)
        x = nn_pad(g, x, u->kind, f[0], f[1], f[2], f[3]);
    return u->transposed
               ? nn_conv_transpose(g, x, w, b, &l->spec, l->output_pad)
               : nn_conv(g, x, w, b, &l->spec);
}

static void check(const char *group, const struct use *u)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", group, u->layer->name);
    struct nn_check_case c = {.name = name,
                              .n_in = 1,
                              .in = {u->layer->in},
                              .batch = u->layer->batch,
                              .build = build,
                              .arg = u};
    nn_check(GOLDEN, &c);
}

static void test_conv(void **state)
{
    (void)state;
    static const struct layer layers[] = {
        {"few_in", 2, {3, 6, 7}, 16, 3, 3, {1, 1, 1, 1}, 0, true},
        {"stem", 1, {3, 13, 11}, 17, 7, 7, {2, 3, 1, 1}, 0, false},
        {"pixelwise", 2, {20, 3, 4}, 33, 1, 1, {1, 0, 1, 1}, 0, true},
        {"pixelwise_down", 2, {16, 5, 6}, 17, 1, 1, {2, 0, 1, 1}, 0, false},
        {"odd", 1, {33, 5, 4}, 3, 3, 3, {1, 1, 1, 1}, 0, true},
        {"down", 1, {17, 8, 7}, 6, 3, 3, {2, 1, 1, 1}, 0, true},
        {"down4", 1, {16, 6, 8}, 4, 4, 4, {2, 1, 1, 1}, 0, false},
        {"uneven", 2, {5, 6, 7}, 7, 3, 2, {1, 1, 1, 1}, 0, true},
        {"row", 1, {4, 5, 8}, 6, 1, 5, {1, 2, 1, 1}, 0, true},
        {"stride3", 1, {6, 11, 10}, 7, 5, 4, {3, 2, 1, 1}, 0, false},
        {"gaps", 2, {3, 8, 9}, 4, 2, 2, {3, 0, 1, 1}, 0, false},
        {"dilated", 1, {16, 7, 6}, 8, 3, 3, {1, 2, 2, 1}, 0, true},
        {"dilated3", 1, {5, 11, 12}, 6, 3, 3, {2, 3, 3, 1}, 0, true},
        {"groups2", 1, {32, 4, 5}, 8, 3, 3, {1, 1, 1, 2}, 0, true},
        {"groups3", 2, {12, 6, 5}, 9, 3, 3, {1, 1, 1, 3}, 0, false},
        {"depthwise", 1, {16, 6, 7}, 16, 3, 3, {1, 1, 1, 16}, 0, true},
        {"depthwise_down", 1, {20, 7, 6}, 20, 3, 3, {2, 1, 1, 20}, 0, false},
        {"multiplier", 2, {6, 5, 4}, 12, 3, 3, {1, 1, 1, 6}, 0, true},
        {"few_out", 1, {16, 4, 17}, 3, 5, 5, {1, 2, 1, 1}, 0, true},
        {"one_out", 1, {32, 3, 16}, 1, 3, 3, {1, 1, 1, 1}, 0, false},
        {"whole", 2, {18, 4, 3}, 5, 4, 3, {1, 0, 1, 1}, 0, true},
        {"pixel", 3, {20, 1, 1}, 17, 1, 1, {1, 0, 1, 1}, 0, true},
        {"pixel_padded", 2, {16, 1, 1}, 5, 3, 3, {1, 1, 1, 1}, 0, false},
        {"one", 1, {1, 4, 5}, 1, 3, 3, {1, 1, 1, 1}, 0, true},
    };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        check("conv", &(struct use){.layer = &layers[i]});
}

static void test_transposed(void **state)
{
    (void)state;
    static const struct layer layers[] = {
        {"rise", 2, {16, 3, 4}, 8, 3, 3, {2, 1, 1, 1}, 1, false},
        {"rise4", 1, {5, 4, 5}, 9, 4, 4, {2, 1, 1, 1}, 0, true},
        {"rise2", 2, {20, 3, 4}, 17, 2, 2, {2, 0, 1, 1}, 0, true},
        {"level", 1, {17, 4, 5}, 6, 3, 3, {1, 1, 1, 1}, 0, true},
        {"groups", 2, {12, 4, 3}, 6, 3, 3, {2, 1, 1, 3}, 0, true},
        {"depthwise", 1, {8, 4, 5}, 8, 4, 4, {2, 1, 1, 8}, 0, false},
        {"dilated", 2, {6, 4, 5}, 5, 3, 3, {1, 2, 2, 1}, 1, true},
        {"unreached", 2, {4, 3, 4}, 4, 1, 1, {2, 0, 1, 1}, 1, true},
        {"apart", 1, {16, 3, 2}, 10, 2, 2, {3, 0, 1, 1}, 2, true},
        {"from_pixel", 2, {18, 1, 1}, 3, 4, 4, {1, 0, 1, 1}, 0, true},
        {"rise3", 1, {3, 4, 3}, 3, 7, 7, {3, 2, 1, 1}, 2, false},
        {"uneven", 1, {5, 4, 3}, 6, 2, 5, {2, 1, 1, 1}, 1, true},
        {"few_out", 1, {32, 4, 8}, 3, 4, 4, {2, 1, 1, 1}, 0, true},
    };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        check("transposed",
              &(struct use){.layer = &layers[i], .transposed = true});
}

/* Frames before a convolution: plans take even ones of zeros into it. */
static void test_padded(void **state)
{
    (void)state;
    static const struct layer layers[] = {
        {"reflect1", 1, {16, 5, 6}, 8, 3, 3, {1, 0, 1, 1}, 0, true},
        {"reflect3", 1, {16, 4, 16}, 1, 7, 7, {1, 0, 1, 1}, 0, true},
        {"zero_even", 1, {5, 4, 6}, 6, 3, 3, {1, 1, 1, 1}, 0, false},
        {"zero_uneven", 1, {5, 4, 6}, 6, 3, 3, {2, 0, 1, 1}, 0, true},
    };
    static const struct {
        enum nn_pad_kind kind;
        int64_t frame[4];
    } before[] = {{NN_PAD_REFLECT, {1, 1, 1, 1}},
                  {NN_PAD_REFLECT, {3, 3, 3, 3}},
                  {NN_PAD_ZERO, {2, 2, 2, 2}},
                  {NN_PAD_ZERO, {1, 0, 2, 1}}};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        struct use u = {
            .layer = &layers[i], .padded = true, .kind = before[i].kind};
        memcpy(u.frame, before[i].frame, sizeof u.frame);
        check("padded", &u);
    }
}

/* ---- linear ---- */

struct features {
    const char *name;
    struct nn_shape in;
    int64_t batch, out;
    bool bias;
};

static int build_linear(struct nn_graph *g, struct nn_params *ps, const int *in,
                        const void *arg)
{
    const struct features *f = arg;
    int64_t shape[2] = {f->out, f->in.c * f->in.h * f->in.w};
    struct nn_param *w = param(ps, "weight", 2, shape);
    struct nn_param *b = f->bias ? param(ps, "bias", 1, &f->out) : NULL;
    return nn_linear(g, f->in.h > 1 ? nn_flatten(g, in[0]) : in[0], w, b);
}

static void test_linear(void **state)
{
    (void)state;
    static const struct features layers[] = {
        {"linear", {21, 1, 1}, 3, 10, true}, {"bare", {48, 1, 1}, 2, 17, false},
        {"one", {1, 1, 1}, 1, 1, true},      {"wide", {7, 1, 1}, 5, 40, true},
        {"alone", {130, 1, 1}, 1, 5, false}, {"flat", {17, 2, 3}, 2, 6, true},
    };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        char name[64];
        snprintf(name, sizeof name, "linear.%s", layers[i].name);
        struct nn_check_case c = {.name = name,
                                  .n_in = 1,
                                  .in = {layers[i].in},
                                  .batch = layers[i].batch,
                                  .build = build_linear,
                                  .arg = &layers[i]};
        nn_check(GOLDEN, &c);
    }
}

/* ---- several layers ---- */

static const struct nn_conv_spec pad1 = {.pad = 1}, pad0 = {0};

/* Two layers with the same weights: their gradients add up. */
static int build_shared(struct nn_graph *g, struct nn_params *ps, const int *in,
                        const void *arg)
{
    const int64_t shape[4] = {16, 16, 3, 3};
    struct nn_param *w = param(ps, "weight", 4, shape);
    struct nn_param *b = param(ps, "bias", 1, shape);
    (void)arg;
    return nn_conv(g, nn_conv(g, in[0], w, b, &pad1), w, b, &pad1);
}

static int build_classifier(struct nn_graph *g, struct nn_params *ps,
                            const int *in, const void *arg)
{
    const int64_t conv[4] = {20, 5, 3, 3}, fc[2] = {3, 20};
    struct nn_param *w = param(ps, "conv.weight", 4, conv);
    struct nn_param *b = param(ps, "conv.bias", 1, conv);
    struct nn_param *v = param(ps, "fc.weight", 2, fc);
    struct nn_param *c = param(ps, "fc.bias", 1, fc);
    (void)arg;
    return nn_linear(g, nn_global_avg_pool(g, nn_conv(g, in[0], w, b, &pad0)),
                     v, c);
}

static void test_together(void **state)
{
    (void)state;
    struct nn_check_case c = {.name = "shared",
                              .n_in = 1,
                              .in = {{16, 4, 5}},
                              .batch = 1,
                              .build = build_shared};
    nn_check(GOLDEN, &c);
    c = (struct nn_check_case){.name = "classifier",
                               .n_in = 1,
                               .in = {{5, 6, 5}},
                               .batch = 2,
                               .build = build_classifier};
    nn_check(GOLDEN, &c);
}

/* Large enough for Winograd's kernels, several threads, and layers whose
 * products are split; each path and layout against the plain form, and against
 * differences. */
static void test_large(void **state)
{
    (void)state;
    static const struct layer wide = {"large",      1, {16, 25, 24}, 32, 3, 3,
                                      {1, 1, 1, 1}, 0, true};
    struct nn_check_case c = {.name = "large",
                              .n_in = 1,
                              .in = {wide.in},
                              .batch = 1,
                              .build = build,
                              .arg = &(struct use){.layer = &wide}};
    nn_check_differences(&c, 11);
    static const struct features many = {"large", {300, 1, 1}, 9, 600, true};
    c = (struct nn_check_case){.name = "large linear",
                               .n_in = 1,
                               .in = {many.in},
                               .batch = many.batch,
                               .build = build_linear,
                               .arg = &many};
    nn_check_differences(&c, 12);
}

/* ---- what is refused ---- */

/* Parameters of every wrong form, and inputs 0: [6,5,7], 1: [6,1,1]. */
struct bad {
    struct nn_graph *g;
    struct nn_params *ps;
    struct nn_param *w, *flat, *bias;
};

static struct nn_graph *graph(struct bad *b)
{
    b->g = nn_graph_new(NULL);
    assert_non_null(b->g);
    (void)nn_input(b->g, 6, 5, 7);
    (void)nn_input(b->g, 6, 1, 1);
    return b->g;
}

static void refused(struct bad *b, int node, const char *text)
{
    struct err e = {0};
    assert_int_equal(node, -1);
    assert_int_equal(nn_graph_status(b->g, &e), ERR_ARG);
    if (!strstr(e.text, text))
        fail_msg("'%s' does not say '%s'", e.text, text);
    nn_graph_free(&b->g);
}

static int conv(struct bad *b, int x, struct nn_param *w, struct nn_param *bias,
                struct nn_conv_spec s)
{
    return nn_conv(graph(b), x, w, bias, &s);
}

static int rise(struct bad *b, int x, struct nn_param *w, struct nn_param *bias,
                struct nn_conv_spec s, int64_t more)
{
    return nn_conv_transpose(graph(b), x, w, bias, &s, more);
}

static void refuse_conv(struct bad *b)
{
    const struct nn_conv_spec one = {0};
    refused(b, conv(b, 0, NULL, NULL, one), "four dimensions");
    refused(b, conv(b, 0, b->flat, NULL, one), "four dimensions");
    refused(b, conv(b, 9, b->w, NULL, one), "does not exist");
    refused(b, conv(b, 0, b->w, NULL, (struct nn_conv_spec){.stride = -1}),
            "geometry");
    refused(b, conv(b, 0, b->w, NULL, (struct nn_conv_spec){.pad = -1}),
            "geometry");
    refused(b, conv(b, 0, b->w, NULL, (struct nn_conv_spec){.pad = 70000}),
            "geometry");
    refused(b, conv(b, 0, b->w, NULL, (struct nn_conv_spec){.dilation = -2}),
            "geometry");
    refused(b, conv(b, 0, b->w, NULL, (struct nn_conv_spec){.groups = -1}),
            "geometry");
    refused(b, conv(b, 0, b->w, NULL, (struct nn_conv_spec){.groups = 4}),
            "multiple of groups");
    refused(b, conv(b, 0, b->w, NULL, (struct nn_conv_spec){.groups = 2}),
            "another number of channels");
    refused(b, conv(b, 1, b->w, NULL, one), "larger than its padded input");
    refused(b, conv(b, 0, b->w, NULL, (struct nn_conv_spec){.dilation = 3}),
            "larger than its padded input");
    refused(b, conv(b, 0, b->w, b->bias, one), "output channels");
    refused(b, conv(b, 0, b->w, b->w, one), "output channels");
}

static void refuse_transposed(struct bad *b)
{
    const struct nn_conv_spec one = {0};
    refused(b, rise(b, 0, b->flat, NULL, one, 0), "four dimensions");
    refused(b, rise(b, 9, b->w, NULL, one, 0), "does not exist");
    refused(b, rise(b, 0, b->w, NULL, one, 0), "another number of channels");
    refused(b, rise(b, 0, b->w, NULL, (struct nn_conv_spec){.groups = 4}, 0),
            "multiple of groups");
    const int64_t shape[4] = {6, 4, 3, 3};
    struct nn_param *v = param(b->ps, "turned", 4, shape);
    refused(b, rise(b, 0, v, NULL, one, 1), "output padding");
    refused(b, rise(b, 0, v, NULL, one, -1), "output padding");
    refused(b, rise(b, 0, v, NULL, (struct nn_conv_spec){.stride = 2}, 2),
            "output padding");
    refused(b, rise(b, 0, v, b->bias, one, 0), "output channels");
    /* Padding takes away more than there is. */
    refused(b, rise(b, 1, v, NULL, (struct nn_conv_spec){.pad = 2}, 0),
            "conv_transpose");
}

static void refuse_linear(struct bad *b)
{
    refused(b, nn_linear(graph(b), 1, NULL, NULL), "two dimensions");
    refused(b, nn_linear(graph(b), 1, b->w, NULL), "two dimensions");
    refused(b, nn_linear(graph(b), 9, b->flat, NULL), "does not exist");
    refused(b, nn_linear(graph(b), 0, b->flat, NULL), "must be a vector");
    refused(b, nn_linear(graph(b), 1, b->bias, NULL), "two dimensions");
    const int64_t shape[2] = {4, 5};
    refused(b, nn_linear(graph(b), 1, param(b->ps, "f5", 2, shape), NULL),
            "another number of features");
    refused(b, nn_linear(graph(b), 1, b->flat, b->bias), "output features");
}

static void test_refused(void **state)
{
    (void)state;
    struct bad b = {.ps = nn_params_new(1, NULL)};
    assert_non_null(b.ps);
    b.w = param(b.ps, "w", 4, (const int64_t[]){8, 6, 3, 3});
    b.flat = param(b.ps, "flat", 2, (const int64_t[]){4, 6});
    b.bias = param(b.ps, "bias", 1, (const int64_t[]){5});
    refuse_conv(&b);
    refuse_transposed(&b);
    refuse_linear(&b);
    nn_params_free(&b.ps);
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    nn_threads_set(2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),     cmocka_unit_test(test_transposed),
        cmocka_unit_test(test_padded),   cmocka_unit_test(test_linear),
        cmocka_unit_test(test_together), cmocka_unit_test(test_large),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
