/* Inside of checkpoints; for lib/nn/checkpoint*.c and fuzzing only. */
#ifndef FACET_NN_CHECKPOINT_IMPL_H
#define FACET_NN_CHECKPOINT_IMPL_H

#include "lib/nn/checkpoint.h"
#include "lib/nn/items.h"

/* Metadata on its way into a file; keys and values are owned. Start with
 * {0}. */
struct nn_meta {
    struct nn_meta_pair {
        char *key, *value;
    } * pair;
    size_t n, cap;
};
/* Append key (printf) and a copy of value. */
enum err_code nn_meta_add(struct nn_meta *m, const char *value, struct err *e,
                          const char *key_fmt, ...) MUST_USE PRINTF_LIKE(4, 5);
void nn_meta_free(struct nn_meta *m);

/* Numbers as texts that come back bit for bit: "f64 <16 hex digits of the
 * bits> (0.1)", "i64 ...", "u64 ...", "bool ...". The part in brackets is for
 * people and not read. */
enum nn_number { NN_F64, NN_I64, NN_U64, NN_BOOL };
void nn_number_text(enum nn_number type, uint64_t bits, char out[80]);
bool nn_number_read(const char *text, enum nn_number type,
                    uint64_t *bits) MUST_USE;

/* The members of a struct that a checkpoint keeps. state: taken from the file;
 * else they must be the same there. NULL name ends a table. */
struct nn_field {
    const char *name;
    enum nn_number type;
    size_t at;
    bool state;
};
extern const struct nn_field nn_optim_fields[];    /* of struct nn_optim */
extern const struct nn_field nn_schedule_fields[]; /* of struct nn_schedule */
const char *nn_optim_word(enum nn_optim_kind kind);
const char *nn_schedule_word(enum nn_schedule_kind kind);

/* Append "facet.<scope>.<field>" for each. */
enum err_code nn_fields_put(struct nn_meta *m, const char *scope,
                            const struct nn_field *f, const void *base,
                            struct err *e) MUST_USE;
/* Into out, a copy of what is here. ERR_DATA names the file, the field and
 * both values. */
enum err_code nn_fields_get(const struct safetensors *w, const char *scope,
                            const struct nn_field *f, void *out,
                            struct err *e) MUST_USE;

/* A sum over pairs and tensors in any order; the pair "facet.checksum" does
 * not count. */
uint64_t nn_checksum_text(const char *key, const char *value);
uint64_t nn_checksum_tensor(const char *name, enum dtype dtype, int ndim,
                            const int64_t *shape, const void *data,
                            size_t bytes);
uint64_t nn_checksum_file(const struct safetensors *w);
/* Index of the first float that is NaN (or infinite, where that is asked);
 * n if there is none. data need not be aligned. */
size_t nn_find_not_finite(const void *data, size_t n, bool infinite_too);

/* Every tensor of a checkpoint with the memory that it is of; those of
 * counters are new. The averaged weights stand under "ema.<part>." with the
 * statistics beside them, so that this prefix holds a whole state dict. */
enum err_code nn_checkpoint_items(const struct nn_checkpoint_part *parts,
                                  struct nn_items *l, struct err *e) MUST_USE;
/* Are names good, and are optimisers and schedules such as can go on? Else
 * ERR_ARG. */
enum err_code nn_checkpoint_check(const struct nn_checkpoint_part *parts,
                                  const struct nn_checkpoint_value *values,
                                  struct err *e) MUST_USE;
enum err_code nn_checkpoint_optim(const struct nn_optim *o, const char *of,
                                  struct err *e) MUST_USE;
/* nn_checkpoint_take without the checksum. */
enum err_code nn_checkpoint_apply(const struct safetensors *w,
                                  const struct nn_checkpoint_part *parts,
                                  const struct nn_checkpoint_value *values,
                                  struct err *e) MUST_USE;

#define NN_CHECKPOINT_FORMAT "1"
/* Bytes from which waking other threads costs less than it saves. */
#define NN_CHECKPOINT_PARALLEL ((size_t)1 << 20)

#endif
