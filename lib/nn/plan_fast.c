/* Which Winograd kernels keep their weights, which are four times as large as
 * direct ones, and which make them again in each run. */
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/nn/plan.h"

/* Making them takes as long however large the picture is: on one Zen 4 core
 * 0.5 ms for each MB of direct weights, a tenth of the convolution's time at
 * this many pixels. */
#define LEAN_PIXELS 4096

struct candidate {
    int node;
    int64_t pixels;
    size_t bytes; /* that keeping costs */
};

static int by_pixels(const void *a, const void *b)
{
    const struct candidate *p = a, *q = b;
    if (p->pixels != q->pixels)
        return p->pixels < q->pixels ? -1 : 1;
    return p->node - q->node;
}

static struct candidate candidate(const struct nn_planner *p, int i)
{
    const struct nn_node *n = p->n[i].node;
    const size_t direct = 9, tiles = 36; /* F(4x4, 3x3) */
    return (struct candidate){.node = i,
                              .pixels = p->net->batch * n->shape.h * n->shape.w,
                              .bytes = n->param[0]->value->bytes / direct *
                                       (tiles - direct)};
}

enum err_code nn_plan_lean(struct nn_planner *p, struct err *e)
{
    if (p->net->mode != NN_FAST || p->net->layout != NN_BLOCK16)
        return OK;
    struct candidate *c = mem_calloc((size_t)p->g->n, sizeof *c);
    size_t left = p->o->fast_bytes;
    int n = 0;
    if (!c)
        return nn_plan_no_memory(e);
    for (int i = 0; i < p->g->n; i++) {
        const struct nn_pnode *q = &p->n[i];
        if (q->kind != NN_KIND_CONV || q->fate != NN_FATE_OWN ||
            q->layout != NN_BLOCK16 || !nn_plan_winograd(p, i))
            continue;
        /* What is there already costs nothing. */
        const struct nn_step *alike = nn_plan_alike(p, i);
        if (alike)
            p->n[i].lean = !alike->keeps;
        else
            c[n++] = candidate(p, i);
    }
    qsort(c, (size_t)n, sizeof *c, by_pixels);
    for (int i = 0; i < n; i++) {
        bool keep =
            p->o->fast_bytes ? c[i].bytes <= left : c[i].pixels < LEAN_PIXELS;
        p->n[c[i].node].lean = !keep;
        if (p->o->fast_bytes && keep)
            left -= c[i].bytes;
    }
    mem_free(c);
    return OK;
}
