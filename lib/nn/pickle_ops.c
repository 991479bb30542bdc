/* Python pickles read as data: the opcodes (Python's Lib/pickletools.py
 * describes each). */
#include <string.h>

#include "lib/base/text.h"
#include "lib/nn/pickle_vm.h"

#define MAX_NAME 1024 /* of a module or class */

/* Constants and the machine's own */

static enum err_code op_none(struct pickle_vm *m, struct err *e)
{
    return pickle_push(m, pickle_new(m, PICKLE_NONE, e), e);
}

static enum err_code op_proto(struct pickle_vm *m, struct err *e)
{
    size_t n = 0;
    enum err_code r = pickle_take_count(m, 1, &n, e);
    if (!r && n > PICKLE_MAX_PROTOCOL)
        return err_set(e, ERR_UNSUPPORTED,
                       "pickle protocol %zu (0 to %d are"
                       " known)",
                       n, PICKLE_MAX_PROTOCOL);
    return r;
}

static enum err_code op_frame(struct pickle_vm *m, struct err *e)
{
    size_t n = 0;
    enum err_code r = pickle_take_count(m, 8, &n, e);
    if (!r && n > m->n - m->at)
        return pickle_bad(m, e, "a frame of %zu bytes, %zu are left", n,
                          m->n - m->at);
    return r;
}

static enum err_code op_stop(struct pickle_vm *m, struct err *e)
{
    if (m->n_marks)
        return pickle_bad(m, e, "a mark was never used");
    m->stopped = true;
    return OK;
}

static enum err_code op_mark(struct pickle_vm *m, struct err *e)
{
    return pickle_put_mark(m, e);
}

static enum err_code op_pop_mark(struct pickle_vm *m, struct err *e)
{
    struct pickle_value **v;
    size_t n;
    return pickle_to_mark(m, &v, &n, e);
}

static enum err_code op_pop(struct pickle_vm *m, struct err *e)
{
    if (m->n_marks && m->marks[m->n_marks - 1] == m->depth)
        return op_pop_mark(m, e);
    return pickle_pop(m, e) ? OK : ERR_DATA;
}

static enum err_code op_dup(struct pickle_vm *m, struct err *e)
{
    struct pickle_value *v = pickle_top(m, e);
    return v ? pickle_push(m, v, e) : ERR_DATA;
}

static enum err_code op_ext(struct pickle_vm *m, struct err *e)
{
    return err_set(e, ERR_UNSUPPORTED,
                   "pickle, byte %zu: uses the extension registry", m->op_at);
}

static enum err_code op_out_of_band(struct pickle_vm *m, struct err *e)
{
    return err_set(e, ERR_UNSUPPORTED,
                   "pickle, byte %zu: its buffers are not in the file",
                   m->op_at);
}

/* Memo */

static enum err_code memo_line(struct pickle_vm *m, size_t *index,
                               struct err *e)
{
    char s[PICKLE_MAX_NUMBER + 1];
    int64_t i;
    enum err_code r = pickle_take_number(m, s, e);
    if (r)
        return r;
    if (!text_to_i64(s, &i) || i < 0)
        return pickle_bad(m, e, "no memo index");
    *index = (size_t)i;
    return OK;
}

static enum err_code op_put(struct pickle_vm *m, struct err *e)
{
    size_t i = 0;
    enum err_code r = m->op == 'p'
                          ? memo_line(m, &i, e)
                          : pickle_take_count(m, m->op == 'q' ? 1 : 4, &i, e);
    return r ? r : pickle_memo_put(m, i, e);
}

static enum err_code op_get(struct pickle_vm *m, struct err *e)
{
    size_t i = 0;
    enum err_code r = m->op == 'g'
                          ? memo_line(m, &i, e)
                          : pickle_take_count(m, m->op == 'h' ? 1 : 4, &i, e);
    return r ? r : pickle_memo_get(m, i, e);
}

static enum err_code op_memoize(struct pickle_vm *m, struct err *e)
{
    return pickle_memo_put(m, m->memo_n, e);
}

/* Globals, calls, persistent ids */

