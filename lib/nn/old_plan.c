/* From a graph to steps: fusion, layouts, lifetimes. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/old_plan.h"

/* What planning needs besides the net. */
struct planner {
    const struct nv_graph *g;
    const struct nv_options *o;
    struct nv_net *net;
    struct nv_fusion *f;
    int *buffer; /* of each node; -1 none yet */
    int *plain;  /* of each input node: its NN_PLAIN buffer, or -1 */
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory to plan a network");
}

static int new_buffer(struct planner *p, struct nn_shape s,
                      enum nn_layout layout)
{
    struct nv_net *n = p->net;
    if (n->n_buffer == n->cap_buffer) {
        int cap = n->cap_buffer ? n->cap_buffer * 2 : 64;
        void *m = mem_resize(n->buffer, (size_t)cap, sizeof *n->buffer);
        if (!m)
            return -1;
        n->buffer = m;
        n->cap_buffer = cap;
    }
    n->buffer[n->n_buffer] =
        (struct nv_buffer){.shape = s,
                           .layout = layout,
                           .floats = (size_t)nn_layout_floats(s, layout),
                           .born = n->n_step,
                           .last = n->n_step,
                           .same_as = -1};
    return n->n_buffer++;
}

/* A new step at the end; the caller fills it before asking for another. */
static struct nv_step *new_step(struct planner *p, enum nv_step_kind kind,
                                int node)
{
    struct nv_net *n = p->net;
    if (n->n_step == n->cap_step) {
        int cap = n->cap_step ? n->cap_step * 2 : 64;
        void *m = mem_resize(n->step, (size_t)cap, sizeof *n->step);
        if (!m)
            return NULL;
        n->step = m;
        n->cap_step = cap;
    }
    n->step[n->n_step] =
        (struct nv_step){.kind = kind, .node = node, .src = -1, .dst = -1};
    return &n->step[n->n_step++];
}

/* The step being filled now reads b. */
static void reads(struct planner *p, int b)
{
    p->net->buffer[b].last = p->net->n_step - 1;
}

static int writes(struct planner *p, struct nn_shape s, enum nn_layout l)
{
    int b = new_buffer(p, s, l);
    if (b >= 0)
        p->net->buffer[b].born = p->net->buffer[b].last = p->net->n_step - 1;
    return b;
}

/* A copy of v, padded with zeros to the layout's lane, owned by the net. */
static const float *keep_vector(struct planner *p, const struct tensor *v)
{
    struct nv_net *n = p->net;
    if (n->n_vector == n->cap_vector) {
        int cap = n->cap_vector ? n->cap_vector * 2 : 64;
        void *m = mem_resize(n->vector, (size_t)cap, sizeof *n->vector);
        if (!m)
            return NULL;
        n->vector = m;
        n->cap_vector = cap;
    }
    size_t padded = (v->count + 15) / 16 * 16;
    float *x = mem_aligned(padded * sizeof *x);
    if (!x)
        return NULL;
    memset(x, 0, padded * sizeof *x);
    memcpy(x, v->data, v->bytes);
    n->vector[n->n_vector++] = x;
    return x;
}

/* A batch norm after a convolution is a scale of its filters and a new bias;
 * the products are rounded once, from double. */
static enum err_code fold_norm(const struct nv_node *c,
                               const struct nv_node *bn, struct tensor **w,
                               struct tensor **bias, struct err *e)
{
    *w = tensor_copy(c->weights, e);
    *bias = tensor_copy(bn->shift, e);
    if (!*w || !*bias)
        return ERR_NOMEM;
    int64_t o = c->weights->shape[0];
    size_t per = (*w)->count / (size_t)o;
    for (int64_t i = 0; i < o; i++) {
        double k = (double)tensor_f32(bn->scale)[i];
        float *row = tensor_f32(*w) + (size_t)i * per;
        for (size_t j = 0; j < per; j++)
            row[j] = (float)((double)row[j] * k);
        if (c->bias)
            tensor_f32(*bias)[i] = (float)((double)tensor_f32(*bias)[i] +
                                           k * (double)tensor_f32(c->bias)[i]);
    }
    return OK;
}

/* Winograd's transforms cost more than they save on small pictures. */
static bool winograd_pays(const struct nv_node *c)
{
    const int64_t *k = c->weights->shape;
    return k[2] == 3 && k[3] == 3 && c->stride == 1 &&
           c->shape.h * c->shape.w >= 576 && k[0] >= 16 && k[1] >= 16;
}

