/* Parameters that stay in their file: plans of them are those of parameters in
 * memory, bit for bit, and hold no more than they say; plans that share packed
 * weights; files that change; memory that runs out. */
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
#include "lib/nn/conv.h"
#include "lib/nn/layer.h"
#include "lib/nn/net.h"
#include "lib/nn/optim.h"
#include "lib/nn/threads.h"
#include "lib/nn/train.h"

#define SIDE 32
#define FLOATS (3 * SIDE * SIDE)
#define OUT (16 + 5) /* a map's channels, and a vector */

static char folder[] = "/tmp/facet-lend-XXXXXX";
static char *path; /* of the weights that write_weights draws */

static void die(const struct err *e)
{
    print_error("%s\n", e->text);
    fail();
}

/* Convolutions of every method (few channels in and out, 3x3, 1x1, transposed)
 * with and without a norm, a norm by itself, a linear layer. */
static void build(const struct nn_scope *s, int64_t side)
{
    struct nn_conv_layer first = {.out = 32, .kernel = 7, .pad = 3};
    struct nn_conv_layer three = {.out = 64, .kernel = 3, .pad = 1};
    struct nn_conv_layer one = {.out = 48, .kernel = 1, .no_bias = true};
    struct nn_conv_layer up = {.out = 32, .kernel = 4, .stride = 2, .pad = 1};
    struct nn_conv_layer last = {.out = 3, .kernel = 7, .pad = 3};
    up.transposed = true;
    int x = nn_conv_layer(s, nn_input(s->g, 3, side, side), "first", &first);
    x = nn_relu(s->g, nn_batch_norm_layer(s, x, "norm1"));
    x = nn_conv_layer(s, x, "three", &three);
    int y = nn_relu(s->g, nn_batch_norm_layer(s, x, "norm2"));
    y = nn_conv_layer(s, y, "one", &one);
    y = nn_batch_norm_layer(s, nn_relu(s->g, y), "norm3");
    y = nn_batch_norm_layer(s, nn_concat(s->g, (int[]){x, y}, 2), "norm4");
    three.out = 16;
    y = nn_conv_layer(s, y, "four", &three);
    nn_output(s->g,
              nn_conv_layer(s, nn_conv_layer(s, y, "up", &up), "last", &last));
    nn_output(s->g,
              nn_linear_layer(s, nn_global_avg_pool(s->g, y), "fc", 5, false));
}

static struct nn_graph *graph_of(struct nn_params *ps, int64_t side)
{
    struct err e = {0};
    struct nn_graph *g = nn_graph_new(&e);
    assert_non_null(g);
    struct nn_scope s = nn_scope(g, ps);
    build(&s, side);
    if (nn_graph_status(g, &e))
        die(&e);
    return g;
}

/* Numbers of norms that are none of the defaults. */
static int write_weights(void **state)
{
    (void)state;
    struct err e = {0};
    struct rng r;
    assert_non_null(mkdtemp(folder));
    path = path_join(folder, "w.safetensors");
    struct nn_params *ps = nn_params_new(3, &e);
    assert_non_null(ps);
    struct nn_graph *g = graph_of(ps, SIDE);
    rng_seed(&r, 4);
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        struct tensor *t = nn_params_at(ps, i)->value;
        for (size_t k = 0; k < t->count && t->ndim == 1; k++)
            tensor_f32(t)[k] = (float)rng_range(&r, 0.5, 1.5);
    }
    nn_params_at(ps, 0)->updates = 1;
    if (nn_params_save(ps, path, NULL, &e))
        die(&e);
    nn_graph_free(&g);
    nn_params_free(&ps);
    return 0;
}

static int remove_weights(void **state)
{
    (void)state;
    unlink(path);
    rmdir(folder);
    mem_free(path);
    return 0;
}

