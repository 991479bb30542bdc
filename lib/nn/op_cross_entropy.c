/* cross_entropy: mean of -log softmax(x)[label] over the pixels that have a
 * label, with label smoothing (torch.nn.CrossEntropyLoss). */
#include "lib/base/clones.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/nn/loss.h"
#include "lib/nn/ops.h"
#include "lib/nn/spatial.h"
#include "lib/nn/vecmath.h"

struct attr {
    float smoothing;
};

#define BLOCK 64 /* pixels at a time, one beside the other */

/* keep: how many pixels have a label, then log(sum(exp)) of each pixel. */
struct kept {
    double labelled;
    float lse[];
};

static int64_t area_of(const struct nn_exec *x)
{
    return x->in[1].shape.h * x->in[1].shape.w;
}

static int64_t blocks_of(const struct nn_exec *x)
{
    return (area_of(x) + BLOCK - 1) / BLOCK;
}

static enum err_code prepare(struct nn_exec *x, struct err *e)
{
    (void)e;
    x->scratch_bytes = (size_t)(x->in[0].batch * blocks_of(x)) * sizeof(double);
    x->keep_bytes = sizeof(struct kept) +
                    (size_t)(x->in[0].batch * area_of(x)) * sizeof(float);
    return OK;
}

/* m pixels of one picture: where they begin, and their labels. */
struct block {
    const float *x, *label;
    float *lse;
    int64_t m, area, classes, at; /* at: of x's first element in the batch */
};

static struct block block_of(const struct nn_exec *x, int64_t i)
{
    int64_t area = area_of(x), classes = x->in[0].shape.c;
    int64_t n = i / blocks_of(x), p = i % blocks_of(x) * BLOCK;
    struct kept *k = x->keep;
    struct block b = {.m = nn_min64(BLOCK, area - p),
                      .area = area,
                      .classes = classes,
                      .at = n * classes * area + p};
    b.x = (const float *)x->in[0].data + b.at;
    b.label = (const float *)x->in[1].data + n * area + p;
    b.lse = k->lse + n * area + p;
    return b;
}

/* The block's log(sum(exp)) and mean of x, of every pixel. */
CLONES
static void reduce(const struct block *b, float *mean)
{
    float top[BLOCK];
    double sum[BLOCK] = {0}, plain[BLOCK] = {0};
    for (int64_t i = 0; i < b->m; i++)
        top[i] = -INFINITY;
    for (int64_t c = 0; c < b->classes; c++) {
        const float *v = b->x + c * b->area;
        for (int64_t i = 0; i < b->m; i++)
            top[i] = v[i] > top[i] ? v[i] : top[i];
    }
    for (int64_t c = 0; c < b->classes; c++) {
        const float *v = b->x + c * b->area;
#pragma omp simd
        for (int64_t i = 0; i < b->m; i++) {
            sum[i] += (double)nn_exp(v[i] - top[i]);
            plain[i] += (double)v[i];
        }
    }
    for (int64_t i = 0; i < b->m; i++) {
        b->lse[i] = (float)((double)top[i] + log(sum[i]));
        mean[i] = (float)(plain[i] / (double)b->classes);
    }
}

/* The same of a vector, whose classes lie side by side. */
CLONES
static void reduce_vector(const struct block *b, float *mean)
{
    int64_t n = b->classes, whole = n / NN_GROUP * NN_GROUP;
    float top = -INFINITY;
    double sum[NN_GROUP] = {0}, plain[NN_GROUP] = {0}, all = 0, mass = 0;
    for (int64_t c = 0; c < n; c++)
        top = b->x[c] > top ? b->x[c] : top;
    for (int64_t c = 0; c < whole; c += NN_GROUP) {
        const float *v = b->x + c;
#pragma omp simd
        for (int64_t i = 0; i < NN_GROUP; i++) {
            sum[i] += (double)nn_exp(v[i] - top);
            plain[i] += (double)v[i];
        }
    }
    for (int64_t c = whole; c < n; c++) {
        sum[c - whole] += (double)nn_exp(b->x[c] - top);
        plain[c - whole] += (double)b->x[c];
    }
    for (int i = 0; i < NN_GROUP; i++) {
        mass += sum[i];
        all += plain[i];
    }
    b->lse[0] = (float)((double)top + log(mass));
    mean[0] = (float)(all / (double)n);
}

static double block_loss(const struct block *b, float smoothing)
{
    float mean[BLOCK];
    double loss = 0;
    if (b->area == 1)
        reduce_vector(b, mean);
    else
        reduce(b, mean);
    for (int64_t i = 0; i < b->m; i++) {
        if (b->label[i] < 0)
            continue;
        float right = b->x[(int64_t)b->label[i] * b->area + i];
        loss += (double)((1 - smoothing) * (b->lse[i] - right)) +
                (double)(smoothing * (b->lse[i] - mean[i]));
    }
    return loss;
}

