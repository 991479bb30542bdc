/* Python pickles read as data: a tree of values, in which nothing was called.
 */
#ifndef FACET_NN_PICKLE_H
#define FACET_NN_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/* Caps on what an untrusted pickle may ask for. */
#define PICKLE_MAX_ARENA ((size_t)256 << 20) /* bytes of the tree */
#define PICKLE_MAX_STACK ((size_t)4 << 20)   /* values at a time */
#define PICKLE_MAX_MARKS ((size_t)1 << 20)
/* A memo index may be this, or any number up to the opcodes seen so far. */
#define PICKLE_FREE_MEMO ((size_t)64 << 10)
#define PICKLE_MAX_PROTOCOL 5

enum pickle_type {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,  /* fits int64_t */
    PICKLE_LONG, /* does not; two's complement bytes, lowest first */
    PICKLE_FLOAT,
    PICKLE_STR,   /* bytes as they stand: mostly, not surely, UTF-8 */
    PICKLE_BYTES, /* bytes, bytearray */
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_SET,    /* set, frozenset */
    PICKLE_DICT,   /* key, value, key, value, .. */
    PICKLE_GLOBAL, /* a name that Python would have imported */
    PICKLE_OBJECT, /* what Python would have made by a call; see below */
    PICKLE_PERSID  /* what a persistent id stands for */
};

struct pickle_value;
struct pickle_items {
    struct pickle_value **v;
    uint32_t n, cap;
};
struct pickle_bytes { /* not NUL-terminated */
    const char *p;
    size_t n;
};

struct pickle_value {
    enum pickle_type type;
    size_t at; /* where the opcode that made it stands */
    union {
        bool b;
        int64_t i;
        double f;
        struct pickle_bytes s;    /* STR, BYTES, LONG */
        struct pickle_items list; /* TUPLE, LIST, SET, DICT */
        struct {
            const char *module, *name;
            uint32_t module_n, name_n;
        } global;
        struct pickle_object *object;
        struct pickle_value *id; /* PERSID */
    } v;
};

/* callable(*args), then state (BUILD), items (APPEND) and pairs (SETITEM) put
 * into it. state is NULL if there was none; kwargs likewise. */
struct pickle_object {
    struct pickle_value *callable, *args, *kwargs, *state;
    struct pickle_items items, pairs;
};

struct pickle; /* a tree; owns all its values */

/* Read one untrusted pickle (protocols 0 to 5) from data[n] up to its STOP;
 * *used (may be NULL) is how many bytes that took. Strings point into data,
 * which must outlive the tree. No global is looked up, no call is made: calls
 * become objects, except a few that only shape data (set, bytes, OrderedDict
 * of pairs). Errors name byte and opcode. ERR_DATA; ERR_UNSUPPORTED
 * (extension registry, out-of-band buffers, protocol 6); ERR_NOMEM, also where
 * a cap was met. Values may be shared and may form cycles: whoever walks them
 * bounds depth and count. Tested by tests/test_pickle.c, fuzzed by
 * tests/fuzz/fuzz_pickle.c. */
enum err_code pickle_read(const void *data, size_t n, struct pickle **out,
                          size_t *used, struct err *e) MUST_USE;
void pickle_free(struct pickle **p);
const struct pickle_value *pickle_root(const struct pickle *p);
/* Every persistent id (PICKLE_PERSID) of the pickle. */
const struct pickle_items *pickle_ids(const struct pickle *p);

/* All NULL-safe. A global of this module and name? Python 2's "__builtin__"
 * counts as "builtins". */
bool pickle_is_global(const struct pickle_value *v, const char *module,
                      const char *name);
/* A string of exactly these characters? */
bool pickle_is_str(const struct pickle_value *v, const char *s);
/* The items of a tuple or list, else NULL. */
const struct pickle_items *pickle_seq(const struct pickle_value *v);
/* Key, value, key, value, .. of a dict, or of an object that has such (an
 * OrderedDict, also an empty one); else NULL. */
const struct pickle_items *pickle_pairs(const struct pickle_value *v);
/* The value under a string key of the above; NULL if there is none. The last
 * one counts, as in Python. */
const struct pickle_value *pickle_get(const struct pickle_value *v,
                                      const char *key);
/* The class or function of an object; through a class that was stored by
 * persistent id (("module", class, ..): old torch.save). NULL if none. */
const struct pickle_value *pickle_class(const struct pickle_value *v);
/* "a dict", "torch._utils._rebuild_tensor", .. for error texts. */
const char *pickle_describe(const struct pickle_value *v, char *out, size_t n);

#endif
