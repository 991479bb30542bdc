/* Copies of ranges of channels between activations. */
#include "lib/nn/channels.h"

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
    for (int64_t i = 0; i < n; i += NN_ROW) {
        int64_t m = n - i < NN_ROW ? n - i : NN_ROW;
        nn_row_put(r->dst, b + i, m, nn_row_get(r->src, a + i, m, tmp), add);
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

void nn_copy_channels(const struct nn_view *src, int64_t from,
                      const struct nn_view *dst, int64_t to, int64_t count,
                      bool add)
{
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
