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
    struct safetensors *lender;       /* the same by a reference of ours, where
                                         values are lent */
    char prefix[NN_PARAM_NAME_MAX + 1];
    bool prefix_long; /* did not fit: every look-up fails */
};

/* A value that stays in its file. */
struct nn_loan {
    struct safetensors *file;
    const char *name;     /* there; lives as long as the file */
    struct tensor *empty; /* the shape, no data: value while nobody holds it */
    int holders;
};

/* Make p, which is new, one whose value is lent by this tensor of the file.
 * ERR_NOTFOUND, ERR_DATA (shape), ERR_UNSUPPORTED (type), ERR_NOMEM. */
enum err_code nn_loan_new(struct nn_param *p, struct safetensors *file,
                          const char *name, int ndim, const int64_t *shape,
                          struct err *e) MUST_USE;
/* Value and loan of p, which may be NULL. */
void nn_loan_free(struct nn_param *p);
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
