/* PyTorch's tensors: what a pickled rebuild call says, and its elements. */
#ifndef FACET_NN_TORCH_VIEW_H
#define FACET_NN_TORCH_VIEW_H

#include <stdbool.h>

#include "lib/data/tensor.h"
#include "lib/nn/torch_file.h"

/* A tensor's view on a storage: element (i,j,..) is number
 * first + i stride[0] + j stride[1] + .. of it. Checked when it is made: all
 * lie inside the storage. */
struct torch_view {
    const struct torch_type *type;
    struct torch_storage storage;
    const uint8_t *inline_data; /* a numpy array's bytes; else NULL */
    int ndim;
    int64_t shape[TENSOR_MAX_DIMS];
    size_t stride[TENSOR_MAX_DIMS];
    size_t first, count;
    size_t bytes; /* as it is written (after widening) */
};

/* Is v a tensor (torch._utils._rebuild_tensor, _rebuild_tensor_v2 and _v3,
 * _rebuild_parameter, Parameter, _rebuild_from_type_v2; sparse, quantized and
 * other kinds too), or a numpy array? */
bool torch_is_tensor(const struct pickle_value *v);
/* Read such a v. ERR_UNSUPPORTED with the kind where it is well-formed, but
 * not one that can be written (complex, quantized, sparse, more than 8
 * dimensions); ERR_DATA where it is malformed or reaches outside its storage.
 * max: the most bytes that it may take. */
enum err_code torch_view_of(const struct pickle_value *v, size_t max,
                            struct torch_view *out, struct err *e) MUST_USE;
/* Its elements in C order in a new tensor of type->dtype; NaN is kept. */
enum err_code torch_view_load(struct torch_file *f, const struct torch_view *v,
                              struct tensor **out, struct err *e) MUST_USE;

#endif
