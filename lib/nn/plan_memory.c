/* Buffers that are never alive at once share memory in the arena. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/place.h"
#include "lib/nn/plan.h"

/* The buffer whose memory i has. */
static int owner(const struct nn_net *net, int i)
{
    while (net->buffer[i].same_as >= 0)
        i = net->buffer[i].same_as;
    return i;
}

/* Take another's place where that is read for the last time by the step that
 * writes this one, and by nobody who shares it either. */
static void settle(struct nn_net *net)
{
    for (int i = 0; i < net->n_buffer; i++) {
        struct nn_buffer *d = &net->buffer[i];
        int b = d->same_as >= 0 ? d->same_as : d->may_be;
        if (b < 0)
            continue;
        struct nn_buffer *o = &net->buffer[owner(net, b)];
        if (d->same_as < 0 &&
            (o->last != d->born ||
             nn_view_bytes(&o->view) < nn_view_bytes(&d->view)))
            continue;
        d->same_as = owner(net, b);
        if (d->last > o->last)
            o->last = d->last;
    }
}

static enum err_code place_all(struct nn_net *net, size_t *offset,
                               struct err *e)
{
    struct nn_place *b = mem_calloc((size_t)net->n_buffer, sizeof *b);
    if (!b)
        return nn_plan_no_memory(e);
    for (int i = 0; i < net->n_buffer; i++) {
        const struct nn_buffer *x = &net->buffer[i];
        b[i].bytes = x->same_as < 0 ? nn_view_bytes(&x->view) : 0;
        b[i].born = x->born;
        b[i].last = x->last;
    }
    enum err_code r = nn_place(b, net->n_buffer, &net->arena_bytes, e);
    for (int i = 0; i < net->n_buffer; i++)
        offset[i] = b[owner(net, i)].offset;
    mem_free(b);
    return r;
}

static void point(struct nn_net *net, struct nn_step_op *o, int dst)
{
    for (int k = 0; k < o->node.n_in; k++)
        o->x.in[k].data = net->buffer[o->in[k]].view.data;
    o->x.out.data = net->buffer[dst].view.data;
    o->x.scratch = net->scratch;
    if (o->x.keep_bytes)
        o->x.keep =
            (uint8_t *)net->scratch + (o->x.scratch_bytes + 63) / 64 * 64;
}

enum err_code nn_plan_memory(struct nn_net *net, struct err *e)
{
    size_t *offset = mem_array((size_t)net->n_buffer + 1, sizeof *offset);
    if (!offset)
        return nn_plan_no_memory(e);
    settle(net);
    enum err_code r = place_all(net, offset, e);
    if (!r) {
        net->arena = mem_map(net->arena_bytes);
        net->scratch = mem_map(net->scratch_bytes);
        if (!net->arena || !net->scratch)
            r = err_set(e, ERR_NOMEM, "no memory for a network's %zu bytes",
                        net->arena_bytes + net->scratch_bytes);
    }
    if (!r) {
        for (int i = 0; i < net->n_buffer; i++)
            net->buffer[i].view.data = net->arena + offset[i];
        for (int i = 0; i < net->n_step; i++) {
            if (net->step[i].op)
                point(net, net->step[i].op, net->step[i].dst);
        }
    }
    mem_free(offset);
    return r;
}
