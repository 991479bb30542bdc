/* The training planner on random graphs of small ops of our own: values and
 * gradients against a plain evaluation that shares nothing and reuses nothing,
 * so that every mistake in lives, shared memory, sums of gradients or
 * conversions shows as a wrong number. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/op.h"
#include "lib/nn/rows.h"
#include "lib/nn/train.h"

/* ---- ops, slow and simple: one element at a time ---- */

static float get(const struct nn_view *v, int64_t at)
{
    float tmp[1];
    return *nn_row_get(v, at, 1, tmp);
}

static void put(const struct nn_view *v, int64_t at, float f, bool add)
{
    nn_row_put(v, at, 1, &f, add);
}

static int64_t at_plain(const struct nn_view *v, int64_t i)
{
    struct nn_shape s = v->shape;
    int64_t per = s.c * s.h * s.w, b = i / per, j = i % per;
    return nn_index(v, b, j / (s.h * s.w), j / s.w % s.h, j % s.w);
}

static int64_t count(const struct nn_view *v)
{
    return v->batch * v->shape.c * v->shape.h * v->shape.w;
}

enum what { TRIPLE, SQUARE, SQUASH, MUL, ADD, TURN, SUM, WEIGH };

/* y and dy/da, dy/db at one element; squash's from y. */
static double value(enum what w, double a, double b)
{
    switch (w) {
    case TRIPLE:
        return -1.5 * a;
    case SQUARE:
        return 0.5 * a * a;
    case SQUASH:
        return a / (1 + fabs(a));
    case MUL:
        return 0.5 * a * b;
    default:
        return a + 0.5 * b;
    }
}

static double slope(enum what w, int k, double a, double b, double y)
{
    switch (w) {
    case TRIPLE:
        return -1.5;
    case SQUARE:
        return a;
    case SQUASH:
        return (1 - fabs(y)) * (1 - fabs(y));
    case MUL:
        return 0.5 * (k ? a : b);
    default:
        return k ? 0.5 : 1;
    }
}

static enum what what_of(const struct nn_exec *x)
{
    enum what w;
    memcpy(&w, x->node->attr, sizeof w);
    return w;
}

static enum err_code each_forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    for (int64_t i = 0; i < count(&x->out); i++) {
        double a = (double)get(&x->in[0], at_plain(&x->in[0], i)), b = 0;
        if (x->node->n_in > 1)
            b = (double)get(&x->in[1], at_plain(&x->in[1], i));
        put(&x->out, at_plain(&x->out, i), (float)value(what_of(x), a, b),
            false);
    }
    return OK;
}

static enum err_code each_backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    bool in = x->node->op->flags & NN_OP_SAVE_IN;
    bool out = x->node->op->flags & NN_OP_SAVE_OUT;
    for (int64_t i = 0; i < count(&x->out); i++) {
        double a = 0, b = 0, y = 0;
        if (in)
            a = (double)get(&x->in[0], at_plain(&x->in[0], i));
        if (in && x->node->n_in > 1)
            b = (double)get(&x->in[1], at_plain(&x->in[1], i));
        if (out)
            y = (double)get(&x->out, at_plain(&x->out, i));
        double d = (double)get(&x->dout, at_plain(&x->dout, i));
        for (int k = x->node->n_in - 1; k >= 0; k--) {
            if (x->din[k].data)
                put(&x->din[k], at_plain(&x->din[k], i),
                    (float)(d * slope(what_of(x), k, a, b, y)), x->din_add[k]);
        }
    }
    return OK;
}

/* Channels turned by one; only for pictures in PyTorch's order. */
static enum err_code turn_forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    int64_t per = x->out.shape.h * x->out.shape.w, c = x->out.shape.c;
    for (int64_t i = 0; i < count(&x->out); i++) {
        int64_t b = i / (per * c), k = i / per % c, p = i % per;
        put(&x->out, i, get(&x->in[0], (b * c + (k + 1) % c) * per + p), false);
    }
    return OK;
}

static enum err_code turn_backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    int64_t per = x->out.shape.h * x->out.shape.w, c = x->out.shape.c;
    for (int64_t i = 0; i < count(&x->out); i++) {
        int64_t b = i / (per * c), k = i / per % c, p = i % per;
        put(&x->din[0], (b * c + (k + 1) % c) * per + p, get(&x->dout, i),
            false);
    }
    return OK;
}

static enum err_code sum_forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    double s = 0;
    for (int64_t i = 0; i < count(&x->in[0]); i++)
        s += (double)get(&x->in[0], at_plain(&x->in[0], i));
    put(&x->out, 0, (float)s, false);
    return OK;
}

static enum err_code sum_backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    float d = get(&x->dout, 0);
    for (int64_t i = 0; i < count(&x->in[0]) && x->din[0].data; i++)
        put(&x->din[0], at_plain(&x->din[0], i), d, x->din_add[0]);
    return OK;
}