static enum err_code push_global(struct pickle_vm *m,
                                 struct pickle_bytes module,
                                 struct pickle_bytes name, struct err *e)
{
    if (module.n > MAX_NAME || name.n > MAX_NAME)
        return pickle_bad(m, e, "a name of %zu bytes",
                          module.n > name.n ? module.n : name.n);
    struct pickle_value *v = pickle_new(m, PICKLE_GLOBAL, e);
    if (v) {
        v->v.global.module = module.p;
        v->v.global.module_n = (uint32_t)module.n;
        v->v.global.name = name.p;
        v->v.global.name_n = (uint32_t)name.n;
    }
    return pickle_push(m, v, e);
}

static enum err_code op_global(struct pickle_vm *m, struct err *e)
{
    struct pickle_bytes module, name;
    enum err_code r = pickle_take_line(m, &module, e);
    if (!r)
        r = pickle_take_line(m, &name, e);
    return r ? r : push_global(m, module, name, e);
}

static enum err_code op_stack_global(struct pickle_vm *m, struct err *e)
{
    struct pickle_value *name = pickle_pop(m, e);
    struct pickle_value *module = name ? pickle_pop(m, e) : NULL;
    if (!module)
        return ERR_DATA;
    if (name->type != PICKLE_STR || module->type != PICKLE_STR)
        return pickle_bad(m, e, "needs two strings");
    return push_global(m, module->v.s, name->v.s, e);
}

/* A new tuple of n values from the stack; NULL on failure. */
static struct pickle_value *
tuple_of(struct pickle_vm *m, struct pickle_value **v, size_t n, struct err *e)
{
    struct pickle_value *t = pickle_new(m, PICKLE_TUPLE, e);
    if (!t || pickle_extend(m, &t->v.list, v, n, e))
        return NULL;
    return t;
}

static enum err_code op_reduce(struct pickle_vm *m, struct err *e)
{
    struct pickle_value *args = pickle_pop(m, e);
    struct pickle_value *callable = args ? pickle_pop(m, e) : NULL;
    if (!callable)
        return ERR_DATA;
    if (args->type != PICKLE_TUPLE)
        return pickle_bad(m, e, "its arguments are no tuple");
    return pickle_call(m, callable, args, NULL, e);
}

static enum err_code op_newobj_ex(struct pickle_vm *m, struct err *e)
{
    struct pickle_value *kwargs = pickle_pop(m, e);
    struct pickle_value *args = kwargs ? pickle_pop(m, e) : NULL;
    struct pickle_value *callable = args ? pickle_pop(m, e) : NULL;
    if (!callable)
        return ERR_DATA;
    if (args->type != PICKLE_TUPLE || kwargs->type != PICKLE_DICT)
        return pickle_bad(m, e, "its arguments are no tuple and dict");
    return pickle_call(m, callable, args, kwargs, e);
}

static enum err_code op_obj(struct pickle_vm *m, struct err *e)
{
    struct pickle_value **v, *args, *callable;
    size_t n;
    enum err_code r = pickle_to_mark(m, &v, &n, e);
    if (r)
        return r;
    if (n == 0)
        return pickle_bad(m, e, "no class on the stack");
    callable = v[0];
    args = tuple_of(m, v + 1, n - 1, e);
    return args ? pickle_call(m, callable, args, NULL, e) : ERR_NOMEM;
}

static enum err_code op_inst(struct pickle_vm *m, struct err *e)
{
    struct pickle_value **v, *args, *callable;
    size_t n;
    enum err_code r = pickle_to_mark(m, &v, &n, e);
    if (r)
        return r;
    args = tuple_of(m, v, n, e);
    if (!args)
        return ERR_NOMEM;
    r = op_global(m, e);
    if (r)
        return r;
    callable = pickle_pop(m, e);
    return callable ? pickle_call(m, callable, args, NULL, e) : ERR_DATA;
}

static enum err_code op_build(struct pickle_vm *m, struct err *e)
{
    char text[128];
    struct pickle_value *state = pickle_pop(m, e);
    struct pickle_value *v = state ? pickle_top(m, e) : NULL;
    if (!v)
        return ERR_DATA;
    if (v->type != PICKLE_OBJECT)
        return pickle_bad(m, e, "sets the state of %s",
                          pickle_describe(v, text, sizeof text));
    if (v->v.object->state)
        return pickle_bad(m, e, "sets the state of %s twice",
                          pickle_describe(v, text, sizeof text));
    v->v.object->state = state;
    return OK;
}

