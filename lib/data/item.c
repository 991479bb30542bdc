/* Items: named fields in order, deterministic identities. */
/* So that a hash state can live on the stack. */
#define XXH_STATIC_LINKING_ONLY
#include "lib/data/item.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"

struct item *item_new(struct err *e)
{
    struct item *it = mem_calloc(1, sizeof *it);
    if (!it) {
        err_set(e, ERR_NOMEM, "no memory for an item");
        return NULL;
    }
    snprintf(it->kind, sizeof it->kind, "item");
    return it;
}

static void field_clear(struct field *f)
{
    if (f->type == VAL_STR)
        mem_free(f->v.s);
    else if (f->type == VAL_TENSOR)
        tensor_free(&f->v.t);
    f->type = VAL_NIL;
}

void item_free(struct item **it)
{
    struct item *p = *it;
    *it = NULL;
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        field_clear(&p->fields[i]);
    mem_free(p->fields);
    mem_free(p);
}

struct item *item_copy(const struct item *it, struct err *e)
{
    struct item *c = item_new(e);
    if (!c)
        return NULL;
    for (size_t i = 0; i < it->n; i++)
        if (item_set_field(c, it->fields[i].name, &it->fields[i], e)) {
            item_free(&c);
            return NULL;
        }
    c->id = it->id;
    c->parent = it->parent;
    c->attempt = it->attempt;
    c->epoch = it->epoch;
    memcpy(c->kind, it->kind, sizeof c->kind);
    memcpy(c->key, it->key, sizeof c->key);
    return c;
}

struct item *item_child(const struct item *parent, struct err *e)
{
    struct item *c = item_copy(parent, e);
    if (!c)
        return NULL;
    c->parent = parent->id;
    memset(&c->id, 0, sizeof c->id);
    c->attempt = 0;
    c->key[0] = 0;
    snprintf(c->kind, sizeof c->kind, "item");
    return c;
}

static struct field *find(const struct item *it, const char *name)
{
    for (size_t i = 0; i < it->n; i++)
        if (strcmp(it->fields[i].name, name) == 0)
            return &it->fields[i];
    return NULL;
}

const struct field *item_get(const struct item *it, const char *name)
{
    return find(it, name);
}

struct tensor *item_tensor(const struct item *it, const char *name)
{
    const struct field *f = find(it, name);
    return f && f->type == VAL_TENSOR ? f->v.t : NULL;
}

const char *item_str(const struct item *it, const char *name,
                     const char *fallback)
{
    const struct field *f = find(it, name);
    return f && f->type == VAL_STR ? f->v.s : fallback;
}

int64_t item_i64(const struct item *it, const char *name, int64_t fallback)
{
    const struct field *f = find(it, name);
    if (f && f->type == VAL_I64)
        return f->v.i;
    if (f && f->type == VAL_F64 && fabs(f->v.f) < 0x1.0p53 &&
        floor(f->v.f) >= f->v.f)
        return (int64_t)f->v.f;
    return fallback;
}

double item_f64(const struct item *it, const char *name, double fallback)
{
    const struct field *f = find(it, name);
    if (f && f->type == VAL_F64)
        return f->v.f;
    if (f && f->type == VAL_I64)
        return (double)f->v.i;
    return fallback;
}

bool item_bool(const struct item *it, const char *name, bool fallback)
{
    const struct field *f = find(it, name);
    return f && f->type == VAL_BOOL ? f->v.b : fallback;
}

static bool name_ok(const char *s)
{
    if (*s < 'a' || *s > 'z')
        return false;
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_.");
    return s[n] == 0 && n <= ITEM_MAX_NAME;
}

/* The field of that name, cleared, made if need be. NULL with e set. */
static struct field *slot(struct item *it, const char *name, struct err *e)
{
    struct field *f = find(it, name);
    if (f) {
        field_clear(f);
        return f;
    }
    if (!name_ok(name)) {
        err_set(e, ERR_ARG, "'%.60s' is not a field name", name);
        return NULL;
    }
    if (it->n >= ITEM_MAX_FIELDS) {
        err_set(e, ERR_ARG, "more than %d fields, at '%s'", ITEM_MAX_FIELDS,
                name);
        return NULL;
    }
    if (it->n == it->cap) {
        size_t cap = it->cap ? it->cap * 2 : 8;
        struct field *grown = mem_resize(it->fields, cap, sizeof *grown);
        if (!grown) {
            err_set(e, ERR_NOMEM, "no memory for field '%s'", name);
            return NULL;
        }
        it->fields = grown;
        it->cap = cap;
    }
    f = &it->fields[it->n++];
    memset(f, 0, sizeof *f);
    snprintf(f->name, sizeof f->name, "%s", name);
    return f;
}

