/* Named parameters of networks: the set, look-up by name, first values. */
#include "lib/nn/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/params_impl.h"

#define FIRST_SLOTS 64
#define DRAW 65536 /* numbers drawn from one generator: a unit of work */
#define PARALLEL_FLOATS 65536

struct nn_params *nn_params_new(uint64_t seed, struct err *e)
{
    struct nn_params *ps = mem_calloc(1, sizeof *ps);
    if (ps)
        ps->slot = mem_calloc(FIRST_SLOTS, sizeof *ps->slot);
    if (!ps || !ps->slot) {
        mem_free(ps);
        err_set(e, ERR_NOMEM, "no memory for a set of parameters");
        return NULL;
    }
    ps->slots = FIRST_SLOTS;
    ps->seed = seed;
    return ps;
}

static void param_free(struct nn_param *p)
{
    if (!p)
        return;
    mem_free(p->name);
    nn_loan_free(p);
    mem_free(p->grad);
    mem_free(p);
}

void nn_params_free(struct nn_params **ps)
{
    if (!ps || !*ps)
        return;
    for (size_t i = 0; i < (*ps)->n; i++)
        param_free((*ps)->list[i]);
    mem_free((*ps)->list);
    mem_free((*ps)->slot);
    safetensors_free(&(*ps)->lender);
    mem_free(*ps);
    *ps = NULL;
}

void nn_params_source(struct nn_params *ps, const struct safetensors *w,
                      const char *prefix)
{
    size_t n = prefix ? strlen(prefix) : 0;
    safetensors_free(&ps->lender);
    ps->source = w;
    ps->prefix_long = n > NN_PARAM_NAME_MAX;
    if (ps->prefix_long)
        n = 0;
    if (n)
        memcpy(ps->prefix, prefix, n);
    ps->prefix[n] = 0;
}

void nn_params_lend(struct nn_params *ps, struct safetensors *w,
                    const char *prefix)
{
    struct safetensors *ours = w ? safetensors_ref(w) : NULL;
    nn_params_source(ps, w, prefix);
    ps->lender = ours;
}

uint64_t nn_params_hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        h = (h ^ *p) * 0x100000001b3u;
    return h;
}

/* Where the name stands, or the free slot where it would. */
static size_t slot_of(const struct nn_params *ps, const char *name)
{
    size_t i = (size_t)nn_params_hash(name) & (ps->slots - 1);
    while (ps->slot[i] && strcmp(ps->list[ps->slot[i] - 1]->name, name) != 0)
        i = (i + 1) & (ps->slots - 1);
    return i;
}

size_t nn_params_count(const struct nn_params *ps)
{
    return ps->n;
}

struct nn_param *nn_params_at(const struct nn_params *ps, size_t i)
{
    return i < ps->n ? ps->list[i] : NULL;
}

struct nn_param *nn_params_find(const struct nn_params *ps, const char *name)
{
    size_t at = ps->slot[slot_of(ps, name)];
    return at ? ps->list[at - 1] : NULL;
}

int64_t nn_params_total(const struct nn_params *ps)
{
    int64_t total = 0;
    for (size_t i = 0; i < ps->n; i++) {
        if (!ps->list[i]->buffer)
            total += (int64_t)ps->list[i]->value->count;
    }
    return total;
}

/* Room for one more in the list and the table. */
static bool grow(struct nn_params *ps)
{
    if (ps->n == ps->cap) {
        size_t want = ps->cap ? 2 * ps->cap : 64;
        struct nn_param **list = mem_resize(ps->list, want, sizeof *list);
        if (!list)
            return false;
        ps->list = list;
        ps->cap = want;
    }
    if (2 * (ps->n + 1) <= ps->slots)
        return true;
    size_t *slot = mem_calloc(2 * ps->slots, sizeof *slot);
    if (!slot)
        return false;
    mem_free(ps->slot);
    ps->slot = slot;
    ps->slots *= 2;
    for (size_t i = 0; i < ps->n; i++)
        slot[slot_of(ps, ps->list[i]->name)] = i + 1;
    return true;
}

bool nn_params_counter(const struct nn_param *p, const char *prefix, char *out,
                       size_t n)
{
    static const char mean[] = "running_mean";
    size_t len = strlen(p->name), m = sizeof mean - 1;
    if (!p->buffer || len < m || strcmp(p->name + len - m, mean) != 0 ||
        (len > m && p->name[len - m - 1] != '.'))
        return false;
    int k = snprintf(out, n, "%s%.*snum_batches_tracked", prefix,
                     (int)(len - m), p->name);
    return k > 0 && (size_t)k < n;
}

