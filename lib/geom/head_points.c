/* The few points of a linear head that are needed, with their modes alone. */
#include "lib/geom/head_points.h"

#include <string.h>

#include "lib/base/mem.h"

static void gather(const struct head_node *node, int n, const float *field,
                   bool offsets, float (*out)[3])
{
    for (int i = 0; i < n; i++) {
        head_node_at(&node[i], field, out[i]);
        if (!offsets)
            out[i][2] -= node[i].offset_z;
    }
}

enum err_code head_points_new(const struct head_model *m,
                              const struct head_node *node, int n,
                              struct head_points **out, struct err *e)
{
    struct head_points *p = mem_calloc(1, sizeof *p);
    int modes = m->n_identity + m->n_expression;
    *out = NULL;
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for a head's points");
    p->n = n;
    p->n_identity = m->n_identity;
    p->n_expression = m->n_expression;
    p->mean = mem_array((size_t)n, sizeof *p->mean);
    p->mode = mem_array((size_t)n * (size_t)modes + 1, 3 * sizeof(float));
    if (!p->mean || !p->mode) {
        head_points_free(&p);
        return err_set(e, ERR_NOMEM, "no memory for a head's points");
    }
    gather(node, n, m->mean[0], true, p->mean);
    size_t all = (size_t)m->n_vertices * 3;
    for (int k = 0; k < modes; k++) {
        const float *field =
            k < m->n_identity
                ? m->identity + (size_t)k * all
                : m->expression + (size_t)(k - m->n_identity) * all;
        gather(node, n, field, false,
               (float(*)[3])(p->mode + (size_t)k * (size_t)n * 3));
    }
    *out = p;
    return OK;
}

void head_points_free(struct head_points **p)
{
    if (!*p)
        return;
    mem_free((*p)->mean);
    mem_free((*p)->mode);
    mem_free(*p);
    *p = NULL;
}

void head_points_mean(const struct head_points *p, float (*out)[3])
{
    memcpy(out, p->mean, (size_t)p->n * sizeof *out);
}

void head_points_add(const struct head_points *p, int first, int count,
                     const float *weight, float (*out)[3])
{
    int all = p->n * 3;
    float *to = out[0];
    for (int k = 0; k < count; k++) {
        const float *mode = p->mode + (size_t)(first + k) * (size_t)all;
        float w = weight[k];
        if (w == 0)
            continue;
#pragma omp simd
        for (int i = 0; i < all; i++)
            to[i] += w * mode[i];
    }
}