static enum err_code code_of(const struct err *e)
{
    return e && e->code ? e->code : ERR_NOMEM;
}

enum err_code item_set_tensor(struct item *it, const char *name,
                              struct tensor *t, struct err *e)
{
    struct err own = {0};
    struct field *f = slot(it, name, &own);
    if (!f) {
        tensor_free(&t);
        if (e)
            *e = own;
        return code_of(&own);
    }
    f->type = VAL_TENSOR;
    f->v.t = t;
    return OK;
}

enum err_code item_set_f32(struct item *it, const char *name, int64_t n,
                           int64_t m, const float *v, struct err *e)
{
    const int64_t shape[2] = {n, m};
    struct tensor *t = tensor_new(DT_F32, m ? 2 : 1, shape, e);
    if (!t)
        return ERR_NOMEM;
    if (t->bytes)
        memcpy(t->data, v, t->bytes);
    return item_set_tensor(it, name, t, e);
}

enum err_code item_set_str(struct item *it, const char *name, const char *s,
                           struct err *e)
{
    size_t n = strnlen(s, (size_t)ITEM_MAX_STR + 1);
    if (n > ITEM_MAX_STR)
        return err_set(e, ERR_ARG, "field '%s' is longer than %u bytes", name,
                       ITEM_MAX_STR);
    if (!text_is_utf8(s, n))
        return err_set(e, ERR_ARG, "field '%s' is not UTF-8", name);
    char *copy = mem_strndup(s, n); /* before slot(): s may be the old value */
    if (!copy)
        return err_set(e, ERR_NOMEM, "no memory for field '%s'", name);
    struct err own = {0};
    struct field *f = slot(it, name, &own);
    if (!f) {
        mem_free(copy);
        if (e)
            *e = own;
        return code_of(&own);
    }
    f->type = VAL_STR;
    f->v.s = copy;
    return OK;
}

/* The plain values have nothing to own. */
static enum err_code set_plain(struct item *it, const char *name,
                               struct field value, struct err *e)
{
    struct err own = {0};
    struct field *f = slot(it, name, &own);
    if (!f) {
        if (e)
            *e = own;
        return code_of(&own);
    }
    f->type = value.type;
    f->v = value.v;
    return OK;
}

enum err_code item_set_i64(struct item *it, const char *name, int64_t v,
                           struct err *e)
{
    return set_plain(it, name, (struct field){.type = VAL_I64, .v.i = v}, e);
}

enum err_code item_set_f64(struct item *it, const char *name, double v,
                           struct err *e)
{
    return set_plain(it, name, (struct field){.type = VAL_F64, .v.f = v}, e);
}

enum err_code item_set_bool(struct item *it, const char *name, bool v,
                            struct err *e)
{
    return set_plain(it, name, (struct field){.type = VAL_BOOL, .v.b = v}, e);
}

enum err_code item_set_nil(struct item *it, const char *name, struct err *e)
{
    return set_plain(it, name, (struct field){.type = VAL_NIL}, e);
}

enum err_code item_set_field(struct item *it, const char *name,
                             const struct field *f, struct err *e)
{
    if (f->type == VAL_STR)
        return item_set_str(it, name, f->v.s, e);
    if (f->type == VAL_TENSOR)
        return item_set_tensor(it, name, tensor_ref(f->v.t), e);
    return set_plain(it, name, *f, e);
}

void item_drop(struct item *it, const char *name)
{
    struct field *f = find(it, name);
    if (!f)
        return;
    field_clear(f);
    size_t i = (size_t)(f - it->fields);
    memmove(f, f + 1, (it->n - i - 1) * sizeof *f);
    it->n--;
}

void item_set_key(struct item *it, const char *key)
{
    size_t n = strlen(key);
    if (n < sizeof it->key) {
        memcpy(it->key, key, n + 1);
        return;
    }
    /* Long keys are stood for by their hash. */
    XXH128_hash_t h = XXH3_128bits(key, n);
    snprintf(it->key, sizeof it->key, "#%016llx%016llx",
             (unsigned long long)h.high64, (unsigned long long)h.low64);
}

struct item_id item_make_id(const struct item_id *parent, const char *stage,
                            const char *port, uint64_t ordinal, const char *key)
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, parent->b, sizeof parent->b);
    /* Closing NULs keep ("ab","c") apart from ("a","bc"). */
    XXH3_128bits_update(&state, stage, strlen(stage) + 1);
    XXH3_128bits_update(&state, port, strlen(port) + 1);
    if (key && *key) {
        XXH3_128bits_update(&state, "k", 1);
        XXH3_128bits_update(&state, key, strlen(key) + 1);
    } else {
        uint8_t le[9] = {'n'};
        for (int i = 0; i < 8; i++)
            le[i + 1] = (uint8_t)(ordinal >> (8 * i));
        XXH3_128bits_update(&state, le, sizeof le);
    }
    XXH128_canonical_t canon;
    XXH128_canonicalFromHash(&canon, XXH3_128bits_digest(&state));
    struct item_id id;
    memcpy(id.b, canon.digest, sizeof id.b);
    return id;
}