/* Names are words with dots between, as in PyTorch; the counters beside
 * running statistics are kept in nn_param.updates. */
static enum err_code check_name(const char *name, struct err *e)
{
    static const char counter[] = "num_batches_tracked";
    size_t n = name ? strlen(name) : 0, m = sizeof counter - 1;
    if (n == 0 || n > NN_PARAM_NAME_MAX)
        return err_set(e, ERR_ARG,
                       "a parameter's name has 1 to %d bytes, not %zu",
                       NN_PARAM_NAME_MAX, n);
    for (size_t i = 0; i < n; i++) {
        bool dot = name[i] == '.';
        if (name[i] < 0x21 || name[i] > 0x7e || name[i] == '"' ||
            name[i] == '\\' || (dot && (i == 0 || i + 1 == n)) ||
            (dot && name[i - 1] == '.'))
            return err_set(e, ERR_ARG,
                           "'%.80s' cannot name a parameter (byte %zu)", name,
                           i);
    }
    if (strcmp(name, "__metadata__") == 0 ||
        (n >= m && strcmp(name + n - m, counter) == 0 &&
         (n == m || name[n - m - 1] == '.')))
        return err_set(e, ERR_ARG, "'%.80s' is not free for a parameter", name);
    return OK;
}

/* DRAW numbers, from a generator of their own. */
static void draw(float *out, size_t n, struct nn_init_spec init, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    if (init.kind == NN_INIT_UNIFORM) {
        for (size_t i = 0; i < n; i++)
            out[i] = (float)rng_range(&r, -init.scale, init.scale);
        return;
    }
    for (size_t i = 0; i < n; i += 2) { /* Box and Muller's pairs */
        double u = sqrt(-2.0 * log(1.0 - rng_unit(&r)));
        double v = 6.283185307179586 * rng_unit(&r);
        out[i] = (float)(init.scale * u * cos(v));
        if (i + 1 < n)
            out[i + 1] = (float)(init.scale * u * sin(v));
    }
}

static void fill(struct nn_param *p, struct nn_init_spec init, uint64_t seed)
{
    float *v = tensor_f32(p->value);
    size_t n = p->value->count;
    if (init.kind == NN_INIT_UNIFORM || init.kind == NN_INIT_NORMAL) {
        struct rng r;
        rng_seed(&r, seed ^ nn_params_hash(p->name));
        uint64_t base = rng_u64(&r);
        size_t parts = (n + DRAW - 1) / DRAW;
#pragma omp parallel for schedule(static) if (parts > 1)
        for (size_t k = 0; k < parts; k++) {
            size_t at = k * DRAW;
            draw(v + at, n - at < DRAW ? n - at : DRAW, init, base + k);
        }
        return;
    }
    float x = init.kind == NN_INIT_ONE    ? 1.0F
              : init.kind == NN_INIT_FILL ? (float)init.scale
                                          : 0.0F;
    for (size_t i = 0; i < n; i++)
        v[i] = x;
}

enum err_code nn_params_read_counter(const struct safetensors *w,
                                     const char *name, int64_t *updates,
                                     struct err *e)
{
    struct safetensors_entry t;
    if (!safetensors_find(w, name, &t))
        return OK;
    struct tensor *raw = NULL;
    enum err_code r = safetensors_tensor(w, name, &raw, e);
    if (r)
        return r;
    int64_t v = -1;
    if (raw->count == 1 && raw->dtype == DT_I64)
        v = tensor_i64(raw)[0];
    else if (raw->count == 1 && raw->dtype == DT_I32)
        v = tensor_i32(raw)[0];
    tensor_free(&raw);
    if (v < 0)
        return err_set(e, ERR_DATA, "'%s': tensor '%s' is no counter",
                       safetensors_origin(w), name);
    *updates = v;
    return OK;
}

