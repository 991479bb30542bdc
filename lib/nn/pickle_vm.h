/* The pickle machine: private to lib/nn/pickle*.c. */
#ifndef FACET_NN_PICKLE_VM_H
#define FACET_NN_PICKLE_VM_H

#include "lib/nn/pickle.h"

struct pickle_chunk;
struct pickle {
    struct pickle_chunk *chunks;
    size_t bytes; /* of all chunks */
    struct pickle_value *root;
    struct pickle_items ids; /* every persistent id */
};

struct pickle_vm {
    const uint8_t *data;
    size_t n, at;
    size_t op_at; /* where the opcode at hand stands */
    uint8_t op;
    bool stopped;
    uint64_t ops; /* opcodes run so far */
    struct pickle *tree;
    struct pickle_value **stack;
    size_t depth, stack_cap;
    size_t *marks; /* depths of the stack */
    size_t n_marks, marks_cap;
    struct pickle_value **memo; /* NULL where nothing was put */
    size_t memo_cap, memo_n;    /* memo_n: what MEMOIZE numbers next */
};

struct pickle_op {
    const char *name;
    enum err_code (*run)(struct pickle_vm *m, struct err *e);
};
extern const struct pickle_op pickle_ops[256];

/* Zeroed memory that lives as long as the tree; NULL when the cap is met. */
void *pickle_alloc(struct pickle *t, size_t size, struct err *e) MUST_USE;
/* A new value made by the opcode at hand. */
struct pickle_value *pickle_new(struct pickle_vm *m, enum pickle_type type,
                                struct err *e) MUST_USE;
/* ERR_DATA with the place: "byte 12, BINGET: <text>". */
enum err_code pickle_bad(const struct pickle_vm *m, struct err *e,
                         const char *fmt, ...) PRINTF_LIKE(3, 4);
enum err_code pickle_push(struct pickle_vm *m, struct pickle_value *v,
                          struct err *e) MUST_USE;
/* NULL with e set if the stack is empty down to the last mark. */
struct pickle_value *pickle_pop(struct pickle_vm *m, struct err *e) MUST_USE;
struct pickle_value *pickle_top(struct pickle_vm *m, struct err *e) MUST_USE;
enum err_code pickle_put_mark(struct pickle_vm *m, struct err *e) MUST_USE;
/* Take everything above the last mark off, mark included: items[n] inside the
 * stack, valid until the next push. */
enum err_code pickle_to_mark(struct pickle_vm *m, struct pickle_value ***items,
                             size_t *n, struct err *e) MUST_USE;
enum err_code pickle_memo_put(struct pickle_vm *m, size_t index,
                              struct err *e) MUST_USE;
enum err_code pickle_memo_get(struct pickle_vm *m, size_t index,
                              struct err *e) MUST_USE;
/* Append n values to a growing list in the tree. */
enum err_code pickle_extend(struct pickle_vm *m, struct pickle_items *list,
                            struct pickle_value **v, size_t n,
                            struct err *e) MUST_USE;
/* The object callable(*args, **kwargs) (kwargs may be NULL), pushed; or plain
 * data where the call is one of those that only shape data. */
enum err_code pickle_call(struct pickle_vm *m, struct pickle_value *callable,
                          struct pickle_value *args,
                          struct pickle_value *kwargs, struct err *e) MUST_USE;

#define PICKLE_MAX_NUMBER 64 /* characters of a number in text */

/* What opcodes carry with them: a little-endian count of `width` bytes; a line
 * without its end; a line that holds a number. */
enum err_code pickle_take_count(struct pickle_vm *m, size_t width, size_t *n,
                                struct err *e) MUST_USE;
enum err_code pickle_take_line(struct pickle_vm *m, struct pickle_bytes *s,
                               struct err *e) MUST_USE;
enum err_code pickle_take_number(struct pickle_vm *m,
                                 char out[PICKLE_MAX_NUMBER + 1],
                                 struct err *e) MUST_USE;

/* Opcodes of numbers and strings. */
#define PICKLE_OP(name)                                                        \
    enum err_code pickle_op_##name(struct pickle_vm *m, struct err *e) MUST_USE
PICKLE_OP(true);
PICKLE_OP(false);
PICKLE_OP(int);
PICKLE_OP(binint);
PICKLE_OP(binint1);
PICKLE_OP(binint2);
PICKLE_OP(long1);
PICKLE_OP(long4);
PICKLE_OP(long);
PICKLE_OP(float);
PICKLE_OP(binfloat);
PICKLE_OP(unicode);
PICKLE_OP(string);
PICKLE_OP(str1);
PICKLE_OP(str4);
PICKLE_OP(str8);
PICKLE_OP(bytes1);
PICKLE_OP(bytes4);
PICKLE_OP(bytes8);

#endif