static enum err_code conv_step(struct planner *p, int i, struct err *e)
{
    const struct nv_node *c = &p->g->node[i];
    const int64_t *k = c->weights->shape;
    struct nv_step *s = new_step(p, NV_STEP_CONV, i);
    if (!s)
        return no_memory(e);
    int in = c->in[0];
    bool plain = p->net->layout == NN_BLOCK16 && k[1] < 16 && p->plain[in] >= 0;
    s->src = plain ? p->plain[in] : p->buffer[p->f[in].rep];
    reads(p, s->src);
    s->dst = writes(p, c->shape, p->net->layout);
    if (s->dst < 0)
        return no_memory(e);
    p->buffer[i] = s->dst;
    struct tensor *w = tensor_ref(c->weights);
    struct tensor *bias = c->bias ? tensor_ref(c->bias) : NULL;
    enum err_code r = OK;
    if (p->f[i].norm >= 0) {
        tensor_free(&w);
        tensor_free(&bias);
        r = fold_norm(c, &p->g->node[p->f[i].norm], &w, &bias, e);
    }
    struct nv_conv_desc d = {.batch = p->net->batch,
                             .in = p->g->node[in].shape,
                             .out = c->shape,
                             .kernel_h = k[2],
                             .kernel_w = k[3],
                             .stride = c->stride,
                             .pad = c->pad,
                             .in_layout = p->net->buffer[s->src].layout,
                             .out_layout = p->net->layout,
                             .relu = p->f[i].relu,
                             .winograd = p->net->layout == NN_BLOCK16 &&
                                         winograd_pays(c)};
    if (!r)
        r = nv_conv_new(&d, tensor_f32(w), bias ? tensor_f32(bias) : NULL,
                        &s->conv, e);
    tensor_free(&w);
    tensor_free(&bias);
    if (r)
        return r;
    s->gflop = 2e-9 * (double)p->net->batch * (double)c->weights->count *
               (double)(c->shape.h * c->shape.w);
    if (nv_conv_scratch(s->conv) > p->net->scratch_bytes)
        p->net->scratch_bytes = nv_conv_scratch(s->conv);
    return OK;
}

/* Add node x's value to channels first.. of the pass: as its parts if it has
 * been joined into its reader, else as its buffer. False: too many pieces. */
static bool add_pieces(struct planner *p, struct nv_step *s, int x,
                       int64_t first, enum nn_piece_kind kind)
{
    const struct nv_node *n = &p->g->node[x];
    if (p->f[x].fate == NV_INTO_SUM && kind == NN_PIECE_SAME) {
        if (n->kind == NV_UPSAMPLE2)
            return add_pieces(p, s, n->in[0], first, NN_PIECE_UP2);
        for (int i = 0; i < n->n_in; i++) {
            if (!add_pieces(p, s, n->in[i], first, NN_PIECE_SAME))
                return false;
            if (n->kind == NV_CONCAT)
                first += p->g->node[n->in[i]].shape.c;
        }
        return true;
    }
    if (s->n_pieces == NN_MAP_PIECES)
        return false;
    int b = p->buffer[p->f[x].rep];
    s->piece[s->n_pieces++] = (struct nv_step_piece){b, first, kind};
    reads(p, b);
    return true;
}

/* The batch norms that read node i (under its name or a folded one). */
static enum err_code add_sides(struct planner *p, struct nv_step *s, int i,
                               int from, int *next, struct err *e)
{
    int k;
    for (k = from; k < p->g->n; k++) {
        const struct nv_node *n = &p->g->node[k];
        if (n->kind != NV_BATCH_NORM || p->f[k].fate != NV_SIDE ||
            p->f[n->in[0]].rep != i)
            continue;
        if (s->n_outs == NN_MAP_OUTS)
            break;
        struct nv_step_out *o = &s->out[s->n_outs++];
        o->buffer = writes(p, n->shape, p->net->layout);
        o->scale = keep_vector(p, n->scale);
        o->shift = keep_vector(p, n->shift);
        o->relu = p->f[k].relu;
        if (o->buffer < 0 || !o->scale || !o->shift)
            return no_memory(e);
        p->buffer[k] = o->buffer;
    }
    *next = k;
    return OK;
}

/* Does anybody read node i other than through NV_SIDE batch norms? */
static bool needs_raw(const struct planner *p, int i)
{
    if (p->f[i].is_output)
        return true;
    for (int k = 0; k < p->g->n; k++) {
        const struct nv_node *n = &p->g->node[k];
        for (int j = 0; j < n->n_in; j++) {
            if (n->in[j] == i && p->f[k].fate != NV_SIDE)
                return true;
        }
    }
    return false;
}