static enum err_code push_id(struct pickle_vm *m, struct pickle_value *id,
                             struct err *e)
{
    struct pickle_value *v = pickle_new(m, PICKLE_PERSID, e);
    if (!v)
        return ERR_NOMEM;
    v->v.id = id;
    enum err_code r = pickle_extend(m, &m->tree->ids, &v, 1, e);
    return r ? r : pickle_push(m, v, e);
}

static enum err_code op_persid(struct pickle_vm *m, struct err *e)
{
    struct pickle_bytes s;
    enum err_code r = pickle_take_line(m, &s, e);
    struct pickle_value *id = r ? NULL : pickle_new(m, PICKLE_STR, e);
    if (!id)
        return r ? r : ERR_NOMEM;
    id->v.s = s;
    return push_id(m, id, e);
}

static enum err_code op_binpersid(struct pickle_vm *m, struct err *e)
{
    struct pickle_value *id = pickle_pop(m, e);
    return id ? push_id(m, id, e) : ERR_DATA;
}

/* Containers */

static enum err_code op_empty(struct pickle_vm *m, struct err *e)
{
    enum pickle_type type = m->op == '}'   ? PICKLE_DICT
                            : m->op == ']' ? PICKLE_LIST
                            : m->op == ')' ? PICKLE_TUPLE
                                           : PICKLE_SET;
    return pickle_push(m, pickle_new(m, type, e), e);
}

/* A container of what stands above the mark. */
static enum err_code op_from_mark(struct pickle_vm *m, struct err *e)
{
    enum pickle_type type = m->op == 'd'   ? PICKLE_DICT
                            : m->op == 'l' ? PICKLE_LIST
                            : m->op == 't' ? PICKLE_TUPLE
                                           : PICKLE_SET;
    struct pickle_value **v, *c;
    size_t n;
    enum err_code r = pickle_to_mark(m, &v, &n, e);
    if (r)
        return r;
    if (type == PICKLE_DICT && n % 2)
        return pickle_bad(m, e, "a key without a value");
    c = pickle_new(m, type, e);
    if (!c || pickle_extend(m, &c->v.list, v, n, e))
        return ERR_NOMEM;
    return pickle_push(m, c, e);
}

static enum err_code op_tuple_n(struct pickle_vm *m, struct err *e)
{
    size_t n = (size_t)m->op - 0x84;
    struct pickle_value *v[3] = {NULL};
    for (size_t i = n; i-- > 0;) {
        v[i] = pickle_pop(m, e);
        if (!v[i])
            return ERR_DATA;
    }
    return pickle_push(m, tuple_of(m, v, n, e), e);
}

/* Add to the container on the stack's top. */
static enum err_code add(struct pickle_vm *m, struct pickle_value **v, size_t n,
                         bool pairs, struct err *e)
{
    char text[128];
    struct pickle_value *c = pickle_top(m, e);
    if (!c)
        return ERR_DATA;
    if (pairs && n % 2)
        return pickle_bad(m, e, "a key without a value");
    if (c->type == PICKLE_OBJECT)
        return pickle_extend(
            m, pairs ? &c->v.object->pairs : &c->v.object->items, v, n, e);
    enum pickle_type want = pairs           ? PICKLE_DICT
                            : m->op == 0x90 ? PICKLE_SET
                                            : PICKLE_LIST;
    if (c->type != want)
        return pickle_bad(m, e, "cannot add to %s",
                          pickle_describe(c, text, sizeof text));
    return pickle_extend(m, &c->v.list, v, n, e);
}

static enum err_code op_add_mark(struct pickle_vm *m, struct err *e)
{
    struct pickle_value **v;
    size_t n;
    enum err_code r = pickle_to_mark(m, &v, &n, e);
    return r ? r : add(m, v, n, m->op == 'u', e);
}

static enum err_code op_append(struct pickle_vm *m, struct err *e)
{
    struct pickle_value *v = pickle_pop(m, e);
    return v ? add(m, &v, 1, false, e) : ERR_DATA;
}

static enum err_code op_setitem(struct pickle_vm *m, struct err *e)
{
    struct pickle_value *kv[2];
    kv[1] = pickle_pop(m, e);
    kv[0] = kv[1] ? pickle_pop(m, e) : NULL;
    return kv[0] ? add(m, kv, 2, true, e) : ERR_DATA;
}

