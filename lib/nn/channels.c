/* Copies of ranges of channels between activations. */
#include "lib/nn/channels.h"

#include <string.h>

#include "lib/nn/elementwise.h"
#include "lib/nn/rows.h"

/* Channels that lie together in both: of one pixel, or of a whole plane. */
struct run {
    const struct nn_view *src, *dst;
    int64_t from, to, n;
};

/* Elements i.. of n where source and destination are one stretch each. */
static void stretch(const struct run *r, int64_t a, int64_t b, int64_t n,
                    bool add)
{
    float tmp[NN_ROW];
    if (!add) {
        size_t size = r->src->dtype == DT_BF16 ? 2 : 4;
        memcpy((char *)r->dst->data + (size_t)b * size,
               (const char *)r->src->data + (size_t)a * size, (size_t)n * size);
        return;
    }
    for (int64_t i = 0; i < n; i += NN_ROW) {
        int64_t m = n - i < NN_ROW ? n - i : NN_ROW;
        nn_row_put(r->dst, b + i, m, nn_row_get(r->src, a + i, m, tmp), true);
    }
}

/* Pixels y of picture p. */
static void copy_row(const struct run *r, int64_t p, int64_t y, bool add)
{
    int64_t w = r->src->shape.w;
    int64_t ls = nn_view_lane(r->src), ld = nn_view_lane(r->dst);
    int64_t a = nn_index(r->src, p, r->from, y, 0);
    int64_t b = nn_index(r->dst, p, r->to, y, 0);
    if (ls == r->n && ld == r->n) {
        stretch(r, a, b, w * r->n, add);
        return;
    }
    for (int64_t x = 0; x < w; x++)
        stretch(r, a + x * ls, b + x * ld, r->n, add);
}

static int64_t room(const struct nn_view *v, int64_t c)
{
    int64_t lane = nn_view_lane(v);
    return lane - c % lane;
}

/* Elements of a picture if the channels are one stretch in both; else 0. */
static int64_t whole(const struct nn_view *src, int64_t from,
                     const struct nn_view *dst, int64_t to, int64_t count)
{
    int64_t area = src->shape.h * src->shape.w;
    if (src->layout == NN_PLAIN)
        return count * area;
    bool blocks = src->layout == NN_BLOCK16 && from % 16 == 0 && to % 16 == 0;
    bool ends = from + count == src->shape.c && to + count == dst->shape.c;
    return blocks && (count % 16 == 0 || ends) ? (count + 15) / 16 * 16 * area
                                               : 0;
}

static void copy_whole(const struct run *r, int64_t n, bool add)
{
    int64_t chunks = (n - 1) / NN_ROW + 1, total = r->src->batch * chunks;
#pragma omp parallel for schedule(static) if (total * NN_ROW >= NN_PARALLEL)
    for (int64_t i = 0; i < total; i++) {
        int64_t p = i / chunks, at = i % chunks * NN_ROW;
        stretch(r, nn_index(r->src, p, r->from, 0, 0) + at,
                nn_index(r->dst, p, r->to, 0, 0) + at,
                n - at < NN_ROW ? n - at : NN_ROW, add);
    }
}

void nn_copy_channels(const struct nn_view *src, int64_t from,
                      const struct nn_view *dst, int64_t to, int64_t count,
                      bool add)
{
    int64_t n = whole(src, from, dst, to, count);
    if (n) {
        copy_whole(
            &(struct run){.src = src, .dst = dst, .from = from, .to = to}, n,
            add);
        return;
    }
    int64_t rows = src->batch * src->shape.h;
    int64_t work = rows * src->shape.w * count;
#pragma omp parallel for schedule(static) if (work >= NN_PARALLEL)
    for (int64_t i = 0; i < rows; i++) {
        struct run r = {.src = src, .dst = dst};
        for (int64_t c = 0; c < count; c += r.n) {
            r.from = from + c;
            r.to = to + c;
            r.n = count - c;
            if (r.n > room(src, r.from))
                r.n = room(src, r.from);
            if (r.n > room(dst, r.to))
                r.n = room(dst, r.to);
            copy_row(&r, i / src->shape.h, i % src->shape.h, add);
        }
    }
}