static struct safetensors *open_file(bool read)
{
    struct err e = {0};
    struct safetensors *w = NULL;
    if (read ? safetensors_read(path, &w, &e) : safetensors_open(path, &w, &e))
        die(&e);
    return w;
}

/* The set with all parameters got, of values in memory or lent. */
static struct nn_params *params_of(bool lent, int64_t side, struct nn_graph **g)
{
    struct nn_params *ps = nn_params_new(1, NULL);
    struct safetensors *w = open_file(!lent);
    assert_non_null(ps);
    if (lent)
        nn_params_lend(ps, w, NULL);
    else
        nn_params_source(ps, w, NULL);
    *g = graph_of(ps, side);
    nn_params_source(ps, NULL, NULL);
    safetensors_free(&w);
    return ps;
}

static bool all_away(const struct nn_params *ps)
{
    bool away = true;
    for (size_t i = 0; i < nn_params_count(ps); i++)
        away = away && !nn_params_at(ps, i)->value->data;
    return away;
}

/* Run on one picture; map f32[3,2 side,2 side] and vector f32[5] into out. */
static void run(struct nn_net *net, int64_t side, float *out)
{
    struct err e = {0};
    struct rng r;
    size_t n = (size_t)(3 * side * side);
    float *in = mem_array(n, sizeof *in);
    assert_non_null(in);
    rng_seed(&r, 9);
    for (size_t i = 0; i < n; i++)
        in[i] = (float)rng_range(&r, -1, 1);
    const float *const from[] = {in};
    float *const to[] = {out, out + 4 * n};
    if (nn_run(net, from, to, &e))
        die(&e);
    mem_free(in);
}

/* The k-th way to plan; false: this machine has it not. */
static bool way(int k, struct nn_options *o)
{
    *o = (struct nn_options){.mode = k & 1 ? NN_FAST : NN_EXACT,
                             .bf16 = k & 2,
                             .path = k & 4 ? NN_PATH_BLAS : NN_PATH_DNNL,
                             .unfused = k & 8};
    return !(o->bf16 && (!nn_has_bf16() || o->path == NN_PATH_BLAS)) &&
           (o->path == NN_PATH_BLAS || nn_has_dnnl());
}

static struct nn_net *plan(const struct nn_graph *g, const struct nn_options *o)
{
    struct err e = {0};
    struct nn_net *net = NULL;
    if (nn_plan(g, o, &net, &e))
        die(&e);
    return net;
}

static void test_plans_are_the_same(void **state)
{
    (void)state;
    static float a[4 * FLOATS + 5], b[4 * FLOATS + 5];
    struct nn_options o;
    for (int k = 0; k < 16; k++) {
        if (!way(k, &o))
            continue;
        struct nn_graph *g, *h;
        struct nn_params *here = params_of(false, SIDE, &g);
        struct nn_params *lent = params_of(true, SIDE, &h);
        assert_true(all_away(lent));
        struct nn_net *n = plan(g, &o), *m = plan(h, &o);
        assert_true(all_away(lent));
        assert_int_equal(nn_net_bytes(n), nn_net_bytes(m));
        nn_graph_free(&g);
        nn_graph_free(&h);
        nn_params_free(&here);
        nn_params_free(&lent);
        run(n, SIDE, a);
        run(m, SIDE, b);
        assert_memory_equal(a, b, sizeof a);
        nn_net_free(&n);
        nn_net_free(&m);
    }
}

/* A second plan `like` the first, of another size: the same numbers as without,
 * whichever is freed first, and at least its direct weights are not there
 * twice. After a change of weights nothing is shared. */
