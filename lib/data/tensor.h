/* Tensors: dense little-endian C-order arrays, counted references. */
#ifndef FACET_DATA_TENSOR_H
#define FACET_DATA_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

#define TENSOR_MAX_DIMS 8

enum dtype {
    DT_U8,
    DT_U16,
    DT_I32,
    DT_I64,
    DT_F16,
    DT_BF16,
    DT_F32,
    DT_F64,
    DT_COUNT
};

size_t dtype_size(enum dtype d);      /* bytes of one element */
const char *dtype_name(enum dtype d); /* "u8", "bf16", ... */
bool dtype_from_name(const char *name, enum dtype *out) MUST_USE;

/* Read freely; the data may be written only while refs == 1. */
struct tensor {
    enum dtype dtype;
    int ndim; /* 0 (a scalar) .. 8 */
    int64_t shape[TENSOR_MAX_DIMS];
    size_t count; /* elements */
    size_t bytes; /* count * dtype_size */
    void *data;   /* 64-byte aligned if made by tensor_new */
    /* private */
    int refs;
    void (*release)(void *owner);
    void *owner;
    bool mapped; /* data is mem_map's */
};

/* The number of elements and bytes of a shape, checked: ERR_DATA if ndim is
 * not 0..8, a size is negative, or the product passes max_bytes. */
enum err_code tensor_measure(enum dtype d, int ndim, const int64_t *shape,
                             size_t max_bytes, size_t *count, size_t *bytes,
                             struct err *e) MUST_USE;
/* New, zeroed. NULL with e set on failure. */
struct tensor *tensor_new(enum dtype d, int ndim, const int64_t *shape,
                          struct err *e) MUST_USE;
/* The same in pages of its own (mem_map), for large values that are held for a
 * short time. */
struct tensor *tensor_new_mapped(enum dtype d, int ndim, const int64_t *shape,
                                 struct err *e) MUST_USE;
/* A view on memory of somebody else: release(owner) is called when the last
 * reference goes (also if this function fails). */
struct tensor *tensor_wrap(enum dtype d, int ndim, const int64_t *shape,
                           void *data, void (*release)(void *), void *owner,
                           struct err *e) MUST_USE;
/* A copy of src's bytes under src's shape, with one reference. */
struct tensor *tensor_copy(const struct tensor *src, struct err *e) MUST_USE;
/* One more reference to the same tensor (returns t). References are counted
 * without atomics: a tensor stays in one thread, or is handed over whole. */
struct tensor *tensor_ref(struct tensor *t);
void tensor_free(struct tensor **t); /* drops one reference, sets NULL */
/* Same dtype, shape and bytes? */
bool tensor_equal(const struct tensor *a, const struct tensor *b);
/* Element i (C order) as double, any dtype. */
double tensor_get(const struct tensor *t, size_t i);
/* "f32[68,3]" into out, cut to n bytes. Returns out. */
char *tensor_describe(const struct tensor *t, char *out, size_t n);

float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f); /* round to nearest even */
float bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float f); /* round to nearest even */

#define tensor_u8(t) ((uint8_t *)(t)->data)
#define tensor_f32(t) ((float *)(t)->data)
#define tensor_f64(t) ((double *)(t)->data)
#define tensor_i32(t) ((int32_t *)(t)->data)
#define tensor_i64(t) ((int64_t *)(t)->data)

#endif
