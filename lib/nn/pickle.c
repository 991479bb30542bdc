/* Python pickles read as data: memory, stack, memo and the main loop. */
#include "lib/nn/pickle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/pickle_vm.h"

#define CHUNK_FIRST ((size_t)4 << 10)
#define CHUNK_LARGEST ((size_t)1 << 20)

struct pickle_chunk {
    struct pickle_chunk *next;
    size_t used, size;
    max_align_t data[];
};

void *pickle_alloc(struct pickle *t, size_t size, struct err *e)
{
    size_t want;
    if (!size_add(size, sizeof(max_align_t) - 1, &want)) {
        err_set(e, ERR_NOMEM, "a pickled value is too large");
        return NULL;
    }
    want -= want % sizeof(max_align_t);
    struct pickle_chunk *c = t->chunks;
    if (!c || c->size - c->used < want) {
        size_t full = c ? c->size * 2 : CHUNK_FIRST;
        if (full > CHUNK_LARGEST)
            full = CHUNK_LARGEST;
        if (full < want)
            full = want;
        if (full > PICKLE_MAX_ARENA - t->bytes) {
            err_set(e, ERR_NOMEM,
                    "what is pickled takes more than %zu bytes of memory",
                    PICKLE_MAX_ARENA);
            return NULL;
        }
        c = mem_alloc(sizeof *c + full);
        if (!c) {
            err_set(e, ERR_NOMEM, "no memory for pickled values");
            return NULL;
        }
        *c = (struct pickle_chunk){.next = t->chunks, .size = full};
        t->chunks = c;
        t->bytes += full;
    }
    void *p = (char *)c->data + c->used;
    c->used += want;
    memset(p, 0, want);
    return p;
}

struct pickle_value *pickle_new(struct pickle_vm *m, enum pickle_type type,
                                struct err *e)
{
    struct pickle_value *v = pickle_alloc(m->tree, sizeof *v, e);
    if (v) {
        v->type = type;
        v->at = m->op_at;
    }
    return v;
}

enum err_code pickle_bad(const struct pickle_vm *m, struct err *e,
                         const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *name = pickle_ops[m->op].name;
    return err_set(e, ERR_DATA, "pickle, byte %zu, %s: %s", m->op_at,
                   name ? name : "no opcode", text);
}

/* Room for one more of a list of the machine's own. */
static enum err_code room(void **list, size_t *cap, size_t n, size_t size,
                          struct err *e)
{
    if (n < *cap)
        return OK;
    size_t want = *cap ? *cap * 2 : 64;
    void *p = mem_resize(*list, want, size);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for a pickle's stack");
    *list = p;
    *cap = want;
    return OK;
}

enum err_code pickle_push(struct pickle_vm *m, struct pickle_value *v,
                          struct err *e)
{
    if (!v) /* its making failed, and said so */
        return ERR_NOMEM;
    if (m->depth >= PICKLE_MAX_STACK)
        return pickle_bad(m, e, "more than %zu values on the stack",
                          PICKLE_MAX_STACK);
    void *list = m->stack;
    enum err_code r = room(&list, &m->stack_cap, m->depth, sizeof *m->stack, e);
    m->stack = list;
    if (!r)
        m->stack[m->depth++] = v;
    return r;
}

static size_t floor_of(const struct pickle_vm *m)
{
    return m->n_marks ? m->marks[m->n_marks - 1] : 0;
}

struct pickle_value *pickle_top(struct pickle_vm *m, struct err *e)
{
    if (m->depth <= floor_of(m)) {
        pickle_bad(m, e, "a value is missing on the stack");
        return NULL;
    }
    return m->stack[m->depth - 1];
}

struct pickle_value *pickle_pop(struct pickle_vm *m, struct err *e)
{
    struct pickle_value *v = pickle_top(m, e);
    if (v)
        m->depth--;
    return v;
}

enum err_code pickle_put_mark(struct pickle_vm *m, struct err *e)
{
    if (m->n_marks >= PICKLE_MAX_MARKS)
        return pickle_bad(m, e, "more than %zu marks", PICKLE_MAX_MARKS);
    void *list = m->marks;
    enum err_code r =
        room(&list, &m->marks_cap, m->n_marks, sizeof *m->marks, e);
    m->marks = list;
    if (!r)
        m->marks[m->n_marks++] = m->depth;
    return r;
}

