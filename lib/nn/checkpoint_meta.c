/* Checkpoints: numbers and options as metadata, bit for bit. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/checkpoint_impl.h"
#include "lib/nn/optim_impl.h"

#define OPTIM(name, type, state)                                               \
    {                                                                          \
#name, type, offsetof(struct nn_optim, o.name), state                  \
    }
const struct nn_field nn_optim_fields[] = {
    {"steps", NN_I64, offsetof(struct nn_optim, steps), true},
    {"averaged", NN_I64, offsetof(struct nn_optim, averaged), true},
    OPTIM(lr, NN_F64, true),
    OPTIM(momentum, NN_F64, false),
    OPTIM(nesterov, NN_BOOL, false),
    OPTIM(beta1, NN_F64, false),
    OPTIM(beta2, NN_F64, false),
    OPTIM(eps, NN_F64, false),
    OPTIM(weight_decay, NN_F64, false),
    OPTIM(clip_norm, NN_F64, false),
    OPTIM(clip_value, NN_F64, false),
    OPTIM(ema, NN_F64, false),
    {NULL, NN_F64, 0, false},
};

#define SCHEDULE(name, type, state)                                            \
    {                                                                          \
#name, type, offsetof(struct nn_schedule, name), state                 \
    }
const struct nn_field nn_schedule_fields[] = {
    SCHEDULE(lr, NN_F64, false),
    SCHEDULE(warmup, NN_F64, false),
    SCHEDULE(factor, NN_F64, false),
    SCHEDULE(every, NN_F64, false),
    SCHEDULE(total, NN_F64, false),
    SCHEDULE(lr_min, NN_F64, false),
    SCHEDULE(patience, NN_I64, false),
    SCHEDULE(cooldown, NN_I64, false),
    SCHEDULE(threshold, NN_F64, false),
    SCHEDULE(larger_is_better, NN_BOOL, false),
    SCHEDULE(best, NN_F64, true),
    SCHEDULE(bad, NN_I64, true),
    SCHEDULE(cooling, NN_I64, true),
    SCHEDULE(scale, NN_F64, true),
    SCHEDULE(started, NN_BOOL, true),
    {NULL, NN_F64, 0, false},
};

const char *nn_optim_word(enum nn_optim_kind kind)
{
    return kind == NN_SGD ? "sgd" : kind == NN_ADAM ? "adam" : "adamw";
}

const char *nn_schedule_word(enum nn_schedule_kind kind)
{
    switch (kind) {
    case NN_CONSTANT:
        return "constant";
    case NN_STEP_DECAY:
        return "step";
    case NN_COSINE:
        return "cosine";
    case NN_PLATEAU:
        return "plateau";
    }
    return "unknown";
}

enum err_code nn_meta_add(struct nn_meta *m, const char *value, struct err *e,
                          const char *key_fmt, ...)
{
    char key[512];
    va_list ap;
    va_start(ap, key_fmt);
    int k = vsnprintf(key, sizeof key, key_fmt, ap);
    va_end(ap);
    if (k < 0 || (size_t)k >= sizeof key)
        return err_set(e, ERR_ARG, "the metadata key '%.60s...' is too long",
                       key);
    if (m->n == m->cap) {
        size_t want = m->cap ? 2 * m->cap : 64;
        struct nn_meta_pair *p = mem_resize(m->pair, want, sizeof *p);
        if (!p)
            return err_set(e, ERR_NOMEM, "no memory for metadata");
        m->pair = p;
        m->cap = want;
    }
    struct nn_meta_pair pair = {mem_strdup(key), mem_strdup(value)};
    if (!pair.key || !pair.value) {
        mem_free(pair.key);
        mem_free(pair.value);
        return err_set(e, ERR_NOMEM, "no memory for metadata");
    }
    m->pair[m->n++] = pair;
    return OK;
}

void nn_meta_free(struct nn_meta *m)
{
    for (size_t i = 0; i < m->n; i++) {
        mem_free(m->pair[i].key);
        mem_free(m->pair[i].value);
    }
    mem_free(m->pair);
    *m = (struct nn_meta){0};
}

static const char *const type_words[] = {
    [NN_F64] = "f64", [NN_I64] = "i64", [NN_U64] = "u64", [NN_BOOL] = "bool"};

/* What people read: "0.1", "12", "true". */
static void show(enum nn_number type, uint64_t bits, char out[40])
{
    double real;
    int64_t whole;
    memcpy(&real, &bits, sizeof real);
    memcpy(&whole, &bits, sizeof whole);
    if (type == NN_F64)
        snprintf(out, 40, "%.10g", real);
    else if (type == NN_I64)
        snprintf(out, 40, "%" PRId64, whole);
    else if (type == NN_U64)
        snprintf(out, 40, "%" PRIu64, bits);
    else
        snprintf(out, 40, "%s", bits ? "true" : "false");
}

