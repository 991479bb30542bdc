/* Named parameters of networks: PyTorch's state dict. */
#ifndef FACET_NN_PARAMS_H
#define FACET_NN_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/tensor.h"
#include "lib/nn/safetensors.h"

struct nn_loan;

/* One parameter. value is f32 in PyTorch's order; whoever changes it adds 1
 * to version, so that plans pack it anew. */
struct nn_param {
    char *name;
    struct tensor *value;
    float *grad; /* value->count floats, NULL until nn_params_grads */
    bool buffer; /* a statistic (running mean): saved, never trained */
    uint64_t version;
    int64_t updates;      /* running statistics: forward passes seen, PyTorch's
                             num_batches_tracked */
    struct nn_loan *loan; /* where value->data comes from while it is NULL, see
                             nn_params_lend; private */
};

/* How a parameter that no file gives begins. */
enum nn_init {
    NN_INIT_ZERO,
    NN_INIT_ONE,
    NN_INIT_UNIFORM, /* [-scale, scale): PyTorch's default for convolution and
                        linear layers is scale = 1 / sqrt(fan in) */
    NN_INIT_NORMAL,  /* mean 0, deviation scale */
    NN_INIT_FILL     /* scale itself */
};
struct nn_init_spec {
    enum nn_init kind;
    double scale;
};

struct nn_params;

/* An empty set. Parameters made without a file are drawn from a generator
 * seeded by (seed, name): the order of asking does not matter. */
struct nn_params *nn_params_new(uint64_t seed, struct err *e) MUST_USE;
void nn_params_free(struct nn_params **ps);
/* From now on nn_params_get takes parameters from w under prefix + name, and
 * one that is missing there is an error. w stays the caller's and must live
 * until nn_params_source(ps, NULL, NULL). */
void nn_params_source(struct nn_params *ps, const struct safetensors *w,
                      const char *prefix);
/* The same, but values stay where they are: a parameter that is got from now
 * on has its shape, and value->data is NULL except while somebody holds it. An
 * inference plan reads each one, packs it, and lets it go, so that a network
 * is never in memory twice. Training plans, optimisers, saving, loading and
 * copying hold what they need for good. w is kept, by a reference
 * of the set's own. NaN, infinity, a file cut short are found when a value is
 * read. NULL ends it like nn_params_source. */
void nn_params_lend(struct nn_params *ps, struct safetensors *w,
                    const char *prefix);
/* Have p's value in memory until the same number of calls of nn_param_drop,
 * which NULL is fine for. A value that was not lent is always there. ERR_DATA,
 * ERR_IO, ERR_NOMEM: nothing is held. */
enum err_code nn_param_hold(struct nn_param *p, struct err *e) MUST_USE;
void nn_param_drop(struct nn_param *p);
/* The parameter of this name: the one already there (another shape is
 * ERR_ARG), else from the source (ERR_NOTFOUND, ERR_DATA; the text names file
 * and tensor), else new by `init`. The set owns it; its address stays. */
enum err_code nn_params_get(struct nn_params *ps, const char *name, int ndim,
                            const int64_t *shape, bool buffer,
                            struct nn_init_spec init, struct nn_param **out,
                            struct err *e) MUST_USE;
/* p's value as a tensor that is nobody else's: a copy, or what was read for
 * this. */
enum err_code nn_param_take(struct nn_param *p, struct tensor **out,
                            struct err *e) MUST_USE;
/* Hold all of them. On failure those before the failing one stay held. */
enum err_code nn_params_hold(const struct nn_params *ps,
                             struct err *e) MUST_USE;
size_t nn_params_count(const struct nn_params *ps);
struct nn_param *nn_params_at(const struct nn_params *ps, size_t i);
struct nn_param *nn_params_find(const struct nn_params *ps, const char *name);
/* Numbers that are trained (no statistics). */
int64_t nn_params_total(const struct nn_params *ps);

/* Give every trained parameter a zeroed gradient if it has none yet. */
enum err_code nn_params_grads(struct nn_params *ps, struct err *e) MUST_USE;
void nn_params_zero_grad(struct nn_params *ps);

/* Write all as safetensors, PyTorch's names, `num_batches_tracked` (i64)
 * beside running statistics; whole or not at all. meta as
 * safetensors_write's. */
enum err_code nn_params_save(const struct nn_params *ps, const char *path,
                             const struct safetensors_pair *meta,
                             struct err *e) MUST_USE;
/* Overwrite every parameter of the set from w (prefix may be NULL); all must
 * be there. With `partial`, those not in w or of another shape keep their
 * value and are counted in *skipped. */
enum err_code nn_params_load(struct nn_params *ps, const struct safetensors *w,
                             const char *prefix, bool partial, size_t *skipped,
                             struct err *e) MUST_USE;
/* Values (and statistics, updates) of `from` into the parameters of the same
 * names of `to`; ERR_ARG if one is missing. For EMA and best-so-far copies. */
enum err_code nn_params_copy(struct nn_params *to, const struct nn_params *from,
                             struct err *e) MUST_USE;

#endif
