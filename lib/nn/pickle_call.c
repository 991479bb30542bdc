/* Python pickles read as data: what a call in one becomes. */
#include <string.h>

#include "lib/nn/pickle_vm.h"

static struct pickle_value *only(const struct pickle_value *args)
{
    return args->v.list.n == 1 ? args->v.list.v[0] : NULL;
}

/* set([..]), frozenset([..]), bytearray(b".."): how protocols below 4 write
 * what later ones have opcodes for. NULL if it is none of them; *failed if
 * memory did not suffice. */
static struct pickle_value *as_data(struct pickle_vm *m,
                                    const struct pickle_value *callable,
                                    const struct pickle_value *args,
                                    bool *failed, struct err *e)
{
    const struct pickle_value *arg = only(args);
    struct pickle_value *v = NULL;
    if (pickle_is_global(callable, "builtins", "set") ||
        pickle_is_global(callable, "builtins", "frozenset")) {
        const struct pickle_items *list = pickle_seq(arg);
        if (args->v.list.n && !list)
            return NULL;
        v = pickle_new(m, PICKLE_SET, e);
        *failed =
            !v || (list && pickle_extend(m, &v->v.list, list->v, list->n, e));
    } else if (pickle_is_global(callable, "builtins", "bytearray") && arg &&
               arg->type == PICKLE_BYTES) {
        v = pickle_new(m, PICKLE_BYTES, e);
        *failed = !v;
        if (v)
            v->v.s = arg->v.s;
    }
    return v;
}

/* _codecs.encode("..", "latin1"): bytes in protocols 0 to 2. NULL if the text
 * is no UTF-8 of characters below 256. */
static struct pickle_value *as_bytes(struct pickle_vm *m,
                                     const struct pickle_value *args,
                                     bool *failed, struct err *e)
{
    const struct pickle_items *a = &args->v.list;
    if (a->n != 2 || a->v[0]->type != PICKLE_STR ||
        !(pickle_is_str(a->v[1], "latin1") ||
          pickle_is_str(a->v[1], "latin-1")))
        return NULL;
    struct pickle_bytes s = a->v[0]->v.s;
    struct pickle_value *v = pickle_new(m, PICKLE_BYTES, e);
    char *out = v ? pickle_alloc(m->tree, s.n + 1, e) : NULL;
    *failed = !out;
    if (!out)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c >= 0x80) {
            if ((c != 0xc2 && c != 0xc3) || i + 1 >= s.n ||
                ((uint8_t)s.p[i + 1] & 0xc0) != 0x80)
                return NULL;
            c = (uint8_t)(c << 6 | ((uint8_t)s.p[++i] & 0x3f));
        }
        out[n++] = (char)c;
    }
    v->v.s = (struct pickle_bytes){out, n};
    return v;
}

/* OrderedDict([[key, value], ..]), as Python 2 wrote it. */
static enum err_code fill_pairs(struct pickle_vm *m, struct pickle_object *o,
                                struct err *e)
{
    const struct pickle_items *list = pickle_seq(only(o->args));
    for (size_t i = 0; list && i < list->n; i++) {
        const struct pickle_items *kv = pickle_seq(list->v[i]);
        if (!kv || kv->n != 2)
            return pickle_bad(m, e, "an OrderedDict of something not pairs");
        enum err_code r = pickle_extend(m, &o->pairs, kv->v, 2, e);
        if (r)
            return r;
    }
    return OK;
}

enum err_code pickle_call(struct pickle_vm *m, struct pickle_value *callable,
                          struct pickle_value *args,
                          struct pickle_value *kwargs, struct err *e)
{
    bool failed = false;
    struct pickle_value *v = NULL;
    if (!kwargs)
        v = pickle_is_global(callable, "_codecs", "encode")
                ? as_bytes(m, args, &failed, e)
                : as_data(m, callable, args, &failed, e);
    if (failed)
        return ERR_NOMEM;
    if (v)
        return pickle_push(m, v, e);
    v = pickle_new(m, PICKLE_OBJECT, e);
    if (v)
        v->v.object = pickle_alloc(m->tree, sizeof *v->v.object, e);
    if (!v || !v->v.object)
        return ERR_NOMEM;
    struct pickle_object *o = v->v.object;
    *o = (struct pickle_object){
        .callable = callable, .args = args, .kwargs = kwargs};
    if (pickle_is_global(callable, "collections", "OrderedDict")) {
        enum err_code r = fill_pairs(m, o, e);
        if (r)
            return r;
    }
    return pickle_push(m, v, e);
}
