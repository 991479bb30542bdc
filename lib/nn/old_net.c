/* Running a planned network. */
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/nn/old_plan.h"

void nv_net_free(struct nv_net **n)
{
    if (!n || !*n)
        return;
    struct nv_net *x = *n;
    for (int i = 0; i < x->n_step; i++)
        nv_conv_free(&x->step[i].conv);
    for (int i = 0; i < x->n_vector; i++)
        mem_free(x->vector[i]);
    mem_free(x->vector);
    mem_free(x->step);
    mem_free(x->buffer);
    mem_free(x->arena);
    mem_free(x->scratch);
    mem_free(x);
    *n = NULL;
}

size_t nv_net_arena_bytes(const struct nv_net *n)
{
    return n->arena_bytes;
}

static float *memory_of(const struct nv_net *n, int buffer)
{
    void *p = n->arena + n->buffer[buffer].offset;
    return p;
}

static void run_map(const struct nv_net *n, const struct nv_step *s)
{
    int any = s->dst >= 0 ? s->dst : s->out[0].buffer;
    struct nn_map m = {.batch = n->batch,
                       .shape = n->buffer[any].shape,
                       .layout = n->layout,
                       .n_pieces = s->n_pieces,
                       .n_outs = s->n_outs,
                       .raw = s->dst >= 0 ? memory_of(n, s->dst) : NULL};
    for (int i = 0; i < s->n_pieces; i++)
        m.piece[i] =
            (struct nn_piece){.data = memory_of(n, s->piece[i].buffer),
                              .shape = n->buffer[s->piece[i].buffer].shape,
                              .first = s->piece[i].first,
                              .kind = s->piece[i].kind};
    for (int i = 0; i < s->n_outs; i++)
        m.out[i] = (struct nn_map_out){.data = memory_of(n, s->out[i].buffer),
                                       .scale = s->out[i].scale,
                                       .shift = s->out[i].shift,
                                       .relu = s->out[i].relu};
    nn_map_run(&m);
}

/* Pictures of a batch between the caller's arrays and the arena. */
static void run_pack(const struct nv_net *n, const struct nv_step *s,
                     const float *const *in, float *const *out)
{
    const struct nv_buffer *b =
        &n->buffer[s->kind == NV_STEP_PACK ? s->dst : s->src];
    float *mine = memory_of(n, s->kind == NV_STEP_PACK ? s->dst : s->src);
    int64_t plain = b->shape.c * b->shape.h * b->shape.w;
    for (int64_t i = 0; i < n->batch; i++) {
        float *at = mine + (size_t)i * b->floats;
        if (s->kind == NV_STEP_PACK)
            nn_pack(in[s->port] + i * plain, b->shape, b->layout, at);
        else
            nn_unpack(at, b->shape, b->layout, out[s->port] + i * plain);
    }
}

enum err_code nv_run(struct nv_net *n, const float *const *in,
                     float *const *out, struct err *e)
{
    for (int i = 0; i < n->n_step; i++) {
        struct nv_step *s = &n->step[i];
        enum err_code r = OK;
        int64_t start = clock_ns();
        if (s->kind == NV_STEP_CONV)
            r = nv_conv_run(s->conv, memory_of(n, s->src), memory_of(n, s->dst),
                            n->scratch, e);
        else if (s->kind == NV_STEP_MAP)
            run_map(n, s);
        else
            run_pack(n, s, in, out);
        if (r)
            return r;
        s->ns += clock_ns() - start;
        s->runs++;
    }
    return OK;
}

static const char *kind_word(const struct nv_step *s)
{
    static const char *const words[] = {[NV_STEP_PACK] = "pack",
                                        [NV_STEP_CONV] = "conv",
                                        [NV_STEP_MAP] = "map",
                                        [NV_STEP_UNPACK] = "unpack"};
    return words[s->kind];
}

enum err_code nv_net_describe(const struct nv_net *n, struct buf *b,
                              struct err *e)
{
    int64_t total[NV_STEP_UNPACK + 1] = {0}, all = 0;
    double gflop = 0;
    enum err_code r =
        buf_printf(b, e, "%-5s %-7s %-14s %-14s %9s %8s %s\n", "step", "what",
                   "from", "to", "us", "GFLOP/s", "kernel or outputs");
    for (int i = 0; i < n->n_step && !r; i++) {
        const struct nv_step *s = &n->step[i];
        int64_t ns = s->runs ? s->ns / s->runs : 0;
        int from = s->kind == NV_STEP_MAP ? s->piece[0].buffer : s->src;
        int to =
            s->kind == NV_STEP_MAP && s->dst < 0 ? s->out[0].buffer : s->dst;
        char shape[2][32];
        for (int k = 0; k < 2; k++) {
            int x = k ? to : from;
            struct buf t;
            buf_init(&t, 32);
            r = x < 0 ? buf_puts(&t, "-", e)
                      : buf_printf(&t, e, "%lldx%lldx%lld",
                                   (long long)n->buffer[x].shape.c,
                                   (long long)n->buffer[x].shape.h,
                                   (long long)n->buffer[x].shape.w);
            for (size_t j = 0; j < sizeof shape[k]; j++)
                shape[k][j] = j < t.len ? (char)t.data[j] : '\0';
            shape[k][31] = '\0';
            buf_free(&t);
            if (r)
                return r;
        }
        r = buf_printf(b, e, "%-5d %-7s %-14s %-14s %9.1f %8.0f ", s->node,
                       kind_word(s), shape[0], shape[1], (double)ns * 1e-3,
                       ns ? s->gflop * 1e9 / (double)ns : 0.0);
        if (!r && s->kind == NV_STEP_MAP)
            r = buf_printf(b, e, "%d pieces, %d norms%s\n", s->n_pieces,
                           s->n_outs, s->dst >= 0 ? ", sum" : "");
        else if (!r)
            r = buf_printf(b, e, "%s\n",
                           s->conv ? nv_conv_kernel(s->conv) : "");
        total[s->kind] += ns;
        all += ns;
        gflop += s->gflop;
    }
    if (!r)
        r = buf_printf(b, e,
                       "total %.2f ms: conv %.2f (%.2f GFLOP), map %.2f, "
                       "pack %.2f, unpack %.2f; arena %.1f MB, scratch %.1f "
                       "MB\n",
                       (double)all * 1e-6, (double)total[NV_STEP_CONV] * 1e-6,
                       gflop, (double)total[NV_STEP_MAP] * 1e-6,
                       (double)total[NV_STEP_PACK] * 1e-6,
                       (double)total[NV_STEP_UNPACK] * 1e-6,
                       (double)n->arena_bytes * 1e-6,
                       (double)n->scratch_bytes * 1e-6);
    return r;
}
