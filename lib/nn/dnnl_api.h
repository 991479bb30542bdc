/* oneDNN's C interface, version 3's, as far as lib/nn uses it; version 2 (2.6
 * in Debian 12) is made to look like it by dnnl_v2.c. For dnnl*.c only.
 *
 * What differs: version 3 makes a primitive description from the arguments
 * themselves, version 2 from an operation description; tensor descriptions are
 * handles in version 3 and plain structs in version 2. So operations and
 * tensors are described by the structs below, and turned into oneDNN's by the
 * one file that fits the version. */
#ifndef FACET_NN_DNNL_API_H
#define FACET_NN_DNNL_API_H

#include <dnnl.h>
#include <stdbool.h>

/* Version 2 wants the shift for a norm's gradient, too; it does not change it.
 */
#define NN_DNNL_NORM_BACK_SHIFT (DNNL_VERSION_MAJOR < 3)

/* A tensor: dims, type, order (dnnl_format_tag_any: oneDNN chooses). n 0:
 * there is none. */
struct nn_dnnl_tensor {
    int n;
    dnnl_dims_t d;
    dnnl_data_type_t type;
    dnnl_format_tag_t tag;
};

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t nn_dnnl_md;
#else
typedef const dnnl_memory_desc_t *nn_dnnl_md;
#endif

/* A tensor's description in oneDNN's form, to be freed by
 * nn_dnnl_form_free(). */
struct nn_dnnl_form {
    dnnl_memory_desc_t md;
    bool made;
};
/* f (zeroed) from t. */
dnnl_status_t nn_dnnl_form_make(struct nn_dnnl_form *f,
                                const struct nn_dnnl_tensor *t);
void nn_dnnl_form_free(struct nn_dnnl_form *f);
nn_dnnl_md nn_dnnl_form_md(const struct nn_dnnl_form *f);

enum nn_dnnl_kind {
    NN_DNNL_CONV,         /* src, weights, bias -> dst */
    NN_DNNL_CONV_DATA,    /* dst, weights -> src */
    NN_DNNL_CONV_WEIGHTS, /* src, dst -> weights, bias */
    NN_DNNL_POOL,         /* src -> dst */
    NN_DNNL_POOL_DATA,    /* dst -> src */
    NN_DNNL_NORM,         /* src -> a dst of the same form */
    NN_DNNL_NORM_BACK,    /* src and dst's gradient -> src's */
};

/* An operation. Of a backward one src, weights, bias and dst stand for their
 * gradients where these are in play; they have the same form. */
struct nn_dnnl_op {
    enum nn_dnnl_kind kind;
    dnnl_prop_kind_t prop; /* of CONV, POOL and NORM */
    dnnl_alg_kind_t alg;   /* of convolutions and pooling */
    struct nn_dnnl_tensor src, weights, bias, dst;
    dnnl_dims_t stride, before, after;
    dnnl_dims_t dilation; /* of convolutions: 0 is an ordinary one */
    dnnl_dims_t kernel;   /* of pooling */
    float eps;            /* of norms */
    unsigned flags;       /* of norms: dnnl_normalization_flags_t */
};

/* The implementations that oneDNN offers for an operation, one after the other.
 * Zeroed: nothing. */
struct nn_dnnl_offers {
    dnnl_primitive_desc_t pd; /* the one at hand */
#if DNNL_VERSION_MAJOR < 3
    dnnl_primitive_desc_iterator_t iterator;
    union { /* the iterator reads it again at each step */
        dnnl_convolution_desc_t conv;
        dnnl_pooling_desc_t pool;
        dnnl_batch_normalization_desc_t norm;
    } d;
#endif
};
/* dnnl_unimplemented where there is none. hint: the forward operation's pd
 * where op is a backward one, else NULL. */
dnnl_status_t nn_dnnl_offers_first(struct nn_dnnl_offers *o,
                                   const struct nn_dnnl_op *op,
                                   dnnl_engine_t engine,
                                   const_dnnl_primitive_attr_t attr,
                                   const_dnnl_primitive_desc_t hint);
/* dnnl_unimplemented after the last one. */
dnnl_status_t nn_dnnl_offers_next(struct nn_dnnl_offers *o);
/* Frees all but pd, which is the caller's from here on (NULL: none). */
dnnl_primitive_desc_t nn_dnnl_offers_end(struct nn_dnnl_offers *o);

/* Post-operations: dst += what was there; an activation of scale 1. */
dnnl_status_t nn_dnnl_append_sum(dnnl_post_ops_t ops);
dnnl_status_t nn_dnnl_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg,
                                     float alpha);

#endif
