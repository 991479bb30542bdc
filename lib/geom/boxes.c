/* Boxes that detectors give: overlap, order, and one box for each face. */
#include "lib/geom/boxes.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"

static double span(double from, double to, enum boxes_area area)
{
    return fmax(0, to - from + (area == BOXES_PIXELS ? 1 : 0));
}

double boxes_area(const float box[4], enum boxes_area area)
{
    return span((double)box[0], (double)box[2], area) *
           span((double)box[1], (double)box[3], area);
}

double boxes_iou(const float a[4], const float b[4], enum boxes_area area)
{
    double both = 1;
    for (int axis = 0; axis < 2; axis++) {
        /* fmax and fmin would let a NaN go by. */
        if (isnan(a[axis]) || isnan(a[axis + 2]) || isnan(b[axis]) ||
            isnan(b[axis + 2]))
            return 0;
        both *= span(fmax((double)a[axis], (double)b[axis]),
                     fmin((double)a[axis + 2], (double)b[axis + 2]), area);
    }
    double all = boxes_area(a, area) + boxes_area(b, area) - both;
    return all > 0 ? both / all : 0;
}

/* Does b stand before a, which came first? */
static bool before(const struct scored_box *b, const struct scored_box *a)
{
    return b->score > a->score || (isnan(a->score) && !isnan(b->score));
}

/* Merge [0,mid) and [mid,n) of `from` to `to`. */
static void merge(const struct scored_box *from, size_t mid, size_t n,
                  struct scored_box *to)
{
    size_t a = 0, b = mid;
    for (size_t i = 0; i < n; i++) {
        bool second = a == mid || (b < n && before(&from[b], &from[a]));
        to[i] = second ? from[b++] : from[a++];
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

enum err_code boxes_sort(struct scored_box *b, size_t n, struct err *e)
{
    if (n < 2)
        return OK;
    struct scored_box *spare = mem_array(n, sizeof *spare);
    if (!spare)
        return err_set(e, ERR_NOMEM, "no memory to sort %zu boxes", n);
    struct scored_box *from = b, *to = spare;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += least(2 * run, n - i)) {
            size_t end = least(2 * run, n - i);
            merge(from + i, least(run, end), end, to + i);
        }
        struct scored_box *swap = from;
        from = to;
        to = swap;
    }
    if (from != b)
        memcpy(b, from, n * sizeof *b);
    mem_free(spare);
    return OK;
}

size_t boxes_nms(struct scored_box *b, size_t n, double limit,
                 enum boxes_area area)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < kept && boxes_iou(b[k].box, b[i].box, area) <= limit)
            k++;
        if (k == kept)
            b[kept++] = b[i];
    }
    return kept;
}
