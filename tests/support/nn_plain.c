/* Networks node by node in double, by slow plain loops. */
#include "tests/support/nn_plain.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/nn/conv_node.h"
#include "lib/nn/op_known.h"

struct nn_plain {
    int n, n_out, out[NN_MAX_PORTS];
    struct nn_shape *shape; /* of each node */
    double **v;
};

/* One node's input: its values and shape. */
struct source {
    const double *v;
    struct nn_shape s;
};

static double pixel(const struct source *a, int64_t c, int64_t y, int64_t x)
{
    if (y < 0 || x < 0 || y >= a->s.h || x >= a->s.w)
        return 0;
    return a->v[(c * a->s.h + y) * a->s.w + x];
}

static const float *values(const struct nn_node *n, int i)
{
    return n->param[i] ? tensor_f32(n->param[i]->value) : NULL;
}

static double conv_at(const struct nn_node *n, const struct source *a,
                      int64_t o, int64_t y, int64_t x)
{
    const struct nn_conv_attr *k = nn_attr(n);
    const float *w = values(n, 0), *bias = values(n, 1);
    int64_t in = a->s.c / k->groups, out = n->shape.c / k->groups;
    double sum = bias ? (double)bias[o] : 0;
    for (int64_t c = 0; c < in; c++) {
        int64_t from = o / out * in + c;
        for (int64_t j = 0; j < k->kernel_h; j++) {
            for (int64_t i = 0; i < k->kernel_w; i++) {
                int64_t yy = y * k->stride + j * k->dilation - k->pad;
                int64_t xx = x * k->stride + i * k->dilation - k->pad;
                sum +=
                    (double)
                        w[((o * in + c) * k->kernel_h + j) * k->kernel_w + i] *
                    pixel(a, from, yy, xx);
            }
        }
    }
    return sum;
}

static double transposed_at(const struct nn_node *n, const struct source *a,
                            int64_t o, int64_t y, int64_t x)
{
    const struct nn_conv_attr *k = nn_attr(n);
    const float *w = values(n, 0), *bias = values(n, 1);
    int64_t in = a->s.c / k->groups, out = n->shape.c / k->groups;
    double sum = bias ? (double)bias[o] : 0;
    for (int64_t c = 0; c < in; c++) {
        int64_t from = o / out * in + c;
        for (int64_t j = 0; j < k->kernel_h; j++) {
            for (int64_t i = 0; i < k->kernel_w; i++) {
                int64_t yy = y + k->pad - j * k->dilation;
                int64_t xx = x + k->pad - i * k->dilation;
                if (yy % k->stride || xx % k->stride)
                    continue;
                sum += (double)w[((from * out + o % out) * k->kernel_h + j) *
                                     k->kernel_w +
                                 i] *
                       pixel(a, from, yy / k->stride, xx / k->stride);
            }
        }
    }
    return sum;
}

static double norm_at(const struct nn_node *n, const struct source *a,
                      int64_t c, int64_t y, int64_t x)
{
    const struct nn_batch_norm_attr *k = nn_attr(n);
    double v = pixel(a, c, y, x) - (double)values(n, 2)[c];
    v /= sqrt((double)values(n, 3)[c] + k->eps);
    return v * (double)values(n, 0)[c] + (double)values(n, 1)[c];
}

static double pool_at(const struct nn_node *n, const struct source *a, bool max,
                      int64_t c, int64_t y, int64_t x)
{
    const struct nn_pool_spec *s = nn_attr(n);
    int64_t stride = s->stride ? s->stride : s->kernel;
    double sum = 0, top = -HUGE_VAL;
    for (int64_t j = 0; j < s->kernel; j++) {
        for (int64_t i = 0; i < s->kernel; i++) {
            int64_t yy = y * stride + j - s->pad, xx = x * stride + i - s->pad;
            sum += pixel(a, c, yy, xx);
            if (yy >= 0 && xx >= 0 && yy < a->s.h && xx < a->s.w)
                top = fmax(top, pixel(a, c, yy, xx));
        }
    }
    return max ? top : sum / (double)(s->kernel * s->kernel);
}

static int64_t mirrored(int64_t i, int64_t size)
{
    return i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i;
}

static double pad_at(const struct nn_node *n, const struct source *a, int64_t c,
                     int64_t y, int64_t x)
{
    const struct nn_pad_attr *p = nn_attr(n);
    y -= p->top;
    x -= p->left;
    if (p->kind == NN_PAD_ZERO)
        return pixel(a, c, y, x);
    assert_int_equal(p->kind, NN_PAD_REFLECT);
    return pixel(a, c, mirrored(y, a->s.h), mirrored(x, a->s.w));
}

