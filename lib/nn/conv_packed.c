/* Packed weights, shared by the plans of one network. */
#include <stdatomic.h>

#include "lib/base/mem.h"
#include "lib/nn/conv_impl.h"

struct nn_packed *nn_packed_ref(struct nn_packed *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void nn_packed_free(struct nn_packed **p)
{
    struct nn_packed *x = *p;
    *p = NULL;
    if (!x || atomic_fetch_sub(&x->refs, 1) > 1)
        return;
    mem_unmap(x->weights, x->weight_bytes);
    mem_free(x->bias);
    mem_free(x);
}

enum err_code nn_packed_renew(struct nn_packed **p, size_t weights, size_t bias,
                              struct err *e)
{
    if (*p && atomic_load(&(*p)->refs) == 1)
        return OK;
    struct nn_packed *x = mem_calloc(1, sizeof *x);
    if (x) {
        x->refs = 1;
        x->bytes = weights + bias;
        x->weight_bytes = weights;
        x->weights = mem_map(weights);
        if (bias)
            x->bias = mem_aligned(bias);
    }
    if (!x || !x->weights || (bias && !x->bias)) {
        if (x)
            nn_packed_free(&x);
        return err_set(e, ERR_NOMEM,
                       "no memory for a convolution's weights (%zu bytes)",
                       weights + bias);
    }
    nn_packed_free(p);
    *p = x;
    return OK;
}
