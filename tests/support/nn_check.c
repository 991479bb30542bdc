/* Checks of operators: the variants of a case, and comparing what they make
 * with the golden. */
#include "tests/support/nn_check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "tests/support/nn_check_impl.h"

static const char *const layout_words[] = {"plain", "last", "block16"};

static void variant_text(const struct nnc_variant *v, char *out, size_t n)
{
    static const char *const engines[] = {"op alone", "training plan",
                                          "inference plan"};
    snprintf(out, n, "%s, %s, %s%s%s%s%s%s%s", engines[v->engine],
             v->path == NN_PATH_DNNL ? "oneDNN" : "BLAS",
             v->mode == NN_FAST ? "fast" : "exact", v->bf16 ? ", bf16" : "",
             v->engine != NNC_EXEC ? "" : ", ",
             v->engine != NNC_EXEC ? "" : layout_words[v->layout],
             v->tight ? ", in place and adding" : "",
             v->unfused ? ", unfused" : "",
             v->behind         ? ", behind other ops"
             : v->forward_only ? ", forward only"
                               : "");
}

void nnc_fail(const struct nnc_data *d, const struct nnc_variant *v,
              const char *fmt, ...)
{
    char text[600], what[160] = "";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (v)
        variant_text(v, what, sizeof what);
    fail_msg("case '%s' (%s): %s", d->c->name, what, text);
}

float *nnc_floats(size_t n)
{
    float *p = mem_aligned((n ? n : 1) * sizeof *p);
    assert_non_null(p);
    memset(p, 0, n * sizeof *p);
    return p;
}

/* ---- building a case's graph ---- */

/* Parameters without a file: their own first values, made uneven. Statistics
 * stay positive, as a variance must. */
static void perturb(struct nn_params *ps, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    for (size_t i = 0; i < nn_params_count(ps); i++) {
        struct nn_param *p = nn_params_at(ps, i);
        float *v = tensor_f32(p->value);
        for (size_t k = 0; k < p->value->count; k++)
            v[k] += (float)(p->buffer ? rng_range(&r, 0.1, 0.6)
                                      : rng_range(&r, -0.4, 0.4));
        p->version++;
    }
}

/* x by way of another op that leaves its values as they are, but lets the
 * planner choose the layout: a 1x1 convolution with the identity, or times 1
 * where x is no picture. */
static int behind(const struct nnc_data *d, struct nnc_net *n, int x)
{
    struct nn_shape s = nn_graph_shape(n->g, x);
    if (s.h * s.w == 1 || s.c > 64)
        return nn_scale(n->g, x, 1, 0);
    char name[32];
    struct err e = {0};
    struct nn_param *w = NULL;
    snprintf(name, sizeof name, "eye%lld", (long long)s.c);
    if (nn_params_get(n->aux, name, 4, (const int64_t[]){s.c, s.c, 1, 1}, false,
                      (struct nn_init_spec){.kind = NN_INIT_ZERO}, &w, &e))
        nnc_fail(d, NULL, "%s", e.text);
    for (int64_t i = 0; i < s.c; i++)
        tensor_f32(w->value)[i * s.c + i] = 1;
    nn_graph_frozen(n->g, true);
    int y = nn_conv(n->g, x, w, NULL, &(struct nn_conv_spec){0});
    nn_graph_frozen(n->g, false);
    return y;
}

