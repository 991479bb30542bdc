/* Passes over activations: sums of pieces, and the norms that read them. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/plan.h"

/* Copies of a norm's scale and shift, padded with zeros to whole blocks, owned
 * by the net. */
static enum err_code keep_norm(struct nn_planner *p, const struct nn_node *n,
                               struct nn_step_out *o, struct err *e)
{
    struct nn_net *net = p->net;
    if (net->n_vector == net->cap_vector) {
        int cap = net->cap_vector ? net->cap_vector * 2 : 64;
        void *m = mem_resize(net->vector, (size_t)cap, sizeof *net->vector);
        if (!m)
            return nn_plan_no_memory(e);
        net->vector = m;
        net->cap_vector = cap;
    }
    size_t c = (size_t)n->shape.c, padded = (c + 15) / 16 * 16;
    double *exact = mem_array(2 * c, sizeof *exact);
    float *v = mem_aligned(2 * padded * sizeof *v);
    enum err_code r = exact && v ? nn_plan_norm(n, exact, exact + c, e)
                                 : nn_plan_no_memory(e);
    if (!r) {
        memset(v, 0, 2 * padded * sizeof *v);
        for (size_t i = 0; i < c; i++) {
            v[i] = (float)exact[i];
            v[padded + i] = (float)exact[c + i];
        }
        o->scale = v;
        o->shift = v + padded;
        net->vector[net->n_vector++] = v;
        net->weight_bytes += 2 * padded * sizeof *v;
    } else {
        mem_free(v);
    }
    mem_free(exact);
    return r;
}

static struct nn_rectify rectifier(const struct nn_pnode *q)
{
    return (struct nn_rectify){q->act != NN_ACT_NONE,
                               q->act == NN_ACT_LEAKY ? q->alpha : 0.0F};
}

static bool is_side(const struct nn_planner *p, int k, int of)
{
    const struct nn_pnode *q = &p->n[k];
    return q->kind == NN_KIND_NORM && q->fate == NN_FATE_SIDE &&
           p->n[q->in[0]].rep == of;
}

/* Norms from node `from` on that read the value of i become results of the
 * step, as many as it takes; *next is the first node not looked at. */
static enum err_code add_sides(struct nn_planner *p, struct nn_step *s, int i,
                               int from, int *next, struct err *e)
{
    int k;
    for (k = from; k < p->g->n; k++) {
        if (!is_side(p, k, i))
            continue;
        if (s->n_outs == NN_PASS_OUTS)
            break;
        struct nn_step_out *o = &s->out[s->n_outs++];
        o->rect = rectifier(&p->n[k]);
        enum err_code r = keep_norm(p, p->n[k].node, o, e);
        if (r)
            return r;
        o->buffer = nn_plan_writes(p, k, p->net->layout, p->net->type);
        if (o->buffer < 0)
            return nn_plan_no_memory(e);
    }
    *next = k;
    return OK;
}

/* Are the norms that one pass writes all that reads the value of i? */
static bool only_sides(const struct nn_planner *p, int i)
{
    int sides = 0;
    for (int k = 0; k < p->g->n; k++) {
        const struct nn_pnode *q = &p->n[k];
        if (q->fate == NN_FATE_DEAD || (q->rep == i && k != i))
            continue; /* what is folded into i is i */
        for (int j = 0; j < q->n_in; j++) {
            if (p->n[q->in[j]].rep != i)
                continue;
            if (q->fate != NN_FATE_SIDE)
                return false;
            sides++;
        }
    }
    for (int k = 0; k < p->g->n_output; k++) {
        if (p->n[p->out[k]].rep == i)
            return false;
    }
    return sides <= NN_PASS_OUTS;
}

/* One result may take the place of a whole piece that nobody reads later. */
static void try_in_place(struct nn_planner *p, const struct nn_step *s)
{
    struct nn_net *n = p->net;
    int dst = s->dst >= 0 ? s->dst : s->out[s->n_outs - 1].buffer;
    struct nn_buffer *d = &n->buffer[dst];
    for (int i = 0; i < s->n_pieces; i++) {
        const struct nn_step_piece *q = &s->piece[i];
        if (q->kind == NN_PIECE_SAME && q->first == 0 &&
            n->buffer[q->buffer].view.shape.c == d->view.shape.c)
            d->may_be = q->buffer;
    }
}