/* The sum may take the place of a whole piece that nobody reads later. */
static void try_in_place(struct planner *p, struct nv_step *s)
{
    struct nv_net *n = p->net;
    if (s->dst < 0 || s->n_pieces < 2)
        return;
    struct nv_buffer *d = &n->buffer[s->dst];
    for (int i = 0; i < s->n_pieces; i++) {
        const struct nv_step_piece *q = &s->piece[i];
        if (q->kind == NN_PIECE_SAME && q->first == 0 &&
            n->buffer[q->buffer].shape.c == d->shape.c)
            d->same_as = -2 - q->buffer; /* decided once lives are known */
    }
}

static void settle_in_place(struct nv_net *n)
{
    for (int i = 0; i < n->n_buffer; i++) {
        struct nv_buffer *d = &n->buffer[i];
        if (d->same_as > -2)
            continue;
        int b = -2 - d->same_as;
        d->same_as = n->buffer[b].last == d->born ? b : -1;
        while (d->same_as >= 0 && n->buffer[d->same_as].same_as >= 0)
            d->same_as = n->buffer[d->same_as].same_as;
    }
}

/* A node that is not a convolution, with the batch norms that read it. */
static enum err_code map_step(struct planner *p, int i, struct err *e)
{
    const struct nv_node *n = &p->g->node[i];
    struct nv_step *s = new_step(p, NV_STEP_MAP, i);
    if (!s)
        return no_memory(e);
    bool ok = true;
    int64_t first = 0;
    static const enum nn_piece_kind kinds[] = {[NV_AVG_POOL2] = NN_PIECE_AVG2,
                                               [NV_MAX_POOL2] = NN_PIECE_MAX2,
                                               [NV_UPSAMPLE2] = NN_PIECE_UP2};
    enum nn_piece_kind kind =
        n->kind >= NV_AVG_POOL2 ? kinds[n->kind] : NN_PIECE_SAME;
    for (int k = 0; k < n->n_in && ok; k++) {
        ok = add_pieces(p, s, n->in[k], first, kind);
        if (n->kind == NV_CONCAT)
            first += p->g->node[n->in[k]].shape.c;
    }
    if (!ok)
        return err_set(e, ERR_UNSUPPORTED,
                       "network: node %d sums too many pieces", i);
    if (n->kind == NV_RELU || n->kind == NV_BATCH_NORM) {
        struct nv_step_out *o = &s->out[s->n_outs++];
        o->buffer = p->buffer[i] = writes(p, n->shape, p->net->layout);
        o->relu = n->kind == NV_RELU;
        if (n->scale) {
            o->scale = keep_vector(p, n->scale);
            o->shift = keep_vector(p, n->shift);
        }
        return o->buffer < 0 || (n->scale && (!o->scale || !o->shift))
                   ? no_memory(e)
                   : OK;
    }
    int next;
    if (needs_raw(p, i)) {
        s->dst = p->buffer[i] = writes(p, n->shape, p->net->layout);
        if (s->dst < 0)
            return no_memory(e);
        try_in_place(p, s);
    }
    enum err_code r = add_sides(p, s, i, 0, &next, e);
    if (!r && next < p->g->n)
        r = err_set(e, ERR_UNSUPPORTED,
                    "network: node %d has too many batch norms", i);
    return r;
}

/* Batch norms that read something already in a buffer (a convolution's raw
 * result, an input, another batch norm): one pass for all of them. */
static enum err_code side_steps(struct planner *p, int i, struct err *e)
{
    int next = 0;
    while (next < p->g->n) {
        bool any = false;
        for (int k = next; k < p->g->n; k++) {
            if (p->g->node[k].kind == NV_BATCH_NORM &&
                p->f[k].fate == NV_SIDE && p->f[p->g->node[k].in[0]].rep == i)
                any = true;
        }
        if (!any)
            return OK;
        struct nv_step *s = new_step(p, NV_STEP_MAP, i);
        if (!s)
            return no_memory(e);
        s->piece[s->n_pieces++] =
            (struct nv_step_piece){p->buffer[i], 0, NN_PIECE_SAME};
        reads(p, p->buffer[i]);
        enum err_code r = add_sides(p, s, i, next, &next, e);
        if (r)
            return r;
    }
    return OK;
}

/* Does a convolution (or: anything else) read node i? */
static bool read_by(const struct planner *p, int i, bool conv)
{
    for (int k = 0; k < p->g->n; k++) {
        const struct nv_node *n = &p->g->node[k];
        for (int j = 0; j < n->n_in; j++) {
            if (n->in[j] == i && (n->kind == NV_CONV) == conv)
                return true;
        }
    }
    return !conv && p->f[i].is_output;
}

