/* Convolution to a few channels (pictures, boxes, scores): oneDNN's kernels
 * compute 16 at a time, most of them for nothing. */
#include "lib/nn/conv_impl.h"

#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/rows.h"
#include "lib/nn/thin_kernel.h"

#define LANE NN_THIN_LANE
#define MAX_ROWS 512  /* planes x rows of the kernel */
#define BLOCK 16      /* rows of results that a thread takes at a time */
#define MOST_PARTS 16 /* sums of gradients made side by side */

struct thin {
    int outs;
    int64_t planes, kernel; /* of 16 channels; floats of a plane's weights */
    int64_t width;          /* pixels of a row */
    int64_t blocks, parts, rows; /* rows: that the copy holds */
    bool copy;                   /* rows are padded, converted or gathered */
    bool direct;                 /* small is plain f32: no copy of it */
    int threads;
    size_t copy_at, sum_at, copy_floats; /* in scratch */
};

static void release(struct nn_conv_pass *p)
{
    mem_free(p->state);
    p->state = NULL;
}

static int64_t planes_of(const struct nn_view *v)
{
    return (v->shape.c + LANE - 1) / LANE;
}

/* AVX-512 alone has the registers that the loops are written for. */
static bool suits(const struct nn_conv_pass *p)
{
    const struct nn_conv_geometry *g = &p->g;
    bool lanes = g->big.layout == NN_BLOCK16 ||
                 (g->big.layout == NN_LAST && g->big.shape.c % LANE == 0);
    return nn_conv_has_block16() && p->op != NN_CONV_UP && !p->transposed &&
           !p->sum && lanes && g->small.shape.c <= NN_THIN_MOST &&
           g->big.shape.c >= LANE && g->groups == 1 && g->stride_h == 1 &&
           g->stride_w == 1 && g->dilation_h == 1 && g->dilation_w == 1 &&
           g->small.shape.w >= NN_THIN_WIDTH &&
           planes_of(&g->big) * g->kernel_h <= MAX_ROWS &&
           g->kernel_h <= BLOCK && g->kernel_h * g->kernel_w > 1;
}

static void plan(struct nn_conv_pass *p, struct thin *t)
{
    const struct nn_conv_geometry *g = &p->g;
    bool weights = p->op == NN_CONV_WEIGHTS;
    t->outs = (int)g->small.shape.c;
    t->planes = planes_of(&g->big);
    t->kernel = g->kernel_h * g->kernel_w * t->outs * LANE;
    t->copy = g->big.dtype != DT_F32 || g->big.layout != NN_BLOCK16 ||
              g->pad_h || g->pad_w;
    t->direct = g->small.dtype == DT_F32 && g->small.layout == NN_PLAIN;
    t->width = g->big.shape.w + 2 * g->pad_w;
    t->blocks = (g->small.shape.h + BLOCK - 1) / BLOCK;
    int64_t tasks = t->blocks * g->big.batch;
    t->parts = tasks < MOST_PARTS ? tasks : MOST_PARTS;
    t->threads = omp_get_max_threads();
    /* Forward goes on from row to row with all planes, the gradient takes a
     * block of rows of a plane at a time. */
    t->rows = weights ? BLOCK + g->kernel_h - 1 : g->kernel_h;
    t->copy_floats = (size_t)(t->rows * (weights ? 1 : t->planes) * t->width) *
                     LANE * t->copy;
    size_t small = (size_t)(g->small.batch * t->outs * g->small.shape.h *
                            g->small.shape.w) *
                   !t->direct;
    t->copy_at = nn_conv_align(small * sizeof(float));
    t->sum_at = t->copy_at + nn_conv_align((size_t)t->threads * t->copy_floats *
                                           sizeof(float));
    p->scratch_bytes =
        t->sum_at +
        (weights ? (size_t)(t->parts * t->planes * t->kernel) * sizeof(double)
                 : 0);
}

static enum err_code make(struct nn_conv_pass *p, struct err *e)
{
    if (!suits(p))
        return err_set(e, ERR_UNSUPPORTED, "convolution: not to few channels");
    struct thin *t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory for a convolution");
    p->state = t;
    plan(p, t);
    snprintf(p->kernel, sizeof p->kernel, "thin:%d", t->outs);
    return OK;
}

/* Where weight (o, c, i, j) of PyTorch's order stands in ours, which is
 * [plane][kh][kw][outs][16]. */
static int64_t place(const struct nn_conv_geometry *g, const struct thin *t,
                     int64_t at)
{
    int64_t area = g->kernel_h * g->kernel_w, tap = at % area;
    int64_t c = at / area % g->big.shape.c, o = at / area / g->big.shape.c;
    return ((c / LANE * area + tap) * t->outs + o) * LANE + c % LANE;
}