static double linear_at(const struct nn_node *n, const struct source *a,
                        int64_t o)
{
    const float *w = values(n, 0), *bias = values(n, 1);
    double sum = bias ? (double)bias[o] : 0;
    for (int64_t i = 0; i < a->s.c; i++)
        sum += (double)w[o * a->s.c + i] * a->v[i];
    return sum;
}

static double mean_of(const struct source *a, int64_t c)
{
    double sum = 0;
    for (int64_t i = 0; i < a->s.h * a->s.w; i++)
        sum += a->v[c * a->s.h * a->s.w + i];
    return sum / (double)(a->s.h * a->s.w);
}

/* Activations of one number; false: no such op. */
static bool activation(const struct nn_node *n, double v, double *out)
{
    const char *op = n->op->name;
    if (!strcmp(op, "relu"))
        *out = fmax(0, v);
    else if (!strcmp(op, "leaky_relu"))
        *out = v < 0
                   ? v * ((const struct nn_leaky_relu_attr *)nn_attr(n))->slope
                   : v;
    else if (!strcmp(op, "sigmoid"))
        *out = 1 / (1 + exp(-v));
    else if (!strcmp(op, "silu"))
        *out = v / (1 + exp(-v));
    else if (!strcmp(op, "tanh"))
        *out = tanh(v);
    else if (!strcmp(op, "dropout") || !strcmp(op, "detach"))
        *out = v;
    else
        return false;
    return true;
}

static double value_at(const struct nn_node *n, const struct source *a,
                       int64_t c, int64_t y, int64_t x)
{
    const char *op = n->op->name;
    double v = 0;
    if (nn_node_is_conv(n))
        return ((const struct nn_conv_attr *)nn_attr(n))->transposed
                   ? transposed_at(n, a, c, y, x)
                   : conv_at(n, a, c, y, x);
    if (!strcmp(op, "batch_norm"))
        return norm_at(n, a, c, y, x);
    if (!strcmp(op, "add"))
        return pixel(a, c, y, x) + pixel(a + 1, c, y, x);
    if (!strcmp(op, "max_pool") || !strcmp(op, "avg_pool"))
        return pool_at(n, a, op[0] == 'm', c, y, x);
    if (!strcmp(op, "resize_nearest"))
        return pixel(a, c, y * a->s.h / n->shape.h, x * a->s.w / n->shape.w);
    if (!strcmp(op, "pad"))
        return pad_at(n, a, c, y, x);
    if (!strcmp(op, "linear"))
        return linear_at(n, a, c);
    if (!strcmp(op, "global_avg_pool"))
        return mean_of(a, c);
    if (!strcmp(op, "flatten"))
        return a->v[c];
    if (!strcmp(op, "concat")) {
        int k = 0;
        for (; c >= a[k].s.c; k++)
            c -= a[k].s.c;
        return pixel(a + k, c, y, x);
    }
    if (!activation(n, pixel(a, c, y, x), &v))
        fail_msg("no plain form of '%s'", op);
    return v;
}

struct nn_plain *nn_plain_run(const struct nn_graph *g, const float *in)
{
    struct nn_plain *p = mem_calloc(1, sizeof *p);
    assert_non_null(p);
    p->n = g->n;
    p->n_out = g->n_output;
    memcpy(p->out, g->output, sizeof p->out);
    p->v = mem_calloc((size_t)g->n, sizeof *p->v);
    p->shape = mem_calloc((size_t)g->n, sizeof *p->shape);
    assert_non_null(p->v);
    assert_non_null(p->shape);
    for (int i = 0; i < g->n; i++) {
        const struct nn_node *n = &g->node[i];
        const struct nn_shape s = p->shape[i] = n->shape;
        struct source a[NN_MAX_INPUTS];
        for (int k = 0; k < n->n_in; k++)
            a[k] = (struct source){p->v[n->in[k]], p->shape[n->in[k]]};
        size_t count = (size_t)(s.c * s.h * s.w);
        p->v[i] = mem_array(count, sizeof **p->v);
        assert_non_null(p->v[i]);
        for (size_t k = 0; k < count; k++) {
            int64_t x = (int64_t)k % s.w, y = (int64_t)k / s.w % s.h;
            int64_t c = (int64_t)k / s.w / s.h;
            p->v[i][k] = n->n_in ? value_at(n, a, c, y, x) : (double)in[k];
        }
    }
    return p;
}

void nn_plain_free(struct nn_plain *p)
{
    for (int i = 0; i < p->n; i++)
        mem_free(p->v[i]);
    mem_free(p->v);
    mem_free(p->shape);
    mem_free(p);
}

const double *nn_plain_out(const struct nn_plain *p, int i)
{
    return p->v[p->out[i]];
}

size_t nn_plain_size(const struct nn_plain *p, int i)
{
    struct nn_shape s = p->shape[p->out[i]];
    return (size_t)(s.c * s.h * s.w);
}
