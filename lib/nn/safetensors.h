/* Weight files in the safetensors format: u64 header length, a JSON header
 * {"name": {"dtype","shape","data_offsets"}, "__metadata__": {str: str}}, raw
 * little-endian tensors. (github.com/huggingface/safetensors, README.) */
#ifndef FACET_NN_SAFETENSORS_H
#define FACET_NN_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/data/tensor.h"

#define SAFETENSORS_MAX_HEADER (16u << 20)
#define SAFETENSORS_MAX_TENSORS 65536
#define SAFETENSORS_MAX_META 4096
#define SAFETENSORS_MAX_FILE ((size_t)4 << 30)

struct safetensors; /* a file: header checked, tensors in memory or not */

struct safetensors_entry {
    const char *name;
    const char *dtype_word; /* as in the file: "F16" */
    enum dtype dtype;       /* DT_COUNT: a type we do not handle */
    int ndim;
    int64_t shape[TENSOR_MAX_DIMS];
    size_t bytes;
};

/* Read a whole untrusted file. Checked: header size, strict JSON (nesting,
 * duplicate names), shape x dtype == bytes, offsets inside the file, no
 * overlap and no hole. Errors name the file: ERR_IO, ERR_NOTFOUND, ERR_DATA,
 * ERR_NOMEM. */
enum err_code safetensors_read(const char *path, struct safetensors **out,
                               struct err *e) MUST_USE;
/* The same from memory; the bytes are copied. origin is used in errors. */
enum err_code safetensors_parse(const void *data, size_t n, const char *origin,
                                struct safetensors **out,
                                struct err *e) MUST_USE;
/* The same checks, but only the header is read: the file stays open, and a
 * tensor is read when it is asked for, which may fail then (ERR_IO; ERR_DATA
 * where the file has been cut). What is no regular file is read whole. A file
 * that is replaced by another of its name stays what it was; one that is
 * overwritten in place does not. */
enum err_code safetensors_open(const char *path, struct safetensors **out,
                               struct err *e) MUST_USE;
/* One more reference (returns s), to be freed like the first. Counted without
 * atomics: a file stays in one thread. */
struct safetensors *safetensors_ref(struct safetensors *s);
void safetensors_free(struct safetensors **s); /* drops one, sets NULL */

const char *safetensors_origin(const struct safetensors *s);
/* Entries in the order of the file's bytes. */
size_t safetensors_count(const struct safetensors *s);
struct safetensors_entry safetensors_at(const struct safetensors *s, size_t i);
/* NULL-safe look-ups: false / NULL if there is none. */
bool safetensors_find(const struct safetensors *s, const char *name,
                      struct safetensors_entry *out);
const char *safetensors_meta(const struct safetensors *s, const char *key);
/* The i-th pair of the metadata in the order of the file; false after the
 * last. The texts live as long as s. */
bool safetensors_meta_at(const struct safetensors *s, size_t i,
                         const char **key, const char **value);
/* The bytes of a tensor as they stand in the file (not aligned), *n of them;
 * NULL if there is none of this name, and where the file is only open. They
 * live as long as s. */
const void *safetensors_bytes(const struct safetensors *s, const char *name,
                              size_t *n);

/* A copy in its stored type. ERR_NOTFOUND, ERR_UNSUPPORTED (type). */
enum err_code safetensors_tensor(const struct safetensors *s, const char *name,
                                 struct tensor **out, struct err *e) MUST_USE;
/* A weight: f16, bf16, f32 or f64 as new f32 of exactly this shape, every
 * number finite. ERR_NOTFOUND, ERR_DATA (shape, NaN, infinity; the text says
 * which element), ERR_UNSUPPORTED. */
enum err_code safetensors_weight(const struct safetensors *s, const char *name,
                                 int ndim, const int64_t *shape,
                                 struct tensor **out, struct err *e) MUST_USE;
/* Would safetensors_weight find type and shape as it wants them? The same
 * errors; the numbers are not looked at. */
enum err_code safetensors_fits(const struct safetensors *s, const char *name,
                               int ndim, const int64_t *shape,
                               struct err *e) MUST_USE;

/* Writing. NULL name / key ends a list. */
struct safetensors_item {
    const char *name;
    const struct tensor *tensor;
};
struct safetensors_pair {
    const char *key, *value;
};
/* The file appears whole or not at all; no second copy of the tensors is made.
 * They are laid out in the given order; the header is padded to 8 bytes. meta
 * may be NULL. ERR_ARG for a doubled or bad name, and for what is too long,
 * large or many to be read again. */
enum err_code safetensors_write(const char *path,
                                const struct safetensors_item *items,
                                const struct safetensors_pair *meta,
                                struct err *e) MUST_USE;

/* The same into memory: append the bytes of such a file to an empty b. */
enum err_code safetensors_encode(struct buf *b,
                                 const struct safetensors_item *items,
                                 const struct safetensors_pair *meta,
                                 struct err *e) MUST_USE;

#endif