static enum err_code pack(struct nn_conv_pass *p, const float *weights,
                          const float *bias, struct err *e)
{
    const struct thin *t = p->state;
    if (p->op == NN_CONV_WEIGHTS)
        return OK;
    size_t n = (size_t)(t->planes * t->kernel) * sizeof(float);
    enum err_code r =
        nn_packed_renew(&p->packed, n, NN_THIN_MOST * sizeof(float), e);
    if (r)
        return r;
    float *to = p->packed->weights;
    memset(to, 0, n);
    for (int64_t i = 0; i < nn_conv_count(&p->g); i++)
        to[place(&p->g, t, i)] = weights[i];
    memset(p->packed->bias, 0, NN_THIN_MOST * sizeof(float));
    if (p->bias)
        memcpy(p->packed->bias, bias, (size_t)t->outs * sizeof *bias);
    return OK;
}

static bool same(const struct nn_conv_pass *p, const struct nn_conv_pass *q)
{
    return p->g.kernel_h == q->g.kernel_h && p->g.kernel_w == q->g.kernel_w &&
           p->g.big.shape.c == q->g.big.shape.c &&
           p->g.small.shape.c == q->g.small.shape.c && p->bias == q->bias;
}

/* Element of the first channel of a plane's row (y in the picture). */
static int64_t row_at(const struct nn_view *v, int64_t b, int64_t plane,
                      int64_t y)
{
    return nn_index(v, b, plane * LANE, y, 0);
}

/* A row of a plane with its padding, y in the padded picture, as floats. */
static void copy_row(const struct nn_conv_geometry *g, const struct thin *t,
                     const struct nn_view *v, int64_t b, int64_t plane,
                     int64_t y, float *to)
{
    int64_t w = v->shape.w, lane = nn_view_lane(v);
    y -= g->pad_h;
    if (y < 0 || y >= v->shape.h) {
        memset(to, 0, (size_t)(t->width * LANE) * sizeof *to);
        return;
    }
    memset(to, 0, (size_t)(g->pad_w * LANE) * sizeof *to);
    float *mid = to + g->pad_w * LANE;
    int64_t at = row_at(v, b, plane, y);
    if (v->dtype == DT_BF16 && lane == LANE) {
        nn_from_bf16((const uint16_t *)v->data + at, mid, w * LANE);
    } else {
        for (int64_t x = 0; x < w; x++) {
            float tmp[LANE];
            memcpy(mid + x * LANE, nn_row_get(v, at + x * lane, LANE, tmp),
                   sizeof tmp);
        }
    }
    memset(mid + w * LANE, 0, (size_t)(g->pad_w * LANE) * sizeof *to);
}

/* ---- forward ---- */

/* Rows y .. y + kh - 1 of all planes; those that the last call had are there
 * already unless `first`. */
static void rows_for(const struct nn_conv_geometry *g, const struct thin *t,
                     const struct nn_view *v, int64_t b, int64_t y, bool first,
                     float *copy, const float **rows)
{
    int64_t kh = g->kernel_h, size = t->width * LANE;
    for (int64_t plane = 0; plane < t->planes; plane++) {
        for (int64_t i = 0; i < kh; i++) {
            const float **row = &rows[plane * kh + i];
            if (!t->copy) {
                *row = (const float *)v->data + row_at(v, b, plane, y + i);
                continue;
            }
            float *to = copy + (plane * kh + (y + i) % kh) * size;
            if (first || i == kh - 1)
                copy_row(g, t, v, b, plane, y + i, to);
            *row = to;
        }
    }
}

static void forward_block(const struct nn_conv_pass *p, const struct nn_view *v,
                          int64_t task, float *small, float *copy)
{
    const struct thin *t = p->state;
    const struct nn_conv_geometry *g = &p->g;
    int64_t h = g->small.shape.h, w = g->small.shape.w;
    int64_t b = task / t->blocks, y0 = task % t->blocks * BLOCK;
    const float *rows[MAX_ROWS];
    for (int64_t y = y0; y < h && y < y0 + BLOCK; y++) {
        float *out[NN_THIN_MOST] = {NULL};
        for (int o = 0; o < t->outs; o++)
            out[o] = small + ((b * t->outs + o) * h + y) * w;
        rows_for(g, t, v, b, y, y == y0, copy, rows);
        nn_thin_forward(rows, t->planes * g->kernel_h, g->kernel_w,
                        p->packed->weights, t->outs, w, out);
        for (int o = 0; o < t->outs; o++)
            nn_conv_activate(out[o], w, p->packed->bias[o], p->act, p->alpha);
    }
}

