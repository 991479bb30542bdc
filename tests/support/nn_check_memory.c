/* Checks of operators: every allocation of a plan with the op, and of its
 * runs, fails in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "tests/support/nn_check_impl.h"

#define MOST_ELEMENTS 20000 /* of the first input: each failure is a plan */
#define MOST_OPS 64

/* What a run needs that is not to fail. */
struct memory {
    const struct nnc_data *d;
    struct nnc_variant v;
    struct nnc_net n;
    float *out;
};

/* Plan, run and free; the plan's memory is the only that is taken. */
static enum err_code train(const struct memory *m, struct err *e)
{
    struct nn_train *t = NULL;
    struct nn_train_options o = {.path = m->v.path,
                                 .bf16 = m->v.bf16,
                                 .batch = m->d->c->batch,
                                 .input_grads = true};
    const float *dout[1] = {m->d->dout};
    enum err_code r = nn_train_new(m->n.g, &o, &t, e);
    if (!r)
        r = nn_train_forward(t, (const float *const *)m->d->in, e);
    if (!r)
        r = nn_train_backward(t, m->d->dout ? dout : NULL, e);
    nn_train_free(&t);
    return r;
}

static enum err_code infer(const struct memory *m, struct err *e)
{
    struct nn_net *net = NULL;
    struct nn_options o = {.path = m->v.path,
                           .mode = NN_FAST,
                           .bf16 = m->v.bf16,
                           .batch = m->d->c->batch};
    float *out[1] = {m->out};
    enum err_code r = nn_plan(m->n.g, &o, &net, e);
    if (!r)
        r = nn_run(net, (const float *const *)m->d->in, out, e);
    nn_net_free(&net);
    return r;
}

static void each_fails(const struct memory *m,
                       enum err_code (*run)(const struct memory *m,
                                            struct err *e))
{
    int64_t live = mem_live();
    bool hit = true;
    for (uint64_t n = 1; hit; n++) {
        struct err e = {0};
        mem_fail_nth(n);
        enum err_code r = run(m, &e);
        hit = mem_fail_hit();
        mem_fail_nth(0);
        if (mem_live() != live)
            nnc_fail(m->d, &m->v, "allocation %d fails: %d blocks are left",
                     (int)n, (int)(mem_live() - live));
        if (r != (hit ? ERR_NOMEM : OK))
            nnc_fail(m->d, &m->v, "allocation %d %s: code %d, '%s'", (int)n,
                     hit ? "fails" : "is not there", (int)r, e.text);
        if (n > 2000)
            nnc_fail(m->d, &m->v, "allocations without end");
    }
}

/* Once for each op is enough: what its plan takes depends on little else. */
static bool seen(const struct nnc_data *d, const struct nnc_net *n)
{
    static const struct nn_op *done[MOST_OPS];
    static int count;
    const struct nn_op *op = n->g->node[n->out].op;
    for (int i = 0; i < count; i++) {
        if (done[i] == op)
            return true;
    }
    if (d->n_in[0] > MOST_ELEMENTS || count == MOST_OPS)
        return true;
    done[count++] = op;
    return false;
}

void nnc_no_memory(const struct nnc_data *d)
{
    struct memory m = {.d = d};
    struct err e = {0};
    nnc_build(d, &m.v, &m.n);
    bool skip = seen(d, &m.n);
    if (nn_params_grads(m.n.ps, &e))
        nnc_fail(d, NULL, "%s", e.text);
    m.out = nnc_floats(d->n_out);
    for (int i = skip ? 3 : 0; i < 3; i++) {
        m.v.path = i == 2 ? NN_PATH_BLAS : NN_PATH_DNNL;
        m.v.bf16 = i == 1;
        if ((i < 2 && !nn_has_dnnl()) ||
            (i == 1 && (!nn_has_bf16() || d->c->bf16_tol < 0)))
            continue;
        m.v.engine = NNC_TRAIN;
        each_fails(&m, train);
        m.v.engine = NNC_NET;
        if (!d->c->no_inference)
            each_fails(&m, infer);
    }
    mem_free(m.out);
    nnc_net_free(&m.n);
}