static void test_shares_packed(void **state)
{
    (void)state;
    enum { other = SIDE / 2, n = 4 * 3 * other * other + 5 };
    static float a[n], b[n], c[n];
    struct nn_options o;
    for (int k = 0; k < 8; k++) {
        if (!way(k, &o))
            continue;
        struct nn_graph *g, *h;
        struct nn_params *ps = params_of(true, SIDE, &g);
        h = graph_of(ps, other);
        struct nn_net *first = plan(g, &o), *alone = plan(h, &o);
        o.like = first;
        struct nn_net *shares = plan(h, &o);
        size_t saved = nn_net_bytes(alone) - nn_net_bytes(shares);
        size_t three = 64 * 32 * 9 * (o.bf16 ? 2 : 4);
        assert_true(nn_net_bytes(alone) > nn_net_bytes(shares));
        if (o.mode == NN_EXACT)
            assert_true(saved >= three);
        nn_net_free(&first);
        run(alone, other, a);
        run(shares, other, b);
        assert_memory_equal(a, b, sizeof a);
        nn_net_free(&alone);
        o.like = shares;
        struct nn_net *third = plan(h, &o);
        run(third, other, c);
        assert_memory_equal(a, c, sizeof a);
        nn_net_free(&shares);
        run(third, other, c);
        assert_memory_equal(a, c, sizeof a);

        struct nn_param *p = nn_params_find(ps, "three.weight");
        assert_non_null(p);
        assert_int_equal(nn_param_hold(p, NULL), OK);
        tensor_f32(p->value)[5] += 1;
        p->version++;
        o.like = third;
        struct nn_net *changed = plan(h, &o);
        run(changed, other, b);
        assert_memory_not_equal(a, b, sizeof a);
        run(third, other, c);
        assert_memory_equal(a, c, sizeof a);
        nn_net_free(&changed);
        nn_net_free(&third);
        nn_graph_free(&g);
        nn_graph_free(&h);
        nn_params_free(&ps);
    }
}

/* One convolution read twice has its weights once. */
static void test_shares_inside(void **state)
{
    (void)state;
    struct nn_conv_layer three = {.out = 32, .kernel = 3, .pad = 1};
    size_t bytes[2];
    for (int twice = 0; twice < 2; twice++) {
        struct nn_params *ps = nn_params_new(1, NULL);
        struct nn_graph *g = nn_graph_new(NULL);
        struct nn_scope s = nn_scope(g, ps);
        int x = nn_input(g, 32, 16, 16);
        for (int i = 0; i <= twice; i++)
            x = nn_conv_layer(&s, x, "three", &three);
        nn_output(g, x);
        struct nn_net *net = plan(g, &(struct nn_options){0});
        bytes[twice] = nn_net_bytes(net) - nn_net_arena_bytes(net);
        nn_net_free(&net);
        nn_graph_free(&g);
        nn_params_free(&ps);
    }
    assert_int_equal(bytes[0], bytes[1]);
}

/* While it is planned and run, a network holds what it says at the end, the
 * largest weights as they come and folded, and small things. */
