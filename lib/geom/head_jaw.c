/* Where jaw points may slide to, and where annotators see them. */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/head_sample.h"

#define RAYS 96
#define MOUTH_CORNER 54
#define CHIN 8

/* How near to the middle (|x|) contour points of this height may come: at the
 * cheeks to the mouth's corner, as the outline is cheek and not nose or lips;
 * at the chin, to the middle. */
static double inner_limit(const struct head_model *m, double y)
{
    const float *corner = m->mean[m->landmark[MOUTH_CORNER]];
    double chin = (double)m->mean[m->landmark[CHIN]][1];
    double span = chin - (double)corner[1];
    double u = span > 0 ? (chin - y) / span : 1;
    return 1.25 * fabs((double)corner[0]) * fmin(fmax(u, 0), 1);
}

static void keep_evenly(const struct head_node *hit, int n, int i,
                        struct head_jaw *out)
{
    int room = HEAD_JAW_MAX - out->n[i];
    int keep = n < room ? n : room;
    for (int k = 0; k < keep; k++) {
        int at = keep < n ? (k + 1) * (n - 1) / keep : k;
        out->node[i][out->n[i]++] = hit[at];
    }
}

/* Triangles at this height alone, for many rays there. */
static void cut(const struct head_model *m, float y, struct head_model *slice)
{
    slice->n_triangles = 0;
    for (int t = 0; t < m->n_triangles; t++) {
        int above = 0;
        for (int k = 0; k < 3; k++)
            above += m->mean[m->triangle[t][k]][1] < y;
        if (above == 0 || above == 3)
            continue;
        memcpy(slice->triangle[slice->n_triangles], m->triangle[t],
               sizeof *m->triangle);
        slice->part[slice->n_triangles++] = m->part[t];
    }
}

static void row(const struct head_model *m, struct head_model *slice, int i,
                double axis_z, struct head_jaw *out)
{
    const float *p = m->mean[m->landmark[i]];
    const double from[3] = {0, (double)p[1], axis_z};
    double end = atan2((double)p[0], (double)p[2] - axis_z);
    double limit = inner_limit(m, (double)p[1]);
    struct head_node hit[RAYS];
    int n = 0;
    out->node[i][0] =
        (struct head_node){.n = 1, .vertex = {m->landmark[i]}, .weight = {1}};
    out->n[i] = 1;
    if (i == CHIN)
        return;
    cut(m, p[1], slice);
    for (int k = 1; k < RAYS; k++) {
        double a = end * (RAYS - k) / RAYS;
        const double dir[3] = {sin(a), 0, cos(a)};
        float at[3];
        if (!head_model_ray(slice, from, dir,
                            1U << HEAD_MODEL_FACE | 1U << HEAD_MODEL_NECK,
                            &hit[n]))
            continue;
        head_node_at(&hit[n], m->mean[0], at);
        if (fabs((double)at[0]) < limit)
            break;
        n++;
    }
    keep_evenly(hit, n, i, out);
}

enum err_code head_jaw_find(const struct head_model *m, struct head_jaw *out,
                            struct err *e)
{
    double axis_z = ((double)m->mean[m->landmark[0]][2] +
                     (double)m->mean[m->landmark[HEAD_JAW - 1]][2]) /
                    2;
    int empty = 0;
    struct head_model slice = *m;
    slice.triangle = mem_array((size_t)m->n_triangles, sizeof *m->triangle);
    slice.part = mem_array((size_t)m->n_triangles, 1);
    bool room = slice.triangle && slice.part;
    for (int i = 0; i < HEAD_JAW && room; i++) {
        row(m, &slice, i, axis_z, out);
        empty += i != CHIN && out->n[i] < 2;
    }
    mem_free(slice.triangle);
    mem_free(slice.part);
    if (!room)
        return err_set(e, ERR_NOMEM, "no memory for a head's jaw");
    return empty > HEAD_JAW / 2
               ? err_set(e, ERR_DATA,
                         "head model: no surface beside %d jaw points", empty)
               : OK;
}

int head_jaw_contour(int i, const float (*xy)[2], int n, const double up[2])
{
    double side = i < CHIN ? -1 : i > CHIN ? 1 : 0, best = -(double)INFINITY;
    int at = 0;
    for (int k = 0; k < n; k++) {
        double out =
            side * (up[1] * (double)xy[k][0] - up[0] * (double)xy[k][1]);
        if (out > best) {
            best = out;
            at = k;
        }
    }
    return at;
}
