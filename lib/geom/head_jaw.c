/* Where jaw points may slide to, and where annotators see them. */
#include <math.h>

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

static void row(const struct head_model *m, int i, double axis_z,
                struct head_jaw *out)
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
    for (int k = 1; k < RAYS; k++) {
        double a = end * (RAYS - k) / RAYS;
        const double dir[3] = {sin(a), 0, cos(a)};
        float at[3];
        if (!head_model_ray(m, from, dir,
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
    for (int i = 0; i < HEAD_JAW; i++) {
        row(m, i, axis_z, out);
        empty += i != CHIN && out->n[i] < 2;
    }
    return empty > HEAD_JAW / 2
               ? err_set(e, ERR_DATA,
                         "head model: no surface beside %d jaw points", empty)
               : OK;
}

int head_jaw_contour(int i, const float (*xy)[2], int n, const double up[2])
{
    double side = i < CHIN ? -1 : i > CHIN ? 1 : 0, best = -INFINITY;
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
