/* One pass over activations: sums of pieces, and batch norm + ReLU of them.
 * The loops are plain C that the compiler turns into SIMD; each is compiled
 * for several instruction sets and chosen when the program starts. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
#include "lib/nn/map.h"

#include <stddef.h>
#include <string.h>

/* Sanitizers cannot run before their own start-up, when ifuncs are chosen. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&         \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONES                                                                 \
    __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define CLONES
#endif

#define CHUNK_FLOATS 4096    /* one chunk's sum: 16 KiB, stays in L1 */
#define PARALLEL_FLOATS 8192 /* below this a second thread costs more */

/* n pixels of c neighbouring channels, pixels `stride` floats apart. */
struct rows {
    const float *p;
    int64_t stride;
};

CLONES
static void add_flat(float *restrict d, const float *a, const float *b,
                     int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        d[i] = a[i] + b[i];
}

CLONES
static void add_into(float *restrict d, const float *restrict a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        d[i] += a[i];
}

CLONES
static void affine(float *restrict d, int64_t ds, const float *restrict s,
                   int64_t ss, const float *restrict scale,
                   const float *restrict shift, bool relu, int64_t n, int64_t c)
{
    if (c == 16) {
        float k[16], t[16];
        memcpy(k, scale, sizeof k);
        memcpy(t, shift, sizeof t);
        for (int64_t p = 0; p < n && relu; p++) {
            for (int i = 0; i < 16; i++) {
                float v = s[p * ss + i] * k[i] + t[i];
                d[p * ds + i] = v > 0 ? v : 0;
            }
        }
        for (int64_t p = 0; p < n && !relu; p++) {
            for (int i = 0; i < 16; i++)
                d[p * ds + i] = s[p * ss + i] * k[i] + t[i];
        }
        return;
    }
    for (int64_t p = 0; p < n; p++) {
        const float *q = s + p * ss;
        float *o = d + p * ds;
        if (relu) {
            for (int64_t i = 0; i < c; i++) {
                float v = q[i] * scale[i] + shift[i];
                o[i] = v > 0 ? v : 0;
            }
        } else {
            for (int64_t i = 0; i < c; i++)
                o[i] = q[i] * scale[i] + shift[i];
        }
    }
}

CLONES
static void rectify(float *restrict d, int64_t ds, const float *restrict s,
                    int64_t ss, int64_t n, int64_t c)
{
    for (int64_t p = 0; p < n; p++) {
        for (int64_t i = 0; i < c; i++) {
            float v = s[p * ss + i];
            d[p * ds + i] = v > 0 ? v : 0;
        }
    }
}

/* The mean or the maximum of four source pixels. */
CLONES
static void pool4(float *restrict d, const float *restrict a,
                  const float *restrict b, int64_t stride, int64_t n, int64_t c,
                  bool max)
{
    for (int64_t p = 0; p < n; p++) {
        const float *u = a + 2 * p * stride, *v = b + 2 * p * stride;
        float *o = d + p * c;
        if (max) {
            for (int64_t i = 0; i < c; i++) {
                float x = u[i] > u[stride + i] ? u[i] : u[stride + i];
                float y = v[i] > v[stride + i] ? v[i] : v[stride + i];
                o[i] = x > y ? x : y;
            }
        } else {
            for (int64_t i = 0; i < c; i++)
                o[i] =
                    ((u[i] + u[stride + i]) + (v[i] + v[stride + i])) * 0.25F;
        }
    }
}

static int64_t lane_of(struct nn_shape s, enum nn_layout layout)
{
    return layout == NN_BLOCK16 ? 16 : s.c;
}

static int64_t padded(int64_t c, enum nn_layout layout)
{
    return layout == NN_BLOCK16 ? (c + 15) / 16 * 16 : c;
}

int64_t nn_layout_floats(struct nn_shape s, enum nn_layout layout)
{
    return padded(s.c, layout) * s.h * s.w;
}

/* Offset of channel c of pixel (y,x) of picture b. */
static int64_t at(struct nn_shape s, enum nn_layout layout, int64_t b,
                  int64_t c, int64_t y, int64_t x)
{
    int64_t lane = lane_of(s, layout);
    return b * nn_layout_floats(s, layout) +
           ((c / lane * s.h + y) * s.w + x) * lane + c % lane;
}

/* Where a chunk lies: picture b, row y, pixels x..x+n-1, channels c..c+k-1. */
struct place {
    int64_t b, y, x, n, c, k;
};

/* Add (or set, where first) one piece's values to the chunk's sum. */
static void take_piece(const struct nn_piece *p, enum nn_layout layout,
                       const struct place *at_, bool first, float *sum)
{
    const struct place q = *at_;
    int64_t stride = lane_of(p->shape, layout), c = q.c - p->first;
    float tmp[CHUNK_FLOATS];
    float *to = first ? sum : tmp;
    if (p->kind == NN_PIECE_SAME) {
        const float *s = p->data + at(p->shape, layout, q.b, c, q.y, q.x);
        for (int64_t i = 0; i < q.n; i++) {
            const float *from = s + i * stride;
            if (first)
                memcpy(sum + i * q.k, from, (size_t)q.k * sizeof *sum);
            else
                add_into(sum + i * q.k, from, q.k);
        }
        return;
    }
    if (p->kind == NN_PIECE_UP2) {
        const float *s = p->data + at(p->shape, layout, q.b, c, q.y / 2, 0);
        for (int64_t i = 0; i < q.n; i++)
            memcpy(to + i * q.k, s + (q.x + i) / 2 * stride,
                   (size_t)q.k * sizeof *to);
    } else {
        const float *s =
            p->data + at(p->shape, layout, q.b, c, 2 * q.y, 2 * q.x);
        pool4(to, s, s + p->shape.w * stride, stride, q.n, q.k,
              p->kind == NN_PIECE_MAX2);
    }
    if (!first)
        add_into(sum, tmp, q.n * q.k);
}

