/* One pass over activations: sums of pieces, and batch norm + ReLU of them.
 * A chunk of a row is summed in f32 in the first cache, and from there every
 * result is written. */
#include "lib/nn/pass.h"

#include <stddef.h>
#include <string.h>

#include "lib/nn/pass_rows.h"
#include "lib/nn/rows.h"

#define CHUNK 4096           /* floats of one chunk: 16 KiB */
#define PARALLEL_FLOATS 8192 /* below this a second thread costs more */

/* Where a chunk lies: picture b, row y, pixels x..x+n-1, channels c..c+k-1. */
struct place {
    int64_t b, y, x, n, c, k;
};

static int64_t lane_of(struct nn_shape s, enum nn_layout layout)
{
    return layout == NN_BLOCK16 ? 16 : layout == NN_LAST ? s.c : 1;
}

static int64_t padded(int64_t c, enum nn_layout layout)
{
    return layout == NN_BLOCK16 ? (c + 15) / 16 * 16 : c;
}

/* Offset of channel c of pixel (y,x) of picture b. */
static int64_t at(struct nn_shape s, enum nn_layout layout, int64_t b,
                  int64_t c, int64_t y, int64_t x)
{
    int64_t lane = lane_of(s, layout);
    return b * padded(s.c, layout) * s.h * s.w +
           ((c / lane * s.h + y) * s.w + x) * lane + c % lane;
}

/* n pixels of k channels from element `from` on, as floats: in place if they
 * are f32, else converted into tmp (CHUNK floats), pixels k apart. */
static struct nn_rows load(const struct nn_pass *m, const void *data,
                           int64_t from, int64_t stride, int64_t n, int64_t k,
                           float *tmp)
{
    if (m->type == DT_F32)
        return (struct nn_rows){(const float *)data + from, stride};
    const uint16_t *s = (const uint16_t *)data + from;
    if (stride == k) {
        nn_from_bf16(s, tmp, n * k);
    } else {
        for (int64_t i = 0; i < n; i++)
            nn_from_bf16(s + i * stride, tmp + i * k, k);
    }
    return (struct nn_rows){tmp, k};
}

/* Pixels of a source of half or twice the size into to[n][k]. */
static void resample(const struct nn_pass *m, const struct nn_piece *p,
                     const struct place *q, float *to)
{
    int64_t stride = lane_of(p->shape, m->layout), c = q->c - p->first;
    float a[CHUNK], b[CHUNK];
    if (p->kind == NN_PIECE_UP2) {
        int64_t x0 = q->x / 2, n = (q->x + q->n - 1) / 2 - x0 + 1;
        int64_t from = at(p->shape, m->layout, q->b, c, q->y / 2, x0);
        struct nn_rows s = load(m, p->data, from, stride, n, q->k, a);
        for (int64_t i = 0; i < q->n; i++)
            memcpy(to + i * q->k, s.p + ((q->x + i) / 2 - x0) * s.stride,
                   (size_t)q->k * sizeof *to);
        return;
    }
    /* Two source pixels for each: half a chunk at a time. */
    int64_t step = CHUNK / 2 / q->k;
    step = step < 1 ? 1 : step;
    for (int64_t x = 0; x < q->n; x += step) {
        int64_t n = q->n - x < step ? q->n - x : step;
        int64_t from =
            at(p->shape, m->layout, q->b, c, 2 * q->y, 2 * (q->x + x));
        struct nn_rows u = load(m, p->data, from, stride, 2 * n, q->k, a);
        struct nn_rows v = load(m, p->data, from + p->shape.w * stride, stride,
                                2 * n, q->k, b);
        nn_rows_pool4(to + x * q->k, u.p, v.p, u.stride, n, q->k,
                      p->kind == NN_PIECE_MAX2);
    }
}

