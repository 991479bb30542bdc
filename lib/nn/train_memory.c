/* Training plans: which gradients are wanted, and where everything lies. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/place.h"
#include "lib/nn/train_impl.h"

void nn_train_wants(struct nn_train *t)
{
    for (int i = 0; i < t->n; i++) {
        struct nn_tstep *s = &t->step[i];
        const struct nn_node *n = &s->node;
        bool params = false;
        for (int k = 0; k < n->n_param && !n->frozen; k++)
            params = params || (n->param[k] && !n->param[k]->buffer);
        bool above = n->op == &nn_op_input && t->o.input_grads;
        bool stops = n->op->flags & NN_OP_NO_GRAD;
        for (int k = 0; k < n->n_in && !stops; k++) {
            s->x.din_wanted[k] = t->step[n->in[k]].needs;
            above = above || s->x.din_wanted[k];
        }
        s->x.dparam = params && !stops && !t->o.no_backward;
        s->needs = !t->o.no_backward && !stops && (params || above);
        s->x.backward = s->needs;
        if (!s->needs)
            memset(s->x.din_wanted, 0, sizeof s->x.din_wanted);
    }
}

/* A new chunk alive at one time; -1 without memory. */
static int new_chunk(struct nn_train *t, size_t bytes, int when)
{
    if (t->n_chunk == t->cap_chunk) {
        int cap = t->cap_chunk ? t->cap_chunk * 2 : 128;
        void *p = mem_resize(t->chunk, (size_t)cap, sizeof *t->chunk);
        if (!p)
            return -1;
        t->chunk = p;
        t->cap_chunk = cap;
    }
    t->chunk[t->n_chunk] = (struct nn_chunk){
        .bytes = bytes, .born = when, .last = when, .same_as = -1};
    return t->n_chunk++;
}

static void alive_at(struct nn_train *t, int chunk, int when)
{
    struct nn_chunk *c = &t->chunk[chunk];
    if (when < c->born)
        c->born = when;
    if (when > c->last)
        c->last = when;
}

static int back_time(const struct nn_train *t, int i)
{
    return 2 * t->n - i;
}

static int end_time(const struct nn_train *t)
{
    return 2 * t->n + 1;
}

static bool saves_out(const struct nn_tstep *s)
{
    unsigned f = s->node.op->flags;
    return f & NN_OP_SAVE_OUT || (f & NN_OP_SAVE_OUT_RELU && s->x.relu);
}

/* Values and what is kept, with the times at which they are read. */
static bool value_chunks(struct nn_train *t)
{
    for (int i = 0; i < t->n; i++) {
        struct nn_tstep *s = &t->step[i];
        s->value = new_chunk(t, nn_view_bytes(&s->x.out), i);
        if (s->value < 0)
            return false;
        if (s->needs && saves_out(s))
            alive_at(t, s->value, back_time(t, i));
        for (int k = 0; k < s->node.n_in; k++) {
            int v = t->step[s->node.in[k]].value;
            alive_at(t, v, i);
            if (s->needs && s->node.op->flags & NN_OP_SAVE_IN)
                alive_at(t, v, back_time(t, i));
        }
        if (!s->x.keep_bytes)
            continue;
        s->keep = new_chunk(t, s->x.keep_bytes, i);
        if (s->keep < 0)
            return false;
        if (s->needs)
            alive_at(t, s->keep, back_time(t, i));
    }
    for (int i = 0; i < t->n_output; i++)
        alive_at(t, t->step[t->output[i]].value, end_time(t));
    for (int i = 0; i < t->n_input; i++) /* filled before the first step */
        alive_at(t, t->step[t->input[i]].value, 0);
    return true;
}

/* The gradient of step `to`, written by the backward of step `from`: the
 * first one writes, others add, in memory of their own if they cannot. */
static bool gradient_into(struct nn_train *t, int from, int k, bool twice)
{
    struct nn_tstep *s = &t->step[from];
    struct nn_tstep *to = &t->step[s->node.in[k]];
    int now = back_time(t, from);
    size_t bytes = nn_view_bytes(&to->x.out);
    if (to->grad < 0) {
        to->grad = s->din[k] = new_chunk(t, bytes, now);
        return to->grad >= 0;
    }
    alive_at(t, to->grad, now);
    if (s->node.op->flags & NN_OP_ADDS && !twice) {
        s->din[k] = to->grad;
        s->x.din_add[k] = true;
        return true;
    }
    s->din[k] = new_chunk(t, bytes, now);
    s->din_temp[k] = true;
    return s->din[k] >= 0;
}