/* The chunk's sum: a source itself where there is nothing to add. */
static struct rows gather(const struct nn_map *m, const struct place *q,
                          float *sum)
{
    const struct nn_piece *use[NN_MAP_PIECES];
    int n = 0;
    for (int i = 0; i < m->n_pieces; i++) {
        const struct nn_piece *p = &m->piece[i];
        if (q->c >= p->first && q->c < p->first + padded(p->shape.c, m->layout))
            use[n++] = p;
    }
    struct rows r = {sum, q->k};
    const float *src[2];
    int same = 0;
    bool flat = true;
    for (; same < n && same < 2 && use[same]->kind == NN_PIECE_SAME; same++) {
        const struct nn_piece *p = use[same];
        int64_t lane = lane_of(p->shape, m->layout);
        src[same] = p->data +
                    at(p->shape, m->layout, q->b, q->c - p->first, q->y, q->x);
        flat = flat && lane == q->k;
        r.stride = lane;
    }
    if (n == 1 && same == 1) {
        r.p = src[0];
        return r;
    }
    r.stride = q->k;
    int i = 0;
    if (same == 2 && flat) {
        add_flat(sum, src[0], src[1], q->n * q->k);
        i = 2;
    }
    for (; i < n; i++)
        take_piece(use[i], m->layout, q, i == 0, sum);
    return r;
}

static void scatter(const struct nn_map *m, const struct place *q,
                    struct rows v)
{
    int64_t lane = lane_of(m->shape, m->layout);
    int64_t to = at(m->shape, m->layout, q->b, q->c, q->y, q->x);
    for (int i = 0; i < m->n_outs; i++) {
        const struct nn_map_out *o = &m->out[i];
        if (o->scale)
            affine(o->data + to, lane, v.p, v.stride, o->scale + q->c,
                   o->shift + q->c, o->relu, q->n, q->k);
        else if (o->relu)
            rectify(o->data + to, lane, v.p, v.stride, q->n, q->k);
    }
    if (!m->raw)
        return;
    float *d = m->raw + to;
    if (lane == q->k && v.stride == q->k) {
        memcpy(d, v.p, (size_t)(q->n * q->k) * sizeof *d);
        return;
    }
    for (int64_t i = 0; i < q->n; i++)
        memcpy(d + i * lane, v.p + i * v.stride, (size_t)q->k * sizeof *d);
}

/* The first channel after c where another set of pieces begins. */
static int64_t segment_end(const struct nn_map *m, int64_t c)
{
    int64_t end = m->layout == NN_BLOCK16 ? c + 16 : m->shape.c;
    for (int i = 0; i < m->n_pieces && m->layout != NN_BLOCK16; i++) {
        int64_t a = m->piece[i].first, b = a + m->piece[i].shape.c;
        if (a > c && a < end)
            end = a;
        if (b > c && b < end)
            end = b;
    }
    return end - c > CHUNK_FLOATS ? c + CHUNK_FLOATS : end;
}

static void map_row(const struct nn_map *m, int64_t b, int64_t y)
{
    float sum[CHUNK_FLOATS];
    int64_t total = padded(m->shape.c, m->layout);
    for (int64_t c = 0; c < total;) {
        struct place q = {.b = b, .y = y, .c = c};
        q.k = segment_end(m, c) - c;
        int64_t step = CHUNK_FLOATS / q.k;
        for (q.x = 0; q.x < m->shape.w; q.x += step) {
            q.n = m->shape.w - q.x < step ? m->shape.w - q.x : step;
            scatter(m, &q, gather(m, &q, sum));
        }
        c += q.k;
    }
}

void nn_map_run(const struct nn_map *m)
{
    int64_t rows = m->batch * m->shape.h;
    int64_t work = m->batch * nn_layout_floats(m->shape, m->layout);
#pragma omp parallel for schedule(static) if (work >= PARALLEL_FLOATS)
    for (int64_t r = 0; r < rows; r++)
        map_row(m, r / m->shape.h, r % m->shape.h);
}

void nn_pack(const float *plain, struct nn_shape s, enum nn_layout layout,
             float *dst)
{
    int64_t lane = lane_of(s, layout), all = padded(s.c, layout);
    int64_t area = s.h * s.w;
    if (layout == NN_PLAIN) {
        memcpy(dst, plain, (size_t)(s.c * area) * sizeof *dst);
        return;
    }
    for (int64_t c = 0; c < all; c++) {
        float *d = dst + c / lane * area * lane + c % lane;
        for (int64_t p = 0; p < area; p++)
            d[p * lane] = c < s.c ? plain[c * area + p] : 0.0F;
    }
}

void nn_unpack(const float *src, struct nn_shape s, enum nn_layout layout,
               float *plain)
{
    int64_t lane = lane_of(s, layout), area = s.h * s.w;
    if (layout == NN_PLAIN) {
        memcpy(plain, src, (size_t)(s.c * area) * sizeof *plain);
        return;
    }
    /* 16 pixels by 16 channels at a time, so that both sides stay cached. */
#pragma omp parallel for schedule(static) if (s.c * area >= PARALLEL_FLOATS)
    for (int64_t p0 = 0; p0 < area; p0 += 16) {
        int64_t p1 = p0 + 16 < area ? p0 + 16 : area;
        for (int64_t c = 0; c < s.c; c++) {
            const float *q = src + c / lane * area * lane + c % lane;
            for (int64_t p = p0; p < p1; p++)
                plain[c * area + p] = q[p * lane];
        }
    }
}
