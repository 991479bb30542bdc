/* The network graph: every operator and every fusion against slow plain
 * loops, in each mode; shapes that must be refused; memory that runs out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/old_graph.h"
#include "lib/nn/old_graph_impl.h"
#include "lib/nn/threads.h"

/* f32 sums of up to some 600 products against double: about 1e-6 of the
 * largest value; Winograd's transforms lose about one digit more. */
#define TOL_DIRECT 1e-5
#define TOL_WINOGRAD 1e-4

static struct rng rng;

static struct tensor *noise(int ndim, const int64_t *shape, double lo,
                            double hi)
{
    struct tensor *t = tensor_new(DT_F32, ndim, shape, NULL);
    assert_non_null(t);
    for (size_t i = 0; i < t->count; i++)
        tensor_f32(t)[i] = (float)rng_range(&rng, lo, hi);
    return t;
}

static int conv(struct nv_graph *g, int x, int64_t out, int64_t kh, int64_t kw,
                int64_t stride, int64_t pad, bool biased)
{
    int64_t in = nv_graph_shape(g, x).c;
    double k = 1.5 / sqrt((double)(in * kh * kw));
    struct tensor *w = noise(4, (const int64_t[]){out, in, kh, kw}, -k, k);
    struct tensor *b = biased ? noise(1, &out, -1, 1) : NULL;
    int n = nv_conv(g, x, w, b, stride, pad);
    tensor_free(&w);
    tensor_free(&b);
    return n;
}

static int norm(struct nv_graph *g, int x)
{
    int64_t c = nv_graph_shape(g, x).c;
    struct tensor *t[4] = {noise(1, &c, 0.5, 1.5), noise(1, &c, -1, 1),
                           noise(1, &c, -1, 1), noise(1, &c, 0.3, 2)};
    int n = nv_batch_norm(g, x, t[0], t[1], t[2], t[3], 1e-5);
    for (int i = 0; i < 4; i++)
        tensor_free(&t[i]);
    return n;
}

/* ---- the reference: one node after the other, in double ---- */

static size_t floats(struct nn_shape s)
{
    return (size_t)(s.c * s.h * s.w);
}

static double pixel(const double *v, struct nn_shape s, int64_t c, int64_t y,
                    int64_t x)
{
    if (y < 0 || x < 0 || y >= s.h || x >= s.w)
        return 0;
    return v[(c * s.h + y) * s.w + x];
}

static double conv_at(const struct nv_node *n, const double *in,
                      struct nn_shape s, int64_t o, int64_t y, int64_t x)
{
    const int64_t *k = n->weights->shape;
    const float *w = tensor_f32(n->weights);
    double sum = n->bias ? (double)tensor_f32(n->bias)[o] : 0;
    for (int64_t c = 0; c < k[1]; c++)
        for (int64_t j = 0; j < k[2]; j++)
            for (int64_t i = 0; i < k[3]; i++)
                sum += (double)w[((o * k[1] + c) * k[2] + j) * k[3] + i] *
                       pixel(in, s, c, y * n->stride + j - n->pad,
                             x * n->stride + i - n->pad);
    return sum;
}

static double node_at(const struct nv_graph *g, const struct nv_node *n,
                      double **v, int64_t c, int64_t y, int64_t x)
{
    const double *a = v[n->in[0]];
    struct nn_shape s = g->node[n->in[0]].shape;
    double q[4];
    int k = 0;
    switch (n->kind) {
    case NV_CONV:
        return conv_at(n, a, s, c, y, x);
    case NV_BATCH_NORM:
        return pixel(a, s, c, y, x) * (double)tensor_f32(n->scale)[c] +
               (double)tensor_f32(n->shift)[c];
    case NV_RELU:
        return fmax(0, pixel(a, s, c, y, x));
    case NV_ADD:
        return pixel(a, s, c, y, x) + pixel(v[n->in[1]], s, c, y, x);
    case NV_UPSAMPLE2:
        return pixel(a, s, c, y / 2, x / 2);
    case NV_CONCAT:
        for (; c >= g->node[n->in[k]].shape.c; k++)
            c -= g->node[n->in[k]].shape.c;
        return pixel(v[n->in[k]], g->node[n->in[k]].shape, c, y, x);
    default:
        for (k = 0; k < 4; k++)
            q[k] = pixel(a, s, c, 2 * y + k / 2, 2 * x + k % 2);
        if (n->kind == NV_MAX_POOL2)
            return fmax(fmax(q[0], q[1]), fmax(q[2], q[3]));
        return (q[0] + q[1] + q[2] + q[3]) / 4;
    }
}

