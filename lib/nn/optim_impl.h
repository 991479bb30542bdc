/* Inside of optimisers; for lib/nn/optim*.c and checkpoint*.c only. */
#ifndef FACET_NN_OPTIM_IMPL_H
#define FACET_NN_OPTIM_IMPL_H

#include "lib/nn/optim.h"

/* One trained parameter and what is kept for it, tensors of its shape; NULL
 * where this kind of optimiser keeps none. */
struct nn_optim_slot {
    struct nn_param *p;
    struct tensor *m;   /* momentum_buffer, exp_avg */
    struct tensor *v;   /* exp_avg_sq */
    struct tensor *ema; /* the averaged weights */
};

/* Some floats of one slot: a unit of work for a thread. */
struct nn_optim_chunk {
    size_t slot, at, n;
};

struct nn_optim {
    struct nn_params *ps;
    size_t known; /* parameters of ps when this was made */
    struct nn_optim_options o;
    struct nn_optim_slot *slot;
    size_t n;
    struct nn_optim_chunk *chunk;
    double *sum; /* of squares, one a chunk */
    size_t n_chunks, floats;
    int64_t steps, averaged;
};

/* The numbers of one step as PyTorch's kernels take them: computed in double,
 * rounded to float once. */
struct nn_optim_coef {
    float clip;         /* gradients are multiplied by it, */
    float limit;        /* then held within +- limit (infinity: free), */
    float decay;        /* then decay x weight is added */
    float momentum;     /* SGD */
    float lr;           /* SGD */
    float shrink;       /* AdamW: weights are multiplied by it first */
    float beta1, rest1; /* rest: 1 - beta */
    float beta2, rest2;
    float root; /* sqrt(1 - beta2^t) */
    float eps;
    float size;       /* lr / (1 - beta1^t) */
    float keep, take; /* EMA: keep x average + take x weight */
};

/* On n floats each; no two overlap. buf NULL: no momentum. */
void nn_optim_sgd(float *p, const float *g, float *buf, size_t n, bool nesterov,
                  const struct nn_optim_coef *c);
void nn_optim_adam(float *p, const float *g, float *m, float *v, size_t n,
                   const struct nn_optim_coef *c);
void nn_optim_average(float *ema, const float *p, size_t n,
                      const struct nn_optim_coef *c);
/* Sum of squares in double, in an order that depends on n alone. */
double nn_optim_squares(const float *g, size_t n);

/* State names as in PyTorch's state dicts: of m and v. NULL: none. */
const char *nn_optim_state_name(const struct nn_optim *o, int which);

#endif
