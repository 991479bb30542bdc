/* Buffers that are never alive at once share memory in the arena. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/old_plan.h"

#define ALIGN 4096 /* a page: neighbouring buffers do not share lines */

static size_t bytes_of(const struct nv_net *net, int b)
{
    size_t n = net->buffer[b].floats * (size_t)net->batch * sizeof(float);
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* A shared buffer lives as long as all that share it. */
static void join_lives(struct nv_net *net)
{
    for (int i = net->n_buffer - 1; i >= 0; i--) {
        int to = net->buffer[i].same_as;
        if (to >= 0 && net->buffer[i].last > net->buffer[to].last)
            net->buffer[to].last = net->buffer[i].last;
    }
}

/* The lowest place for b that no placed buffer alive at the same time has. */
static size_t find_place(const struct nv_net *net, const int *placed, int n,
                         int b)
{
    const struct nv_buffer *x = &net->buffer[b];
    size_t at = 0, need = bytes_of(net, b);
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < n; i++) {
            const struct nv_buffer *y = &net->buffer[placed[i]];
            if (y->last < x->born || x->last < y->born)
                continue;
            size_t end = y->offset + bytes_of(net, placed[i]);
            if (at < end && y->offset < at + need) {
                at = end;
                moved = true;
            }
        }
    }
    return at;
}

enum err_code nv_place_buffers(struct nv_net *net, struct err *e)
{
    int n = 0;
    int *placed = mem_array((size_t)net->n_buffer, sizeof *placed);
    bool *done = mem_calloc((size_t)net->n_buffer, sizeof *done);
    if (!placed || !done) {
        mem_free(placed);
        mem_free(done);
        return err_set(e, ERR_NOMEM, "no memory to plan a network");
    }
    join_lives(net);
    net->arena_bytes = 0;
    for (;;) { /* the largest first */
        int best = -1;
        for (int i = 0; i < net->n_buffer; i++) {
            if (!done[i] && net->buffer[i].same_as < 0 &&
                (best < 0 || bytes_of(net, i) > bytes_of(net, best)))
                best = i;
        }
        if (best < 0)
            break;
        done[best] = true;
        net->buffer[best].offset = find_place(net, placed, n, best);
        placed[n++] = best;
        size_t end = net->buffer[best].offset + bytes_of(net, best);
        if (end > net->arena_bytes)
            net->arena_bytes = end;
    }
    /* An owner always comes before those that share its memory. */
    for (int i = 0; i < net->n_buffer; i++) {
        if (net->buffer[i].same_as >= 0)
            net->buffer[i].offset = net->buffer[net->buffer[i].same_as].offset;
    }
    mem_free(placed);
    mem_free(done);
    net->arena = mem_aligned(net->arena_bytes ? net->arena_bytes : 1);
    if (!net->arena)
        return err_set(e, ERR_NOMEM, "no memory for a network's %zu bytes",
                       net->arena_bytes);
    memset(net->arena, 0, net->arena_bytes);
    return OK;
}