void nn_number_text(enum nn_number type, uint64_t bits, char out[80])
{
    char plain[40];
    show(type, bits, plain);
    snprintf(out, 80, "%s %016" PRIx64 " (%s)", type_words[type], bits, plain);
}

bool nn_number_read(const char *text, enum nn_number type, uint64_t *bits)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(type_words[type]);
    if (strncmp(text, type_words[type], n) != 0 || text[n] != ' ')
        return false;
    const char *p = text + n + 1;
    uint64_t v = 0;
    for (int i = 0; i < 16; i++, p++) {
        const char *d = *p ? strchr(digits, *p) : NULL;
        if (!d)
            return false;
        v = v << 4 | (uint64_t)(d - digits);
    }
    if (strncmp(p, " (", 2) != 0 || (type == NN_BOOL && v > 1))
        return false;
    *bits = v;
    return true;
}

static uint64_t field_bits(const struct nn_field *f, const void *base)
{
    const char *at = (const char *)base + f->at;
    uint64_t bits = 0;
    if (f->type == NN_BOOL)
        bits = *(const bool *)(const void *)at;
    else
        memcpy(&bits, at, sizeof bits);
    return bits;
}

enum err_code nn_fields_put(struct nn_meta *m, const char *scope,
                            const struct nn_field *f, const void *base,
                            struct err *e)
{
    enum err_code r = OK;
    for (; f->name && !r; f++) {
        char text[80];
        nn_number_text(f->type, field_bits(f, base), text);
        r = nn_meta_add(m, text, e, "facet.%s.%s", scope, f->name);
    }
    return r;
}

static enum err_code get_field(const struct safetensors *w, const char *scope,
                               const struct nn_field *f, void *out,
                               struct err *e)
{
    char key[256], here[40], there[40];
    uint64_t bits, ours = field_bits(f, out);
    snprintf(key, sizeof key, "facet.%s.%s", scope, f->name);
    const char *text = safetensors_meta(w, key);
    if (!text)
        return err_set(e, ERR_DATA, "'%s' lacks '%s'", safetensors_origin(w),
                       key);
    if (!nn_number_read(text, f->type, &bits))
        return err_set(e, ERR_DATA, "'%s': '%s' is '%.80s', no number",
                       safetensors_origin(w), key, text);
    if (!f->state && bits != ours) {
        show(f->type, ours, here);
        show(f->type, bits, there);
        return err_set(e, ERR_DATA, "'%s': %s %s is %s there and %s here",
                       safetensors_origin(w), scope, f->name, there, here);
    }
    char *at = (char *)out + f->at;
    if (f->type == NN_BOOL)
        *(bool *)(void *)at = bits != 0;
    else
        memcpy(at, &bits, sizeof bits);
    return OK;
}

enum err_code nn_fields_get(const struct safetensors *w, const char *scope,
                            const struct nn_field *f, void *out, struct err *e)
{
    enum err_code r = OK;
    for (; f->name && !r; f++)
        r = get_field(w, scope, f, out, e);
    return r;
}