static bool gradient_chunks(struct nn_train *t)
{
    for (int i = 0; i < t->n_output; i++) {
        struct nn_tstep *s = &t->step[t->output[i]];
        if (!s->needs || s->grad >= 0)
            continue;
        s->grad = new_chunk(t, nn_view_bytes(&s->x.out), t->n);
        if (s->grad < 0)
            return false;
    }
    for (int i = t->n - 1; i >= 0; i--) {
        struct nn_tstep *s = &t->step[i];
        if (!s->needs)
            continue;
        if (s->grad < 0) { /* no output depends on it: nothing to do */
            s->needs = s->x.backward = s->x.dparam = false;
            continue;
        }
        alive_at(t, s->grad, back_time(t, i));
        for (int k = 0; k < s->node.n_in; k++) {
            bool twice = false;
            for (int j = 0; j < k; j++)
                twice = twice || s->node.in[j] == s->node.in[k];
            if (s->x.din_wanted[k] && !gradient_into(t, i, k, twice))
                return false;
        }
    }
    for (int i = 0; i < t->n_input; i++) {
        if (t->step[t->input[i]].grad >= 0)
            alive_at(t, t->step[t->input[i]].grad, end_time(t));
    }
    return true;
}

static int root_of(const struct nn_train *t, int c)
{
    while (t->chunk[c].same_as >= 0)
        c = t->chunk[c].same_as;
    return c;
}

/* b goes into the memory of a, whose last use must be b's birth. */
static void share(struct nn_train *t, int a, int b)
{
    a = root_of(t, a);
    b = root_of(t, b);
    if (a == b || t->chunk[a].last != t->chunk[b].born ||
        t->chunk[a].bytes != t->chunk[b].bytes)
        return;
    t->chunk[b].same_as = a;
    t->chunk[a].last = t->chunk[b].last;
}

static bool same_form(const struct nn_view *a, const struct nn_view *b)
{
    return a->layout == b->layout && a->dtype == b->dtype &&
           nn_view_bytes(a) == nn_view_bytes(b);
}

static void share_in_place(struct nn_train *t)
{
    for (int i = 0; i < t->n; i++) {
        struct nn_tstep *s = &t->step[i];
        if (s->node.op->flags & NN_OP_INPLACE &&
            same_form(&s->x.in[0], &s->x.out))
            share(t, t->step[s->node.in[0]].value, s->value);
    }
    for (int i = t->n - 1; i >= 0; i--) {
        struct nn_tstep *s = &t->step[i];
        if (s->needs && s->node.op->flags & NN_OP_INPLACE && s->din[0] >= 0 &&
            !s->x.din_add[0] && same_form(&s->x.in[0], &s->x.out))
            share(t, s->grad, s->din[0]);
    }
}

static enum err_code place_chunks(struct nn_train *t, struct err *e)
{
    struct nn_place *p = mem_calloc((size_t)t->n_chunk, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory to plan a network");
    int n = 0;
    for (int i = 0; i < t->n_chunk; i++) {
        const struct nn_chunk *c = &t->chunk[i];
        if (c->same_as < 0)
            p[n++] =
                (struct nn_place){.bytes = c->bytes,
                                  .born = t->o.unfused ? 0 : c->born,
                                  .last = t->o.unfused ? end_time(t) : c->last};
    }
    enum err_code r = nn_place(p, n, &t->arena_bytes, e);
    n = 0;
    for (int i = 0; i < t->n_chunk && !r; i++) {
        if (t->chunk[i].same_as < 0)
            t->chunk[i].offset = p[n++].offset;
    }
    for (int i = 0; i < t->n_chunk && !r; i++)
        t->chunk[i].offset = t->chunk[root_of(t, i)].offset;
    mem_free(p);
    return r;
}

/* Every view gets its address. */
static void point_views(struct nn_train *t)
{
    for (int i = 0; i < t->n; i++) {
        struct nn_tstep *s = &t->step[i];
        s->x.scratch = t->scratch;
        s->x.out.data = t->arena + t->chunk[s->value].offset;
        if (s->keep >= 0)
            s->x.keep = t->arena + t->chunk[s->keep].offset;
        s->x.dout = s->x.out;
        s->x.dout.data =
            s->grad >= 0 ? t->arena + t->chunk[s->grad].offset : NULL;
        for (int k = 0; k < s->node.n_in; k++) {
            s->x.in[k].data = t->step[s->node.in[k]].x.out.data;
            s->x.din[k] = s->x.in[k];
            s->x.din[k].data =
                s->din[k] >= 0 ? t->arena + t->chunk[s->din[k]].offset : NULL;
        }
    }
}

enum err_code nn_train_memory(struct nn_train *t, struct err *e)
{
    if (!value_chunks(t) || !gradient_chunks(t))
        return err_set(e, ERR_NOMEM, "no memory to plan a network");
    if (!t->o.unfused)
        share_in_place(t);
    enum err_code r = place_chunks(t, e);
    if (r)
        return r;
    t->arena = mem_map(t->arena_bytes);
    t->scratch = mem_map(t->scratch_bytes);
    if (!t->arena || !t->scratch)
        return err_set(e, ERR_NOMEM, "no memory for a network's %zu bytes",
                       t->arena_bytes + t->scratch_bytes);
    point_views(t);
    return OK;
}