static void test_says_what_it_holds(void **state)
{
    (void)state;
    static float out[4 * FLOATS + 5];
    const int64_t layer = 256 * 256 * 9 * 4, small = 400 << 10;
    struct nn_options o;
    for (int k = 0; k < 8; k++) {
        if (!way(k, &o))
            continue;
        struct err e = {0};
        char *big = path_join(folder, "big.safetensors");
        struct nn_params *ps = nn_params_new(1, &e);
        struct nn_graph *g = nn_graph_new(&e);
        struct nn_conv_layer c = {.out = 256, .kernel = 3, .pad = 1};
        for (int lent = 0; lent < 2; lent++) {
            struct safetensors *w = NULL;
            if (lent && safetensors_open(big, &w, &e))
                die(&e);
            if (lent)
                nn_params_lend(ps, w, NULL);
            safetensors_free(&w);
            struct nn_scope s = nn_scope(g, ps);
            int x = nn_input(g, 256, 32, 32);
            for (int i = 0; i < 6; i++) {
                char name[8];
                snprintf(name, sizeof name, "c%d", i);
                struct nn_scope sub = nn_sub(&s, "%s", name);
                x = nn_batch_norm_layer(
                    &sub, nn_conv_layer(&sub, x, "conv", &c), "norm");
            }
            nn_output(g, nn_global_avg_pool(g, x));
            assert_int_equal(nn_graph_status(g, &e), OK);
            if (lent)
                break;
            if (nn_params_save(ps, big, NULL, &e))
                die(&e);
            nn_graph_free(&g);
            nn_params_free(&ps);
            ps = nn_params_new(1, &e);
            g = nn_graph_new(&e);
        }
        float *in = mem_calloc(256 * 32 * 32, sizeof *in);
        assert_true(in && ps && g);
        int64_t before = mem_bytes();
        mem_peak_reset();
        struct nn_net *net = plan(g, &o);
        const float *const from[] = {in};
        float *const to[] = {out};
        assert_int_equal(nn_run(net, from, to, &e), OK);
        int64_t peak = mem_peak() - before, says = (int64_t)nn_net_bytes(net);
        assert_true(says >= 6 * layer / (o.bf16 ? 2 : 1));
        assert_true(mem_bytes() - before >= says);
        assert_true(mem_bytes() - before <= says + small);
        /* Winograd's weights, four times as many, are made of a copy. */
        int64_t passing = (2 + (o.mode == NN_FAST ? 4 : 0)) * layer;
        if (peak > says + passing + small) {
            print_error("way %d: %lld at most, %lld said\n", k, (long long)peak,
                        (long long)says);
            fail();
        }
        nn_net_free(&net);
        mem_free(in);
        nn_graph_free(&g);
        nn_params_free(&ps);
        unlink(big);
        mem_free(big);
    }
}

/* Losses and gradients of lent parameters are those of parameters in memory,
 * also where layers are frozen, whose weights go away again. */
static void test_trains(void **state)
{
    (void)state;
    struct err e = {0};
    for (int frozen = 0; frozen < 2; frozen++) {
        struct nn_params *set[2];
        float loss[2];
        for (int lent = 0; lent < 2; lent++) {
            struct nn_graph *g, *h = nn_graph_new(&e);
            set[lent] = params_of(lent, SIDE, &g);
            nn_graph_free(&g);
            struct nn_scope s = nn_scope(h, set[lent]);
            struct nn_conv_layer first = {.out = 32, .kernel = 7, .pad = 3};
            struct nn_conv_layer three = {.out = 64, .kernel = 3, .pad = 1};
            int x = nn_input(h, 3, SIDE, SIDE);
            x = nn_relu(h, nn_conv_layer(&s, x, "first", &first));
            nn_graph_frozen(h, frozen);
            x = nn_conv_layer(&s, x, "three", &three);
            nn_output(h, nn_mse_loss(h, x, nn_relu(h, x)));
            struct nn_train *t = NULL;
            struct nn_optim *o = NULL;
            struct nn_train_options to = {.batch = 1};
            struct nn_optim_options oo = {.kind = NN_ADAM, .lr = 1e-3};
            if (nn_train_new(h, &to, &t, &e))
                die(&e);
            assert_int_equal(
                !nn_params_find(set[lent], "three.weight")->value->data,
                frozen && lent);
            static float in[FLOATS];
            for (int i = 0; i < FLOATS; i++)
                in[i] = (float)(i % 7) - 3;
            const float *const from[] = {in};
            if (nn_optim_new(set[lent], &oo, &o, &e))
                die(&e);
            for (int i = 0; i < 3; i++) {
                nn_params_zero_grad(set[lent]);
                assert_int_equal(nn_train_forward(t, from, &e), OK);
                assert_int_equal(nn_train_backward(t, NULL, &e), OK);
                assert_int_equal(nn_optim_step(o, NULL, &e), OK);
            }
            nn_train_output(t, 0, &loss[lent]);
            nn_train_free(&t);
            nn_optim_free(&o);
            nn_graph_free(&h);
        }
        assert_memory_equal(&loss[0], &loss[1], sizeof loss[0]);
        for (size_t i = 0; i < nn_params_count(set[0]); i++) {
            const struct nn_param *p = nn_params_at(set[0], i);
            const struct nn_param *q = nn_params_find(set[1], p->name);
            assert_non_null(q);
            assert_true(tensor_equal(p->value, q->value));
        }
        nn_params_free(&set[0]);
        nn_params_free(&set[1]);
    }
}

