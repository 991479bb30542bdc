/* Training plans: made, run forward and backward, described. */
#include "lib/nn/train.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/nn/conv_node.h"
#include "lib/nn/rows.h"
#include "lib/nn/train_impl.h"

void nn_train_free(struct nn_train **t)
{
    if (!t || !*t)
        return;
    struct nn_train *x = *t;
    for (int i = 0; i < x->n; i++) {
        if (x->step[i].node.op->release)
            x->step[i].node.op->release(&x->step[i].x);
    }
    mem_free(x->step);
    mem_free(x->chunk);
    mem_unmap(x->arena, x->arena_bytes);
    mem_unmap(x->scratch, x->scratch_bytes);
    mem_free(x);
    *t = NULL;
}

static enum err_code give_grads(struct nn_train *t, struct err *e)
{
    for (int i = 0; i < t->n; i++) {
        const struct nn_node *n = &t->step[i].node;
        for (int k = 0; k < n->n_param && t->step[i].x.dparam; k++) {
            struct nn_param *p = n->param[k];
            if (!p || p->buffer || p->grad)
                continue;
            p->grad = mem_aligned(p->value->count * sizeof(float));
            if (!p->grad)
                return err_set(e, ERR_NOMEM, "no memory for gradients");
            memset(p->grad, 0, p->value->count * sizeof(float));
        }
    }
    return OK;
}

/* A frozen convolution packs its weights and needs them no more. */
static bool needs_values(const struct nn_tstep *s)
{
    return s->x.dparam || !nn_node_is_conv(&s->node);
}

static enum err_code hold_params(struct nn_train *t, struct err *e)
{
    enum err_code r = OK;
    for (int i = 0; i < t->n && !r; i++) {
        const struct nn_node *n = &t->step[i].node;
        for (int k = 0; k < n->n_param && needs_values(&t->step[i]) && !r; k++)
            r = n->param[k] ? nn_param_hold(n->param[k], e) : OK;
    }
    return r;
}

static enum err_code prepare(struct nn_train *t, struct err *e)
{
    for (int i = 0; i < t->n; i++) {
        struct nn_exec *x = &t->step[i].x;
        x->dout = x->out;
        for (int k = 0; k < t->step[i].node.n_in; k++)
            x->din[k] = x->in[k];
        enum err_code r =
            x->node->op->prepare ? x->node->op->prepare(x, e) : OK;
        if (r)
            return r;
        if (x->scratch_bytes > t->scratch_bytes)
            t->scratch_bytes = x->scratch_bytes;
    }
    return OK;
}

static enum err_code make(struct nn_train *t, const struct nn_graph *g,
                          struct err *e)
{
    enum err_code r = nn_train_lower(t, g, e);
    if (r)
        return r;
    nn_train_wants(t);
    r = hold_params(t, e);
    if (!r)
        r = prepare(t, e);
    if (!r)
        r = nn_train_memory(t, e);
    return r ? r : give_grads(t, e);
}

/* Settle what "auto" means and refuse what cannot be. */
static enum err_code settle(struct nn_train_options *o, struct err *e)
{
    if (o->batch < 0 || o->batch > (1 << 20))
        return err_set(e, ERR_ARG, "a network for %lld pictures at once",
                       (long long)o->batch);
    if (!o->batch)
        o->batch = 1;
    o->path = nn_path_settle(o->path);
    if (o->path == NN_PATH_DNNL && !nn_has_dnnl())
        return err_set(e, ERR_UNSUPPORTED,
                       "this program was built without oneDNN");
    if (o->bf16 && (o->path == NN_PATH_BLAS || !nn_has_bf16()))
        return err_set(e, ERR_UNSUPPORTED,
                       "bf16 needs oneDNN and a CPU with AVX512-BF16");
    return OK;
}

enum err_code nn_train_new(const struct nn_graph *g,
                           const struct nn_train_options *o,
                           struct nn_train **out, struct err *e)
{
    *out = NULL;
    enum err_code r = nn_graph_status(g, e);
    if (r)
        return r;
    if (!g->n_output)
        return err_set(e, ERR_ARG, "a network needs an output");
    struct nn_train *t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory to plan a network");
    t->o = *o;
    r = settle(&t->o, e);
    if (!r)
        r = make(t, g, e);
    if (r)
        nn_train_free(&t);
    *out = t;
    return r;
}

