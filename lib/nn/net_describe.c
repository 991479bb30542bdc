/* Tables of a planned network's steps: what, shapes, kernels, times. */
#include <stdio.h>

#include "lib/nn/plan.h"

static const char *kind_word(const struct nn_step *s)
{
    switch (s->kind) {
    case NN_STEP_PACK:
        return "pack";
    case NN_STEP_UNPACK:
        return "unpack";
    case NN_STEP_PASS:
        return "pass";
    default:
        return s->what;
    }
}

/* "64x128x128", "-" where there is no buffer. */
static void shape_text(const struct nn_net *n, int buffer, char *out,
                       size_t size)
{
    if (buffer < 0) {
        snprintf(out, size, "-");
        return;
    }
    const struct nn_shape s = n->buffer[buffer].view.shape;
    snprintf(out, size, "%lldx%lldx%lld", (long long)s.c, (long long)s.h,
             (long long)s.w);
}

static void note_text(const struct nn_step *s, char *out, size_t size)
{
    out[0] = '\0';
    if (s->kind == NN_STEP_PASS)
        snprintf(out, size, "%d pieces, %d norms%s", s->n_pieces, s->n_outs,
                 s->dst >= 0 ? ", sum" : "");
    else if (s->conv)
        snprintf(out, size, "%s %s", nn_conv_kernel(s->conv), s->joined);
    else if (s->op)
        snprintf(out, size, "%s", s->op->x.kernel);
}

static enum err_code describe_step(const struct nn_net *n,
                                   const struct nn_step *s, struct buf *b,
                                   struct err *e)
{
    char from[40], to[40], note[96];
    int64_t ns = s->runs ? s->ns / s->runs : 0;
    bool pass = s->kind == NN_STEP_PASS;
    shape_text(n, pass ? s->piece[0].buffer : s->src, from, sizeof from);
    shape_text(n, pass && s->dst < 0 ? s->out[0].buffer : s->dst, to,
               sizeof to);
    note_text(s, note, sizeof note);
    return buf_printf(b, e, "%-5d %-10s %-14s %-14s %9.1f %8.0f %s\n", s->node,
                      kind_word(s), from, to, (double)ns * 1e-3,
                      ns ? s->gflop * 1e9 / (double)ns : 0.0, note);
}

enum err_code nn_net_describe(const struct nn_net *n, struct buf *b,
                              struct err *e)
{
    int64_t total[NN_STEP_KINDS] = {0}, all = 0;
    double gflop = 0;
    enum err_code r =
        buf_printf(b, e, "%-5s %-10s %-14s %-14s %9s %8s %s\n", "node", "what",
                   "from", "to", "us", "GFLOP/s", "kernel or results");
    for (int i = 0; i < n->n_step && !r; i++) {
        const struct nn_step *s = &n->step[i];
        int64_t ns = s->runs ? s->ns / s->runs : 0;
        r = describe_step(n, s, b, e);
        total[s->kind] += ns;
        all += ns;
        gflop += s->gflop;
    }
    if (r)
        return r;
    return buf_printf(
        b, e,
        "total %.2f ms, %.2f GFLOP (%.0f GFLOP/s): convolutions %.2f, passes "
        "%.2f, other operators %.2f, pack %.2f, unpack %.2f; arena %.1f MB, "
        "scratch %.1f MB, weights %.1f MB\n",
        (double)all * 1e-6, gflop, all ? gflop * 1e9 / (double)all : 0.0,
        (double)total[NN_STEP_CONV] * 1e-6, (double)total[NN_STEP_PASS] * 1e-6,
        (double)total[NN_STEP_OP] * 1e-6, (double)total[NN_STEP_PACK] * 1e-6,
        (double)total[NN_STEP_UNPACK] * 1e-6, (double)n->arena_bytes * 1e-6,
        (double)n->scratch_bytes * 1e-6, (double)n->weight_bytes * 1e-6);
}
