/* oneDNN's version 3 behind dnnl_api.h. */
#include "lib/nn/dnnl.h"
#include "lib/nn/layout.h" /* never an empty file */

#if FACET_DNNL && DNNL_VERSION_MAJOR >= 3

dnnl_status_t nn_dnnl_form_make(struct nn_dnnl_form *f,
                                const struct nn_dnnl_tensor *t)
{
    dnnl_status_t s =
        dnnl_memory_desc_create_with_tag(&f->md, t->n, t->d, t->type, t->tag);
    f->made = !s;
    return s;
}

void nn_dnnl_form_free(struct nn_dnnl_form *f)
{
    if (f->made)
        (void)dnnl_memory_desc_destroy(f->md);
    *f = (struct nn_dnnl_form){0};
}

nn_dnnl_md nn_dnnl_form_md(const struct nn_dnnl_form *f)
{
    return f->made ? f->md : NULL;
}

enum { SRC, WEIGHTS, BIAS, DST, TENSORS };

static dnnl_status_t create(dnnl_primitive_desc_t *pd,
                            const struct nn_dnnl_op *op, dnnl_engine_t engine,
                            const_dnnl_primitive_attr_t attr,
                            const_dnnl_primitive_desc_t hint,
                            const nn_dnnl_md md[TENSORS])
{
    static const dnnl_dims_t none = {0};
    switch (op->kind) {
    case NN_DNNL_CONV:
        return dnnl_convolution_forward_primitive_desc_create(
            pd, engine, op->prop, op->alg, md[SRC], md[WEIGHTS], md[BIAS],
            md[DST], op->stride, op->dilation, op->before, op->after, attr);
    case NN_DNNL_CONV_DATA:
        return dnnl_convolution_backward_data_primitive_desc_create(
            pd, engine, op->alg, md[SRC], md[WEIGHTS], md[DST], op->stride,
            op->dilation, op->before, op->after, hint, attr);
    case NN_DNNL_CONV_WEIGHTS:
        return dnnl_convolution_backward_weights_primitive_desc_create(
            pd, engine, op->alg, md[SRC], md[WEIGHTS], md[BIAS], md[DST],
            op->stride, op->dilation, op->before, op->after, hint, attr);
    case NN_DNNL_POOL:
        return dnnl_pooling_forward_primitive_desc_create(
            pd, engine, op->prop, op->alg, md[SRC], md[DST], op->stride,
            op->kernel, none, op->before, op->after, attr);
    case NN_DNNL_POOL_DATA:
        return dnnl_pooling_backward_primitive_desc_create(
            pd, engine, op->alg, md[SRC], md[DST], op->stride, op->kernel, none,
            op->before, op->after, hint, attr);
    case NN_DNNL_NORM:
        return dnnl_batch_normalization_forward_primitive_desc_create(
            pd, engine, op->prop, md[SRC], md[SRC], op->eps, op->flags, attr);
    case NN_DNNL_NORM_BACK:
        return dnnl_batch_normalization_backward_primitive_desc_create(
            pd, engine, dnnl_backward, md[SRC], md[SRC], md[SRC], op->eps,
            op->flags, hint, attr);
    }
    return dnnl_invalid_arguments;
}

dnnl_status_t nn_dnnl_offers_first(struct nn_dnnl_offers *o,
                                   const struct nn_dnnl_op *op,
                                   dnnl_engine_t engine,
                                   const_dnnl_primitive_attr_t attr,
                                   const_dnnl_primitive_desc_t hint)
{
    const struct nn_dnnl_tensor *t[TENSORS] = {&op->src, &op->weights,
                                               &op->bias, &op->dst};
    struct nn_dnnl_form form[TENSORS] = {{0}};
    nn_dnnl_md md[TENSORS] = {0};
    dnnl_status_t s = dnnl_success;
    *o = (struct nn_dnnl_offers){0};
    for (int i = 0; i < TENSORS && !s; i++) {
        if (t[i]->n)
            s = nn_dnnl_form_make(&form[i], t[i]);
        md[i] = nn_dnnl_form_md(&form[i]);
    }
    if (!s)
        s = create(&o->pd, op, engine, attr, hint, md);
    for (int i = 0; i < TENSORS; i++)
        nn_dnnl_form_free(&form[i]);
    return s;
}

dnnl_status_t nn_dnnl_offers_next(struct nn_dnnl_offers *o)
{
    dnnl_status_t s = dnnl_primitive_desc_next_impl(o->pd);
    return s == dnnl_last_impl_reached ? dnnl_unimplemented : s;
}

dnnl_primitive_desc_t nn_dnnl_offers_end(struct nn_dnnl_offers *o)
{
    return o->pd;
}

dnnl_status_t nn_dnnl_append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0F, 0, dnnl_data_type_undef);
}

dnnl_status_t nn_dnnl_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg,
                                     float alpha)
{
    return dnnl_post_ops_append_eltwise(ops, alg, alpha, 0.0F);
}

#endif
