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

static struct nn_shape shape_of(const struct nn_net *n, int buffer)
{
    return buffer < 0 ? (struct nn_shape){0, 0, 0}
                      : n->buffer[buffer].view.shape;
}

static void kernel_text(const struct nn_step *s, char *out, size_t size)
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

int nn_net_steps(const struct nn_net *n)
{
    return n->n_step;
}

void nn_net_step(const struct nn_net *n, int i, struct nn_step_info *out)
{
    const struct nn_step *s = &n->step[i];
    bool pass = s->kind == NN_STEP_PASS;
    *out = (struct nn_step_info){
        .node = s->node,
        .what = kind_word(s),
        .from = shape_of(n, pass ? s->piece[0].buffer : s->src),
        .to = shape_of(n, pass && s->dst < 0 ? s->out[0].buffer : s->dst),
        .seconds = s->runs ? (double)(s->ns / s->runs) * 1e-9 : 0.0,
        .gflop = s->gflop};
    kernel_text(s, out->kernel, sizeof out->kernel);
}

/* "64x128x128", "-" where there is no buffer. */
static void shape_text(struct nn_shape s, char *out, size_t size)
{
    if (s.c)
        snprintf(out, size, "%lldx%lldx%lld", (long long)s.c, (long long)s.h,
                 (long long)s.w);
    else
        snprintf(out, size, "-");
}

static enum err_code describe_step(const struct nn_net *n, int i, struct buf *b,
                                   struct err *e)
{
    char from[64], to[64];
    struct nn_step_info s;
    nn_net_step(n, i, &s);
    shape_text(s.from, from, sizeof from);
    shape_text(s.to, to, sizeof to);
    return buf_printf(b, e, "%-5d %-10s %-14s %-14s %9.1f %8.0f %s\n", s.node,
                      s.what, from, to, s.seconds * 1e6,
                      s.seconds > 0 ? s.gflop / s.seconds : 0.0, s.kernel);
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
        r = describe_step(n, i, b, e);
        total[s->kind] += ns;
        all += ns;
        gflop += s->gflop;
    }
    if (r)
        return r;
    if (n->mode == NN_FAST && n->path == NN_PATH_DNNL && !nn_has_winograd())
        r = buf_printf(
            b, e,
            "fast: this oneDNN has no Winograd kernels for this CPU; "
            "direct ones run, as in exact\n");
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
