/* Convolution kernels, forward and backward, on oneDNN or OpenBLAS. */
#ifndef FACET_NN_CONV_H
#define FACET_NN_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/nn/graph.h"

struct nn_conv;

enum nn_act {
    NN_ACT_NONE,
    NN_ACT_RELU,
    NN_ACT_LEAKY, /* alpha x where x < 0 */
    NN_ACT_SIGMOID,
    NN_ACT_TANH,
    NN_ACT_SILU
};

/* y = act(conv(x) + bias (+ y where sum)). Views without data give shapes,
 * layouts and types. PyTorch's arithmetic: zero padding pad_* on all sides,
 * cross-correlation; transposed: nn.ConvTranspose2d, `in` smaller than `out`
 * (output padding follows from the shapes). */
struct nn_conv_desc {
    struct nn_view in, out;
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    int64_t dilation_h, dilation_w; /* 1: none */
    int64_t groups;
    bool transposed, bias;
    enum nn_act act; /* forward only: NONE where backward is wanted */
    float alpha;
    bool sum;
    bool winograd; /* wanted; direct is taken where there is no such kernel or
                      it does not pay */
    bool lean;     /* Winograd's weights, four times the usual ones, are made by
                      each run in its scratch, not kept */
    enum nn_path path;
    bool training; /* weights change often: they are not kept in the kernels'
                      orders, each run packs them into its scratch */
    bool want_din, want_dweights; /* which backward kernels to prepare */
};

/* Prepare kernels; no slow reference kernel is ever chosen silently (the
 * module converts layouts inside, or takes the OpenBLAS form). ERR_ARG,
 * ERR_NOMEM, ERR_UNSUPPORTED. */
enum err_code nn_conv_new(const struct nn_conv_desc *d, struct nn_conv **out,
                          struct err *e) MUST_USE;
void nn_conv_free(struct nn_conv **c);
/* Copy weights into the kernels' orders and types (all that were prepared).
 * f32[O,I/groups,kh,kw], transposed f32[I,O/groups,kh,kw]; bias f32[O]. Must
 * be called before the first run, and after each change. In training weights
 * and bias are read by every run and must stay there until the next call. */
enum err_code nn_conv_weights(struct nn_conv *c, const float *weights,
                              const float *bias, struct err *e) MUST_USE;
/* Bytes of 64-byte aligned scratch that any of the runs needs. */
size_t nn_conv_scratch(const struct nn_conv *c);
/* Instead of nn_conv_weights: have the packed weights of `from`, which was
 * given the same weights as c would be, where c's kernels take them in the same
 * form. False: they do not, and c is as it was. Either may be freed first. */
bool nn_conv_share(struct nn_conv *c, const struct nn_conv *from);
/* Bytes of packed weights, 0 before there are any and where they are shared
 * from another. */
size_t nn_conv_bytes(const struct nn_conv *c);
const char *nn_conv_kernel(const struct nn_conv *c); /* "jit:avx512_core" */

enum err_code nn_conv_forward(struct nn_conv *c, const void *src, void *dst,
                              void *scratch, struct err *e) MUST_USE;
/* dsrc is overwritten. */
enum err_code nn_conv_backward_data(struct nn_conv *c, const void *ddst,
                                    void *dsrc, void *scratch,
                                    struct err *e) MUST_USE;
/* Adds to dweights (f32, PyTorch's order) and dbias (f32[O] or NULL). */
enum err_code nn_conv_backward_weights(struct nn_conv *c, const void *src,
                                       const void *ddst, float *dweights,
                                       float *dbias, void *scratch,
                                       struct err *e) MUST_USE;

/* Can this CPU run NN_BLOCK16 with AVX-512 (and Winograd) kernels? */
bool nn_conv_has_block16(void);

#endif