/* Inputs are kept plain for a first convolution that reads few channels
 * (blocked kernels want them so), and packed for everybody else. */
static enum err_code input_step(struct planner *p, int i, int port,
                                struct err *e)
{
    const struct nv_node *n = &p->g->node[i];
    bool few = p->net->layout == NN_BLOCK16 && n->shape.c < 16;
    for (int form = 0; form < 2; form++) {
        bool plain = form == 0;
        if (few ? !read_by(p, i, plain) : plain)
            continue;
        struct nv_step *s = new_step(p, NV_STEP_PACK, i);
        if (!s)
            return no_memory(e);
        s->port = port;
        s->dst = writes(p, n->shape, plain ? NN_PLAIN : p->net->layout);
        if (s->dst < 0)
            return no_memory(e);
        if (plain)
            p->plain[i] = s->dst;
        else
            p->buffer[i] = s->dst;
    }
    return OK;
}

static enum err_code output_steps(struct planner *p, struct err *e)
{
    for (int i = 0; i < p->g->n_output; i++) {
        int node = p->g->output[i];
        struct nv_step *s = new_step(p, NV_STEP_UNPACK, node);
        if (!s)
            return no_memory(e);
        s->port = i;
        s->src = p->buffer[p->f[node].rep];
        reads(p, s->src);
    }
    return OK;
}

static enum err_code make_steps(struct planner *p, struct err *e)
{
    const struct nv_graph *g = p->g;
    int port = 0;
    for (int i = 0; i < g->n; i++) {
        enum nv_kind kind = g->node[i].kind;
        enum err_code r = OK;
        if (kind == NV_INPUT)
            r = input_step(p, i, port++, e);
        else if (p->f[i].fate == NV_OWN)
            r = kind == NV_CONV ? conv_step(p, i, e) : map_step(p, i, e);
        bool in_buffer =
            kind == NV_INPUT || p->f[i].fate == NV_SIDE ||
            (p->f[i].fate == NV_OWN && (kind == NV_CONV || kind == NV_RELU));
        if (!r && in_buffer)
            r = side_steps(p, i, e);
        if (r)
            return r;
    }
    return output_steps(p, e);
}

/* Blocked layouts need concat parts to start at whole blocks. */
static enum nn_layout choose_layout(const struct nv_graph *g,
                                    const struct nv_options *o)
{
    if (o->mode != NV_FAST || !nv_conv_has_winograd())
        return NN_LAST;
    for (int i = 0; i < g->n; i++) {
        const struct nv_node *n = &g->node[i];
        for (int k = 0; n->kind == NV_CONCAT && k + 1 < n->n_in; k++) {
            if (g->node[n->in[k]].shape.c % 16)
                return NN_LAST;
        }
    }
    return NN_BLOCK16;
}

static enum err_code plan_into(struct planner *p, struct err *e)
{
    size_t n = (size_t)p->g->n;
    p->f = mem_calloc(n, sizeof *p->f);
    p->buffer = mem_array(n, sizeof *p->buffer);
    p->plain = mem_array(n, sizeof *p->plain);
    if (!p->f || !p->buffer || !p->plain)
        return no_memory(e);
    for (size_t i = 0; i < n; i++)
        p->buffer[i] = p->plain[i] = -1;
    p->net->layout = choose_layout(p->g, p->o);
    nv_fuse(p->g, p->o->unfused, p->f);
    enum err_code r = make_steps(p, e);
    if (r)
        return r;
    settle_in_place(p->net);
    r = nv_place_buffers(p->net, e);
    if (r)
        return r;
    p->net->scratch =
        mem_aligned(p->net->scratch_bytes ? p->net->scratch_bytes : 64);
    return p->net->scratch ? OK : no_memory(e);
}

enum err_code nv_plan(const struct nv_graph *g, const struct nv_options *o,
                      struct nv_net **out, struct err *e)
{
    *out = NULL;
    enum err_code r = nv_graph_status(g, e);
    if (r)
        return r;
    if (!g->n_input || !g->n_output || o->batch < 0)
        return err_set(e, ERR_ARG, "a network needs an input and an output");
    struct nv_net *net = mem_calloc(1, sizeof *net);
    if (!net)
        return no_memory(e);
    net->batch = o->batch ? o->batch : 1;
    struct planner p = {.g = g, .o = o, .net = net};
    r = plan_into(&p, e);
    mem_free(p.f);
    mem_free(p.buffer);
    mem_free(p.plain);
    if (r)
        nv_net_free(&net);
    *out = net;
    return r;
}