void nnc_build(const struct nnc_data *d, const struct nnc_variant *v,
               struct nnc_net *n)
{
    struct err e = {0};
    char prefix[96];
    const struct nn_check_case *c = d->c;
    memset(n, 0, sizeof *n);
    n->ps = nn_params_new(d->seed, &e);
    n->aux = nn_params_new(1, &e);
    n->g = nn_graph_new(&e);
    if (!n->ps || !n->aux || !n->g)
        nnc_fail(d, v, "%s", e.text);
    snprintf(prefix, sizeof prefix, "%s.p.", c->name);
    if (d->file)
        nn_params_source(n->ps, d->file, prefix);
    int in[NN_CHECK_INPUTS], extra[NN_CHECK_INPUTS];
    for (int i = 0; i < c->n_in; i++) {
        in[i] = nn_input(n->g, c->in[i].c, c->in[i].h, c->in[i].w);
        if (!v->behind || c->no_grad[i])
            continue;
        in[i] = behind(d, n, in[i]);
        if (v->mode == NN_EXACT)
            extra[i] = nn_scale(n->g, in[i], 3, 0);
    }
    n->out = c->build(n->g, n->ps, in, c->arg);
    /* The second reader comes before the op, or after it. */
    for (int i = 0; i < c->n_in && v->behind && v->mode == NN_FAST; i++) {
        if (!c->no_grad[i])
            extra[i] = nn_scale(n->g, in[i], 3, 0);
    }
    if (nn_graph_status(n->g, &e))
        nnc_fail(d, v, "%s", e.text);
    if (v->behind && !n->g->node[n->out].whole)
        n->out = behind(d, n, n->out);
    nn_output(n->g, n->out);
    for (int i = 0; i < c->n_in && v->behind; i++) {
        if (!c->no_grad[i])
            nn_output(n->g, extra[i]);
    }
    nn_params_source(n->ps, NULL, NULL);
    if (!d->file)
        perturb(n->ps, d->seed);
    if (nn_graph_status(n->g, &e))
        nnc_fail(d, v, "%s", e.text);
}

void nnc_net_free(struct nnc_net *n)
{
    nn_graph_free(&n->g);
    nn_params_free(&n->ps);
    nn_params_free(&n->aux);
}

void nnc_take_params(const struct nnc_net *n, struct nnc_result *r)
{
    r->n_param = 0;
    for (size_t i = 0; i < nn_params_count(n->ps); i++) {
        const struct nn_param *p = nn_params_at(n->ps, i);
        assert_true(r->n_param < NNC_PARAMS);
        struct nnc_param *q = &r->param[r->n_param++];
        snprintf(q->name, sizeof q->name, "%s", p->name);
        q->buffer = p->buffer;
        q->n = p->value->count;
        q->v = nnc_floats(q->n);
        const float *from = p->buffer ? tensor_f32(p->value) : p->grad;
        if (from)
            memcpy(q->v, from, q->n * sizeof *q->v);
    }
}

void nnc_result_free(struct nnc_result *r)
{
    mem_free(r->out);
    for (int i = 0; i < NN_CHECK_INPUTS; i++)
        mem_free(r->din[i]);
    for (int i = 0; i < r->n_param; i++)
        mem_free(r->param[i].v);
    memset(r, 0, sizeof *r);
}

/* ---- comparing ---- */

static void same(const struct nnc_data *d, const struct nnc_variant *v,
                 const char *what, const float *got, const float *want,
                 size_t n, double tol)
{
    double scale = 1e-6, worst = -1;
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)want[i]));
    for (size_t i = 0; i < n; i++) {
        double off = fabs((double)got[i] - (double)want[i]);
        if (!(off <= worst)) {
            worst = off;
            at = i;
        }
        if (isnan(off))
            break;
    }
    if (!(worst <= tol * scale))
        nnc_fail(d, v,
                 "%s[%zu] of %zu is %.8g, should be %.8g: off by %.2g of the "
                 "largest value %.3g (at most %.2g)",
                 what, at, n, (double)got[at], (double)want[at], worst / scale,
                 scale, tol);
}

static void compare(const struct nnc_data *d, const struct nnc_variant *v,
                    const struct nnc_result *got)
{
    const struct nnc_result *want = &d->want;
    double tol = d->c->tol > 0 ? d->c->tol : 1e-4;
    double grad_tol = d->c->tol > 0 ? d->c->tol : 1e-3;
    if (v->bf16)
        tol = grad_tol = d->c->bf16_tol > 0 ? d->c->bf16_tol : 3e-2;
    char what[100];
    same(d, v, "out", got->out, want->out, want->n_out, tol);
    if (v->engine == NNC_NET)
        return;
    for (int i = 0; i < d->c->n_in && !v->forward_only; i++) {
        if (d->c->no_grad[i])
            continue;
        snprintf(what, sizeof what, "din%d", i);
        same(d, v, what, got->din[i], want->din[i], d->n_in[i], grad_tol);
    }
    if (got->n_param != want->n_param)
        nnc_fail(d, v, "%d parameters, should be %d", got->n_param,
                 want->n_param);
    for (int i = 0; i < got->n_param; i++) {
        const struct nnc_param *p = &got->param[i], *q = &want->param[i];
        if (v->forward_only && !p->buffer)
            continue;
        snprintf(what, sizeof what, "%s.%s", p->buffer ? "s" : "dp", p->name);
        same(d, v, what, p->v, q->v, p->n, grad_tol);
    }
}

