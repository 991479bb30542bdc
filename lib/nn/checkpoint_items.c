/* Checkpoints: which tensors and names are in one. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/nn/checkpoint_impl.h"
#include "lib/nn/optim_impl.h"
#include "lib/nn/params_impl.h"

#define MAX_NAME 63 /* of a part, of a value */

/* A word: so that "<part>." is the prefix of no other part's tensors, nor of
 * those of optimisers and averages. */
static enum err_code check_word(const char *what, const char *s, struct err *e)
{
    size_t n = strlen(s);
    bool good = n > 0 && n <= MAX_NAME;
    for (size_t i = 0; i < n && good; i++)
        good = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
               (s[i] >= '0' && s[i] <= '9') || s[i] == '_' || s[i] == '-';
    if (!good)
        return err_set(e, ERR_ARG,
                       "'%.80s' cannot name a %s of a checkpoint: 1 to %d "
                       "letters, digits, '_' and '-'",
                       s, what, MAX_NAME);
    return OK;
}

/* What could not be read again, or would be of no use, is not saved. */
static enum err_code check_part(const struct nn_checkpoint_part *p,
                                struct err *e)
{
    enum err_code r = check_word("part", p->name, e);
    if (!r && (strcmp(p->name, "ema") == 0 || strcmp(p->name, "optim") == 0))
        r = err_set(e, ERR_ARG, "'%s' is not free for a part", p->name);
    if (!r && p->optim && p->optim->ps != p->ps)
        r = err_set(e, ERR_ARG,
                    "the optimiser of part '%s' is one of other parameters",
                    p->name);
    if (!r && p->optim)
        r = nn_checkpoint_optim(p->optim, p->name, e);
    if (!r && p->schedule) {
        r = nn_schedule_check(p->schedule, e);
        if (r)
            err_wrap(e, "part '%s'", p->name);
    }
    return r;
}

enum err_code nn_checkpoint_optim(const struct nn_optim *o, const char *of,
                                  struct err *e)
{
    if (!(o->o.lr >= 0.0 && isfinite(o->o.lr)) || o->steps < 0 ||
        o->averaged < 0)
        return err_set(e, ERR_ARG,
                       "the optimiser of '%s' cannot be at lr %g, %" PRId64
                       " steps, %" PRId64 " averaged",
                       of, o->o.lr, o->steps, o->averaged);
    return OK;
}

enum err_code nn_checkpoint_check(const struct nn_checkpoint_part *parts,
                                  const struct nn_checkpoint_value *values,
                                  struct err *e)
{
    enum err_code r = OK;
    for (const struct nn_checkpoint_part *p = parts; p->name && !r; p++) {
        r = check_part(p, e);
        for (const struct nn_checkpoint_part *q = parts; q < p && !r; q++) {
            if (strcmp(p->name, q->name) == 0)
                r = err_set(e, ERR_ARG, "part '%s' is given twice", p->name);
        }
    }
    for (const struct nn_checkpoint_value *v = values; v && v->name && !r;
         v++) {
        r = check_word("value", v->name, e);
        if (!r && !v->number == !v->real)
            r = err_set(e, ERR_ARG, "value '%s' needs a number or a real",
                        v->name);
        for (const struct nn_checkpoint_value *q = values; q < v && !r; q++) {
            if (strcmp(v->name, q->name) == 0)
                r = err_set(e, ERR_ARG, "value '%s' is given twice", v->name);
        }
    }
    return r;
}

/* The averaged weights with the statistics beside them. */
static enum err_code put_average(const char *part, const struct nn_optim *o,
                                 struct nn_items *l, struct err *e)
{
    char prefix[MAX_NAME + 8], counter[2 * NN_PARAM_NAME_MAX + 32];
    enum err_code r = OK;
    snprintf(prefix, sizeof prefix, "ema.%s.", part);
    for (size_t i = 0; i < o->n && !r; i++)
        r = nn_items_add(l, tensor_ref(o->slot[i].ema), e, "%s%s", prefix,
                         o->slot[i].p->name);
    for (size_t i = 0; i < o->ps->n && !r; i++) {
        const struct nn_param *p = o->ps->list[i];
        if (!p->buffer)
            continue;
        r = nn_items_add(l, tensor_ref(p->value), e, "%s%s", prefix, p->name);
        if (r || !nn_params_counter(p, prefix, counter, sizeof counter))
            continue;
        struct tensor *t = tensor_new(DT_I64, 0, NULL, e);
        if (t)
            tensor_i64(t)[0] = p->updates;
        r = nn_items_add(l, t, e, "%s", counter);
    }
    return r;
}

static enum err_code put_optim(const char *part, const struct nn_optim *o,
                               struct nn_items *l, struct err *e)
{
    enum err_code r = OK;
    for (size_t i = 0; i < o->n && !r; i++) {
        const struct nn_optim_slot *s = &o->slot[i];
        if (s->m)
            r = nn_items_add(l, tensor_ref(s->m), e, "optim.%s.%s.%s", part,
                             s->p->name, nn_optim_state_name(o, 0));
        if (!r && s->v)
            r = nn_items_add(l, tensor_ref(s->v), e, "optim.%s.%s.%s", part,
                             s->p->name, nn_optim_state_name(o, 1));
    }
    return r;
}

enum err_code nn_checkpoint_items(const struct nn_checkpoint_part *parts,
                                  struct nn_items *l, struct err *e)
{
    enum err_code r = OK;
    for (const struct nn_checkpoint_part *p = parts; p->name && !r; p++) {
        char prefix[MAX_NAME + 8];
        snprintf(prefix, sizeof prefix, "%s.", p->name);
        r = nn_params_put(p->ps, prefix, l, e);
        if (!r && p->optim)
            r = put_optim(p->name, p->optim, l, e);
        if (!r && p->optim && p->optim->o.ema > 0.0)
            r = put_average(p->name, p->optim, l, e);
    }
    return r;
}
