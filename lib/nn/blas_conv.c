/* Convolution as matrix products: im2col and OpenBLAS (Chellapilla, Puri,
 * Simard 2006). Works on f32 in PyTorch's order; other views are converted in
 * scratch memory. A thread takes a tile of pixels or a block of channels from
 * beginning to end, so that the order of sums never depends on threads. */
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/blas_conv.h"
#include "lib/nn/conv_impl.h"
#include "lib/nn/gemm.h"
#include "lib/nn/rows.h"

#define COLUMN_FLOATS (1 << 21) /* of unfolded pixels a thread: 8 MiB */
#define LEAST_PIXELS 64         /* of a tile, unless the picture is smaller */
#define MOST_PIXELS 4096

struct blas {
    struct nn_blas_fold f;
    struct nn_view big, small; /* f32, NN_PLAIN */
    bool copy_big, copy_small; /* the outside is something else */
    int threads;
    int64_t block;  /* channels of a group's block: UP, WEIGHTS */
    int64_t blocks; /* of a group */
    size_t column_bytes, big_at, small_at; /* of one thread; in scratch */
};

static struct nn_view plain(const struct nn_view *v)
{
    struct nn_view p = *v;
    p.layout = NN_PLAIN;
    p.dtype = DT_F32;
    return p;
}

static bool differs(const struct nn_view *v)
{
    /* A 1x1 picture has one order in memory, but for padding channels. */
    bool same = v->layout == NN_PLAIN ||
                (v->shape.h * v->shape.w == 1 && v->layout == NN_LAST);
    return v->dtype != DT_F32 || !same;
}

/* Tiles of whole rows of the small picture, or of parts of one row. */
static void choose_tile(struct nn_blas_fold *f, int64_t channels)
{
    int64_t taps = channels * f->kernel_h * f->kernel_w;
    int64_t n = COLUMN_FLOATS / taps;
    n = n > MOST_PIXELS ? MOST_PIXELS : n < LEAST_PIXELS ? LEAST_PIXELS : n;
    f->tile_w = f->small_w;
    f->tile_h = n / f->small_w;
    if (f->tile_h < 1) {
        f->tile_h = 1;
        f->tile_w = n;
    }
    if (f->tile_h > f->small_h)
        f->tile_h = f->small_h;
}

/* Blocks of channels: enough for all threads. */
static void choose_block(struct blas *b, const struct nn_conv_pass *p)
{
    int64_t channels = b->big.shape.c / p->g.groups;
    int64_t tasks = p->g.groups * (p->op == NN_CONV_UP ? b->big.batch : 1);
    int64_t wanted = (2 * b->threads + tasks - 1) / tasks;
    b->block = (channels + wanted - 1) / wanted;
    b->blocks = (channels + b->block - 1) / b->block;
}

static enum err_code make(struct nn_conv_pass *p, struct err *e)
{
    const struct nn_conv_geometry *g = &p->g;
    struct blas *b = mem_calloc(1, sizeof *b);
    if (!b)
        return err_set(e, ERR_NOMEM, "no memory for a convolution");
    b->big = plain(&g->big);
    b->small = plain(&g->small);
    b->copy_big = differs(&g->big);
    b->copy_small = differs(&g->small);
    b->threads = omp_get_max_threads();
    b->f = (struct nn_blas_fold){.kernel_h = g->kernel_h,
                                 .kernel_w = g->kernel_w,
                                 .stride_h = g->stride_h,
                                 .stride_w = g->stride_w,
                                 .pad_h = g->pad_h,
                                 .pad_w = g->pad_w,
                                 .dilation_h = g->dilation_h,
                                 .dilation_w = g->dilation_w,
                                 .big_h = b->big.shape.h,
                                 .big_w = b->big.shape.w,
                                 .small_h = b->small.shape.h,
                                 .small_w = b->small.shape.w};
    b->block = b->big.shape.c / g->groups;
    b->blocks = 1;
    if (p->op != NN_CONV_DOWN)
        choose_block(b, p);
    choose_tile(&b->f, b->block);
    size_t at = 0, taps = (size_t)(b->block * g->kernel_h * g->kernel_w);
    if (!nn_blas_fold_none(&b->f)) {
        b->column_bytes = nn_conv_align(
            taps * (size_t)(b->f.tile_h * b->f.tile_w) * sizeof(float));
        at = b->column_bytes * (size_t)b->threads;
    }
    b->big_at = at;
    at += b->copy_big ? nn_conv_align(nn_view_bytes(&b->big)) : 0;
    b->small_at = at;
    at += b->copy_small ? nn_conv_align(nn_view_bytes(&b->small)) : 0;
    p->scratch_bytes = at;
    p->state = b;
    snprintf(p->kernel, sizeof p->kernel, "blas:%s",
             nn_blas_fold_none(&b->f) ? "1x1" : "im2col");
    return OK;
}