enum err_code pickle_to_mark(struct pickle_vm *m, struct pickle_value ***items,
                             size_t *n, struct err *e)
{
    if (m->n_marks == 0)
        return pickle_bad(m, e, "there is no mark");
    size_t mark = m->marks[--m->n_marks];
    *n = m->depth - mark;
    *items = m->stack ? m->stack + mark : NULL;
    m->depth = mark;
    return OK;
}

enum err_code pickle_memo_put(struct pickle_vm *m, size_t index, struct err *e)
{
    struct pickle_value *v = pickle_top(m, e);
    if (!v)
        return ERR_DATA;
    if (index >= PICKLE_FREE_MEMO && index > m->ops)
        return pickle_bad(m, e, "memo index %zu after %llu opcodes", index,
                          (unsigned long long)m->ops);
    if (index >= m->memo_cap) {
        size_t want = m->memo_cap ? m->memo_cap * 2 : 64;
        while (want <= index)
            want *= 2;
        void *p = mem_resize(m->memo, want, sizeof *m->memo);
        if (!p)
            return err_set(e, ERR_NOMEM, "no memory for a pickle's memo");
        m->memo = p;
        memset(m->memo + m->memo_cap, 0,
               (want - m->memo_cap) * sizeof *m->memo);
        m->memo_cap = want;
    }
    if (!m->memo[index])
        m->memo_n++;
    m->memo[index] = v;
    return OK;
}

enum err_code pickle_memo_get(struct pickle_vm *m, size_t index, struct err *e)
{
    if (index >= m->memo_cap || !m->memo[index])
        return pickle_bad(m, e, "nothing was put at memo index %zu", index);
    return pickle_push(m, m->memo[index], e);
}

enum err_code pickle_extend(struct pickle_vm *m, struct pickle_items *list,
                            struct pickle_value **v, size_t n, struct err *e)
{
    if (n > list->cap - list->n) {
        size_t need = list->n + n, want = list->cap ? list->cap * 2 : need;
        if (want < need)
            want = need;
        /* far below 2^32: the arena's cap */
        size_t bytes;
        struct pickle_value **p = NULL;
        if (size_mul(want, sizeof(struct pickle_value *), &bytes))
            p = pickle_alloc(m->tree, bytes, e);
        if (!p)
            return ERR_NOMEM;
        if (list->n)
            memcpy(p, list->v, list->n * sizeof *p);
        list->v = p;
        list->cap = (uint32_t)want;
    }
    if (n)
        memcpy(list->v + list->n, v, n * sizeof *v);
    list->n += (uint32_t)n;
    return OK;
}

static enum err_code run(struct pickle_vm *m, struct err *e)
{
    enum err_code r = OK;
    while (!r && !m->stopped) {
        m->op_at = m->at;
        if (m->at >= m->n)
            return err_set(e, ERR_DATA, "pickle, byte %zu: ends without STOP",
                           m->at);
        m->op = m->data[m->at++];
        const struct pickle_op *op = &pickle_ops[m->op];
        if (!op->run)
            return err_set(e, ERR_DATA, "pickle, byte %zu: no opcode 0x%02x",
                           m->op_at, m->op);
        r = op->run(m, e);
        m->ops++;
    }
    if (!r) {
        m->tree->root = pickle_pop(m, e);
        if (!m->tree->root)
            r = ERR_DATA;
    }
    return r;
}

enum err_code pickle_read(const void *data, size_t n, struct pickle **out,
                          size_t *used, struct err *e)
{
    *out = NULL;
    struct pickle_vm m = {.data = data, .n = n};
    m.tree = mem_calloc(1, sizeof *m.tree);
    if (!m.tree)
        return err_set(e, ERR_NOMEM, "no memory for a pickle");
    enum err_code r = run(&m, e);
    mem_free(m.stack);
    mem_free(m.marks);
    mem_free(m.memo);
    if (r)
        pickle_free(&m.tree);
    *out = m.tree;
    if (used)
        *used = m.at;
    return r;
}

