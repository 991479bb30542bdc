/* Means over many elements, and labels. */
#include "lib/base/clones.h"

#include "lib/nn/loss.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/nn/rows.h"
#include "lib/nn/spatial.h"

static int64_t pieces(const struct nn_view *v)
{
    return (v->batch * nn_view_stride(v) + NN_ROW - 1) / NN_ROW;
}

static double elements(const struct nn_view *v)
{
    return (double)v->batch * (double)v->shape.c * (double)v->shape.h *
           (double)v->shape.w;
}

CLONES
static double sum_row(const float *v, int64_t n)
{
    double part[NN_GROUP] = {0}, sum = 0;
    int64_t whole = n / NN_GROUP * NN_GROUP;
    for (int64_t i = 0; i < whole; i += NN_GROUP)
        for (int64_t k = 0; k < NN_GROUP; k++)
            part[k] += (double)v[i + k];
    for (int64_t i = whole; i < n; i++)
        part[i - whole] += (double)v[i];
    for (int k = 0; k < NN_GROUP; k++)
        sum += part[k];
    return sum;
}

CLONES
static void scale_row(float *v, int64_t n, float k)
{
    for (int64_t i = 0; i < n; i++)
        v[i] *= k;
}

enum err_code nn_loss_prepare(struct nn_exec *x, struct err *e)
{
    (void)e;
    x->scratch_bytes = (size_t)pieces(&x->in[0]) * sizeof(double);
    return OK;
}

/* n elements from `at` on of an input; NULL where there is none. */
static const float *part_of(const struct nn_exec *x, int i, int64_t at)
{
    const float *p = i < x->node->n_in ? x->in[i].data : NULL;
    return p ? p + at : NULL;
}

void nn_loss_forward(struct nn_exec *x, const struct nn_loss *l)
{
    const struct nn_view *in = &x->in[0];
    int64_t all = in->batch * nn_view_stride(in), n = pieces(in);
    double *part = x->scratch, sum = 0;
#pragma omp parallel for schedule(static) if (nn_worth_threads(in))
    for (int64_t i = 0; i < n; i++) {
        float v[NN_ROW];
        int64_t at = i * NN_ROW, m = nn_min64(NN_ROW, all - at);
        l->value(part_of(x, 0, at), part_of(x, 1, at), m, nn_attr(x->node), v);
        part[i] = sum_row(v, m);
    }
    for (int64_t i = 0; i < n; i++)
        sum += part[i];
    *(float *)x->out.data = (float)(sum / elements(in));
}

void nn_loss_backward(struct nn_exec *x, const struct nn_loss *l)
{
    const struct nn_view *in = &x->in[0];
    int64_t all = in->batch * nn_view_stride(in), n = pieces(in);
    float k = (float)((double)*(const float *)x->dout.data / elements(in));
    bool other = x->node->n_in > 1 && l->two_sided && x->din[1].data;
    if (x->node->n_in > 1 && !l->two_sided)
        nn_loss_no_grad(x, 1);
    if (!x->din[0].data && !other)
        return;
#pragma omp parallel for schedule(static) if (nn_worth_threads(in))
    for (int64_t i = 0; i < n; i++) {
        float v[NN_ROW];
        int64_t at = i * NN_ROW, m = nn_min64(NN_ROW, all - at);
        l->slope(part_of(x, 0, at), part_of(x, 1, at), m, nn_attr(x->node), v);
        scale_row(v, m, k);
        if (x->din[0].data)
            nn_row_put(&x->din[0], at, m, v, x->din_add[0]);
        if (other) {
            scale_row(v, m, -1);
            nn_row_put(&x->din[1], at, m, v, x->din_add[1]);
        }
    }
}

int nn_loss_node(struct nn_graph *g, const struct nn_op *op, int x, int target,
                 const void *attr, size_t attr_bytes)
{
    struct nn_shape a = nn_graph_shape(g, x), b = nn_graph_shape(g, target);
    if (a.c > 0 && b.c > 0 && (a.c != b.c || a.h != b.h || a.w != b.w)) {
        char text[160];
        snprintf(text, sizeof text,
                 "values of %" PRId64 "x%" PRId64 "x%" PRId64
                 ", but a target of %" PRId64 "x%" PRId64 "x%" PRId64,
                 a.c, a.h, a.w, b.c, b.h, b.w);
        return nn_node_fail(g, op->name, ERR_ARG, text);
    }
    return nn_add_whole(g, op, (const int[]){x, target}, 2, attr, attr_bytes);
}

enum err_code nn_loss_label(float label, int64_t classes, const char *op,
                            int64_t sample, int64_t *out, struct err *e)
{
    if (!(label == floorf(label)) || !isfinite(label))
        return err_set(e, ERR_DATA,
                       "%s: sample %" PRId64 ": label %g is not a whole number",
                       op, sample, (double)label);
    if (label >= (float)classes)
        return err_set(e, ERR_DATA,
                       "%s: sample %" PRId64
                       ": label %.0f is not below the %" PRId64 " classes",
                       op, sample, (double)label, classes);
    *out = label < 0 ? -1 : (int64_t)label;
    return OK;
}

void nn_loss_no_grad(struct nn_exec *x, int i)
{
    if (x->din[i].data && !x->din_add[i])
        memset(x->din[i].data, 0, nn_view_bytes(&x->din[i]));
}