/* Are all labels classes? How many are there? */
static enum err_code check_labels(const struct nn_exec *x, double *labelled,
                                  struct err *e)
{
    int64_t area = area_of(x), n = x->in[1].batch * area;
    *labelled = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t label;
        enum err_code r =
            nn_loss_label(((const float *)x->in[1].data)[i], x->in[0].shape.c,
                          "cross_entropy", i / area, &label, e);
        if (r)
            return r;
        *labelled += label >= 0;
    }
    return OK;
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    const struct attr *a = nn_attr(x->node);
    int64_t n = x->in[0].batch * blocks_of(x);
    struct kept *k = x->keep;
    double *part = x->scratch, sum = 0;
    enum err_code r = check_labels(x, &k->labelled, e);
    if (r)
        return r;
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->in[0]))
    for (int64_t i = 0; i < n; i++) {
        struct block b = block_of(x, i);
        part[i] = block_loss(&b, a->smoothing);
    }
    for (int64_t i = 0; i < n; i++)
        sum += part[i];
    /* Not a number where nothing has a label, as in PyTorch. */
    *(float *)x->out.data = (float)(sum / k->labelled);
    return OK;
}

/* Slopes of one class at m pixels; those without a label get 0. */
CLONES
static void class_back(const struct block *b, int64_t c, const struct attr *a,
                       float scale, float *to, bool add)
{
    const float *v = b->x + c * b->area;
    float even = a->smoothing / (float)b->classes, own = 1 - a->smoothing;
#pragma omp simd
    for (int64_t i = 0; i < b->m; i++) {
        float right = b->label[i] == (float)c ? own : 0;
        float g = (nn_exp(v[i] - b->lse[i]) - right - even) * scale;
        g = b->label[i] < 0 ? 0 : g;
        float old = add ? to[i] : 0;
        to[i] = old + g;
    }
}

/* Slopes of all classes of a vector. */
CLONES
static void vector_back(const struct block *b, const struct attr *a,
                        float scale, float *to, bool add)
{
    float even = a->smoothing / (float)b->classes, lse = b->lse[0];
    scale = b->label[0] < 0 ? 0 : scale;
#pragma omp simd
    for (int64_t c = 0; c < b->classes; c++) {
        float old = add ? to[c] : 0;
        to[c] = old + (nn_exp(b->x[c] - lse) - even) * scale;
    }
    if (b->label[0] >= 0)
        to[(int64_t)b->label[0]] -= (1 - a->smoothing) * scale;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct attr *a = nn_attr(x->node);
    const struct kept *k = x->keep;
    nn_loss_no_grad(x, 1);
    if (!x->din[0].data)
        return OK;
    int64_t n = x->in[0].batch * blocks_of(x);
    float *d = x->din[0].data;
    float scale = k->labelled > 0
                      ? (float)((double)*(float *)x->dout.data / k->labelled)
                      : 0;
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->in[0]))
    for (int64_t i = 0; i < n; i++) {
        struct block b = block_of(x, i);
        for (int64_t c = 0; c < b.classes && b.area > 1; c++)
            class_back(&b, c, a, scale, d + b.at + c * b.area, x->din_add[0]);
        if (b.area == 1)
            vector_back(&b, a, scale, d + b.at, x->din_add[0]);
    }
    return OK;
}

static const struct nn_op op = {.name = "cross_entropy",
                                .flags = NN_OP_PLAIN | NN_OP_ADDS |
                                         NN_OP_SAVE_IN | NN_OP_VECTOR,
                                .prepare = prepare,
                                .forward = forward,
                                .backward = backward};

int nn_cross_entropy(struct nn_graph *g, int x, int label, double smoothing)
{
    struct nn_shape s = nn_graph_shape(g, x), l = nn_graph_shape(g, label);
    struct attr a = {(float)smoothing};
    if (!(smoothing >= 0 && smoothing < 1))
        return nn_node_fail(g, op.name, ERR_ARG,
                            "label smoothing must be in [0,1)");
    if (s.c > 0 && l.c > 0 && (l.c != 1 || l.h != s.h || l.w != s.w)) {
        char text[160];
        snprintf(text, sizeof text,
                 "logits of %" PRId64 "x%" PRId64 "x%" PRId64
                 " need labels of 1x%" PRId64 "x%" PRId64 ", not %" PRId64
                 "x%" PRId64 "x%" PRId64,
                 s.c, s.h, s.w, s.h, s.w, l.c, l.h, l.w);
        return nn_node_fail(g, op.name, ERR_ARG, text);
    }
    return nn_add_whole(g, &op, (const int[]){x, label}, 2, &a, sizeof a);
}