static void release(struct nn_conv_pass *p)
{
    mem_free(p->state);
    p->state = NULL;
}

/* What one call works on. */
struct job {
    const struct nn_conv_pass *p;
    const struct blas *b;
    const float *weights, *bias;
    float *big, *small, *dweights;
    uint8_t *scratch;
    int64_t in, out, taps; /* of a group: big's channels, small's, kh kw */
    int64_t tiles;
};

static float *column_of(const struct job *j)
{
    return (float *)(j->scratch +
                     j->b->column_bytes * (size_t)omp_get_thread_num());
}

/* small[out, tile] = weights[out, in taps] * columns[in taps, tile]. */
static void down_tile(const struct job *j, int64_t image, int64_t group,
                      int64_t tile)
{
    const struct nn_blas_fold *f = &j->b->f;
    struct nn_blas_tile t = nn_blas_tile(f, tile);
    int64_t plane = f->small_h * f->small_w, big_plane = f->big_h * f->big_w;
    int64_t groups = j->p->g.groups, k = j->in * j->taps;
    const float *src = j->big + (image * groups + group) * j->in * big_plane;
    float *dst = j->small + (image * groups + group) * j->out * plane + t.at;
    const float *col = src;
    int64_t ld = plane;
    if (nn_blas_fold_none(f)) {
        col += t.at;
    } else {
        float *c = column_of(j);
        nn_blas_unfold(f, &t, src, j->in, c);
        col = c;
        ld = t.n;
    }
    nn_gemm(false, false, j->out, t.n, k, 1, j->weights + group * j->out * k, k,
            col, ld, j->p->sum ? 1 : 0, dst, plane);
    if (!j->bias && !j->p->act)
        return;
    for (int64_t o = 0; o < j->out; o++)
        nn_conv_activate(dst + o * plane, t.n,
                         j->bias ? j->bias[group * j->out + o] : 0, j->p->act,
                         j->p->alpha);
}

/* Threads for n tasks: all of them, or one that leaves the products to be
 * split by nn_gemm. */
static int threads_for(const struct job *j, int64_t n)
{
    return n >= j->b->threads ? j->b->threads : 1;
}

static void down(const struct job *j)
{
    int64_t groups = j->p->g.groups;
    int64_t n = j->b->small.batch * groups * j->tiles;
#pragma omp parallel for schedule(dynamic) num_threads(threads_for(j, n))
    for (int64_t i = 0; i < n; i++) {
        int64_t tile = i % j->tiles, group = i / j->tiles % groups;
        down_tile(j, i / j->tiles / groups, group, tile);
    }
}

/* Channels first .. first + n - 1 of a group of big: columns = transposed
 * weights * small, folded back. */
static void up_block(const struct job *j, int64_t image, int64_t group,
                     int64_t first, int64_t n)
{
    const struct nn_blas_fold *f = &j->b->f;
    int64_t plane = f->small_h * f->small_w, big_plane = f->big_h * f->big_w;
    int64_t groups = j->p->g.groups, k = j->in * j->taps;
    const float *src = j->small + (image * groups + group) * j->out * plane;
    const float *w = j->weights + group * j->out * k + first * j->taps;
    float *dst =
        j->big + ((image * groups + group) * j->in + first) * big_plane;
    bool none = nn_blas_fold_none(f);
    if (!none && !j->p->sum)
        memset(dst, 0, (size_t)(n * big_plane) * sizeof *dst);
    for (int64_t i = 0; i < j->tiles; i++) {
        struct nn_blas_tile t = nn_blas_tile(f, i);
        float *col = none ? dst + t.at : column_of(j);
        nn_gemm(true, false, n * j->taps, t.n, j->out, 1, w, k, src + t.at,
                plane, none && j->p->sum ? 1 : 0, col, none ? plane : t.n);
        if (!none)
            nn_blas_fold_add(f, &t, col, n, dst);
    }
    if (!j->bias && !j->p->act)
        return;
    for (int64_t c = 0; c < n; c++)
        nn_conv_activate(dst + c * big_plane, big_plane,
                         j->bias ? j->bias[group * j->in + first + c] : 0,
                         j->p->act, j->p->alpha);
}

