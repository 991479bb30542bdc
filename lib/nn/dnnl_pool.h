/* Pooling on oneDNN. */
#ifndef FACET_NN_DNNL_POOL_H
#define FACET_NN_DNNL_POOL_H

#include "lib/nn/ops.h"

struct nn_dnnl_pool;

/* Kernels for these views (without data), or *out NULL and OK where oneDNN is
 * not built in, has no fast kernel, or counts other than PyTorch does. With
 * backward: the gradient too, and what max pooling keeps for it. */
enum err_code nn_dnnl_pool_new(const struct nn_view *in,
                               const struct nn_view *out,
                               const struct nn_pool_spec *s, bool max,
                               bool backward, struct nn_dnnl_pool **p,
                               struct err *e) MUST_USE;
void nn_dnnl_pool_free(struct nn_dnnl_pool **p);
/* Bytes of 64-byte aligned memory: for one run; from forward to backward. */
size_t nn_dnnl_pool_scratch(const struct nn_dnnl_pool *p);
size_t nn_dnnl_pool_keep(const struct nn_dnnl_pool *p);
const char *nn_dnnl_pool_kernel(const struct nn_dnnl_pool *p);
enum err_code nn_dnnl_pool_forward(struct nn_dnnl_pool *p, const void *src,
                                   void *dst, void *keep, void *scratch,
                                   struct err *e) MUST_USE;
/* dsrc is overwritten. */
enum err_code nn_dnnl_pool_backward(struct nn_dnnl_pool *p, const void *ddst,
                                    void *dsrc, const void *keep, void *scratch,
                                    struct err *e) MUST_USE;

#endif
