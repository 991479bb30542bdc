/* Max and average pooling in plain loops, forward and backward. */
#include "lib/base/clones.h"

#include "lib/nn/pool.h"

#include <math.h>

#include "lib/nn/spatial.h"

/* What all rows of one call share. */
struct pool {
    const struct nn_view *in, *out; /* or the gradients of these */
    int64_t k, stride, pad, lane;
    bool max, count_pad;
    uint16_t *place;
    const uint16_t *placed;
};

/* Pixels [a, b) of one axis: the part of window o that lies inside. */
struct span {
    int64_t a, b;
};

static inline struct span window(const struct pool *p, int64_t o, int64_t size)
{
    int64_t a = o * p->stride - p->pad, b = a + p->k;
    return (struct span){nn_max64(a, 0), nn_min64(b, size)};
}

/* The windows that cover pixel i; may be empty. */
static inline struct span covering(const struct pool *p, int64_t i,
                                   int64_t outs)
{
    int64_t a = i + p->pad - p->k + p->stride; /* first * stride >= i+pad-k+1 */
    return (struct span){
        a > 0 ? nn_min64(a / p->stride, outs) : 0,
        nn_min64((i + p->pad) / p->stride + 1, outs),
    };
}

/* How many pixels of one axis PyTorch counts in window o. */
static inline int64_t counted(const struct pool *p, int64_t o, int64_t size)
{
    int64_t a = o * p->stride - p->pad, b = nn_min64(a + p->k, size + p->pad);
    if (p->count_pad)
        return b - a;
    return nn_min64(b, size) - nn_max64(a, 0);
}

/* n <= 16 channels of one output pixel; src is the window's plane (channel
 * offset included), to and place the output's. */
NN_INLINE void one_max(const struct pool *p, const void *src, void *dst,
                       uint16_t *place, int64_t oy, int64_t ox, int64_t n,
                       bool half)
{
    struct nn_shape s = p->in->shape;
    struct span v = window(p, oy, s.h), u = window(p, ox, s.w);
    int64_t y0 = oy * p->stride - p->pad, x0 = ox * p->stride - p->pad;
    float best[NN_GROUP];
    int32_t where[NN_GROUP];
    for (int64_t i = 0; i < n; i++) {
        best[i] = -INFINITY;
        where[i] = (int32_t)((v.a - y0) * p->k + u.a - x0);
    }
    for (int64_t y = v.a; y < v.b; y++) {
        for (int64_t x = u.a; x < u.b; x++) {
            int64_t from = (y * s.w + x) * p->lane;
            int32_t here = (int32_t)((y - y0) * p->k + x - x0);
#pragma omp simd
            for (int64_t i = 0; i < n; i++) {
                float q = nn_load(src, from + i, half);
                bool more = (q > best[i]) | (q != q); /* NaN wins, as there */
                best[i] = more ? q : best[i];
                where[i] = more ? here : where[i];
            }
        }
    }
    for (int64_t i = 0; i < n; i++)
        nn_store(dst, i, best[i], half);
    for (int64_t i = 0; place && i < n; i++)
        place[i] = (uint16_t)where[i];
}

NN_INLINE void one_avg(const struct pool *p, const void *src, void *dst,
                       int64_t oy, int64_t ox, int64_t n, bool half)
{
    struct nn_shape s = p->in->shape;
    struct span v = window(p, oy, s.h), u = window(p, ox, s.w);
    float count = (float)(counted(p, oy, s.h) * counted(p, ox, s.w));
    float sum[NN_GROUP] = {0};
    for (int64_t y = v.a; y < v.b; y++) {
        for (int64_t x = u.a; x < u.b; x++) {
            int64_t from = (y * s.w + x) * p->lane;
            for (int64_t i = 0; i < n; i++)
                sum[i] += nn_load(src, from + i, half);
        }
    }
    for (int64_t i = 0; i < n; i++)
        nn_store(dst, i, sum[i] / count, half);
}

NN_INLINE void row_of_groups(const struct pool *p, int64_t row, bool max,
                             bool half)
{
    int64_t oh = p->out->shape.h, ow = p->out->shape.w, lane = p->lane;
    int64_t oy = row % oh, plane = row / oh;
    const void *src =
        nn_at(p->in, plane * p->in->shape.h * p->in->shape.w * lane);
    for (int64_t ox = 0; ox < ow; ox++) {
        for (int64_t c = 0; c < lane; c += NN_GROUP) {
            int64_t to = (row * ow + ox) * lane + c, n = lane - c;
            const void *s = (const char *)src + c * (half ? 2 : 4);
            void *d = nn_at(p->out, to);
            uint16_t *w = p->place ? p->place + to : NULL;
            if (max && n >= NN_GROUP)
                one_max(p, s, d, w, oy, ox, NN_GROUP, half);
            else if (max)
                one_max(p, s, d, w, oy, ox, n, half);
            else if (n >= NN_GROUP)
                one_avg(p, s, d, oy, ox, NN_GROUP, half);
            else
                one_avg(p, s, d, oy, ox, n, half);
        }
    }
}

