/* What a convolution's kernel gets: weights with the norm after it folded in,
 * and spread over neighbouring pixels. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/conv_node.h"
#include "lib/nn/plan.h"

/* The output channel that element j of a transposed or usual weight tensor
 * belongs to. */
static size_t channel_of(const struct nn_conv_attr *a, const int64_t *shape,
                         size_t j)
{
    size_t area = (size_t)(shape[2] * shape[3]), out = (size_t)shape[1];
    if (!a->transposed)
        return j / area / out;
    size_t in = (size_t)(shape[0] / a->groups);
    return j / area / out / in * out + j / area % out;
}

/* A norm after a convolution is a scale of its filters and a new bias; the
 * products are rounded once, from double. */
static enum err_code fold_norm(const struct nn_node *c, const struct nn_node *n,
                               struct nn_plan_weights *f, struct err *e)
{
    const struct nn_conv_attr *a = nn_attr(c);
    const struct tensor *w = c->param[0]->value;
    size_t o = (size_t)c->shape.c;
    double *scale = mem_array(2 * o, sizeof *scale);
    f->own_bytes = w->bytes;
    f->own_weights = mem_map(w->bytes);
    f->own_bias = mem_array(o, sizeof *f->own_bias);
    enum err_code r = scale && f->own_weights && f->own_bias
                          ? nn_plan_norm(n, scale, scale + o, e)
                          : nn_plan_no_memory(e);
    for (size_t j = 0; j < w->count && !r; j++)
        f->own_weights[j] = (float)((double)tensor_f32(w)[j] *
                                    scale[channel_of(a, w->shape, j)]);
    for (size_t i = 0; i < o && !r; i++) {
        double b = f->bias ? (double)f->bias[i] : 0;
        f->own_bias[i] = (float)(scale[o + i] + scale[i] * b);
    }
    mem_free(scale);
    f->weights = f->own_weights;
    f->bias = f->own_bias;
    return r;
}

/* Weights [O,I,kh,kw] as [g O,I,kh,kw + g - 1]: channel j O + o is channel o of
 * the j-th of g neighbouring pixels. */
static enum err_code spread(const struct tensor *t, int64_t g,
                            struct nn_plan_weights *f, struct err *e)
{
    const int64_t *k = t->shape;
    int64_t rows = k[0] * k[1] * k[2], wide = k[3] + g - 1;
    size_t n = (size_t)(g * rows * wide);
    float *w = mem_map(n * sizeof *w);
    float *b = mem_array((size_t)(g * k[0]), sizeof *b);
    if (!w || !b) {
        mem_unmap(w, n * sizeof *w);
        mem_free(b);
        return nn_plan_no_memory(e);
    }
    for (int64_t r = 0; r < g * rows; r++)
        memcpy(w + r * wide + r / rows, f->weights + r % rows * k[3],
               (size_t)k[3] * sizeof *w);
    for (int64_t i = 0; i < g * k[0]; i++)
        b[i] = f->bias ? f->bias[i % k[0]] : 0.0F;
    mem_unmap(f->own_weights, f->own_bytes);
    mem_free(f->own_bias);
    f->own_bytes = n * sizeof *w;
    f->weights = f->own_weights = w;
    f->bias = f->own_bias = b;
    return OK;
}

enum err_code nn_plan_weights(const struct nn_planner *p, int i, int64_t g,
                              struct nn_plan_weights *f, struct err *e)
{
    const struct nn_node *n = p->n[i].node;
    *f = (struct nn_plan_weights){0};
    enum err_code r = nn_plan_hold(n, e);
    if (r)
        return r;
    f->held = n;
    f->weights = tensor_f32(n->param[0]->value);
    if (n->param[1])
        f->bias = tensor_f32(n->param[1]->value);
    if (p->n[i].norm >= 0)
        r = fold_norm(n, p->n[p->n[i].norm].node, f, e);
    if (!r && g > 1)
        r = spread(n->param[0]->value, g, f, e);
    if (f->own_weights && f->own_bias) {
        nn_plan_drop(n);
        f->held = NULL;
    }
    return r;
}

void nn_plan_weights_free(struct nn_plan_weights *f)
{
    mem_unmap(f->own_weights, f->own_bytes);
    mem_free(f->own_bias);
    f->own_weights = f->own_bias = NULL;
    if (f->held)
        nn_plan_drop(f->held);
    f->held = NULL;
}