/* splitmix64's mixing (Steele and others 2014): one number from three. */
static uint64_t mix(uint64_t seed, uint64_t run, uint64_t node)
{
    uint64_t z = seed + run * 0x9E3779B97F4A7C15u + node * 0xD1B54A32D192ED03u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

enum err_code nn_train_forward(struct nn_train *t, const float *const *in,
                               struct err *e)
{
    t->ran = false;
    for (int i = 0; i < t->n_input; i++) {
        const struct nn_view *v = &t->step[t->input[i]].x.out;
        memcpy(v->data, in[i], nn_view_bytes(v));
    }
    for (int i = 0; i < t->n; i++) {
        struct nn_tstep *s = &t->step[i];
        if (!s->node.op->forward)
            continue;
        int64_t start = clock_ns();
        /* By the graph's node: conversions must not change the numbers. */
        s->x.seed = mix(t->o.seed, t->runs, (uint64_t)s->graph_node);
        enum err_code r = s->node.op->forward(&s->x, e);
        if (r)
            return r;
        s->ns[0] += clock_ns() - start;
        s->runs[0]++;
    }
    t->runs++;
    t->ran = true;
    return OK;
}

void nn_train_output(const struct nn_train *t, int i, float *out)
{
    const struct nn_view *v = &t->step[t->output[i]].x.out;
    struct nn_view plain = *v;
    plain.data = out;
    plain.layout = NN_PLAIN;
    plain.dtype = DT_F32;
    nn_convert(v, &plain, false);
}

void nn_train_input_grad(const struct nn_train *t, int i, float *out)
{
    const struct nn_tstep *s = &t->step[t->input[i]];
    if (s->x.dout.data)
        memcpy(out, s->x.dout.data, nn_view_bytes(&s->x.dout));
    else /* no output depends on it */
        memset(out, 0, nn_view_bytes(&s->x.dout));
}

/* The gradients that the outputs begin with. Two outputs may be one value. */
static void seed_outputs(struct nn_train *t, const float *const *dout)
{
    for (int i = 0; i < t->n_output; i++) {
        const struct nn_tstep *s = &t->step[t->output[i]];
        if (s->needs)
            memset(s->x.dout.data, 0, nn_view_bytes(&s->x.dout));
    }
    for (int i = 0; i < t->n_output; i++) {
        const struct nn_tstep *s = &t->step[t->output[i]];
        float one = 1;
        void *from = NULL;
        if (!dout && s->node.whole)
            from = &one;
        else if (dout && dout[i])
            memcpy(&from, &dout[i], sizeof from); /* only read */
        if (!s->needs || !from)
            continue;
        struct nn_view v = s->x.dout;
        v.data = from;
        v.layout = NN_PLAIN;
        v.dtype = DT_F32;
        nn_convert(&v, &s->x.dout, true);
    }
}

enum err_code nn_train_backward(struct nn_train *t, const float *const *dout,
                                struct err *e)
{
    if (!t->ran || t->o.no_backward)
        return err_set(e, ERR_STATE,
                       "a backward pass needs a forward pass before it");
    t->ran = false; /* it may overwrite what forward left */
    seed_outputs(t, dout);
    for (int i = t->n - 1; i >= 0; i--) {
        struct nn_tstep *s = &t->step[i];
        if (!s->needs || !s->node.op->backward)
            continue;
        int64_t start = clock_ns();
        enum err_code r = s->node.op->backward(&s->x, e);
        if (r)
            return r;
        for (int k = 0; k < s->node.n_in; k++) {
            if (s->din_temp[k])
                nn_convert(&s->x.din[k], &t->step[s->node.in[k]].x.dout, true);
        }
        s->ns[1] += clock_ns() - start;
        s->runs[1]++;
    }
    return OK;
}

uint64_t nn_train_runs(const struct nn_train *t)
{
    return t->runs;
}

void nn_train_set_runs(struct nn_train *t, uint64_t runs)
{
    t->runs = runs;
}

size_t nn_train_bytes(const struct nn_train *t)
{
    size_t sum = t->arena_bytes + t->scratch_bytes;
    for (int i = 0; i < t->n; i++)
        sum += t->step[i].x.state_bytes;
    return sum;
}

static double per_run(const struct nn_tstep *s, int way)
{
    return s->runs[way] ? (double)s->ns[way] / (double)s->runs[way] : 0.0;
}

enum err_code nn_train_describe(const struct nn_train *t, struct buf *b,
                                struct err *e)
{
    static const char *const layouts[] = {"plain", "last", "block16"};
    double sum[2] = {0, 0}, gflop = 0;
    enum err_code r = buf_printf(
        b, e, "%-5s %-14s %-16s %-8s %-4s %9s %9s %8s %s\n", "node", "op",
        "shape", "layout", "type", "fwd us", "bwd us", "GFLOP", "kernel");
    for (int i = 0; i < t->n && !r; i++) {
        const struct nn_tstep *s = &t->step[i];
        const struct nn_node *n = &s->node;
        double g =
            n->op->gflop ? n->op->gflop(n) * (double)s->x.out.batch : 0.0;
        r = buf_printf(b, e, "%-5d %-10s%-4s %5lldx%4lldx%-5lld %-8s %-4s ",
                       s->graph_node, n->op->name, s->x.relu ? "+rl" : "",
                       (long long)n->shape.c, (long long)n->shape.h,
                       (long long)n->shape.w, layouts[s->x.out.layout],
                       s->x.out.dtype == DT_BF16 ? "bf16" : "f32");
        if (!r)
            r = buf_printf(b, e, "%9.1f %9.1f %8.3f %s\n", per_run(s, 0) * 1e-3,
                           per_run(s, 1) * 1e-3, g, s->x.kernel);
        sum[0] += per_run(s, 0);
        sum[1] += per_run(s, 1);
        gflop += g;
    }
    if (!r)
        r = buf_printf(
            b, e,
            "total forward %.2f ms, backward %.2f ms, %.2f GFLOP "
            "forward; arena %.1f MB, scratch %.1f MB, all %.1f MB\n",
            sum[0] * 1e-6, sum[1] * 1e-6, gflop, (double)t->arena_bytes * 1e-6,
            (double)t->scratch_bytes * 1e-6, (double)nn_train_bytes(t) * 1e-6);
    return r;
}
