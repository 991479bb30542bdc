/* All that checkpoints hold, small, with contents drawn from a seed. */
#include "tests/support/checkpoint_world.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/nn/optim_impl.h"
#include "lib/nn/params_impl.h"

static const struct nn_optim_options sgd = {.kind = NN_SGD, .lr = 0.1};
static const struct nn_optim_options momentum = {.kind = NN_SGD,
                                                 .lr = 0.1,
                                                 .momentum = 0.9,
                                                 .nesterov = true,
                                                 .weight_decay = 1e-4,
                                                 .ema = 0.99};
static const struct nn_optim_options adam = {
    .kind = NN_ADAM, .lr = 1e-3, .beta1 = 0.5, .beta2 = 0.999};
static const struct nn_optim_options adamw = {.kind = NN_ADAMW,
                                              .lr = 1e-3,
                                              .weight_decay = 0.01,
                                              .clip_norm = 1.0,
                                              .clip_value = 0.5,
                                              .ema = 0.999};
static const struct nn_schedule constant = {.kind = NN_CONSTANT, .lr = 0.1};
static const struct nn_schedule step = {
    .kind = NN_STEP_DECAY, .lr = 0.1, .factor = 0.3, .every = 2.5};
static const struct nn_schedule cosine = {
    .kind = NN_COSINE, .lr = 0.1, .warmup = 3, .total = 10, .lr_min = 1e-6};
static const struct nn_schedule plateau = {.kind = NN_PLATEAU,
                                           .lr = 0.1,
                                           .factor = 0.1,
                                           .patience = 3,
                                           .cooldown = 2,
                                           .threshold = 1e-4,
                                           .larger_is_better = true};

const struct world_recipe world_recipes[] = {
    {"AdamW and Adam", {&adamw, &adam}, {&plateau, &cosine}, 0},
    {"SGD, plain and with momentum", {&momentum, &sgd}, {&step, &constant}, 0},
    {"Adam and momentum", {&adam, &momentum}, {NULL, &plateau}, 0},
    {"plain SGD and AdamW", {&sgd, &adamw}, {&constant, NULL}, 0},
    {"weights alone", {NULL, NULL}, {NULL, NULL}, 0},
    {"a schedule alone", {NULL, &adam}, {&plateau, NULL}, 0},
};
const size_t world_recipes_count = sizeof world_recipes / sizeof *world_recipes;

static void add(struct nn_params *ps, const char *name, int ndim,
                const int64_t *shape, bool buffer)
{
    struct err e = {0};
    struct nn_param *p;
    if (nn_params_get(ps, name, ndim, shape, buffer, (struct nn_init_spec){0},
                      &p, &e))
        fail_msg("%s", e.text);
}

/* Floats of any bits, finite; every third is of the odd kinds. */
static void draw(struct tensor *t, bool may_overflow, struct rng *r)
{
    static const float odd[] = {-0.0F,         0.0F,        FLT_TRUE_MIN,
                                -FLT_TRUE_MIN, FLT_MIN / 2, FLT_MAX,
                                -FLT_MAX,      1.0F};
    for (size_t i = 0; t && i < t->count; i++) {
        uint32_t bits = (uint32_t)rng_u64(r);
        if ((bits & 0x7f800000u) == 0x7f800000u)
            bits &= ~0x00800000u;
        memcpy(tensor_f32(t) + i, &bits, sizeof bits);
        if (rng_below(r, 3) == 0)
            tensor_f32(t)[i] = odd[rng_below(r, sizeof odd / sizeof *odd)];
        if (may_overflow && rng_below(r, 5) == 0)
            tensor_f32(t)[i] = HUGE_VALF;
    }
}

static void fill(struct world *w, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    for (int k = 0; k < WORLD_PARTS; k++) {
        for (size_t i = 0; i < nn_params_count(w->ps[k]); i++) {
            struct nn_param *p = nn_params_at(w->ps[k], i);
            draw(p->value, false, &r);
            p->updates = p->buffer ? (int64_t)(rng_u64(&r) >> 1) : 0;
        }
        struct nn_optim *o = w->optim[k];
        for (size_t i = 0; o && i < o->n; i++) {
            draw(o->slot[i].m, true, &r);
            draw(o->slot[i].v, true, &r);
            draw(o->slot[i].ema, false, &r);
        }
        if (o) {
            o->steps = (int64_t)(rng_u64(&r) >> 1);
            o->averaged = (int64_t)(rng_u64(&r) >> 1);
            nn_optim_set_lr(o, rng_unit(&r));
        }
        struct nn_schedule *s = &w->schedule[k];
        if (s->kind == NN_PLATEAU) {
            s->best = rng_normal(&r);
            s->bad = 1 + (int64_t)rng_below(&r, 3);
            s->cooling = 1 + (int64_t)rng_below(&r, 2);
            s->scale = rng_unit(&r) / 2 + 0.25;
            s->started = true;
        }
    }
    w->epoch = rng_u64(&r);
    w->random = UINT64_MAX - rng_below(&r, 2);
    uint64_t nan = 0x7ff8000000000000u | rng_below(&r, 1u << 30);
    memcpy(&w->best, &nan, sizeof nan);
    w->sum = -5e-324 * (double)(1 + rng_below(&r, 9));
}