bool item_id_equal(const struct item_id *a, const struct item_id *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

void item_id_hex(const struct item_id *id, char out[33])
{
    for (size_t i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", id->b[i]);
}

bool item_id_from_hex(const char *hex, struct item_id *out)
{
    if (strlen(hex) != 32 || hex[strspn(hex, "0123456789abcdef")])
        return false;
    for (size_t i = 0; i < 16; i++) {
        unsigned v = 0;
        for (size_t k = 0; k < 2; k++) {
            char c = hex[2 * i + k];
            v = v * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        out->b[i] = (uint8_t)v;
    }
    return true;
}

uint64_t item_seed(const struct item *it, const char *salt)
{
    uint64_t seed = XXH3_64bits(salt, strlen(salt));
    return XXH3_64bits_withSeed(it->id.b, sizeof it->id.b, seed);
}

size_t item_bytes(const struct item *it)
{
    size_t n = 0;
    for (size_t i = 0; i < it->n; i++) {
        const struct field *f = &it->fields[i];
        if (f->type == VAL_TENSOR)
            n += f->v.t->bytes;
        else if (f->type == VAL_STR)
            n += strlen(f->v.s);
    }
    return n;
}

static bool near(double a, double b, double tol)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b)) /* within no tolerance of anything else */
        return !(a < b || a > b);
    double d = fabs(a - b);
    return d <= tol || d <= tol * fmax(fabs(a), fabs(b)) || !(a < b || a > b);
}

static bool tensor_near(const struct tensor *a, const struct tensor *b,
                        double tol, char *why, size_t why_n)
{
    char da[128], db[128];
    bool shapes = a->dtype == b->dtype && a->ndim == b->ndim;
    for (int i = 0; shapes && i < a->ndim; i++)
        shapes = a->shape[i] == b->shape[i];
    if (!shapes) {
        snprintf(why, why_n, "%s against %s", tensor_describe(a, da, sizeof da),
                 tensor_describe(b, db, sizeof db));
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        double x = tensor_get(a, i), y = tensor_get(b, i);
        if (!near(x, y, tol)) {
            snprintf(why, why_n, "element %zu is %.9g against %.9g", i, x, y);
            return false;
        }
    }
    return true;
}

static bool field_near(const struct field *a, const struct field *b, double tol,
                       char *why, size_t why_n)
{
    static const char *const names[] = {"nil", "bool", "i64",
                                        "f64", "str",  "tensor"};
    if (a->type != b->type) {
        snprintf(why, why_n, "%s against %s", names[a->type], names[b->type]);
        return false;
    }
    switch (a->type) {
    case VAL_NIL:
        return true;
    case VAL_BOOL:
        snprintf(why, why_n, "%d against %d", a->v.b, b->v.b);
        return a->v.b == b->v.b;
    case VAL_I64:
        snprintf(why, why_n, "%lld against %lld", (long long)a->v.i,
                 (long long)b->v.i);
        return a->v.i == b->v.i;
    case VAL_F64:
        snprintf(why, why_n, "%.17g against %.17g", a->v.f, b->v.f);
        return near(a->v.f, b->v.f, tol);
    case VAL_STR:
        snprintf(why, why_n, "'%.80s' against '%.80s'", a->v.s, b->v.s);
        return strcmp(a->v.s, b->v.s) == 0;
    case VAL_TENSOR:
        return tensor_near(a->v.t, b->v.t, tol, why, why_n);
    }
    return false;
}

bool item_equal(const struct item *a, const struct item *b, double tol,
                bool with_ids, char *why, size_t why_n)
{
    char text[256] = "";
    if (with_ids && !item_id_equal(&a->id, &b->id)) {
        char ha[33], hb[33];
        item_id_hex(&a->id, ha);
        item_id_hex(&b->id, hb);
        snprintf(why, why_n, "id %s against %s", ha, hb);
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        const struct field *g = find(b, a->fields[i].name);
        if (!g) {
            snprintf(why, why_n, "field '%s' only in the first",
                     a->fields[i].name);
            return false;
        }
        if (!field_near(&a->fields[i], g, tol, text, sizeof text)) {
            snprintf(why, why_n, "field '%s': %s", g->name, text);
            return false;
        }
    }
    for (size_t i = 0; i < b->n; i++)
        if (!find(a, b->fields[i].name)) {
            snprintf(why, why_n, "field '%s' only in the second",
                     b->fields[i].name);
            return false;
        }
    return true;
}