/* Times one trained number. */
static enum err_code weigh_forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    for (int64_t i = 0; i < count(&x->out); i++)
        put(&x->out, at_plain(&x->out, i),
            tensor_f32(x->node->param[0]->value)[0] *
                get(&x->in[0], at_plain(&x->in[0], i)),
            false);
    return OK;
}

static enum err_code weigh_backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    double sum = 0;
    for (int64_t i = 0; i < count(&x->out); i++) {
        float d = get(&x->dout, at_plain(&x->dout, i));
        sum += (double)d * (double)get(&x->in[0], at_plain(&x->in[0], i));
        if (x->din[0].data)
            put(&x->din[0], at_plain(&x->din[0], i),
                d * tensor_f32(x->node->param[0]->value)[0], x->din_add[0]);
    }
    if (x->dparam)
        x->node->param[0]->grad[0] += (float)sum;
    return OK;
}

#define EACH .forward = each_forward, .backward = each_backward
static const struct nn_op ops[] = {
    [TRIPLE] = {"triple", NN_OP_ANY | NN_OP_INPLACE | NN_OP_ADDS, EACH},
    [SQUARE] = {"square", NN_OP_ANY | NN_OP_SAVE_IN, EACH},
    [SQUASH] = {"squash",
                NN_OP_ANY | NN_OP_INPLACE | NN_OP_SAVE_OUT | NN_OP_ADDS, EACH},
    [MUL] = {"mul", NN_OP_ANY | NN_OP_SAVE_IN | NN_OP_ADDS, EACH},
    [ADD] = {"add", NN_OP_ANY | NN_OP_INPLACE, EACH},
    [TURN] = {"turn", NN_OP_PLAIN, .forward = turn_forward,
              .backward = turn_backward},
    [SUM] = {"sum", NN_OP_ANY | NN_OP_ADDS, .forward = sum_forward,
             .backward = sum_backward},
    [WEIGH] = {"weigh", NN_OP_ANY | NN_OP_SAVE_IN, .forward = weigh_forward,
               .backward = weigh_backward},
};

/* ---- random graphs and their plain evaluation ---- */

#define NODES 24
#define BATCH 2
#define C 18
#define H 2
#define W 3
#define COUNT (BATCH * C * H * W)

struct made {
    enum what what;
    int a, b; /* -1: none */
    double y[COUNT], d[COUNT];
};

struct random_graph {
    struct made node[NODES + 2];
    int n, loss, other; /* the loss; a second output */
    double weight, dweight, sum;
};

static void random_nodes(struct random_graph *r, struct rng *g)
{
    r->n = 2;
    while (r->n < NODES) {
        struct made *m = &r->node[r->n];
        m->what = (enum what)rng_below(g, SUM);
        if (rng_below(g, 6) == 0)
            m->what = WEIGH;
        /* Mostly recent ones, so that chains, forks and joins come. */
        int back = (int)rng_below(g, 5) + 1;
        m->a = back > r->n ? 0 : r->n - back;
        m->b = m->what == MUL || m->what == ADD
                   ? (int)rng_below(g, (uint64_t)r->n)
                   : -1;
        r->n++;
    }
    r->loss = r->n - 1;
    r->other = (int)rng_below(g, (uint64_t)r->n);
    r->weight = 0.7;
}

static int64_t turned(int64_t i)
{
    int64_t per = H * W, b = i / (per * C), k = i / per % C, p = i % per;
    return (b * C + (k + 1) % C) * per + p;
}

static void plain_forward(struct random_graph *r)
{
    for (int n = 2; n < r->n; n++) {
        struct made *m = &r->node[n];
        for (int i = 0; i < COUNT; i++) {
            double a = r->node[m->a].y[i],
                   b = m->b < 0 ? 0 : r->node[m->b].y[i];
            m->y[i] = m->what == TURN    ? r->node[m->a].y[turned(i)]
                      : m->what == WEIGH ? r->weight * a
                                         : value(m->what, a, b);
        }
    }
    r->sum = 0;
    for (int i = 0; i < COUNT; i++)
        r->sum += r->node[r->loss].y[i];
}

static void plain_backward(struct random_graph *r, const float *dother)
{
    r->dweight = 0;
    for (int n = 0; n < r->n; n++)
        memset(r->node[n].d, 0, sizeof r->node[n].d);
    for (int i = 0; i < COUNT; i++) {
        r->node[r->loss].d[i] += 1;
        if (dother)
            r->node[r->other].d[i] += (double)dother[i];
    }
    for (int n = r->n - 1; n >= 2; n--) {
        struct made *m = &r->node[n];
        for (int i = 0; i < COUNT; i++) {
            double a = r->node[m->a].y[i],
                   b = m->b < 0 ? 0 : r->node[m->b].y[i];
            if (m->what == TURN) {
                r->node[m->a].d[turned(i)] += m->d[i];
                continue;
            }
            if (m->what == WEIGH) {
                r->node[m->a].d[i] += m->d[i] * r->weight;
                r->dweight += m->d[i] * a;
                continue;
            }
            r->node[m->a].d[i] += m->d[i] * slope(m->what, 0, a, b, m->y[i]);
            if (m->b >= 0)
                r->node[m->b].d[i] +=
                    m->d[i] * slope(m->what, 1, a, b, m->y[i]);
        }
    }
}