/* Saving and copying need all values, and keep them. */
static void test_saves_and_copies(void **state)
{
    (void)state;
    struct err e = {0};
    struct nn_graph *g, *h;
    struct nn_params *lent = params_of(true, SIDE, &g);
    struct nn_params *to = params_of(true, SIDE, &h);
    char *copy = path_join(folder, "copy.safetensors");
    if (nn_params_save(lent, copy, NULL, &e))
        die(&e);
    assert_false(all_away(lent));
    struct buf a, b;
    assert_int_equal(file_read(path, 64 << 20, &a, &e), OK);
    assert_int_equal(file_read(copy, 64 << 20, &b, &e), OK);
    assert_int_equal(a.len, b.len);
    struct nn_param *p = nn_params_find(lent, "fc.bias");
    tensor_f32(p->value)[0] = 7;
    assert_int_equal(nn_params_copy(to, lent, &e), OK);
    assert_true(tensor_f32(nn_params_find(to, "fc.bias")->value)[0] == 7);
    nn_graph_free(&g);
    nn_graph_free(&h);
    nn_params_free(&lent);
    nn_params_free(&to);
    buf_free(&a);
    buf_free(&b);
    unlink(copy);
    mem_free(copy);
}

static void test_holds(void **state)
{
    (void)state;
    struct nn_graph *g;
    struct nn_params *ps = params_of(true, SIDE, &g);
    struct nn_param *p = nn_params_find(ps, "one.weight");
    struct tensor *own = NULL;
    assert_int_equal(nn_param_hold(p, NULL), OK);
    assert_int_equal(nn_param_hold(p, NULL), OK);
    nn_param_drop(p);
    assert_non_null(p->value->data);
    assert_int_equal(nn_param_take(p, &own, NULL), OK);
    assert_ptr_not_equal(own->data, p->value->data);
    assert_true(tensor_equal(own, p->value));
    nn_param_drop(p);
    assert_null(p->value->data);
    assert_int_equal(p->value->shape[0], 48);
    assert_int_equal(p->value->count, own->count);
    tensor_free(&own);
    nn_param_drop(NULL);
    assert_int_equal(nn_params_hold(ps, NULL), OK);
    assert_non_null(p->value->data);
    nn_graph_free(&g);
    nn_params_free(&ps);
}

/* Copy the weights' file, with the byte at `at` from the end changed. */
static char *spoiled(size_t at, uint8_t byte)
{
    struct buf b;
    char *to = path_join(folder, "bad.safetensors");
    assert_int_equal(file_read(path, 64 << 20, &b, NULL), OK);
    if (at)
        b.data[b.len - at] = byte;
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b.data, 1, b.len, f), b.len);
    assert_int_equal(fclose(f), 0);
    buf_free(&b);
    return to;
}

static void refused(const char *bad, off_t cut, enum err_code code,
                    const char *text)
{
    struct err e = {0};
    struct safetensors *w = NULL;
    struct nn_net *net = NULL;
    struct nn_params *ps = nn_params_new(1, &e);
    if (safetensors_open(bad, &w, &e))
        die(&e);
    nn_params_lend(ps, w, NULL);
    safetensors_free(&w);
    struct nn_graph *g = graph_of(ps, SIDE);
    if (cut >= 0)
        assert_int_equal(truncate(bad, cut), 0);
    assert_int_equal(nn_plan(g, &(struct nn_options){0}, &net, &e), code);
    assert_null(net);
    if (!strstr(e.text, text) || !strstr(e.text, bad)) {
        print_error("'%s' does not say '%s'\n", e.text, text);
        fail();
    }
    nn_graph_free(&g);
    nn_params_free(&ps);
}

