/* Rows of floats whatever the type in memory; copies between layouts. */
#include "lib/base/clones.h"

#include "lib/nn/rows.h"

#include <string.h>

#define PARALLEL 16384 /* elements below which a second thread costs more */

CLONES
static void from_bf16(const uint16_t *restrict src, float *restrict dst,
                      int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t)src[i] << 16;
        memcpy(&dst[i], &u, sizeof u);
    }
}

/* Round to nearest even; NaN stays NaN (its lowest kept bit is set). */
CLONES
static void to_bf16(const float *restrict src, uint16_t *restrict dst,
                    int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &src[i], sizeof u);
        uint32_t r = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
        uint32_t nan = (u >> 16) | 0x40u;
        dst[i] = (uint16_t)((u & 0x7FFFFFFFu) > 0x7F800000u ? nan : r);
    }
}

void nn_from_bf16(const uint16_t *src, float *dst, int64_t n)
{
    from_bf16(src, dst, n);
}

void nn_to_bf16(const float *src, uint16_t *dst, int64_t n)
{
    to_bf16(src, dst, n);
}

CLONES
static void rows_add_row(float *restrict d, const float *restrict s, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        d[i] += s[i];
}

const float *nn_row_get(const struct nn_view *v, int64_t at, int64_t n,
                        float *tmp)
{
    if (v->dtype == DT_F32)
        return (const float *)v->data + at;
    nn_from_bf16((const uint16_t *)v->data + at, tmp, n);
    return tmp;
}

float *nn_row_at(const struct nn_view *v, int64_t at, float *tmp)
{
    return v->dtype == DT_F32 ? (float *)v->data + at : tmp;
}

void nn_row_put(const struct nn_view *v, int64_t at, int64_t n,
                const float *row, bool add)
{
    if (v->dtype == DT_F32) {
        float *d = (float *)v->data + at;
        if (add)
            rows_add_row(d, row, n);
        else if (d != row)
            memcpy(d, row, (size_t)n * sizeof *d);
        return;
    }
    uint16_t *d = (uint16_t *)v->data + at;
    for (int64_t i = 0; add && i < n; i += NN_ROW) {
        float sum[NN_ROW];
        int64_t m = n - i < NN_ROW ? n - i : NN_ROW;
        nn_from_bf16(d + i, sum, m);
        rows_add_row(sum, row + i, m);
        nn_to_bf16(sum, d + i, m);
    }
    if (!add)
        nn_to_bf16(row, d, n);
}

void nn_zero_padding(const struct nn_view *v)
{
    int64_t lane = nn_view_lane(v), used = v->shape.c % lane;
    if (v->layout != NN_BLOCK16 || !used)
        return;
    int64_t planes = nn_view_planes(v), pixels = v->shape.h * v->shape.w;
    size_t size = v->dtype == DT_BF16 ? 2 : 4;
    for (int64_t b = 0; b < v->batch; b++) {
        char *p = (char *)v->data + (size_t)(b * nn_view_stride(v) +
                                             (planes - 1) * pixels * lane) *
                                        size;
        for (int64_t i = 0; i < pixels; i++)
            memset(p + (size_t)(i * lane + used) * size, 0,
                   (size_t)(lane - used) * size);
    }
}

/* One row of pixels [W][lane] of a plane into rows of single channels, and
 * back: tile[c][x]. */
CLONES
static void lanes_to_rows(const float *restrict s, int64_t lane, int64_t n_c,
                          int64_t w, float *restrict tile, int64_t stride)
{
    for (int64_t c = 0; c < n_c; c++) {
        for (int64_t x = 0; x < w; x++)
            tile[c * stride + x] = s[x * lane + c];
    }
}

CLONES
static void rows_to_lanes(const float *restrict tile, int64_t stride,
                          int64_t n_c, int64_t w, float *restrict d,
                          int64_t lane)
{
    for (int64_t x = 0; x < w; x++) {
        for (int64_t c = 0; c < n_c; c++)
            d[x * lane + c] = tile[c * stride + x];
    }
}

#define TILE_C 16
#define TILE_W 64

