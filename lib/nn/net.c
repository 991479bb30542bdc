/* Running a planned network. */
#include "lib/nn/net.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/nn/plan.h"
#include "lib/nn/rows.h"

static void op_free(struct nn_step_op *o)
{
    if (!o)
        return;
    if (o->prepared && o->node.op->release)
        o->node.op->release(&o->x);
    for (int k = 0; k < NN_MAX_PARAMS; k++)
        tensor_free(&o->param[k].value);
    mem_free(o);
}

void nn_net_free(struct nn_net **n)
{
    if (!n || !*n)
        return;
    struct nn_net *x = *n;
    for (int i = 0; i < x->n_step; i++) {
        nn_conv_free(&x->step[i].conv);
        op_free(x->step[i].op);
    }
    for (int i = 0; i < x->n_vector; i++)
        mem_free(x->vector[i]);
    mem_free(x->vector);
    mem_free(x->step);
    mem_free(x->buffer);
    mem_unmap(x->arena, x->arena_bytes);
    mem_unmap(x->scratch, x->scratch_bytes);
    mem_free(x);
    *n = NULL;
}

size_t nn_net_arena_bytes(const struct nn_net *n)
{
    return n->arena_bytes;
}

size_t nn_net_bytes(const struct nn_net *n)
{
    return n->arena_bytes + n->scratch_bytes + n->weight_bytes;
}

static void run_pass(const struct nn_net *n, const struct nn_step *s)
{
    const struct nn_view *v =
        &n->buffer[s->dst >= 0 ? s->dst : s->out[0].buffer].view;
    struct nn_pass m = {.batch = v->batch,
                        .shape = v->shape,
                        .layout = n->layout,
                        .type = n->type,
                        .n_pieces = s->n_pieces,
                        .n_outs = s->n_outs,
                        .rect = s->rect,
                        .raw = s->dst >= 0 ? v->data : NULL};
    for (int i = 0; i < s->n_pieces; i++) {
        const struct nn_view *q = &n->buffer[s->piece[i].buffer].view;
        m.piece[i] = (struct nn_piece){.data = q->data,
                                       .shape = q->shape,
                                       .first = s->piece[i].first,
                                       .kind = s->piece[i].kind};
    }
    for (int i = 0; i < s->n_outs; i++)
        m.out[i] =
            (struct nn_pass_out){.data = n->buffer[s->out[i].buffer].view.data,
                                 .scale = s->out[i].scale,
                                 .shift = s->out[i].shift,
                                 .rect = s->out[i].rect};
    nn_pass_run(&m);
}

/* Between the caller's array f32[batch,C,H,W] and a buffer. */
static void run_pack(const struct nn_net *n, const struct nn_step *s,
                     const float *const *in, float *const *out)
{
    const struct nn_view *mine =
        &n->buffer[s->kind == NN_STEP_PACK ? s->dst : s->src].view;
    struct nn_view theirs = *mine;
    theirs.layout = NN_PLAIN;
    theirs.dtype = DT_F32;
    if (s->kind == NN_STEP_PACK) {
        /* A view's data is not const, but a conversion only reads its source */
        memcpy(&theirs.data, &in[s->port], sizeof theirs.data);
        nn_convert(&theirs, mine, false);
    } else {
        theirs.data = out[s->port];
        nn_convert(mine, &theirs, false);
    }
}

enum err_code nn_run(struct nn_net *n, const float *const *in,
                     float *const *out, struct err *e)
{
    for (int i = 0; i < n->n_step; i++) {
        struct nn_step *s = &n->step[i];
        enum err_code r = OK;
        int64_t start = clock_ns();
        switch (s->kind) {
        case NN_STEP_CONV:
            r = nn_conv_forward(s->conv, n->buffer[s->src].view.data,
                                n->buffer[s->dst].view.data, n->scratch, e);
            break;
        case NN_STEP_PASS:
            run_pass(n, s);
            break;
        case NN_STEP_OP:
            r = s->op->node.op->forward(&s->op->x, e);
            break;
        default:
            run_pack(n, s, in, out);
        }
        if (r)
            return r;
        s->ns += clock_ns() - start;
        s->runs++;
    }
    return OK;
}
