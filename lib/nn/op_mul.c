/* mul: a x b, b of the same shape or one number a channel, a pixel or a
 * picture. torch.mul and its broadcasting. */
#include "lib/base/clones.h"

#include <string.h>

#include "lib/nn/ops.h"
#include "lib/nn/pixels.h"

enum form { SAME, PIXEL, CHANNEL }; /* CHANNEL: also one for all channels */

static enum form form_of(const struct nn_exec *x)
{
    struct nn_shape a = x->in[0].shape, b = x->in[1].shape;
    if (a.c == b.c && a.h == b.h && a.w == b.w &&
        x->in[0].batch == x->in[1].batch)
        return SAME;
    return b.h * b.w == 1 ? CHANNEL : PIXEL;
}

CLONES
static void product(const float *a, const float *b, float *d, int64_t n,
                    const void *arg)
{
    (void)arg;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] * b[i];
}

CLONES
static void by_row(const float *a, const float *b, float *d,
                   const float *const *k, int64_t n, const void *arg)
{
    (void)b;
    (void)arg;
    const float *s = k[0];
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] * s[i];
}

/* scratch: doubles for sums, then b's numbers as f32. */
struct work {
    double *parts, *sum;
    float *b;
};

static size_t lay_out(const struct nn_exec *x, struct work *w)
{
    const struct nn_view *a = &x->in[0], *b = &x->in[1];
    enum form f = form_of(x);
    size_t parts = 0, sum = 0, n = 0;
    if (f == CHANNEL) {
        sum = (size_t)(b->batch * nn_view_channels(a));
        parts = nn_sum_scratch(a, 1);
        n = sum;
    } else if (f == PIXEL) { /* the sums are of every picture */
        n = (size_t)(a->batch * a->shape.h * a->shape.w);
    }
    w->parts = x->scratch;
    if (x->scratch) {
        w->sum = w->parts + parts;
        w->b = (float *)(w->sum + sum);
    }
    return (parts + sum) * sizeof(double) + n * sizeof(float);
}

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct work w;
    x->scratch = NULL;
    x->scratch_bytes = lay_out(x, &w);
    return OK;
}

static struct nn_view plain_b(const struct nn_exec *x, float *data)
{
    struct nn_view v = x->in[1];
    v.layout = NN_PLAIN;
    v.dtype = DT_F32;
    v.data = data;
    return v;
}

/* b's number for each channel of a, zero for padding: [b.batch][channels]. */
static void channel_values(const struct nn_exec *x, float *k)
{
    const struct nn_view *b = &x->in[1];
    int64_t n = nn_view_channels(&x->in[0]);
    float tmp;
    memset(k, 0, (size_t)(b->batch * n) * sizeof *k);
    for (int64_t i = 0; i < b->batch; i++) {
        for (int64_t c = 0; c < x->in[0].shape.c; c++)
            k[i * n + c] = *nn_row_get(
                b, nn_index(b, i, b->shape.c == 1 ? 0 : c, 0, 0), 1, &tmp);
    }
}

/* to = from x b. */
static void times_b(const struct nn_exec *x, const struct work *w,
                    const struct nn_view *from, const struct nn_view *to,
                    bool add)
{
    bool shared = x->in[1].batch == 1;
    const float *const k[] = {w->b};
    struct nn_view b;
    switch (form_of(x)) {
    case SAME:
        nn_each2(from, &x->in[1], to, add, product, NULL);
        break;
    case CHANNEL:
        channel_values(x, w->b);
        nn_each_channel(from, NULL, to, add, by_row, NULL, k, 1,
                        shared ? 0 : nn_view_channels(&x->in[0]));
        break;
    case PIXEL:
        b = plain_b(x, w->b);
        nn_convert(&x->in[1], &b, false);
        nn_each_pixel(from, NULL, to, add, by_row, NULL, 0, k, 1, shared);
        break;
    }
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct work w = {0};
    (void)lay_out(x, &w);
    times_b(x, &w, &x->in[0], &x->out, false);
    return OK;
}

/* db[n,c] = sum over pixels of dout x a (and over pictures, channels where b
 * is the same for all). */
static void channel_grad(const struct nn_exec *x, const struct work *w)
{
    const struct nn_view *d = &x->din[1];
    int64_t n = nn_view_channels(&x->in[0]), c = x->in[0].shape.c;
    struct nn_sum_spec s = {.a = &x->in[0],
                            .b = &x->dout,
                            .f = nn_sum_products,
                            .n_sums = 1,
                            .each_picture = d->batch > 1};
    nn_sum_channels(&s, w->parts, w->sum);
    if (!x->din_add[1])
        memset(d->data, 0, nn_view_bytes(d));
    for (int64_t b = 0; b < d->batch; b++) {
        double all = 0;
        for (int64_t i = 0; i < c; i++) {
            float v = (float)w->sum[b * n + i];
            all += w->sum[b * n + i];
            if (d->shape.c > 1)
                nn_row_put(d, nn_index(d, b, i, 0, 0), 1, &v, x->din_add[1]);
        }
        float v = (float)all;
        if (d->shape.c == 1)
            nn_row_put(d, nn_index(d, b, 0, 0, 0), 1, &v, x->din_add[1]);
    }
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    struct work w = {0};
    struct nn_view b;
    (void)lay_out(x, &w);
    if (x->din[0].data)
        times_b(x, &w, &x->dout, &x->din[0], x->din_add[0]);
    if (!x->din[1].data)
        return OK;
    switch (form_of(x)) {
    case SAME:
        nn_each2(&x->in[0], &x->dout, &x->din[1], x->din_add[1], product, NULL);
        break;
    case CHANNEL:
        channel_grad(x, &w);
        break;
    case PIXEL:
        nn_pixel_sums(&x->in[0], &x->dout, NULL, w.b);
        b = plain_b(x, w.b);
        nn_convert(&b, &x->din[1], x->din_add[1]);
        break;
    }
    return OK;
}

static const struct nn_op op_mul = {.name = "mul",
                                    .flags = NN_OP_ANY | NN_OP_BF16 |
                                             NN_OP_ADDS | NN_OP_SAVE_IN,
                                    .prepare = prepare,
                                    .forward = forward,
                                    .backward = backward};

int nn_mul(struct nn_graph *g, int a, int b)
{
    struct nn_shape s = nn_graph_shape(g, a), t = nn_graph_shape(g, b);
    const int in[] = {a, b};
    bool there = a >= 0 && b >= 0 && a < g->n && b < g->n;
    bool same = s.h == t.h && s.w == t.w, one = t.h == 1 && t.w == 1;
    if (there &&
        !((t.c == s.c && (same || one)) || (t.c == 1 && (same || one))))
        return nn_node_fail(g, "mul", ERR_ARG,
                            "the second must be of the first's shape, [C,1,1], "
                            "[1,H,W] or [1,1,1]");
    if (there && g->node[a].whole && !g->node[b].whole)
        return nn_node_fail(g, "mul", ERR_ARG,
                            "of a number for the whole batch by one for each "
                            "picture: put the latter first");
    return nn_add_node(g, &op_mul, in, 2, NULL, 0, NULL, 0, s);
}