static struct nn_graph *build(const struct random_graph *r,
                              struct nn_params *ps, struct err *e)
{
    struct nn_graph *g = nn_graph_new(e);
    struct nn_param *w = NULL;
    if (!g || nn_params_get(ps, "w", 0, NULL, false,
                            (struct nn_init_spec){NN_INIT_FILL, 0.7}, &w, e)) {
        nn_graph_free(&g);
        return NULL;
    }
    int node[NODES + 2] = {nn_input(g, C, H, W), nn_input(g, C, H, W)};
    for (int n = 2; n < r->n; n++) {
        const struct made *m = &r->node[n];
        int in[2] = {node[m->a], m->b < 0 ? 0 : node[m->b]};
        node[n] = nn_add_node(g, &ops[m->what], in, m->b < 0 ? 1 : 2, &w,
                              m->what == WEIGH, &m->what, sizeof m->what,
                              (struct nn_shape){C, H, W});
    }
    enum what sum = SUM;
    nn_output(g,
              nn_add_whole(g, &ops[SUM], &node[r->loss], 1, &sum, sizeof sum));
    nn_output(g, node[r->other]);
    return g;
}

static void near(const char *what, int at, double got, double want,
                 double scale)
{
    if (!(fabs(got - want) <= 2e-4 * (scale + 1)))
        fail_msg("%s %d: %.9g, should be %.9g", what, at, got, want);
}

static double largest(const double *v)
{
    double m = 0;
    for (int i = 0; i < COUNT; i++)
        m = fabs(v[i]) > m ? fabs(v[i]) : m;
    return m;
}

static void check_plan(struct random_graph *r, struct nn_train *t,
                       struct nn_params *ps, const float *dother)
{
    float in[2][COUNT], out[COUNT], d[COUNT], loss[1];
    struct err e = {0};
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < COUNT; i++)
            in[k][i] = (float)r->node[k].y[i];
    }
    const float *ins[2] = {in[0], in[1]};
    assert_int_equal(nn_train_forward(t, ins, &e), OK);
    memset(in, 0x7f, sizeof in); /* the caller's arrays are free again */
    nn_train_output(t, 0, loss);
    double scale = largest(r->node[r->loss].y);
    near("loss", 0, (double)loss[0], r->sum, scale * COUNT);
    nn_train_output(t, 1, out);
    scale = largest(r->node[r->other].y);
    for (int i = 0; i < COUNT; i++)
        near("output", i, (double)out[i], r->node[r->other].y[i], scale);
    nn_params_zero_grad(ps);
    float one = 1;
    const float *douts[2] = {&one, dother};
    assert_int_equal(nn_train_backward(t, dother ? douts : NULL, &e), OK);
    double worst = 0;
    for (int n = 0; n < r->n; n++)
        worst = fmax(worst, largest(r->node[n].d));
    for (int k = 0; k < 2; k++) {
        nn_train_input_grad(t, k, d);
        for (int i = 0; i < COUNT; i++)
            near("input gradient", i, (double)d[i], r->node[k].d[i], worst);
    }
    struct nn_param *w = nn_params_find(ps, "w");
    if (w->grad)
        near("weight gradient", 0, (double)w->grad[0], r->dweight,
             worst * COUNT);
    else
        near("weight gradient", 0, 0, r->dweight, 1);
    assert_int_equal(nn_train_backward(t, NULL, &e), ERR_STATE);
}

static bool sane(const struct random_graph *r)
{
    for (int n = 0; n < r->n; n++) {
        if (!(largest(r->node[n].y) < 1e3) || !(largest(r->node[n].d) < 1e4))
            return false;
    }
    return true;
}

