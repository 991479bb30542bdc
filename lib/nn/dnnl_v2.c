/* oneDNN's version 2 (2.6 in Debian 12) behind dnnl_api.h. */
#include "lib/nn/dnnl.h"
#include "lib/nn/layout.h" /* never an empty file */

#if FACET_DNNL && DNNL_VERSION_MAJOR < 3

dnnl_status_t nn_dnnl_form_make(struct nn_dnnl_form *f,
                                const struct nn_dnnl_tensor *t)
{
    dnnl_status_t s =
        dnnl_memory_desc_init_by_tag(&f->md, t->n, t->d, t->type, t->tag);
    f->made = !s;
    return s;
}

void nn_dnnl_form_free(struct nn_dnnl_form *f)
{
    *f = (struct nn_dnnl_form){0};
}

nn_dnnl_md nn_dnnl_form_md(const struct nn_dnnl_form *f)
{
    return f->made ? &f->md : NULL;
}

enum { SRC, WEIGHTS, BIAS, DST, TENSORS };

static dnnl_status_t describe(struct nn_dnnl_offers *o,
                              const struct nn_dnnl_op *op,
                              const nn_dnnl_md md[TENSORS])
{
    switch (op->kind) {
    case NN_DNNL_CONV:
        return dnnl_dilated_convolution_forward_desc_init(
            &o->d.conv, op->prop, op->alg, md[SRC], md[WEIGHTS], md[BIAS],
            md[DST], op->stride, op->dilation, op->before, op->after);
    case NN_DNNL_CONV_DATA:
        return dnnl_dilated_convolution_backward_data_desc_init(
            &o->d.conv, op->alg, md[SRC], md[WEIGHTS], md[DST], op->stride,
            op->dilation, op->before, op->after);
    case NN_DNNL_CONV_WEIGHTS:
        return dnnl_dilated_convolution_backward_weights_desc_init(
            &o->d.conv, op->alg, md[SRC], md[WEIGHTS], md[BIAS], md[DST],
            op->stride, op->dilation, op->before, op->after);
    case NN_DNNL_POOL:
        return dnnl_pooling_forward_desc_init(
            &o->d.pool, op->prop, op->alg, md[SRC], md[DST], op->stride,
            op->kernel, op->before, op->after);
    case NN_DNNL_POOL_DATA:
        return dnnl_pooling_backward_desc_init(&o->d.pool, op->alg, md[SRC],
                                               md[DST], op->stride, op->kernel,
                                               op->before, op->after);
    case NN_DNNL_NORM:
        return dnnl_batch_normalization_forward_desc_init(
            &o->d.norm, op->prop, md[SRC], op->eps, op->flags);
    case NN_DNNL_NORM_BACK:
        return dnnl_batch_normalization_backward_desc_init(
            &o->d.norm, dnnl_backward, md[SRC], md[SRC], op->eps, op->flags);
    }
    return dnnl_invalid_arguments;
}

static dnnl_status_t fetch(struct nn_dnnl_offers *o)
{
    o->pd = dnnl_primitive_desc_iterator_fetch(o->iterator);
    return o->pd ? dnnl_success : dnnl_out_of_memory;
}

dnnl_status_t nn_dnnl_offers_first(struct nn_dnnl_offers *o,
                                   const struct nn_dnnl_op *op,
                                   dnnl_engine_t engine,
                                   const_dnnl_primitive_attr_t attr,
                                   const_dnnl_primitive_desc_t hint)
{
    const struct nn_dnnl_tensor *t[TENSORS] = {&op->src, &op->weights,
                                               &op->bias, &op->dst};
    struct nn_dnnl_form form[TENSORS] = {{.made = false}};
    nn_dnnl_md md[TENSORS] = {0};
    dnnl_status_t s = dnnl_success;
    *o = (struct nn_dnnl_offers){0};
    for (int i = 0; i < TENSORS && !s; i++) {
        if (t[i]->n)
            s = nn_dnnl_form_make(&form[i], t[i]);
        md[i] = nn_dnnl_form_md(&form[i]);
    }
    if (!s)
        s = describe(o, op, md);
    if (!s)
        s = dnnl_primitive_desc_iterator_create(&o->iterator, &o->d, attr,
                                                engine, hint);
    if (s)
        return s == dnnl_iterator_ends ? dnnl_unimplemented : s;
    return fetch(o);
}

dnnl_status_t nn_dnnl_offers_next(struct nn_dnnl_offers *o)
{
    (void)dnnl_primitive_desc_destroy(o->pd);
    o->pd = NULL;
    dnnl_status_t s = dnnl_primitive_desc_iterator_next(o->iterator);
    if (s)
        return s == dnnl_iterator_ends ? dnnl_unimplemented : s;
    return fetch(o);
}

dnnl_primitive_desc_t nn_dnnl_offers_end(struct nn_dnnl_offers *o)
{
    if (o->iterator)
        (void)dnnl_primitive_desc_iterator_destroy(o->iterator);
    return o->pd;
}

dnnl_status_t nn_dnnl_append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0F);
}

dnnl_status_t nn_dnnl_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg,
                                     float alpha)
{
    return dnnl_post_ops_append_eltwise(ops, 1.0F, alg, alpha, 0.0F);
}

#endif
