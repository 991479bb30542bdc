/* oneDNN's convolution kernels: which are asked for, and in what order. For
 * dnnl_conv*.c only. */
#ifndef FACET_NN_DNNL_CONV_H
#define FACET_NN_DNNL_CONV_H

#include "lib/nn/conv_impl.h"
#include "lib/nn/dnnl.h"

#if FACET_DNNL

#define NN_DNNL_LAYOUTS 8

struct nn_dnnl_layouts {
    enum nn_layout big, small;
    enum dtype dtype;
};

/* The layouts and types to ask for, fastest first; returns how many. */
int nn_dnnl_conv_layouts(const struct nn_conv_pass *p,
                         struct nn_dnnl_layouts *list);
/* Is Winograd worth asking for with these views? */
bool nn_dnnl_conv_winograd(const struct nn_conv_pass *p,
                           const struct nn_view *big,
                           const struct nn_view *small);
/* The primitive of a pass on these views; ERR_UNSUPPORTED. */
enum err_code nn_dnnl_conv_make(const struct nn_conv_pass *p,
                                const struct nn_view *big,
                                const struct nn_view *small, bool winograd,
                                struct nn_dnnl_prim *prim,
                                struct err *e) MUST_USE;
/* Weights as PyTorch has them: [small, big / groups, kh, kw], in groups where
 * there are any. */
struct nn_dnnl_tensor nn_dnnl_conv_plain_weights(const struct nn_conv_pass *p);

#endif
#endif
