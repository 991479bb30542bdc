/* numpy's names for array types, as msgpack-numpy and .npy files use them. */
#ifndef FACET_DATA_NUMPY_H
#define FACET_DATA_NUMPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/tensor.h"

/* "<f4" for DT_F32; "bfloat16" for DT_BF16, for which numpy has no name. */
const char *numpy_name(enum dtype d);

/* The dtype of such a name (n bytes, from outside). ERR_UNSUPPORTED for what
 * we have no tensors for, saying why: object arrays, big-endian, complex. */
enum err_code numpy_dtype(const char *name, size_t n, enum dtype *out,
                          struct err *e) MUST_USE;

/* A numpy scalar (np.float32(0.5), np.int64(3), np.bool_(True) ...). */
enum numpy_scalar_type { NUMPY_BOOL, NUMPY_INT, NUMPY_FLOAT };
struct numpy_scalar {
    enum numpy_scalar_type type;
    int64_t i; /* BOOL: 0 or 1 */
    double f;  /* finite */
};
/* data holds its `size` bytes, from outside. ERR_UNSUPPORTED for other types
 * and for integers above 2^63-1; ERR_DATA if the sizes differ or the number is
 * not finite. */
enum err_code numpy_scalar(const char *name, size_t n, const void *data,
                           size_t size, struct numpy_scalar *out,
                           struct err *e) MUST_USE;

#endif
