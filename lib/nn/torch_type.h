/* The number types of PyTorch's storages and tensors. */
#ifndef FACET_NN_TORCH_TYPE_H
#define FACET_NN_TORCH_TYPE_H

#include "lib/data/tensor.h"
#include "lib/nn/pickle.h"

enum torch_convert {
    TORCH_COPY,   /* bytes as they are (bool becomes u8) */
    TORCH_WIDEN,  /* int8, int16 to i32 */
    TORCH_REFUSE, /* complex, quantized, float8, .. */
    TORCH_UNTYPED /* bytes; the tensor says what they are */
};

struct torch_type {
    const char *storage; /* "FloatStorage" */
    const char *word;    /* "float32" */
    size_t size;         /* bytes of an element */
    enum torch_convert convert;
    enum dtype dtype; /* what it is written as */
};

/* By the class of a storage (torch.FloatStorage, torch.cuda.HalfStorage, ..)
 * or a dtype (torch.float32); NULL if it is none that is known. */
const struct torch_type *torch_type_storage(const struct pickle_value *global);
const struct torch_type *torch_type_dtype(const struct pickle_value *global);
/* By numpy's letter and width: 'f', 4. */
const struct torch_type *torch_type_numpy(char kind, int width);

#endif
