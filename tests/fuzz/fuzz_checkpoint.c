/* Fuzzes what a checkpoint is asked for after its checksum: into a small run
 * with everything that they hold. A file that is refused changes nothing; one
 * that is taken leaves a run that could be saved. Its corpus:
 * tests/py/checkpoint_corpus.py. */
#include <string.h>

#include "lib/nn/checkpoint_impl.h"
#include "lib/nn/optim_impl.h"
#include "lib/nn/params_impl.h"
#include "tests/fuzz/fuzz.h"

struct run {
    struct nn_params *ps;
    struct nn_optim *optim;
    struct nn_schedule schedule;
    uint64_t epoch;
    double best;
};

static struct nn_param *get(struct run *r, const char *name, int ndim,
                            bool buffer)
{
    static const int64_t shape[2] = {2, 1};
    struct nn_param *p = NULL;
    struct err e;
    fuzz_check(nn_params_get(r->ps, name, ndim, shape, buffer,
                             (struct nn_init_spec){0}, &p, &e) == OK);
    return p;
}

static void make(struct run *r)
{
    const struct nn_optim_options adamw = {
        .kind = NN_ADAMW, .lr = 0.5, .ema = 0.5};
    struct err e;
    *r = (struct run){.schedule = {.kind = NN_PLATEAU,
                                   .lr = 0.5,
                                   .factor = 0.5,
                                   .patience = 2,
                                   .cooldown = 1},
                      .epoch = 3,
                      .best = 0.25};
    r->ps = nn_params_new(1, &e);
    fuzz_check(r->ps != NULL);
    (void)get(r, "w", 2, false);
    (void)get(r, "running_mean", 1, true);
    fuzz_check(nn_optim_new(r->ps, &adamw, &r->optim, &e) == OK);
}

static void put(struct buf *b, const void *p, size_t n)
{
    struct err e;
    fuzz_check(buf_put(b, p, n, &e) == OK);
}

/* Every bit of it. */
static void dump(const struct run *r, struct buf *b)
{
    const struct nn_optim_slot *s = r->optim->slot;
    const struct tensor *t[] = {s->m, s->v, s->ema};
    for (size_t i = 0; i < nn_params_count(r->ps); i++) {
        const struct nn_param *p = nn_params_at(r->ps, i);
        put(b, p->value->data, p->value->bytes);
        put(b, &p->updates, sizeof p->updates);
        put(b, &p->version, sizeof p->version);
    }
    for (int i = 0; i < 3; i++)
        put(b, t[i]->data, t[i]->bytes);
    put(b, r->optim, sizeof *r->optim);
    put(b, &r->schedule, sizeof r->schedule);
    put(b, &r->epoch, sizeof r->epoch);
    put(b, &r->best, sizeof r->best);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct run r;
    struct err e = {0};
    struct buf before, after;
    struct safetensors *s = NULL;
    if (safetensors_parse(data, n, "input", &s, &e))
        return 0;
    make(&r);
    const struct nn_checkpoint_part parts[] = {
        {"net", r.ps, r.optim, &r.schedule}, {0}};
    const struct nn_checkpoint_value values[] = {
        {"epoch", &r.epoch, NULL}, {"best", NULL, &r.best}, {0}};
    buf_init(&before, 1 << 16);
    buf_init(&after, 1 << 16);
    dump(&r, &before);
    enum err_code code = nn_checkpoint_take(s, parts, values, &e);
    fuzz_check(code == OK || code == ERR_DATA || code == ERR_UNSUPPORTED);
    if (code)
        code = nn_checkpoint_apply(s, parts, values, &e);
    fuzz_check(code == OK || code == ERR_DATA || code == ERR_UNSUPPORTED);
    dump(&r, &after);
    if (code) {
        fuzz_check(strstr(e.text, "'input'") != NULL);
        fuzz_check(memcmp(before.data, after.data, before.len) == 0);
    } else {
        fuzz_check(nn_checkpoint_check(parts, values, &e) == OK);
        for (size_t i = 0; i < nn_params_count(r.ps); i++) {
            const struct nn_param *p = nn_params_at(r.ps, i);
            fuzz_check(p->version == 1 && p->updates >= 0);
            fuzz_check(nn_find_not_finite(p->value->data, p->value->count,
                                          true) == p->value->count);
        }
        (void)nn_schedule_report(&r.schedule, 1.0);
        fuzz_check(nn_schedule_check(&r.schedule, &e) == OK);
    }
    buf_free(&before);
    buf_free(&after);
    nn_optim_free(&r.optim);
    nn_params_free(&r.ps);
    safetensors_free(&s);
    return 0;
}