/* Found when the value is read: a NaN, a file cut short after it was opened. */
static void test_refuses(void **state)
{
    (void)state;
    int64_t live = mem_live();
    struct safetensors *w = open_file(false);
    struct safetensors_entry last = safetensors_at(w, safetensors_count(w) - 1);
    char text[80];
    snprintf(text, sizeof text, "tensor '%s'", last.name);
    assert_int_equal(last.dtype, DT_F32);
    char *bad = spoiled(1, 0xff); /* with the byte before: a NaN or large */
    mem_free(bad);
    bad = spoiled(0, 0);
    FILE *f = fopen(bad, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -4, SEEK_END), 0);
    assert_int_equal(fwrite("\x00\x00\xc0\x7f", 1, 4, f), 4);
    assert_int_equal(fclose(f), 0);
    refused(bad, -1, ERR_DATA, text);
    refused(bad, 3000, ERR_DATA, "the file ends");
    safetensors_free(&w);
    unlink(bad);
    mem_free(bad);
    assert_int_equal(mem_live(), live);
}

static enum err_code all_of_it(bool bf16, bool blas, const float *in,
                               float *const *out)
{
    struct err e = {0};
    struct safetensors *w = NULL;
    struct nn_net *net = NULL, *second = NULL;
    struct nn_graph *g = NULL;
    struct nn_params *ps = nn_params_new(1, &e);
    enum err_code r = ps ? safetensors_open(path, &w, &e) : ERR_NOMEM;
    if (!r) {
        nn_params_lend(ps, w, NULL);
        g = nn_graph_new(&e);
        r = g ? OK : ERR_NOMEM;
    }
    if (!r) {
        struct nn_scope s = nn_scope(g, ps);
        build(&s, 16);
        r = nn_graph_status(g, &e);
    }
    struct nn_options o = {.bf16 = bf16,
                           .path = blas ? NN_PATH_BLAS : NN_PATH_AUTO};
    if (!r)
        r = nn_plan(g, &o, &net, &e);
    o.like = net;
    o.batch = 2;
    if (!r)
        r = nn_plan(g, &o, &second, &e);
    if (!r)
        r = nn_run(net, &in, out, &e);
    assert_true(r || all_away(ps));
    nn_net_free(&net);
    nn_net_free(&second);
    nn_graph_free(&g);
    nn_params_free(&ps);
    safetensors_free(&w);
    return r;
}

static void test_no_memory(void **state)
{
    (void)state;
    static float in[3 * 16 * 16], a[3 * 32 * 32], b[5];
    float *const out[2] = {a, b};
    for (int k = 0; k < 3; k++) {
        bool bf16 = k == 1 && nn_has_bf16(), blas = k == 2;
        assert_int_equal(all_of_it(bf16, blas, in, out), OK);
        int64_t live = mem_live();
        for (uint64_t n = 1;; n += 1 + n / 64) {
            mem_fail_nth(n);
            enum err_code r = all_of_it(bf16, blas, in, out);
            bool hit = mem_fail_hit();
            mem_fail_nth(0);
            assert_int_equal(mem_live(), live);
            assert_int_equal(r, hit ? ERR_NOMEM : OK);
            if (!hit) {
                assert_true(n > 300);
                break;
            }
        }
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    nn_threads_start(argv);
    nn_threads_set(2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans_are_the_same),
        cmocka_unit_test(test_shares_packed),
        cmocka_unit_test(test_shares_inside),
        cmocka_unit_test(test_says_what_it_holds),
        cmocka_unit_test(test_trains),
        cmocka_unit_test(test_saves_and_copies),
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, write_weights, remove_weights);
}