static void reference(const struct nv_graph *g, const float *in, double **v)
{
    for (int i = 0; i < g->n; i++) {
        const struct nv_node *n = &g->node[i];
        v[i] = mem_array(floats(n->shape), sizeof(double));
        assert_non_null(v[i]);
        for (size_t p = 0; p < floats(n->shape); p++) {
            int64_t x = (int64_t)p % n->shape.w;
            int64_t y = (int64_t)p / n->shape.w % n->shape.h;
            int64_t c = (int64_t)p / n->shape.w / n->shape.h;
            v[i][p] =
                n->kind == NV_INPUT ? (double)in[p] : node_at(g, n, v, c, y, x);
        }
    }
}

static void compare(const struct nv_graph *g, const struct nv_options *o,
                    const float *in, double ***want)
{
    struct err e = {0};
    struct nv_net *net = NULL;
    float *out[NV_MAX_PORTS];
    if (nv_plan(g, o, &net, &e)) {
        print_error("%s\n", e.text);
        fail();
    }
    for (int i = 0; i < g->n_output; i++) {
        size_t n = floats(g->node[g->output[i]].shape);
        out[i] = mem_array(n * (size_t)o->batch, sizeof **out);
        assert_non_null(out[i]);
    }
    for (int again = 0; again < 2; again++) { /* the arena is reused */
        assert_int_equal(nv_run(net, &in, out, &e), OK);
        for (int i = 0; i < g->n_output; i++) {
            size_t n = floats(g->node[g->output[i]].shape);
            for (int64_t b = 0; b < o->batch; b++) {
                const double *w = want[b][g->output[i]];
                double top = 1e-3, worst = 0;
                for (size_t p = 0; p < n; p++) {
                    top = fmax(top, fabs(w[p]));
                    worst = fmax(
                        worst, fabs(w[p] - (double)out[i][(size_t)b * n + p]));
                }
                double tol = o->mode == NV_FAST ? TOL_WINOGRAD : TOL_DIRECT;
                if (!(worst <= tol * top)) {
                    print_error("mode %d unfused %d output %d picture %d: "
                                "off by %g of %g\n",
                                o->mode, o->unfused, i, (int)b, worst, top);
                    fail();
                }
            }
        }
    }
    for (int i = 0; i < g->n_output; i++)
        mem_free(out[i]);
    nv_net_free(&net);
}

/* A graph with one input, in all modes, with two pictures. Frees it. */
static void check(struct nv_graph *g)
{
    struct err e = {0};
    if (nv_graph_status(g, &e)) {
        print_error("%s\n", e.text);
        fail();
    }
    size_t n = floats(g->node[g->input[0]].shape);
    float *in = mem_array(2 * n, sizeof *in);
    assert_non_null(in);
    for (size_t i = 0; i < 2 * n; i++)
        in[i] = (float)rng_range(&rng, -1, 1);
    double **want[2];
    for (int b = 0; b < 2; b++) {
        want[b] = mem_calloc((size_t)g->n, sizeof **want);
        assert_non_null(want[b]);
        reference(g, in + (size_t)b * n, want[b]);
    }
    for (int k = 0; k < 8; k++) {
        struct nv_options o = {.mode = k & 1 ? NV_FAST : NV_EXACT,
                               .unfused = k & 2,
                               .batch = k & 4 ? 2 : 1};
        compare(g, &o, in, want);
    }
    for (int b = 0; b < 2; b++) {
        for (int i = 0; i < g->n; i++)
            mem_free(want[b][i]);
        mem_free(want[b]);
    }
    mem_free(in);
    nv_graph_free(&g);
}

static struct nv_graph *graph(int64_t c, int64_t h, int64_t w)
{
    struct nv_graph *g = nv_graph_new(NULL);
    assert_non_null(g);
    assert_int_equal(nv_input(g, c, h, w), 0);
    return g;
}