/* The value out of the source's file. */
static enum err_code from_source(const struct nn_params *ps, struct nn_param *p,
                                 int ndim, const int64_t *shape, struct err *e)
{
    char name[2 * NN_PARAM_NAME_MAX + 32];
    if (ps->prefix_long)
        return err_set(e, ERR_ARG, "the prefix of names in '%s' is too long",
                       safetensors_origin(ps->source));
    snprintf(name, sizeof name, "%s%s", ps->prefix, p->name);
    enum err_code r =
        ps->lender
            ? nn_loan_new(p, ps->lender, name, ndim, shape, e)
            : safetensors_weight(ps->source, name, ndim, shape, &p->value, e);
    if (!r && nn_params_counter(p, ps->prefix, name, sizeof name))
        r = nn_params_read_counter(ps->source, name, &p->updates, e);
    return r;
}

static enum err_code make(struct nn_params *ps, struct nn_param *p,
                          const char *name, int ndim, const int64_t *shape,
                          struct nn_init_spec init, struct err *e)
{
    p->name = mem_strdup(name);
    if (!p->name || !grow(ps))
        return err_set(e, ERR_NOMEM, "no memory for parameter '%s'", name);
    if (ps->source)
        return from_source(ps, p, ndim, shape, e);
    p->value = tensor_new(DT_F32, ndim, shape, e);
    if (!p->value)
        return e ? e->code : ERR_NOMEM;
    fill(p, init, ps->seed);
    return OK;
}

static enum err_code check_same(const struct nn_param *p, int ndim,
                                const int64_t *shape, bool buffer,
                                struct err *e)
{
    const struct tensor *t = p->value;
    bool same = t->ndim == ndim && p->buffer == buffer;
    for (int i = 0; i < ndim && same; i++)
        same = t->shape[i] == shape[i];
    if (same)
        return OK;
    struct tensor want = {.dtype = DT_F32, .ndim = ndim};
    memcpy(want.shape, shape, sizeof *shape * (size_t)ndim);
    char a[96], b[96];
    return err_set(e, ERR_ARG, "parameter '%s' is %s%s already, not %s%s",
                   p->name, p->buffer ? "statistic " : "",
                   tensor_describe(t, a, sizeof a), buffer ? "statistic " : "",
                   tensor_describe(&want, b, sizeof b));
}

enum err_code nn_params_get(struct nn_params *ps, const char *name, int ndim,
                            const int64_t *shape, bool buffer,
                            struct nn_init_spec init, struct nn_param **out,
                            struct err *e)
{
    *out = NULL;
    enum err_code r = check_name(name, e);
    if (r)
        return r;
    if (ndim < 0 || ndim > TENSOR_MAX_DIMS)
        return err_set(e, ERR_ARG, "parameter '%s' with %d dimensions", name,
                       ndim);
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 1)
            return err_set(e, ERR_ARG,
                           "parameter '%s' with size %lld in dimension %d",
                           name, (long long)shape[i], i);
    }
    struct nn_param *p = nn_params_find(ps, name);
    if (p) {
        r = check_same(p, ndim, shape, buffer, e);
        *out = r ? NULL : p;
        return r;
    }
    p = mem_calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for parameter '%s'", name);
    p->buffer = buffer;
    r = make(ps, p, name, ndim, shape, init, e);
    if (r) {
        param_free(p);
        return r;
    }
    ps->slot[slot_of(ps, name)] = ps->n + 1;
    ps->list[ps->n++] = p;
    *out = p;
    return OK;
}

/* Zeroes, by both threads where it is much. */
static void zero(float *v, size_t n)
{
    size_t parts = (n + DRAW - 1) / DRAW;
#pragma omp parallel for schedule(static) if (n > PARALLEL_FLOATS)
    for (size_t k = 0; k < parts; k++) {
        size_t at = k * DRAW;
        memset(v + at, 0, (n - at < DRAW ? n - at : DRAW) * sizeof *v);
    }
}

enum err_code nn_params_grads(struct nn_params *ps, struct err *e)
{
    for (size_t i = 0; i < ps->n; i++) {
        struct nn_param *p = ps->list[i];
        if (p->buffer || p->grad)
            continue;
        p->grad = mem_aligned(p->value->count * sizeof *p->grad);
        if (!p->grad)
            return err_set(e, ERR_NOMEM,
                           "no memory for the gradient of '%s' (%zu numbers)",
                           p->name, p->value->count);
        zero(p->grad, p->value->count);
    }
    return OK;
}

void nn_params_zero_grad(struct nn_params *ps)
{
    for (size_t i = 0; i < ps->n; i++) {
        if (ps->list[i]->grad)
            zero(ps->list[i]->grad, ps->list[i]->value->count);
    }
}
