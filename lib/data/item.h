/* Items: an ordered set of named fields (tensors and plain values) with a
 * deterministic identity. */
#ifndef FACET_DATA_ITEM_H
#define FACET_DATA_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/tensor.h"

#define ITEM_MAX_FIELDS 64
#define ITEM_MAX_NAME 47
#define ITEM_MAX_STR (1u << 20)

struct item_id {
    uint8_t b[16];
};

enum value_type { VAL_NIL, VAL_BOOL, VAL_I64, VAL_F64, VAL_STR, VAL_TENSOR };

struct field {
    char name[ITEM_MAX_NAME + 1]; /* [a-z0-9_.]+, starts with a letter */
    enum value_type type;
    union {
        bool b;
        int64_t i;
        double f;
        char *s;          /* owned, UTF-8 */
        struct tensor *t; /* one reference owned */
    } v;
};

struct item {
    struct item_id id;
    struct item_id parent; /* all zero for a root */
    char kind[16];         /* "item", or a control word of lib/flow */
    uint32_t attempt;      /* 0 on the first try */
    uint32_t epoch;        /* of the sender */
    char key[64];          /* see item_set_key; "" if none; not on the wire */
    size_t n;
    struct field *fields; /* n used */
    size_t cap;
};

/* A new item of kind "item" without fields and with a zero id. */
struct item *item_new(struct err *e) MUST_USE;
/* A child: all fields of parent (tensors shared, strings copied), parent id
 * set, id zero until it is emitted. */
struct item *item_child(const struct item *parent, struct err *e) MUST_USE;
/* As item_child, but with parent's id, attempt and epoch too. */
struct item *item_copy(const struct item *it, struct err *e) MUST_USE;
void item_free(struct item **it);

/* Look up; NULL if there is no such field. */
const struct field *item_get(const struct item *it, const char *name);
/* Typed look-ups: NULL / fallback when the field is missing or of another
 * type. The tensor stays the item's. i64 and f64 convert into each other
 * where exact (an integer reads as f64). */
struct tensor *item_tensor(const struct item *it, const char *name);
const char *item_str(const struct item *it, const char *name,
                     const char *fallback);
int64_t item_i64(const struct item *it, const char *name, int64_t fallback);
double item_f64(const struct item *it, const char *name, double fallback);
bool item_bool(const struct item *it, const char *name, bool fallback);

/* Set or replace (order of first setting is kept). item_set_tensor takes over
 * the caller's reference, also on failure. ERR_ARG for a bad name, more than
 * ITEM_MAX_FIELDS, a string over ITEM_MAX_STR or not UTF-8. */
enum err_code item_set_tensor(struct item *it, const char *name,
                              struct tensor *t, struct err *e) MUST_USE;
/* A new tensor f32[n,m] (m 0: f32[n]) filled from v. */
enum err_code item_set_f32(struct item *it, const char *name, int64_t n,
                           int64_t m, const float *v, struct err *e) MUST_USE;
enum err_code item_set_str(struct item *it, const char *name, const char *s,
                           struct err *e) MUST_USE;
enum err_code item_set_i64(struct item *it, const char *name, int64_t v,
                           struct err *e) MUST_USE;
enum err_code item_set_f64(struct item *it, const char *name, double v,
                           struct err *e) MUST_USE;
enum err_code item_set_bool(struct item *it, const char *name, bool v,
                            struct err *e) MUST_USE;
enum err_code item_set_nil(struct item *it, const char *name,
                           struct err *e) MUST_USE;
/* Copy one field under another (or the same) name. */
enum err_code item_set_field(struct item *it, const char *name,
                             const struct field *f, struct err *e) MUST_USE;
void item_drop(struct item *it, const char *name); /* no-op if missing */

/* A source gives its items stable identities that do not depend on how many
 * came before (a path, say): the key then stands for the ordinal in the id. */
void item_set_key(struct item *it, const char *key);

/* id = XXH3-128 of (parent, stage, port, ordinal or key). */
struct item_id item_make_id(const struct item_id *parent, const char *stage,
                            const char *port, uint64_t ordinal,
                            const char *key);
bool item_id_equal(const struct item_id *a, const struct item_id *b);
void item_id_hex(const struct item_id *id, char out[33]);
bool item_id_from_hex(const char *hex, struct item_id *out) MUST_USE;
/* A seed for a stage's random choices: the same for the same item. salt names
 * the stage or the purpose. */
uint64_t item_seed(const struct item *it, const char *salt);
/* Bytes held by the fields (tensors and strings), for byte credits. */
size_t item_bytes(const struct item *it);

/* Field by field comparison: numbers within tol (absolute, or relative to the
 * larger magnitude), strings and shapes exact; ids are compared only if
 * with_ids. On the first difference false, and `why` says which field, where
 * and by how much. */
bool item_equal(const struct item *a, const struct item *b, double tol,
                bool with_ids, char *why, size_t why_n);

#endif
