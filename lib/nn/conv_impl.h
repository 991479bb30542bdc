/* A convolution's insides: three passes, each by a method that can do it. For
 * lib/nn/conv.c, dnnl_conv*.c and blas_conv*.c only. */
#ifndef FACET_NN_CONV_IMPL_H
#define FACET_NN_CONV_IMPL_H

#include "lib/nn/conv.h"

/* Weights and bias in a kernel's order and type, counted: plans of one network
 * for several sizes share them. Read only once they are shared. */
struct nn_packed {
    _Atomic int refs;
    void *weights;
    float *bias; /* NULL: none */
    size_t bytes, weight_bytes; /* of both; of weights */
};

/* An ordinary convolution takes `big` to `small`, by weights
 * [small.c, big.c / groups, kh, kw]; a transposed one is its gradient with
 * respect to the input, by the same weights, and takes `small` to `big`. So
 * there are three operations, and every pass is one of them. */
enum nn_conv_op {
    NN_CONV_DOWN,   /* big -> small */
    NN_CONV_UP,     /* small -> big */
    NN_CONV_WEIGHTS /* big, small -> gradient of the weights */
};

struct nn_conv_geometry {
    struct nn_view big, small; /* layouts and types outside, no data */
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    int64_t dilation_h, dilation_w, groups;
};

struct nn_conv_method;

/* One pass. The description's part, then what the method made of it. */
struct nn_conv_pass {
    enum nn_conv_op op;
    struct nn_conv_geometry g;
    bool transposed; /* whose pass it is: bias is one of `big` */
    bool bias, sum;  /* of a forward pass; bias: of WEIGHTS too */
    enum nn_act act; /* of a forward pass */
    float alpha;
    bool winograd, lean, training;
    bool backward; /* not a forward pass */

    const struct nn_conv_method *method; /* NULL: not prepared */
    void *state;
    size_t scratch_bytes;
    struct nn_packed *packed; /* by `pack`, unless the pass keeps none */
    char kernel[48];
};

struct nn_conv_run {
    const void *big_in, *small_in; /* as the operation reads them */
    void *out;                     /* DOWN: small, UP: big */
    float *dweights, *dbias;       /* WEIGHTS: added to; dbias may be NULL */
    const float *weights, *bias;   /* PyTorch's order: for methods that want
                                      them (plain), and in training */
    void *scratch;
};

struct nn_conv_method {
    bool plain; /* run reads nn_conv_run's weights and bias */
    /* ERR_UNSUPPORTED: another method must do it. On failure nothing is left
     * behind. */
    enum err_code (*make)(struct nn_conv_pass *p, struct err *e);
    /* Into p->packed, by nn_packed_renew. NULL: nothing to pack. */
    enum err_code (*pack)(struct nn_conv_pass *p, const float *weights,
                          const float *bias, struct err *e);
    /* Would both pack the same weights to the same bytes? Of passes that have
     * been packed by this method. */
    bool (*same)(const struct nn_conv_pass *p, const struct nn_conv_pass *q);
    enum err_code (*run)(struct nn_conv_pass *p, const struct nn_conv_run *r,
                         struct err *e);
    void (*free)(struct nn_conv_pass *p);
};

extern const struct nn_conv_method nn_conv_by_blas;
extern const struct nn_conv_method nn_conv_thin; /* to a few channels */
#if FACET_DNNL
extern const struct nn_conv_method nn_conv_by_dnnl;
#endif

/* The number of floats of the weights. */
static inline int64_t nn_conv_count(const struct nn_conv_geometry *g)
{
    return g->small.shape.c * (g->big.shape.c / g->groups) * g->kernel_h *
           g->kernel_w;
}

/* Rounded up to 64 bytes. */
static inline size_t nn_conv_align(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* conv_packed.c: memory for packed weights (bytes each; bias 0: none), what is
 * there is taken unless somebody shares it. ERR_NOMEM. */
enum err_code nn_packed_renew(struct nn_packed **p, size_t weights, size_t bias,
                              struct err *e) MUST_USE;
struct nn_packed *nn_packed_ref(struct nn_packed *p);
void nn_packed_free(struct nn_packed **p);

/* conv_rows.c */

/* row[i] = act(row[i] + bias). */
void nn_conv_activate(float *row, int64_t n, float bias, enum nn_act act,
                      float alpha);
/* v = act(v + add + bias) all over a view; bias f32[C] or NULL, add a view of
 * the same shape, layout and type or NULL. Padding channels stay zero. */
void nn_conv_finish(const struct nn_view *v, const void *add, const float *bias,
                    enum nn_act act, float alpha);
/* dbias[c] += the sum of channel c over pictures and pixels. */
void nn_conv_bias_grad(const struct nn_view *v, float *dbias);

#endif