/* The terms of what node x stands for: those of its own inputs where it has
 * been joined into its reader, else its buffer. */
static enum err_code collect(struct nn_planner *p, int x, int64_t first,
                             enum nn_piece_kind kind,
                             struct nn_step_piece *piece, int *n, struct err *e)
{
    const struct nn_pnode *q = &p->n[x];
    if (q->fate == NN_FATE_INTO_SUM) {
        enum nn_piece_kind k =
            q->kind == NN_KIND_UP2 ? NN_PIECE_UP2 : NN_PIECE_SAME;
        for (int i = 0; i < q->n_in; i++) {
            enum err_code r = collect(p, q->in[i], first, k, piece, n, e);
            if (r)
                return r;
            if (q->kind == NN_KIND_CONCAT)
                first += p->n[q->in[i]].node->shape.c;
        }
        return OK;
    }
    if (*n == NN_PASS_PIECES)
        return err_set(e, ERR_STATE, "network: node %d sums too much", x);
    int b = nn_plan_form(p, x, p->net->layout, p->net->type);
    if (b < 0)
        return nn_plan_no_memory(e);
    piece[(*n)++] = (struct nn_step_piece){b, first, kind};
    return OK;
}

static struct nn_step *start(struct nn_planner *p, int i,
                             const struct nn_step_piece *piece, int n)
{
    struct nn_step *s = nn_plan_step(p, NN_STEP_PASS, i);
    if (!s)
        return NULL;
    memcpy(s->piece, piece, (size_t)n * sizeof *piece);
    s->n_pieces = n;
    for (int k = 0; k < n; k++)
        nn_plan_reads(p, piece[k].buffer);
    return s;
}

enum err_code nn_plan_pass(struct nn_planner *p, int i, struct err *e)
{
    const struct nn_pnode *q = &p->n[i];
    enum nn_piece_kind kind = q->kind == NN_KIND_AVG2   ? NN_PIECE_AVG2
                              : q->kind == NN_KIND_MAX2 ? NN_PIECE_MAX2
                              : q->kind == NN_KIND_UP2  ? NN_PIECE_UP2
                                                        : NN_PIECE_SAME;
    struct nn_step_piece piece[NN_PASS_PIECES];
    int64_t first = 0;
    int n = 0, next = 0;
    for (int k = 0; k < q->n_in; k++) {
        enum err_code r = collect(p, q->in[k], first, kind, piece, &n, e);
        if (r)
            return r;
        if (q->kind == NN_KIND_CONCAT)
            first += p->n[q->in[k]].node->shape.c;
    }
    struct nn_step *s = start(p, i, piece, n);
    if (!s)
        return nn_plan_no_memory(e);
    s->rect = rectifier(q);
    if (!only_sides(p, i)) {
        s->dst = nn_plan_writes(p, i, p->net->layout, p->net->type);
        if (s->dst < 0)
            return nn_plan_no_memory(e);
    }
    enum err_code r = add_sides(p, s, i, 0, &next, e);
    if (!r)
        try_in_place(p, s);
    return r ? r : nn_plan_sides(p, i, next, e);
}

enum err_code nn_plan_sides(struct nn_planner *p, int i, int next,
                            struct err *e)
{
    while (next < p->g->n) {
        int k = next;
        while (k < p->g->n && !is_side(p, k, i))
            k++;
        if (k == p->g->n)
            return OK;
        struct nn_step_piece piece = {0, 0, NN_PIECE_SAME};
        piece.buffer = nn_plan_form(p, i, p->net->layout, p->net->type);
        if (piece.buffer < 0)
            return nn_plan_no_memory(e);
        struct nn_step *s = start(p, i, &piece, 1);
        if (!s)
            return nn_plan_no_memory(e);
        enum err_code r = add_sides(p, s, i, k, &next, e);
        if (r)
            return r;
        try_in_place(p, s);
    }
    return OK;
}
