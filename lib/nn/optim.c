/* Optimisers: what is kept for each parameter, and whole steps. */
#include "lib/nn/optim.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/optim_impl.h"
#include "lib/nn/params_impl.h"

#define CHUNK 8192 /* floats: all that a step reads of them stays in L2 */
#define PARALLEL_FLOATS 16384

static bool within(double x, double lo, double hi)
{
    return x >= lo && x < hi; /* false for NaN */
}

static enum err_code check(const struct nn_optim_options *o, struct err *e)
{
    const struct {
        const char *name;
        double value, below; /* 0 <= value < below */
    } rule[] = {
        {"lr", o->lr, HUGE_VAL},
        {"momentum", o->momentum, HUGE_VAL},
        {"beta1", o->beta1, 1.0},
        {"beta2", o->beta2, 1.0},
        {"eps", o->eps, HUGE_VAL},
        {"weight_decay", o->weight_decay, HUGE_VAL},
        {"clip_norm", o->clip_norm, HUGE_VAL},
        {"clip_value", o->clip_value, HUGE_VAL},
        {"ema", o->ema, 1.0},
    };
    if (o->kind != NN_SGD && o->kind != NN_ADAM && o->kind != NN_ADAMW)
        return err_set(e, ERR_ARG, "optimiser: no kind %d", (int)o->kind);
    for (size_t i = 0; i < sizeof rule / sizeof *rule; i++) {
        if (!within(rule[i].value, 0.0, rule[i].below))
            return err_set(e, ERR_ARG, "optimiser: %s cannot be %g",
                           rule[i].name, rule[i].value);
    }
    if (o->kind != NN_SGD && (o->momentum > 0.0 || o->nesterov))
        return err_set(e, ERR_ARG,
                       "optimiser: momentum and nesterov are SGD's");
    if (o->nesterov && !(o->momentum > 0.0))
        return err_set(e, ERR_ARG, "optimiser: nesterov needs momentum");
    return OK;
}

void nn_optim_free(struct nn_optim **o)
{
    if (!o || !*o)
        return;
    for (size_t i = 0; i < (*o)->n; i++) {
        tensor_free(&(*o)->slot[i].m);
        tensor_free(&(*o)->slot[i].v);
        tensor_free(&(*o)->slot[i].ema);
    }
    mem_free((*o)->slot);
    mem_free((*o)->chunk);
    mem_free((*o)->sum);
    mem_free(*o);
    *o = NULL;
}

static enum err_code add_slot(struct nn_optim *x, struct nn_param *p,
                              struct err *e)
{
    struct nn_optim_slot *s = &x->slot[x->n++];
    const struct tensor *t = p->value;
    *s = (struct nn_optim_slot){.p = p};
    bool adam = x->o.kind != NN_SGD;
    if (adam || x->o.momentum > 0.0)
        s->m = tensor_new(DT_F32, t->ndim, t->shape, e);
    if (adam)
        s->v = tensor_new(DT_F32, t->ndim, t->shape, e);
    if (x->o.ema > 0.0)
        s->ema = tensor_copy(t, e);
    if ((!s->m && (adam || x->o.momentum > 0.0)) || (!s->v && adam) ||
        (!s->ema && x->o.ema > 0.0))
        return err_set(e, ERR_NOMEM, "no memory for the optimiser's '%s'",
                       p->name);
    x->floats += t->count;
    return OK;
}

/* Cut all slots into chunks. */
static enum err_code cut(struct nn_optim *x, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++)
        n += (x->slot[i].p->value->count + CHUNK - 1) / CHUNK;
    x->chunk = mem_array(n ? n : 1, sizeof *x->chunk);
    x->sum = mem_array(n ? n : 1, sizeof *x->sum);
    if (!x->chunk || !x->sum)
        return err_set(e, ERR_NOMEM, "no memory for an optimiser");
    for (size_t i = 0; i < x->n; i++) {
        size_t count = x->slot[i].p->value->count;
        for (size_t at = 0; at < count; at += CHUNK)
            x->chunk[x->n_chunks++] = (struct nn_optim_chunk){
                i, at, count - at < CHUNK ? count - at : CHUNK};
    }
    return OK;
}

