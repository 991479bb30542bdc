/* Places in one arena for buffers that live for a while. */
#include "lib/nn/place.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/mem.h"

static size_t rounded(size_t bytes)
{
    return (bytes + NN_PAGE - 1) / NN_PAGE * NN_PAGE;
}

struct order {
    size_t bytes;
    int i;
};

static int largest_first(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->i > y->i) - (x->i < y->i);
}

/* The start of the smallest gap that holds b between placed buffers alive at
 * the same time (`placed` is sorted by offset), else the end of them all. */
static size_t find_gap(const struct nn_place *b, const struct nn_place *all,
                       const int *placed, int n)
{
    size_t need = rounded(b->bytes), end = 0, best = 0, best_gap = 0;
    bool found = false;
    for (int i = 0; i < n; i++) {
        const struct nn_place *x = &all[placed[i]];
        if (x->last < b->born || b->last < x->born)
            continue;
        if (x->offset > end && x->offset - end >= need &&
            (!found || x->offset - end < best_gap)) {
            found = true;
            best = end;
            best_gap = x->offset - end;
        }
        size_t after = x->offset + rounded(x->bytes);
        if (after > end)
            end = after;
    }
    return found ? best : end;
}

static enum err_code check_sizes(const struct nn_place *b, int n, struct err *e)
{
    size_t sum = 0;
    for (int i = 0; i < n; i++) {
        if (b[i].bytes > SIZE_MAX - NN_PAGE ||
            !size_add(sum, rounded(b[i].bytes), &sum))
            return err_set(e, ERR_ARG, "buffers of more than 2^64 bytes");
    }
    return OK;
}

enum err_code nn_place(struct nn_place *b, int n, size_t *total, struct err *e)
{
    *total = 0;
    enum err_code r = check_sizes(b, n, e);
    if (r || n < 1)
        return r;
    int *placed = mem_array((size_t)n, sizeof *placed);
    struct order *order = mem_array((size_t)n, sizeof *order);
    if (!placed || !order)
        r = err_set(e, ERR_NOMEM, "no memory to place %d buffers", n);
    for (int i = 0; i < n && !r; i++)
        order[i] = (struct order){b[i].bytes, i};
    if (!r)
        qsort(order, (size_t)n, sizeof *order, largest_first);
    int n_placed = 0;
    for (int k = 0; k < n && !r; k++) {
        struct nn_place *x = &b[order[k].i];
        x->offset = 0;
        if (!x->bytes)
            continue;
        x->offset = find_gap(x, b, placed, n_placed);
        int at = n_placed++;
        for (; at > 0 && b[placed[at - 1]].offset > x->offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = order[k].i;
        if (x->offset + rounded(x->bytes) > *total)
            *total = x->offset + rounded(x->bytes);
    }
    mem_free(placed);
    mem_free(order);
    return r;
}