void pickle_free(struct pickle **p)
{
    if (!p || !*p)
        return;
    for (struct pickle_chunk *c = (*p)->chunks, *next; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    mem_free(*p);
    *p = NULL;
}

const struct pickle_value *pickle_root(const struct pickle *p)
{
    return p->root;
}

const struct pickle_items *pickle_ids(const struct pickle *p)
{
    return &p->ids;
}

static bool same(const char *p, size_t n, const char *s)
{
    return n == strlen(s) && memcmp(p, s, n) == 0;
}

bool pickle_is_global(const struct pickle_value *v, const char *module,
                      const char *name)
{
    if (!v || v->type != PICKLE_GLOBAL ||
        !same(v->v.global.name, v->v.global.name_n, name))
        return false;
    if (strcmp(module, "builtins") == 0 &&
        same(v->v.global.module, v->v.global.module_n, "__builtin__"))
        return true;
    return same(v->v.global.module, v->v.global.module_n, module);
}

bool pickle_is_str(const struct pickle_value *v, const char *s)
{
    return v && v->type == PICKLE_STR && same(v->v.s.p, v->v.s.n, s);
}

const struct pickle_items *pickle_seq(const struct pickle_value *v)
{
    return v && (v->type == PICKLE_TUPLE || v->type == PICKLE_LIST) ? &v->v.list
                                                                    : NULL;
}

const struct pickle_items *pickle_pairs(const struct pickle_value *v)
{
    if (v && v->type == PICKLE_DICT)
        return &v->v.list;
    if (!v || v->type != PICKLE_OBJECT)
        return NULL;
    const struct pickle_object *o = v->v.object;
    if (o->pairs.n ||
        pickle_is_global(o->callable, "collections", "OrderedDict"))
        return &o->pairs;
    return NULL;
}

const struct pickle_value *pickle_get(const struct pickle_value *v,
                                      const char *key)
{
    const struct pickle_items *p = pickle_pairs(v);
    for (size_t i = p ? p->n : 0; i >= 2; i -= 2) {
        if (pickle_is_str(p->v[i - 2], key))
            return p->v[i - 1];
    }
    return NULL;
}

const struct pickle_value *pickle_class(const struct pickle_value *v)
{
    if (!v || v->type != PICKLE_OBJECT)
        return NULL;
    v = v->v.object->callable;
    if (v && v->type == PICKLE_PERSID) {
        const struct pickle_items *id = pickle_seq(v->v.id);
        if (id && id->n >= 2 && pickle_is_str(id->v[0], "module"))
            return id->v[1];
    }
    return v;
}

const char *pickle_describe(const struct pickle_value *v, char *out, size_t n)
{
    static const char *const words[] = {
        [PICKLE_NONE] = "None",        [PICKLE_BOOL] = "a bool",
        [PICKLE_INT] = "an int",       [PICKLE_LONG] = "a long int",
        [PICKLE_FLOAT] = "a float",    [PICKLE_STR] = "a str",
        [PICKLE_BYTES] = "bytes",      [PICKLE_TUPLE] = "a tuple",
        [PICKLE_LIST] = "a list",      [PICKLE_SET] = "a set",
        [PICKLE_DICT] = "a dict",      [PICKLE_GLOBAL] = "a class",
        [PICKLE_OBJECT] = "an object", [PICKLE_PERSID] = "a persistent id"};
    if (!v) {
        (void)snprintf(out, n, "nothing");
        return out;
    }
    const struct pickle_value *c =
        v->type == PICKLE_GLOBAL ? v : pickle_class(v);
    if (!c || c->type != PICKLE_GLOBAL) {
        (void)snprintf(out, n, "%s", words[v->type]);
        return out;
    }
    (void)snprintf(out, n, "%.*s.%.*s", (int)c->v.global.module_n,
                   c->v.global.module, (int)c->v.global.name_n,
                   c->v.global.name);
    for (char *p = out; *p; p++) { /* names are of the file's making */
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            *p = '?';
    }
    return out;
}