static void run(const struct nnc_data *d, const struct nnc_variant *v)
{
    struct nnc_result r = {0};
    if (v->engine == NNC_EXEC)
        nnc_exec(d, v, &r);
    else if (v->engine == NNC_TRAIN)
        nnc_train(d, v, &r);
    else
        nnc_infer(d, v, &r);
    compare(d, v, &r);
    nnc_result_free(&r);
}

static void run_alone(const struct nnc_data *d, enum nn_path path, bool half)
{
    for (int i = 0; i < 6; i++)
        run(d, &(struct nnc_variant){.engine = NNC_EXEC,
                                     .path = path,
                                     .bf16 = half,
                                     .layout = (enum nn_layout)(i / 2),
                                     .tight = i % 2});
}

/* Every variant, on one path. */
static void run_path(const struct nnc_data *d, enum nn_path path)
{
    bool bf16 = d->c->bf16_tol >= 0 && path == NN_PATH_DNNL && nn_has_bf16();
    for (int half = 0; half <= bf16; half++) {
        run_alone(d, path, half);
        for (int i = 0; i < 8; i++)
            run(d, &(struct nnc_variant){.engine = NNC_TRAIN,
                                         .path = path,
                                         .bf16 = half,
                                         .mode = i & 1 ? NN_FAST : NN_EXACT,
                                         .unfused = i & 2,
                                         .behind = i & 4});
        run(d, &(struct nnc_variant){.engine = NNC_TRAIN,
                                     .path = path,
                                     .bf16 = half,
                                     .forward_only = true});
#if NNC_HAVE_NET
        for (int i = 0; i < 8 && !d->c->no_inference; i++)
            run(d, &(struct nnc_variant){.engine = NNC_NET,
                                         .path = path,
                                         .bf16 = half,
                                         .mode = i & 1 ? NN_FAST : NN_EXACT,
                                         .unfused = i & 2,
                                         .behind = i & 4});
#endif
    }
}

static void run_all(const struct nnc_data *d)
{
    for (enum nn_path p = NN_PATH_DNNL; p <= NN_PATH_BLAS; p++) {
        if (p == NN_PATH_DNNL && !nn_has_dnnl())
            continue;
        run_path(d, p);
        if (!d->c->no_differences)
            nnc_differences(d, &(struct nnc_variant){.engine = NNC_TRAIN,
                                                     .path = p,
                                                     .unfused = true});
    }
    nnc_no_memory(d);
}

/* ---- where a case's numbers come from ---- */

static void sizes(struct nnc_data *d)
{
    struct nnc_net n;
    nnc_build(d, &(struct nnc_variant){0}, &n);
    const struct nn_node *o = &n.g->node[n.out];
    d->whole = o->whole;
    d->n_out = (size_t)(o->shape.c * o->shape.h * o->shape.w *
                        (o->whole ? 1 : d->c->batch));
    nnc_net_free(&n);
    for (int i = 0; i < d->c->n_in; i++) {
        struct nn_shape s = d->c->in[i];
        d->n_in[i] = (size_t)(s.c * s.h * s.w * d->c->batch);
    }
}

/* "<case>.<what>" of the file, n numbers whatever its rank. NULL if it is not
 * there and need not be. */
