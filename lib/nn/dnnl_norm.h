/* Batch norm on oneDNN, for op_batch_norm.c. */
#ifndef FACET_NN_DNNL_NORM_H
#define FACET_NN_DNNL_NORM_H

#include "lib/nn/norm.h"

struct nn_dnnl_norm;

/* Kernels for x (NN_LAST and NN_BLOCK16), by running statistics where
 * `running`; sets x's scratch_bytes, keep_bytes, kernel. ERR_UNSUPPORTED where
 * oneDNN has no fast one, or was not built in: norm.h's loops do it then. */
enum err_code nn_dnnl_norm_new(struct nn_exec *x, const struct nn_norm *n,
                               bool running, struct nn_dnnl_norm **out,
                               struct err *e) MUST_USE;
void nn_dnnl_norm_free(struct nn_dnnl_norm **d);
/* Moves running statistics too. Does x->relu. */
enum err_code nn_dnnl_norm_forward(struct nn_dnnl_norm *d, struct nn_exec *x,
                                   const struct nn_norm *n,
                                   struct err *e) MUST_USE;
/* Where din is added to, the gradient is first made in dout's memory. */
enum err_code nn_dnnl_norm_backward(struct nn_dnnl_norm *d, struct nn_exec *x,
                                    const struct nn_norm *n,
                                    struct err *e) MUST_USE;

#endif
