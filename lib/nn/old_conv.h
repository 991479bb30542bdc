/* 2-D convolution on oneDNN: the only module that includes dnnl.h. */
#ifndef FACET_NN_OLD_CONV_H
#define FACET_NN_OLD_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/nn/layout.h"

struct nv_conv;

struct nv_conv_desc {
    int64_t batch;
    struct nn_shape in, out;
    int64_t kernel_h, kernel_w, stride, pad;
    enum nn_layout in_layout, out_layout;
    bool relu;     /* max(0, .) on the result */
    bool winograd; /* wanted; direct is taken where there is no such kernel */
};

/* Prepare: weights f32[O,I,kh,kw] are copied into the kernel's own order,
 * bias f32[O] or NULL. ERR_ARG, ERR_NOMEM, ERR_UNSUPPORTED. */
enum err_code nv_conv_new(const struct nv_conv_desc *d, const float *weights,
                          const float *bias, struct nv_conv **out,
                          struct err *e) MUST_USE;
void nv_conv_free(struct nv_conv **c);
/* Bytes of scratch memory that nv_conv_run needs (64-byte aligned). */
size_t nv_conv_scratch(const struct nv_conv *c);
/* The kernel oneDNN chose: "brgconv:avx512_core". */
const char *nv_conv_kernel(const struct nv_conv *c);
/* src and dst in the layouts of the description; dst is overwritten. Not for
 * two threads at once with one nv_conv. */
enum err_code nv_conv_run(struct nv_conv *c, const float *src, float *dst,
                          void *scratch, struct err *e) MUST_USE;

/* Can this CPU run NN_BLOCK16 with Winograd kernels? */
bool nv_conv_has_winograd(void);

#endif