CLONES
static void group_row(const struct pool *p, int64_t row)
{
    bool half = nn_half(p->in);
    if (p->max && half)
        row_of_groups(p, row, true, true);
    else if (p->max)
        row_of_groups(p, row, true, false);
    else if (half)
        row_of_groups(p, row, false, true);
    else
        row_of_groups(p, row, false, false);
}

#define CHUNK 256 /* outputs of a plain row at a time */

/* Outputs [a, b) of those from..from+n-1 whose window has pixel j inside. */
static inline struct span outputs_at(const struct pool *p, int64_t j,
                                     int64_t from, int64_t n)
{
    int64_t off = p->pad - j, w = p->in->shape.w;
    int64_t a = off > 0 ? (off + p->stride - 1) / p->stride : 0;
    int64_t b = w - 1 + off < 0 ? 0 : (w - 1 + off) / p->stride + 1;
    a = nn_max64(a, from);
    return (struct span){a, nn_max64(a, nn_min64(b, from + n))};
}

/* One row of one channel, vectors along the row. */
NN_INLINE void chunk_plain(const struct pool *p, int64_t row, int64_t from,
                           int64_t n, bool max, bool half)
{
    struct nn_shape s = p->in->shape;
    int64_t oh = p->out->shape.h, ow = p->out->shape.w;
    int64_t oy = row % oh, y0 = oy * p->stride - p->pad;
    int64_t src = row / oh * s.h * s.w, to = row * ow + from;
    struct span v = window(p, oy, s.h);
    float acc[CHUNK];
    uint16_t where[CHUNK];
    for (int64_t i = 0; i < n; i++) {
        acc[i] = max ? -INFINITY : 0;
        int64_t left = p->pad - (from + i) * p->stride;
        where[i] = (uint16_t)((v.a - y0) * p->k + (left > 0 ? left : 0));
    }
    for (int64_t y = v.a; y < v.b; y++) {
        for (int64_t j = 0; j < p->k; j++) {
            struct span o = outputs_at(p, j, from, n);
            int64_t at = src + y * s.w + j - p->pad;
            uint16_t here = (uint16_t)((y - y0) * p->k + j);
            const void *line = p->in->data;
            for (int64_t x = o.a; x < o.b; x++) {
                float q = nn_load(line, at + x * p->stride, half);
                if (max) {
                    bool more = (q > acc[x - from]) | (q != q);
                    acc[x - from] = more ? q : acc[x - from];
                    where[x - from] = more ? here : where[x - from];
                } else {
                    acc[x - from] += q;
                }
            }
        }
    }
    for (int64_t i = 0; !max && i < n; i++)
        acc[i] /= (float)(counted(p, oy, s.h) * counted(p, from + i, s.w));
    for (int64_t i = 0; i < n; i++)
        nn_store(p->out->data, to + i, acc[i], half);
    if (p->place)
        memcpy(p->place + to, where, (size_t)n * sizeof *where);
}

CLONES
static void pool_plain_row(const struct pool *p, int64_t row)
{
    bool half = nn_half(p->in);
    int64_t ow = p->out->shape.w;
    for (int64_t from = 0; from < ow; from += CHUNK) {
        int64_t n = nn_min64(CHUNK, ow - from);
        if (p->max && half)
            chunk_plain(p, row, from, n, true, true);
        else if (p->max)
            chunk_plain(p, row, from, n, true, false);
        else if (half)
            chunk_plain(p, row, from, n, false, true);
        else
            chunk_plain(p, row, from, n, false, false);
    }
}

static struct pool shared(const struct nn_view *in, const struct nn_view *out,
                          const struct nn_pool_spec *s, bool max)
{
    return (struct pool){.in = in,
                         .out = out,
                         .k = s->kernel,
                         .stride = s->stride,
                         .pad = s->pad,
                         .lane = nn_view_lane(in),
                         .max = max,
                         .count_pad = s->count_include_pad};
}