const struct pickle_op pickle_ops[256] = {
    ['('] = {"MARK", op_mark},
    ['.'] = {"STOP", op_stop},
    ['0'] = {"POP", op_pop},
    ['1'] = {"POP_MARK", op_pop_mark},
    ['2'] = {"DUP", op_dup},
    ['F'] = {"FLOAT", pickle_op_float},
    ['I'] = {"INT", pickle_op_int},
    ['J'] = {"BININT", pickle_op_binint},
    ['K'] = {"BININT1", pickle_op_binint1},
    ['L'] = {"LONG", pickle_op_long},
    ['M'] = {"BININT2", pickle_op_binint2},
    ['N'] = {"NONE", op_none},
    ['P'] = {"PERSID", op_persid},
    ['Q'] = {"BINPERSID", op_binpersid},
    ['R'] = {"REDUCE", op_reduce},
    ['S'] = {"STRING", pickle_op_string},
    ['T'] = {"BINSTRING", pickle_op_str4},
    ['U'] = {"SHORT_BINSTRING", pickle_op_str1},
    ['V'] = {"UNICODE", pickle_op_unicode},
    ['X'] = {"BINUNICODE", pickle_op_str4},
    ['a'] = {"APPEND", op_append},
    ['b'] = {"BUILD", op_build},
    ['c'] = {"GLOBAL", op_global},
    ['d'] = {"DICT", op_from_mark},
    ['}'] = {"EMPTY_DICT", op_empty},
    ['e'] = {"APPENDS", op_add_mark},
    ['g'] = {"GET", op_get},
    ['h'] = {"BINGET", op_get},
    ['i'] = {"INST", op_inst},
    ['j'] = {"LONG_BINGET", op_get},
    ['l'] = {"LIST", op_from_mark},
    [']'] = {"EMPTY_LIST", op_empty},
    ['o'] = {"OBJ", op_obj},
    ['p'] = {"PUT", op_put},
    ['q'] = {"BINPUT", op_put},
    ['r'] = {"LONG_BINPUT", op_put},
    ['s'] = {"SETITEM", op_setitem},
    ['t'] = {"TUPLE", op_from_mark},
    [')'] = {"EMPTY_TUPLE", op_empty},
    ['u'] = {"SETITEMS", op_add_mark},
    ['G'] = {"BINFLOAT", pickle_op_binfloat},
    ['B'] = {"BINBYTES", pickle_op_bytes4},
    ['C'] = {"SHORT_BINBYTES", pickle_op_bytes1},
    [0x80] = {"PROTO", op_proto},
    [0x81] = {"NEWOBJ", op_reduce},
    [0x82] = {"EXT1", op_ext},
    [0x83] = {"EXT2", op_ext},
    [0x84] = {"EXT4", op_ext},
    [0x85] = {"TUPLE1", op_tuple_n},
    [0x86] = {"TUPLE2", op_tuple_n},
    [0x87] = {"TUPLE3", op_tuple_n},
    [0x88] = {"NEWTRUE", pickle_op_true},
    [0x89] = {"NEWFALSE", pickle_op_false},
    [0x8a] = {"LONG1", pickle_op_long1},
    [0x8b] = {"LONG4", pickle_op_long4},
    [0x8c] = {"SHORT_BINUNICODE", pickle_op_str1},
    [0x8d] = {"BINUNICODE8", pickle_op_str8},
    [0x8e] = {"BINBYTES8", pickle_op_bytes8},
    [0x8f] = {"EMPTY_SET", op_empty},
    [0x90] = {"ADDITEMS", op_add_mark},
    [0x91] = {"FROZENSET", op_from_mark},
    [0x92] = {"NEWOBJ_EX", op_newobj_ex},
    [0x93] = {"STACK_GLOBAL", op_stack_global},
    [0x94] = {"MEMOIZE", op_memoize},
    [0x95] = {"FRAME", op_frame},
    [0x96] = {"BYTEARRAY8", pickle_op_bytes8},
    [0x97] = {"NEXT_BUFFER", op_out_of_band},
    [0x98] = {"READONLY_BUFFER", op_out_of_band},
};