enum err_code nn_optim_new(struct nn_params *ps,
                           const struct nn_optim_options *o,
                           struct nn_optim **out, struct err *e)
{
    *out = NULL;
    enum err_code r = check(o, e);
    if (r)
        return r;
    struct nn_optim *x = mem_calloc(1, sizeof *x);
    if (x)
        x->slot = mem_calloc(ps->n ? ps->n : 1, sizeof *x->slot);
    if (!x || !x->slot) {
        mem_free(x);
        return err_set(e, ERR_NOMEM, "no memory for an optimiser");
    }
    x->ps = ps;
    x->known = ps->n;
    x->o = *o;
    if (x->o.kind != NN_SGD) {
        x->o.beta1 = o->beta1 > 0.0 ? o->beta1 : 0.9;
        x->o.beta2 = o->beta2 > 0.0 ? o->beta2 : 0.999;
        x->o.eps = o->eps > 0.0 ? o->eps : 1e-8;
    }
    r = nn_params_hold(ps, e);
    for (size_t i = 0; i < ps->n && !r; i++) {
        if (!ps->list[i]->buffer)
            r = add_slot(x, ps->list[i], e);
    }
    if (!r)
        r = cut(x, e);
    if (r)
        nn_optim_free(&x);
    *out = x;
    return r;
}

/* The sum of squares of all gradients. What is not finite makes it so. */
static double measure(struct nn_optim *x)
{
    int64_t n = (int64_t)x->n_chunks;
#pragma omp parallel for schedule(dynamic, 8) if (x->floats >= PARALLEL_FLOATS)
    for (int64_t k = 0; k < n; k++) {
        const struct nn_optim_chunk *c = &x->chunk[k];
        const float *g = x->slot[c->slot].p->grad;
        x->sum[k] = g ? nn_optim_squares(g + c->at, c->n) : 0.0;
    }
    double total = 0.0;
    for (int64_t k = 0; k < n; k++)
        total += x->sum[k];
    return total;
}

static enum err_code say_not_finite(const struct nn_optim *x, struct err *e)
{
    for (size_t k = 0; k < x->n_chunks; k++) {
        if (isfinite(x->sum[k]))
            continue;
        const struct nn_optim_chunk *c = &x->chunk[k];
        const struct nn_param *p = x->slot[c->slot].p;
        size_t i = c->at;
        while (i + 1 < c->at + c->n && isfinite(p->grad[i]))
            i++;
        return err_set(e, ERR_DATA,
                       "the gradient of '%s' is not finite: element %zu of "
                       "%zu is %g",
                       p->name, i, p->value->count, (double)p->grad[i]);
    }
    return err_set(e, ERR_DATA, "the gradients are too large");
}

static enum err_code check_step(const struct nn_optim *x, struct err *e)
{
    if (!within(x->o.lr, 0.0, HUGE_VAL))
        return err_set(e, ERR_ARG, "optimiser: lr cannot be %g", x->o.lr);
    for (size_t i = x->known; i < x->ps->n; i++) {
        if (!x->ps->list[i]->buffer)
            return err_set(e, ERR_STATE,
                           "parameter '%s' was added after its optimiser was "
                           "made",
                           x->ps->list[i]->name);
    }
    for (size_t i = 0; i < x->n; i++) {
        if (x->slot[i].p->grad)
            return OK;
    }
    return err_set(e, ERR_STATE, "no parameter has a gradient");
}

/* The share of the average that stays in the next step. */
static double ema_keep(const struct nn_optim *x)
{
    double n = (double)x->averaged;
    if (!x->averaged)
        return 0.0;
    return x->o.ema_ramp ? fmin(x->o.ema, (1.0 + n) / (10.0 + n)) : x->o.ema;
}