void world_make(struct world *w, const struct world_recipe *r, uint64_t seed)
{
    static const int64_t four[] = {3, 2, 3, 3}, three = 3;
    static const char *const names[] = {"generator", "critic"};
    const int64_t width = r->width ? r->width : 5;
    struct err e = {0};
    *w = (struct world){0};
    for (int k = 0; k < WORLD_PARTS; k++) {
        w->ps[k] = nn_params_new(seed, &e);
        assert_non_null(w->ps[k]);
    }
    add(w->ps[0], "conv.weight", 4, four, false);
    add(w->ps[0], "bn.weight", 1, &three, false);
    add(w->ps[0], "bn.running_mean", 1, &three, true);
    add(w->ps[0], "bn.running_var", 1, &three, true);
    add(w->ps[0], "gain", 0, NULL, false);
    add(w->ps[1], "weight", 1, &width, false);
    for (int k = 0; k < WORLD_PARTS; k++) {
        if (r->optim[k] &&
            nn_optim_new(w->ps[k], r->optim[k], &w->optim[k], &e))
            fail_msg("%s", e.text);
        if (r->schedule[k])
            w->schedule[k] = *r->schedule[k];
        w->parts[k] = (struct nn_checkpoint_part){
            names[k], w->ps[k], w->optim[k],
            r->schedule[k] ? &w->schedule[k] : NULL};
    }
    w->values[0] = (struct nn_checkpoint_value){"epoch", &w->epoch, NULL};
    w->values[1] = (struct nn_checkpoint_value){"random", &w->random, NULL};
    w->values[2] = (struct nn_checkpoint_value){"best", NULL, &w->best};
    w->values[3] = (struct nn_checkpoint_value){"sum", NULL, &w->sum};
    fill(w, seed);
}

void world_free(struct world *w)
{
    for (int k = 0; k < WORLD_PARTS; k++) {
        nn_optim_free(&w->optim[k]);
        nn_params_free(&w->ps[k]);
    }
}

static void put(struct buf *b, const void *p, size_t n)
{
    struct err e = {0};
    if (buf_put(b, p, n, &e))
        fail_msg("%s", e.text);
}

#define PUT(b, x) put(b, &(x), sizeof(x))

static void dump_optim(const struct nn_optim *o, struct buf *b)
{
    PUT(b, o->steps);
    PUT(b, o->averaged);
    PUT(b, o->o.lr);
    for (size_t i = 0; i < o->n; i++) {
        const struct nn_optim_slot *s = &o->slot[i];
        const struct tensor *of[] = {s->m, s->v, s->ema};
        for (int k = 0; k < 3; k++) {
            if (of[k])
                put(b, of[k]->data, of[k]->bytes);
        }
    }
}

void world_dump(const struct world *w, bool versions, struct buf *b)
{
    for (int k = 0; k < WORLD_PARTS; k++) {
        const struct nn_schedule *s = &w->schedule[k];
        for (size_t i = 0; i < nn_params_count(w->ps[k]); i++) {
            const struct nn_param *p = nn_params_at(w->ps[k], i);
            put(b, p->value->data, p->value->bytes);
            if (strstr(p->name, "running_mean"))
                PUT(b, p->updates);
            if (versions)
                PUT(b, p->version);
        }
        if (w->optim[k])
            dump_optim(w->optim[k], b);
        PUT(b, s->best);
        PUT(b, s->bad);
        PUT(b, s->cooling);
        PUT(b, s->scale);
        PUT(b, s->started);
    }
    PUT(b, w->epoch);
    PUT(b, w->random);
    PUT(b, w->best);
    PUT(b, w->sum);
}

void world_same(const struct world *w, bool versions, const struct buf *b,
                const char *when)
{
    struct buf now;
    buf_init(&now, 1 << 20);
    world_dump(w, versions, &now);
    bool same = now.len == b->len && memcmp(now.data, b->data, b->len) == 0;
    buf_free(&now);
    if (!same)
        fail_msg("%s: it is not what it was", when);
}