static void up(const struct job *j)
{
    int64_t groups = j->p->g.groups, blocks = j->b->blocks;
    int64_t n = j->b->big.batch * groups * blocks;
#pragma omp parallel for schedule(dynamic) num_threads(threads_for(j, n))
    for (int64_t i = 0; i < n; i++) {
        int64_t first = i % blocks * j->b->block, rest = j->in - first;
        up_block(j, i / blocks / groups, i / blocks % groups, first,
                 rest < j->b->block ? rest : j->b->block);
    }
}

/* Those channels' gradients: dweights += small * transposed columns, all
 * pictures and tiles one after the other. */
static void weights_block(const struct job *j, int64_t group, int64_t first,
                          int64_t n)
{
    const struct nn_blas_fold *f = &j->b->f;
    int64_t plane = f->small_h * f->small_w, big_plane = f->big_h * f->big_w;
    int64_t groups = j->p->g.groups, k = j->in * j->taps;
    float *dw = j->dweights + group * j->out * k + first * j->taps;
    for (int64_t i = 0; i < j->b->small.batch * j->tiles; i++) {
        int64_t image = i / j->tiles;
        struct nn_blas_tile t = nn_blas_tile(f, i % j->tiles);
        const float *src =
            j->big + ((image * groups + group) * j->in + first) * big_plane;
        const float *dst =
            j->small + (image * groups + group) * j->out * plane + t.at;
        const float *col = src;
        int64_t ld = plane;
        if (nn_blas_fold_none(f)) {
            col += t.at;
        } else {
            float *c = column_of(j);
            nn_blas_unfold(f, &t, src, n, c);
            col = c;
            ld = t.n;
        }
        nn_gemm(false, true, j->out, n * j->taps, t.n, 1, dst, plane, col, ld,
                1, dw, k);
    }
}

static void weights(const struct job *j)
{
    int64_t blocks = j->b->blocks, n = j->p->g.groups * blocks;
#pragma omp parallel for schedule(dynamic) num_threads(threads_for(j, n))
    for (int64_t i = 0; i < n; i++) {
        int64_t first = i % blocks * j->b->block, rest = j->in - first;
        weights_block(j, i / blocks, first,
                      rest < j->b->block ? rest : j->b->block);
    }
}

/* Data where the products read or write it: outside, or a copy. */
static float *place(const struct nn_view *outside, struct nn_view *inside,
                    bool copy, bool load, const void *data, void *scratch)
{
    struct nn_view v = *outside;
    v.data = (void *)(uintptr_t)data; /* written only if it is the result */
    inside->data = copy ? scratch : v.data;
    if (copy && load)
        nn_convert(&v, inside, false);
    return inside->data;
}

static enum err_code run(struct nn_conv_pass *p, const struct nn_conv_run *r,
                         struct err *e)
{
    (void)e;
    struct blas *b = p->state;
    const void *big = p->op == NN_CONV_UP ? r->out : r->big_in;
    const void *small = p->op == NN_CONV_DOWN ? r->out : r->small_in;
    struct job j = {.p = p,
                    .b = b,
                    .weights = r->weights,
                    .bias = p->op == NN_CONV_WEIGHTS ? NULL : r->bias,
                    .dweights = r->dweights,
                    .scratch = r->scratch,
                    .in = b->big.shape.c / p->g.groups,
                    .out = b->small.shape.c / p->g.groups,
                    .taps = p->g.kernel_h * p->g.kernel_w,
                    .tiles = nn_blas_tiles(&b->f)};
    if (p->backward)
        j.bias = NULL;
    j.big = place(&p->g.big, &b->big, b->copy_big,
                  p->op != NN_CONV_UP || p->sum, big, j.scratch + b->big_at);
    j.small =
        place(&p->g.small, &b->small, b->copy_small,
              p->op != NN_CONV_DOWN || p->sum, small, j.scratch + b->small_at);
    struct nn_view out = p->op == NN_CONV_UP ? p->g.big : p->g.small;
    out.data = r->out;
    switch (p->op) {
    case NN_CONV_DOWN:
        down(&j);
        if (b->copy_small)
            nn_convert(&b->small, &out, false);
        break;
    case NN_CONV_UP:
        up(&j);
        if (b->copy_big)
            nn_convert(&b->big, &out, false);
        break;
    case NN_CONV_WEIGHTS:
        weights(&j);
        if (r->dbias)
            nn_conv_bias_grad(p->transposed ? &b->big : &b->small, r->dbias);
        break;
    }
    return OK;
}

const struct nn_conv_method nn_conv_by_blas = {
    .plain = true, .make = make, .run = run, .free = release};