void nn_pool_forward(const struct nn_view *in, const struct nn_view *out,
                     const struct nn_pool_spec *s, bool max, uint16_t *place)
{
    struct pool p = shared(in, out, s, max);
    p.place = place;
    int64_t rows = nn_rows(out);
#pragma omp parallel for schedule(static) if (nn_worth_threads(in))
    for (int64_t r = 0; r < rows; r++) {
        if (p.lane == 1)
            pool_plain_row(&p, r);
        else
            group_row(&p, r);
    }
}

/* ---- backward: every input pixel gathers from the windows over it ---- */

NN_INLINE void one_back(const struct pool *p, int64_t plane, int64_t y,
                        int64_t x, int64_t c, int64_t n, bool max, bool half)
{
    struct nn_shape s = p->in->shape, o = p->out->shape;
    struct span v = covering(p, y, o.h), u = covering(p, x, o.w);
    float sum[NN_GROUP] = {0};
    for (int64_t oy = v.a; oy < v.b; oy++) {
        for (int64_t ox = u.a; ox < u.b; ox++) {
            int64_t at = ((plane * o.h + oy) * o.w + ox) * p->lane + c;
            if (max) {
                int64_t here = (y + p->pad - oy * p->stride) * p->k + x +
                               p->pad - ox * p->stride;
#pragma omp simd
                for (int64_t i = 0; i < n; i++) {
                    float d = nn_load(p->out->data, at + i, half);
                    int32_t place = p->placed[at + i];
                    sum[i] += place == (int32_t)here ? d : 0.0F;
                }
            } else {
                float k = (float)(counted(p, oy, s.h) * counted(p, ox, s.w));
                for (int64_t i = 0; i < n; i++)
                    sum[i] += nn_load(p->out->data, at + i, half) / k;
            }
        }
    }
    int64_t to = ((plane * s.h + y) * s.w + x) * p->lane + c;
    for (int64_t i = 0; i < n; i++)
        nn_store(p->in->data, to + i, sum[i], half);
}

NN_INLINE void row_back(const struct pool *p, int64_t row, bool max, bool half)
{
    int64_t plane = row / p->in->shape.h, y = row % p->in->shape.h;
    for (int64_t x = 0; x < p->in->shape.w; x++) {
        for (int64_t c = 0; c < p->lane; c += NN_GROUP) {
            if (p->lane - c >= NN_GROUP)
                one_back(p, plane, y, x, c, NN_GROUP, max, half);
            else
                one_back(p, plane, y, x, c, p->lane - c, max, half);
        }
    }
}

CLONES
static void group_back(const struct pool *p, int64_t row)
{
    bool half = nn_half(p->in);
    if (p->max && half)
        row_back(p, row, true, true);
    else if (p->max)
        row_back(p, row, true, false);
    else if (half)
        row_back(p, row, false, true);
    else
        row_back(p, row, false, false);
}

/* One channel in f32: the windows scatter. */
static void plain_back(const struct pool *p, int64_t plane)
{
    struct nn_shape s = p->in->shape, o = p->out->shape;
    float *d = (float *)p->in->data + plane * s.h * s.w;
    memset(d, 0, (size_t)(s.h * s.w) * sizeof *d);
    for (int64_t i = 0; i < o.h * o.w; i++) {
        int64_t oy = i / o.w, ox = i % o.w, at = plane * o.h * o.w + i;
        float g = ((const float *)p->out->data)[at];
        if (p->max) {
            int64_t w = p->placed[at];
            int64_t y = oy * p->stride - p->pad + w / p->k;
            d[y * s.w + ox * p->stride - p->pad + w % p->k] += g;
            continue;
        }
        struct span v = window(p, oy, s.h), u = window(p, ox, s.w);
        g /= (float)(counted(p, oy, s.h) * counted(p, ox, s.w));
        for (int64_t y = v.a; y < v.b; y++)
            for (int64_t x = u.a; x < u.b; x++)
                d[y * s.w + x] += g;
    }
}

void nn_pool_backward(const struct nn_view *dout, const struct nn_view *din,
                      const struct nn_pool_spec *s, bool max,
                      const uint16_t *place)
{
    struct pool p = shared(din, dout, s, max);
    p.placed = place;
    bool plain = p.lane == 1 && !nn_half(din);
    int64_t n = din->batch * nn_view_planes(din) * (plain ? 1 : din->shape.h);
#pragma omp parallel for schedule(static) if (nn_worth_threads(din))
    for (int64_t i = 0; i < n; i++) {
        if (plain)
            plain_back(&p, i);
        else
            group_back(&p, i);
    }
}