static struct nn_optim_coef coefficients(const struct nn_optim *x, double norm)
{
    const struct nn_optim_options *o = &x->o;
    double t = (double)(x->steps + 1);
    double clip = o->clip_norm > 0.0 ? o->clip_norm / (norm + 1e-6) : 1.0;
    struct nn_optim_coef c = {
        .clip = clip < 1.0 ? (float)clip : 1.0F,
        .limit = o->clip_value > 0.0 ? (float)o->clip_value : HUGE_VALF,
        .decay = o->kind == NN_ADAMW ? 0.0F : (float)o->weight_decay,
        .shrink =
            o->kind == NN_ADAMW ? (float)(1.0 - o->lr * o->weight_decay) : 1.0F,
        .momentum = (float)o->momentum,
        .lr = (float)o->lr,
        .keep = (float)ema_keep(x),
        .take = (float)(1.0 - ema_keep(x)),
    };
    if (o->kind != NN_SGD) {
        c.beta1 = (float)o->beta1;
        c.rest1 = (float)(1.0 - o->beta1);
        c.beta2 = (float)o->beta2;
        c.rest2 = (float)(1.0 - o->beta2);
        c.root = (float)sqrt(1.0 - pow(o->beta2, t));
        c.eps = (float)o->eps;
        c.size = (float)(o->lr / (1.0 - pow(o->beta1, t)));
    }
    return c;
}

static void apply(const struct nn_optim *x, const struct nn_optim_chunk *k,
                  const struct nn_optim_coef *c)
{
    const struct nn_optim_slot *s = &x->slot[k->slot];
    float *p = tensor_f32(s->p->value) + k->at;
    float *m = s->m ? tensor_f32(s->m) + k->at : NULL;
    const float *g = s->p->grad ? s->p->grad + k->at : NULL;
    if (g && x->o.kind == NN_SGD)
        nn_optim_sgd(p, g, m, k->n, x->o.nesterov, c);
    else if (g)
        nn_optim_adam(p, g, m, tensor_f32(s->v) + k->at, k->n, c);
    if (s->ema)
        nn_optim_average(tensor_f32(s->ema) + k->at, p, k->n, c);
}

enum err_code nn_optim_step(struct nn_optim *x, double *norm, struct err *e)
{
    enum err_code r = check_step(x, e);
    if (r)
        return r;
    double squares = measure(x);
    if (!isfinite(squares))
        return say_not_finite(x, e);
    if (norm)
        *norm = sqrt(squares);
    struct nn_optim_coef c = coefficients(x, sqrt(squares));
    int64_t n = (int64_t)x->n_chunks;
#pragma omp parallel for schedule(dynamic, 8) if (x->floats >= PARALLEL_FLOATS)
    for (int64_t k = 0; k < n; k++)
        apply(x, &x->chunk[k], &c);
    for (size_t i = 0; i < x->n; i++) {
        if (x->slot[i].p->grad)
            x->slot[i].p->version++;
    }
    x->steps++;
    x->averaged += x->o.ema > 0.0;
    return OK;
}

double nn_optim_lr(const struct nn_optim *o)
{
    return o->o.lr;
}

void nn_optim_set_lr(struct nn_optim *o, double lr)
{
    o->o.lr = lr;
}

int64_t nn_optim_steps(const struct nn_optim *o)
{
    return o->steps;
}

enum err_code nn_optim_ema(const struct nn_optim *o, struct nn_params *to,
                           struct err *e)
{
    if (!(o->o.ema > 0.0))
        return err_set(e, ERR_STATE, "this optimiser keeps no average (ema)");
    enum err_code r = nn_params_copy(to, o->ps, e);
    for (size_t i = 0; i < o->n && !r; i++) {
        const struct nn_optim_slot *s = &o->slot[i];
        struct nn_param *q = nn_params_find(to, s->p->name);
        memcpy(q->value->data, s->ema->data, s->ema->bytes);
        q->version += q == s->p;
    }
    return r;
}

const char *nn_optim_state_name(const struct nn_optim *o, int which)
{
    if (o->o.kind == NN_SGD)
        return which == 0 && o->o.momentum > 0.0 ? "momentum_buffer" : NULL;
    return which == 0 ? "exp_avg" : "exp_avg_sq";
}