/* Add (or set, where first) one piece's values to the chunk's sum. */
static void take_piece(const struct nn_pass *m, const struct nn_piece *p,
                       const struct place *q, bool first, float *sum)
{
    float tmp[CHUNK];
    if (p->kind != NN_PIECE_SAME) {
        resample(m, p, q, first ? sum : tmp);
        if (!first)
            nn_rows_add_into(sum, tmp, q->n * q->k);
        return;
    }
    int64_t stride = lane_of(p->shape, m->layout);
    int64_t from = at(p->shape, m->layout, q->b, q->c - p->first, q->y, q->x);
    struct nn_rows s = load(m, p->data, from, stride, q->n, q->k, tmp);
    if (first)
        nn_rows_copy(sum, q->k, s, (struct nn_rectify){false, 0}, q->n, q->k);
    else if (s.stride == q->k)
        nn_rows_add_into(sum, s.p, q->n * q->k);
    else
        for (int64_t i = 0; i < q->n; i++)
            nn_rows_add_into(sum + i * q->k, s.p + i * s.stride, q->k);
}

static bool covers(const struct nn_pass *m, const struct nn_piece *p, int64_t c)
{
    return c >= p->first && c < p->first + padded(p->shape.c, m->layout);
}

/* The chunk's sum: a source itself where there is nothing to add. */
static struct nn_rows gather(const struct nn_pass *m, const struct place *q,
                             float *sum)
{
    const struct nn_piece *use[NN_PASS_PIECES];
    int n = 0;
    for (int i = 0; i < m->n_pieces; i++) {
        if (covers(m, &m->piece[i], q->c))
            use[n++] = &m->piece[i];
    }
    struct nn_rows src[2];
    float tmp[CHUNK];
    int same = 0;
    for (; same < n && same < 2 && use[same]->kind == NN_PIECE_SAME; same++) {
        const struct nn_piece *p = use[same];
        src[same] =
            load(m, p->data,
                 at(p->shape, m->layout, q->b, q->c - p->first, q->y, q->x),
                 lane_of(p->shape, m->layout), q->n, q->k, same ? tmp : sum);
    }
    struct nn_rows r = {sum, q->k};
    int i = 0;
    if (n == 1 && same == 1) {
        r = src[0];
        i = 1;
    } else if (same == 2 && src[0].stride == q->k && src[1].stride == q->k) {
        nn_rows_add(sum, src[0].p, src[1].p, q->n * q->k);
        i = 2;
    }
    for (; i < n; i++)
        take_piece(m, use[i], q, i == 0, sum);
    if (m->rect.on) {
        nn_rows_copy(sum, q->k, r, m->rect, q->n, q->k);
        r = (struct nn_rows){sum, q->k};
    }
    return r;
}