static void test_convolutions(void **state)
{
    (void)state;
    static const struct {
        int64_t in, h, w, out, kh, kw, stride, pad;
    } t[] = {
        {3, 20, 24, 16, 7, 7, 2, 3},  {16, 26, 26, 32, 3, 3, 1, 1},
        {17, 9, 11, 5, 3, 3, 1, 1},   {1, 1, 1, 1, 1, 1, 1, 0},
        {32, 24, 25, 16, 3, 3, 1, 1}, {8, 12, 13, 68, 1, 1, 1, 0},
        {4, 10, 10, 6, 3, 1, 1, 0},   {16, 15, 14, 20, 3, 3, 2, 1},
        {6, 11, 17, 7, 5, 4, 3, 2},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct nv_graph *g = graph(t[i].in, t[i].h, t[i].w);
        nv_output(g, conv(g, 0, t[i].out, t[i].kh, t[i].kw, t[i].stride,
                          t[i].pad, i % 2));
        check(g);
    }
}

static void test_single_operators(void **state)
{
    (void)state;
    for (int c = 5; c <= 48; c += 43) {
        struct nv_graph *g = graph(c, 9, 14);
        int two[3] = {0, nv_relu(g, 0), norm(g, 0)};
        nv_output(g, two[1]);
        nv_output(g, two[2]);
        nv_output(g, nv_add(g, two[1], two[2]));
        nv_output(g, nv_concat(g, two, 3));
        nv_output(g, nv_avg_pool2(g, 0));
        nv_output(g, nv_max_pool2(g, 0));
        nv_output(g, nv_upsample2(g, 0));
        nv_output(g, 0);
        check(g);
    }
}

/* conv + norm + ReLU, with and without somebody reading in between. */
static void test_folding(void **state)
{
    (void)state;
    struct nv_graph *g = graph(16, 24, 25);
    int a = conv(g, 0, 32, 3, 3, 1, 1, true);
    int r = nv_relu(g, norm(g, a)); /* folds */
    int b = conv(g, r, 16, 1, 1, 1, 0, false);
    int n = norm(g, b); /* does not: b is an output */
    nv_output(g, b);
    int q = nv_relu(g, n);
    nv_output(g, n); /* nor does this ReLU into the norm */
    nv_output(g, nv_relu(g, conv(g, q, 20, 3, 3, 2, 1, true)));
    check(g);
}

/* FAN's block: raw parts side by side plus the input, norms in between. */
static int block(struct nv_graph *g, int x, int64_t out)
{
    int part[3], y = x;
    for (int i = 0; i < 3; i++)
        part[i] = y = conv(g, nv_relu(g, norm(g, y)), i ? out / 4 : out / 2, 3,
                           3, 1, 1, false);
    int r = nv_graph_shape(g, x).c == out
                ? x
                : conv(g, nv_relu(g, norm(g, x)), out, 1, 1, 1, 0, false);
    return nv_add(g, nv_concat(g, part, 3), r);
}

static void test_blocks_and_hourglass(void **state)
{
    (void)state;
    for (int64_t c = 24; c <= 64; c += 40) { /* 24: parts of 12, 6, 6 */
        struct nv_graph *g = graph(3, 24, 26);
        int x = nv_relu(g, norm(g, conv(g, 0, 16, 3, 3, 1, 1, true)));
        x = block(g, block(g, x, c), c);
        int low = block(g, nv_avg_pool2(g, x), c);
        int y = nv_add(g, block(g, x, c), nv_upsample2(g, low));
        y = conv(g, y, c, 1, 1, 1, 0, true);
        nv_output(g, y);
        nv_output(g,
                  nv_add(g, nv_add(g, x, y), conv(g, y, c, 1, 1, 1, 0, true)));
        check(g);
    }
}

/* More norms of one sum than a pass has outputs; norms of norms. */
static void test_many_readers(void **state)
{
    (void)state;
    struct nv_graph *g = graph(16, 6, 7);
    int a = conv(g, 0, 16, 3, 3, 1, 1, false), last = a;
    for (int i = 0; i < 6; i++)
        last = nv_add(g, last, nv_relu(g, norm(g, a)));
    nv_output(g, norm(g, nv_relu(g, norm(g, norm(g, last)))));
    check(g);
}