static void test_random_graphs(void **state)
{
    (void)state;
    static struct random_graph r; /* large */
    int tried = 0;
    size_t shared = 0, apart = 0;
    for (uint64_t seed = 0; tried < 200; seed++) {
        struct rng g;
        struct err e = {0};
        float dother[COUNT];
        rng_seed(&g, seed);
        random_nodes(&r, &g);
        for (int i = 0; i < COUNT; i++) {
            r.node[0].y[i] = rng_range(&g, -1, 1);
            r.node[1].y[i] = rng_range(&g, -1, 1);
            dother[i] = (float)rng_range(&g, -1, 1);
        }
        plain_forward(&r);
        const float *dout = seed % 2 ? dother : NULL;
        plain_backward(&r, dout);
        if (!sane(&r))
            continue;
        tried++;
        for (int v = 0; v < 3; v++) {
            struct nn_params *ps = nn_params_new(1, &e);
            struct nn_graph *n = build(&r, ps, &e);
            struct nn_train *t = NULL;
            struct nn_train_options o = {.batch = BATCH,
                                         .input_grads = true,
                                         .unfused = v == 1,
                                         .path = v == 2 ? NN_PATH_BLAS
                                                        : NN_PATH_AUTO};
            assert_int_equal(nn_train_new(n, &o, &t, &e), OK);
            nn_graph_free(&n);
            check_plan(&r, t, ps, dout);
            check_plan(&r, t, ps, dout); /* and once more */
            if (v < 2)
                *(v ? &apart : &shared) += nn_train_bytes(t);
            nn_train_free(&t);
            nn_params_free(&ps);
        }
    }
    assert_true(shared < apart); /* memory is reused */
}

static void test_no_memory(void **state)
{
    (void)state;
    static struct random_graph r;
    struct rng g;
    rng_seed(&g, 5);
    random_nodes(&r, &g);
    int64_t live = mem_live();
    bool hit = true;
    for (uint64_t n = 1; hit; n++) {
        struct err e = {0};
        mem_fail_nth(n);
        struct nn_params *ps = nn_params_new(1, &e);
        struct nn_graph *ng = ps ? build(&r, ps, &e) : NULL;
        struct nn_train *t = NULL;
        enum err_code c = ERR_NOMEM;
        if (ng)
            c = nn_train_new(ng, &(struct nn_train_options){.batch = BATCH}, &t,
                             &e);
        hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(c, hit ? ERR_NOMEM : OK);
        nn_train_free(&t);
        nn_graph_free(&ng);
        nn_params_free(&ps);
        assert_int_equal(mem_live(), live);
        assert_true(n < 1000);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct err e = {0};
    struct nn_train *t = NULL;
    struct nn_graph *g = nn_graph_new(&e);
    int x = nn_input(g, 3, 4, 4);
    assert_int_equal(nn_train_new(g, &(struct nn_train_options){0}, &t, &e),
                     ERR_ARG); /* no output */
    nn_output(g, x);
    assert_int_equal(
        nn_train_new(g, &(struct nn_train_options){.batch = -1}, &t, &e),
        ERR_ARG);
    assert_int_equal(
        nn_train_new(
            g, &(struct nn_train_options){.bf16 = true, .path = NN_PATH_BLAS},
            &t, &e),
        ERR_UNSUPPORTED);
    assert_int_equal(nn_input(g, 0, 4, 4), -1);
    assert_int_equal(nn_graph_status(g, &e), ERR_ARG);
    assert_non_null(strstr(e.text, "node 1 (input)"));
    assert_int_equal(nn_train_new(g, &(struct nn_train_options){0}, &t, &e),
                     ERR_ARG);
    assert_null(t);
    nn_graph_free(&g);
}

/* An output that is an input, an input that nobody reads, a value given out
 * twice. */
static void test_odd_graphs(void **state)
{
    (void)state;
    struct err e = {0};
    struct nn_graph *g = nn_graph_new(&e);
    int x = nn_input(g, 2, 1, 1), unread = nn_input(g, 3, 2, 2);
    (void)unread;
    enum what triple = TRIPLE;
    int y = nn_add_node(g, &ops[TRIPLE], &x, 1, NULL, 0, &triple, sizeof triple,
                        (struct nn_shape){2, 1, 1});
    nn_output(g, x);
    nn_output(g, y);
    nn_output(g, y);
    struct nn_train *t = NULL;
    struct nn_train_options o = {.input_grads = true};
    assert_int_equal(nn_train_new(g, &o, &t, &e), OK);
    nn_graph_free(&g);
    const float a[2] = {1, 2}, b[12] = {0}, *in[2] = {a, b};
    assert_int_equal(nn_train_forward(t, in, &e), OK);
    float v[12];
    nn_train_output(t, 0, v);
    assert_true(v[0] == 1 && v[1] == 2);
    nn_train_output(t, 2, v);
    assert_true(v[0] == -1.5F && v[1] == -3);
    const float d[2] = {1, 10}, *dout[3] = {d, d, d};
    assert_int_equal(nn_train_backward(t, dout, &e), OK);
    nn_train_input_grad(t, 0, v);
    assert_true(v[0] == -2 && v[1] == -20); /* 1 - 1.5 - 1.5 */
    nn_train_input_grad(t, 1, v);
    for (int i = 0; i < 12; i++)
        assert_true(v[i] == 0);
    nn_train_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_odd_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