static float *take(const struct nnc_data *d, const char *what, size_t n,
                   bool needed)
{
    char name[200];
    struct err e = {0};
    struct safetensors_entry t;
    snprintf(name, sizeof name, "%s.%s", d->c->name, what);
    if (!needed && !safetensors_find(d->file, name, &t))
        return NULL;
    struct tensor *v = NULL;
    if (safetensors_tensor(d->file, name, &v, &e))
        nnc_fail(d, NULL, "%s", e.text);
    if (v->dtype != DT_F32 || v->count != n)
        nnc_fail(d, NULL, "golden %s has %zu numbers (%s), the op %zu", name,
                 v->count, dtype_name(v->dtype), n);
    float *p = nnc_floats(n);
    memcpy(p, v->data, n * sizeof *p);
    tensor_free(&v);
    return p;
}

static void from_file(struct nnc_data *d)
{
    char what[100];
    struct nnc_net n;
    sizes(d);
    for (int i = 0; i < d->c->n_in; i++) {
        snprintf(what, sizeof what, "in%d", i);
        d->in[i] = take(d, what, d->n_in[i], true);
        snprintf(what, sizeof what, "din%d", i);
        if (!d->c->no_grad[i])
            d->want.din[i] = take(d, what, d->n_in[i], true);
    }
    d->dout = take(d, "dout", d->n_out, !d->whole);
    d->want.out = take(d, "out", d->n_out, true);
    d->want.n_out = d->n_out;
    nnc_build(d, &(struct nnc_variant){0}, &n);
    nnc_take_params(&n, &d->want);
    nnc_net_free(&n);
    for (int i = 0; i < d->want.n_param; i++) {
        struct nnc_param *p = &d->want.param[i];
        snprintf(what, sizeof what, "%s.%s", p->buffer ? "s" : "dp", p->name);
        mem_free(p->v);
        p->v = take(d, what, p->n, true);
    }
}

static void data_free(struct nnc_data *d)
{
    for (int i = 0; i < NN_CHECK_INPUTS; i++)
        mem_free(d->in[i]);
    mem_free(d->dout);
    nnc_result_free(&d->want);
    safetensors_free(&d->file);
}

void nn_check(const char *golden_file, const struct nn_check_case *c)
{
    struct nnc_data d = {.c = c, .seed = 1};
    struct err e = {0};
    if (safetensors_read(golden_file, &d.file, &e))
        nnc_fail(&d, NULL, "%s", e.text);
    from_file(&d);
    run_all(&d);
    data_free(&d);
}

/* Inputs and gradients from above, drawn from d->seed. */
static void draw(struct nnc_data *d)
{
    struct rng r;
    rng_seed(&r, d->seed);
    sizes(d);
    for (int i = 0; i < d->c->n_in; i++) {
        d->in[i] = nnc_floats(d->n_in[i]);
        for (size_t k = 0; k < d->n_in[i]; k++)
            d->in[i][k] = (float)rng_normal(&r);
    }
    d->dout = nnc_floats(d->n_out);
    for (size_t k = 0; k < d->n_out; k++)
        d->dout[k] = d->whole ? 1.0F : (float)rng_normal(&r);
}

void nn_check_differences(const struct nn_check_case *c, uint64_t seed)
{
    struct nnc_data d = {.c = c, .seed = seed};
    draw(&d);
    /* The slow plain way is what the others are compared with. */
    nnc_train(&d,
              &(struct nnc_variant){
                  .engine = NNC_TRAIN, .path = NN_PATH_BLAS, .unfused = true},
              &d.want);
    run_all(&d);
    data_free(&d);
}

void nn_check_layouts(const struct nn_check_case *c, uint64_t seed)
{
    struct nnc_data d = {.c = c, .seed = seed};
    draw(&d);
    nnc_exec(&d,
             &(struct nnc_variant){.engine = NNC_EXEC, .path = NN_PATH_BLAS},
             &d.want);
    for (enum nn_path p = NN_PATH_DNNL; p <= NN_PATH_BLAS; p++) {
        if (p == NN_PATH_DNNL && !nn_has_dnnl())
            continue;
        run_alone(&d, p, false);
        if (p == NN_PATH_DNNL && nn_has_bf16())
            run_alone(&d, p, true);
    }
    nnc_no_memory(&d);
    data_free(&d);
}
