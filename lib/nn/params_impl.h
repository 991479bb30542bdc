/* Inside of a set of parameters; for lib/nn/params*.c only. */
#ifndef FACET_NN_PARAMS_IMPL_H
#define FACET_NN_PARAMS_IMPL_H

#include "lib/nn/items.h"
#include "lib/nn/params.h"

#define NN_PARAM_NAME_MAX 255

struct nn_params {
    struct nn_param **list; /* each by itself, so that addresses stay */
    size_t n, cap;
    size_t *slot; /* open addressing by name: index + 1, 0 is free */
    size_t slots; /* a power of two, never more than half full */
    uint64_t seed;
    const struct safetensors *source; /* the caller's; NULL: none */
    char prefix[NN_PARAM_NAME_MAX + 1];
    bool prefix_long; /* did not fit: every look-up fails */
};

/* FNV-1a, 64 bits. */
uint64_t nn_params_hash(const char *name);
/* If p is a running mean, the name of PyTorch's counter beside it
 * ("bn1.num_batches_tracked") into out, which holds NN_PARAM_NAME_MAX + 32
 * bytes; else false. */
bool nn_params_counter(const struct nn_param *p, const char *prefix, char *out,
                       size_t n);
/* That counter's value from a file (i64 or i32, one element) into *updates;
 * what is missing leaves it alone. ERR_DATA if it is something else. */
enum err_code nn_params_read_counter(const struct safetensors *w,
                                     const char *name, int64_t *updates,
                                     struct err *e) MUST_USE;
/* Append every value, and the counters, under prefix + name. */
enum err_code nn_params_put(const struct nn_params *ps, const char *prefix,
                            struct nn_items *l, struct err *e) MUST_USE;
/* Has `to` every parameter of `from`, of the same shape? ERR_ARG names it. */
enum err_code nn_params_match(const struct nn_params *to,
                              const struct nn_params *from,
                              struct err *e) MUST_USE;

#endif