/* Channels c0.. (n_c <= TILE_C) of pixels x0.. (n <= TILE_W) of row y. */
static void read_tile(const struct nn_view *v, int64_t b, int64_t c0,
                      int64_t n_c, int64_t y, int64_t x0, int64_t n,
                      float tile[TILE_C * TILE_W])
{
    float tmp[TILE_C * TILE_W];
    if (v->layout == NN_PLAIN) {
        for (int64_t c = 0; c < n_c; c++) {
            const float *r =
                nn_row_get(v, nn_index(v, b, c0 + c, y, x0), n, tmp);
            memcpy(tile + c * TILE_W, r, (size_t)n * sizeof *r);
        }
        return;
    }
    int64_t lane = nn_view_lane(v), at = nn_index(v, b, c0, y, x0);
    if (v->layout == NN_BLOCK16 || v->dtype == DT_F32) {
        const float *r = v->dtype == DT_F32 ? nn_row_get(v, at, n, tmp)
                                            : nn_row_get(v, at, n * 16, tmp);
        lanes_to_rows(r, lane, n_c, n, tile, TILE_W);
        return;
    }
    for (int64_t x = 0; x < n; x++) {
        const float *r = nn_row_get(v, at + x * lane, n_c, tmp);
        for (int64_t c = 0; c < n_c; c++)
            tile[c * TILE_W + x] = r[c];
    }
}

static void write_tile(const struct nn_view *v, int64_t b, int64_t c0,
                       int64_t n_c, int64_t y, int64_t x0, int64_t n,
                       const float tile[TILE_C * TILE_W], bool add)
{
    float tmp[TILE_C * TILE_W];
    if (v->layout == NN_PLAIN) {
        for (int64_t c = 0; c < n_c; c++)
            nn_row_put(v, nn_index(v, b, c0 + c, y, x0), n, tile + c * TILE_W,
                       add);
        return;
    }
    int64_t lane = nn_view_lane(v), at = nn_index(v, b, c0, y, x0);
    if (v->layout == NN_BLOCK16) {
        if (n_c < 16)
            memset(tmp, 0, sizeof tmp);
        rows_to_lanes(tile, TILE_W, n_c, n, tmp, 16);
        nn_row_put(v, at, n * 16, tmp, add);
        return;
    }
    rows_to_lanes(tile, TILE_W, n_c, n, tmp, n_c);
    for (int64_t x = 0; x < n; x++)
        nn_row_put(v, at + x * lane, n_c, tmp + x * n_c, add);
}

/* Same layout: a long row. */
static void convert_flat(const struct nn_view *src, const struct nn_view *dst,
                         bool add)
{
    int64_t n = src->batch * nn_view_stride(src);
#pragma omp parallel for schedule(static) if (n > PARALLEL)
    for (int64_t i = 0; i < n; i += NN_ROW) {
        float tmp[NN_ROW];
        int64_t m = n - i < NN_ROW ? n - i : NN_ROW;
        nn_row_put(dst, i, m, nn_row_get(src, i, m, tmp), add);
    }
}

void nn_convert(const struct nn_view *src, const struct nn_view *dst, bool add)
{
    const struct nn_shape s = src->shape;
    bool vector = s.h == 1 && s.w == 1 && src->layout != NN_BLOCK16 &&
                  dst->layout != NN_BLOCK16;
    if (src->layout == dst->layout || vector ||
        (s.c == 1 && src->layout != NN_BLOCK16 && dst->layout != NN_BLOCK16)) {
        convert_flat(src, dst, add);
        return;
    }
    int64_t blocks = (s.c + TILE_C - 1) / TILE_C;
    int64_t jobs = src->batch * blocks * s.h;
#pragma omp parallel for schedule(static) if (jobs * s.w * TILE_C > PARALLEL)
    for (int64_t j = 0; j < jobs; j++) {
        float tile[TILE_C * TILE_W];
        int64_t b = j / (blocks * s.h), c0 = j / s.h % blocks * TILE_C;
        int64_t y = j % s.h, n_c = s.c - c0 < TILE_C ? s.c - c0 : TILE_C;
        for (int64_t x = 0; x < s.w; x += TILE_W) {
            int64_t n = s.w - x < TILE_W ? s.w - x : TILE_W;
            read_tile(src, b, c0, n_c, y, x, n, tile);
            write_tile(dst, b, c0, n_c, y, x, n, tile, add);
        }
    }
}