static void refused(struct nv_graph *g, int node, enum err_code code,
                    const char *text)
{
    struct err e = {0};
    struct nv_net *net = NULL;
    assert_int_equal(node, -1);
    assert_int_equal(nv_plan(g, &(struct nv_options){0}, &net, &e), code);
    assert_null(net);
    if (!strstr(e.text, text)) {
        print_error("'%s' does not say '%s'\n", e.text, text);
        fail();
    }
    /* The first error stays, and nothing can be added any more. */
    assert_int_equal(nv_relu(g, 0), -1);
    nv_graph_free(&g);
}

static void test_refuses(void **state)
{
    (void)state;
    struct nv_graph *g = graph(4, 8, 8);
    refused(g, nv_relu(g, 7), ERR_ARG, "does not exist");
    g = graph(4, 8, 8);
    refused(g, nv_add(g, 0, nv_avg_pool2(g, 0)), ERR_ARG, "different shapes");
    g = graph(4, 8, 8);
    int x[5] = {0, 0, 0, 0, 0};
    refused(g, nv_concat(g, x, 5), ERR_ARG, "1 to 4");
    g = graph(4, 1, 8);
    refused(g, nv_max_pool2(g, 0), ERR_ARG, "empty");
    g = graph(4, 8, 8);
    struct tensor *w = noise(4, (const int64_t[]){2, 5, 3, 3}, 0, 1);
    refused(g, nv_conv(g, 0, w, NULL, 1, 1), ERR_ARG, "channels");
    tensor_free(&w);
    g = graph(4, 8, 8);
    w = noise(4, (const int64_t[]){2, 4, 9, 3}, 0, 1);
    refused(g, nv_conv(g, 0, w, NULL, 1, 0), ERR_ARG, "geometry");
    g = graph(4, 8, 8);
    refused(g, nv_conv(g, 0, w, w, 1, 4), ERR_ARG, "bias");
    tensor_free(&w);
    const int64_t c = 4;
    w = noise(1, &c, -2, -1);
    g = graph(4, 8, 8);
    refused(g, nv_batch_norm(g, 0, w, w, w, w, 1e-5), ERR_DATA, "variance");
    g = graph(3, 8, 8);
    refused(g, nv_batch_norm(g, 0, w, w, w, w, 1e-5), ERR_ARG, "f32[C]");
    tensor_free(&w);
    g = graph(4, 8, 8);
    struct nv_net *net = NULL;
    struct err e = {0};
    assert_int_equal(nv_plan(g, &(struct nv_options){0}, &net, &e), ERR_ARG);
    nv_graph_free(&g);
}

static enum err_code build_and_run(const float *in, float *out)
{
    struct err e = {0};
    struct nv_net *net = NULL;
    struct nv_graph *g = nv_graph_new(&e);
    if (!g)
        return ERR_NOMEM;
    rng_seed(&rng, 3);
    int x = nv_input(g, 3, 16, 16);
    for (int i = 0; i < 70 && x >= 0; i++) /* past the first growth */
        x = nv_relu(g, x);
    const int64_t c = 3, k[4] = {4, 3, 3, 3};
    struct tensor *w = tensor_new(DT_F32, 4, k, &e);
    struct tensor *v = tensor_new(DT_F32, 1, &c, &e);
    enum err_code r = w && v ? OK : ERR_NOMEM;
    if (!r) {
        x = nv_batch_norm(g, x, v, v, v, v, 1e-5);
        nv_output(g, nv_conv(g, x, w, NULL, 1, 1));
        r = nv_plan(g, &(struct nv_options){.batch = 1}, &net, &e);
    }
    if (!r)
        r = nv_run(net, &in, &out, &e);
    tensor_free(&w);
    tensor_free(&v);
    nv_net_free(&net);
    nv_graph_free(&g);
    return r;
}

static void test_no_memory(void **state)
{
    (void)state;
    float in[3 * 256] = {0}, out[4 * 256];
    int64_t live = mem_live();
    uint64_t n = 1;
    for (;; n++) {
        mem_fail_nth(n);
        enum err_code r = build_and_run(in, out);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(mem_live(), live);
        assert_int_equal(r, hit ? ERR_NOMEM : OK);
        if (!hit)
            break;
    }
    assert_true(n > 20);
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
        cmocka_unit_test(test_blocks_and_hourglass),
        cmocka_unit_test(test_many_readers),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