/* Store n pixels of k channels (made in tmp) as bf16. */
static void store(void *data, int64_t to, int64_t lane, const float *tmp,
                  int64_t n, int64_t k)
{
    uint16_t *d = (uint16_t *)data + to;
    if (lane == k) {
        nn_to_bf16(tmp, d, n * k);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        nn_to_bf16(tmp + i * k, d + i * lane, k);
}

static void scatter(const struct nn_pass *m, const struct place *q,
                    struct nn_rows v)
{
    int64_t lane = lane_of(m->shape, m->layout);
    int64_t to = at(m->shape, m->layout, q->b, q->c, q->y, q->x);
    bool f32 = m->type == DT_F32;
    float tmp[CHUNK];
    for (int i = 0; i < m->n_outs; i++) {
        const struct nn_pass_out *o = &m->out[i];
        float *d = f32 ? (float *)o->data + to : tmp;
        if (o->scale)
            nn_rows_affine(d, f32 ? lane : q->k, v, o->scale + q->c,
                           o->shift + q->c, o->rect, q->n, q->k);
        else
            nn_rows_copy(d, f32 ? lane : q->k, v, o->rect, q->n, q->k);
        if (!f32)
            store(o->data, to, lane, tmp, q->n, q->k);
    }
    const struct nn_rectify as_is = {false, 0};
    if (m->raw && f32) {
        nn_rows_copy((float *)m->raw + to, lane, v, as_is, q->n, q->k);
    } else if (m->raw) {
        if (v.stride != q->k) {
            nn_rows_copy(tmp, q->k, v, as_is, q->n, q->k);
            v.p = tmp;
        }
        store(m->raw, to, lane, v.p, q->n, q->k);
    }
}

/* The first channel after c where another set of pieces begins. */
static int64_t segment_end(const struct nn_pass *m, int64_t c)
{
    if (m->layout != NN_LAST)
        return c + lane_of(m->shape, m->layout);
    int64_t end = m->shape.c;
    for (int i = 0; i < m->n_pieces; i++) {
        int64_t a = m->piece[i].first, b = a + m->piece[i].shape.c;
        if (a > c && a < end)
            end = a;
        if (b > c && b < end)
            end = b;
    }
    return end - c > CHUNK / 2 ? c + CHUNK / 2 : end;
}

/* Channels c0.. below c1 of row y of picture b. */
static void pass_row(const struct nn_pass *m, int64_t b, int64_t y, int64_t c0,
                     int64_t c1)
{
    float sum[CHUNK];
    for (int64_t c = c0; c < c1;) {
        struct place q = {.b = b, .y = y, .c = c};
        q.k = segment_end(m, c) - c;
        int64_t step = CHUNK / q.k;
        for (q.x = 0; q.x < m->shape.w; q.x += step) {
            q.n = m->shape.w - q.x < step ? m->shape.w - q.x : step;
            scatter(m, &q, gather(m, &q, sum));
        }
        c += q.k;
    }
}

/* One bf16 source and one result, blocked: no sum is needed. */
static bool run_short(const struct nn_pass *m, int64_t rows, bool parallel)
{
    const struct nn_pass_out *o = m->n_outs ? &m->out[0] : NULL;
    if (m->type != DT_BF16 || m->layout != NN_BLOCK16 || m->n_pieces != 1 ||
        m->piece[0].kind != NN_PIECE_SAME || m->raw || m->rect.on ||
        m->n_outs != 1)
        return false;
    int64_t planes = padded(m->shape.c, m->layout) / 16, h = m->shape.h;
    int64_t len = m->shape.w * 16;
#pragma omp parallel for schedule(static) if (parallel)
    for (int64_t r = 0; r < rows * planes; r++) {
        int64_t c = r / h % planes * 16;
        nn_rows_affine16((uint16_t *)o->data + r * len,
                         (const uint16_t *)m->piece[0].data + r * len,
                         o->scale ? o->scale + c : NULL,
                         o->scale ? o->shift + c : NULL, o->rect, m->shape.w);
    }
    return true;
}

void nn_pass_run(const struct nn_pass *m)
{
    struct nn_pass one = *m;
    if (m->rect.on && m->raw && !m->n_outs) { /* saves a copy of the chunk */
        one.out[0] = (struct nn_pass_out){.data = m->raw, .rect = m->rect};
        one.n_outs = 1;
        one.raw = NULL;
        one.rect.on = false;
    }
    /* Pieces of the same size: one long row a plane. */
    bool same = m->layout == NN_PLAIN;
    for (int i = 0; i < m->n_pieces; i++)
        same = same && m->piece[i].kind == NN_PIECE_SAME;
    if (same) {
        one.shape.w *= one.shape.h;
        one.shape.h = 1;
        for (int i = 0; i < m->n_pieces; i++) {
            one.piece[i].shape.w *= one.piece[i].shape.h;
            one.piece[i].shape.h = 1;
        }
    }
    int64_t h = one.shape.h, rows = m->batch * h;
    int64_t all = padded(m->shape.c, m->layout);
    bool parallel = rows * one.shape.w * all >= PARALLEL_FLOATS;
    if (run_short(&one, rows, parallel))
        return;
    if (m->layout == NN_PLAIN) {
#pragma omp parallel for schedule(static) if (parallel)
        for (int64_t r = 0; r < rows * all; r++)
            pass_row(&one, r / h / all, r % h, r / h % all, r / h % all + 1);
        return;
    }
#pragma omp parallel for schedule(static) if (parallel)
    for (int64_t r = 0; r < rows; r++)
        pass_row(&one, r / h, r % h, 0, all);
}