static void run_forward(struct nn_conv_pass *p, const struct nn_conv_run *r)
{
    struct thin *t = p->state;
    uint8_t *scratch = r->scratch;
    struct nn_view big = p->g.big, small = p->g.small;
    big.data = (void *)(uintptr_t)r->big_in; /* only read */
    float *to = t->direct ? r->out : r->scratch;
    float *copies = (float *)(void *)(scratch + t->copy_at);
#pragma omp parallel for schedule(static) num_threads(t->threads)
    for (int64_t i = 0; i < t->blocks * big.batch; i++)
        forward_block(p, &big, i, to,
                      copies + (size_t)omp_get_thread_num() * t->copy_floats);
    if (t->direct)
        return;
    struct nn_view plain = small;
    plain.layout = NN_PLAIN;
    plain.dtype = DT_F32;
    plain.data = to;
    small.data = r->out;
    nn_convert(&plain, &small, false);
}

/* ---- gradient of the weights ---- */

static void weights_block(const struct nn_conv_pass *p, const struct nn_view *v,
                          int64_t task, const float *small, float *copy,
                          double *sum)
{
    const struct thin *t = p->state;
    const struct nn_conv_geometry *g = &p->g;
    int64_t h = g->small.shape.h, w = g->small.shape.w, kh = g->kernel_h;
    int64_t b = task / t->blocks, y0 = task % t->blocks * BLOCK;
    int64_t n = h - y0 < BLOCK ? h - y0 : BLOCK, size = t->width * LANE;
    const float *rows[2 * BLOCK], *dout[NN_THIN_MOST] = {NULL};
    for (int o = 0; o < t->outs; o++)
        dout[o] = small + ((b * t->outs + o) * h + y0) * w;
    for (int64_t plane = 0; plane < t->planes; plane++) {
        for (int64_t y = 0; y < n + kh - 1; y++) {
            rows[y] =
                t->copy ? copy + y * size
                        : (const float *)v->data + row_at(v, b, plane, y0 + y);
            if (t->copy)
                copy_row(g, t, v, b, plane, y0 + y, copy + y * size);
        }
        for (int64_t i = 0; i < kh; i++)
            nn_thin_weights(rows + i, n, g->kernel_w, dout, w, t->outs, w,
                            sum + plane * t->kernel +
                                i * g->kernel_w * t->outs * LANE);
    }
}

static void run_weights(struct nn_conv_pass *p, const struct nn_conv_run *r)
{
    struct thin *t = p->state;
    uint8_t *scratch = r->scratch;
    struct nn_view big = p->g.big, small = p->g.small, plain = small;
    big.data = (void *)(uintptr_t)r->big_in; /* only read */
    small.data = (void *)(uintptr_t)r->small_in;
    plain.layout = NN_PLAIN;
    plain.dtype = DT_F32;
    plain.data = t->direct ? small.data : r->scratch;
    if (!t->direct)
        nn_convert(&small, &plain, false);
    float *copies = (float *)(void *)(scratch + t->copy_at);
    double *sums = (double *)(void *)(scratch + t->sum_at);
    int64_t size = t->planes * t->kernel, tasks = t->blocks * big.batch;
    /* Which tasks make a part does not depend on the threads. */
#pragma omp parallel for schedule(static) num_threads(t->threads)
    for (int64_t k = 0; k < t->parts; k++) {
        memset(sums + k * size, 0, (size_t)size * sizeof *sums);
        for (int64_t i = k; i < tasks; i += t->parts)
            weights_block(p, &big, i, plain.data,
                          copies +
                              (size_t)omp_get_thread_num() * t->copy_floats,
                          sums + k * size);
    }
    for (int64_t k = 1; k < t->parts; k++) {
        for (int64_t i = 0; i < size; i++)
            sums[i] += sums[k * size + i];
    }
    for (int64_t i = 0; i < nn_conv_count(&p->g); i++)
        r->dweights[i] += (float)sums[place(&p->g, t, i)];
    if (r->dbias)
        nn_conv_bias_grad(&plain, r->dbias);
}

static enum err_code run(struct nn_conv_pass *p, const struct nn_conv_run *r,
                         struct err *e)
{
    (void)e;
    if (p->op == NN_CONV_WEIGHTS)
        run_weights(p, r);
    else
        run_forward(p, r);
    return OK;
}

const struct nn_conv_method nn_conv_thin = {
    .make = make, .pack = pack, .same = same, .run = run, .free = release};
