/* Which nodes of a network can be done together without changing the sums. */
#include "lib/nn/old_plan.h"

static void count_uses(const struct nv_graph *g, struct nv_fusion *f)
{
    for (int i = 0; i < g->n; i++)
        f[i] = (struct nv_fusion){.rep = i, .norm = -1, .reader = -1};
    for (int i = 0; i < g->n; i++) {
        for (int k = 0; k < g->node[i].n_in; k++) {
            f[g->node[i].in[k]].uses++;
            f[g->node[i].in[k]].reader = i;
        }
    }
    for (int i = 0; i < g->n_output; i++) {
        f[g->output[i]].uses++;
        f[g->output[i]].is_output = true;
    }
}

static bool only_reader_is(const struct nv_graph *g, const struct nv_fusion *f,
                           int i, enum nv_kind kind)
{
    return f[i].uses == 1 && f[i].reader >= 0 &&
           g->node[f[i].reader].kind == kind;
}

/* conv -> batch norm -> ReLU, where nobody else reads in between: the norm
 * goes into weights and bias, the ReLU into the kernel. */
static void fold_into_conv(const struct nv_graph *g, struct nv_fusion *f, int i)
{
    int last = i;
    if (only_reader_is(g, f, last, NV_BATCH_NORM)) {
        last = f[last].reader;
        f[i].norm = last;
        f[last].fate = NV_FOLDED;
        f[last].rep = i;
    }
    if (only_reader_is(g, f, last, NV_RELU)) {
        last = f[last].reader;
        f[i].relu = true;
        f[last].fate = NV_FOLDED;
        f[last].rep = i;
    }
}

void nv_fuse(const struct nv_graph *g, bool unfused, struct nv_fusion *f)
{
    count_uses(g, f);
    if (unfused)
        return;
    for (int i = 0; i < g->n; i++) {
        enum nv_kind kind = g->node[i].kind;
        if (f[i].fate == NV_FOLDED)
            continue;
        if (kind == NV_CONV) {
            fold_into_conv(g, f, i);
        } else if (kind == NV_BATCH_NORM) {
            f[i].fate = NV_SIDE;
            if (only_reader_is(g, f, i, NV_RELU)) {
                f[i].relu = true;
                f[f[i].reader].fate = NV_FOLDED;
                f[f[i].reader].rep = i;
            }
        } else if (kind == NV_CONCAT || kind == NV_ADD ||
                   kind == NV_UPSAMPLE2) {
            if (only_reader_is(g, f, i, NV_ADD) ||
                only_reader_is(g, f, i, NV_CONCAT))
                f[i].fate = NV_INTO_SUM;
        }
    }
}
