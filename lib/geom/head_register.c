/* Laying the position map under another linear head (non-rigid registration:
 * radial basis functions through the 68 points, then closest points with a
 * smoothness that is let go step by step, as Amberg et al., CVPR 2007). */
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/head_map.h"
#include "lib/geom/linalg.h"

#define ROWS (LANDMARKS + 4)
#define NEAREST 4        /* vertices whose triangles are looked at */
#define REACH 0.45       /* farther surface is somewhere else */
#define AGREE 0.35       /* cosine of normals, at least */
#define OPEN_THEIRS 0.5F /* of the mouth, so that the lips are apart */

struct place {
    double at[3], normal[3];
};

struct job {
    const struct head_model *m;
    struct place *vertex; /* of m */
    bool *usable;         /* vertices of the outside */
    int *first, *of;      /* triangles at each vertex: of[first[v]..] */
    struct place node[HEAD_MAP_NODES];
    double start[HEAD_MAP_NODES][3]; /* after the bending */
    double move[HEAD_MAP_NODES][3];
    bool skin[HEAD_MAP_NODES];
};

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* The outward normal times twice the area (head.h: left-handed axes). */
static void face_normal(const double *a, const double *b, const double *c,
                        double n[3])
{
    for (int k = 0; k < 3; k++) {
        int i = (k + 1) % 3, j = (k + 2) % 3;
        n[k] = (b[j] - a[j]) * (c[i] - a[i]) - (b[i] - a[i]) * (c[j] - a[j]);
    }
}

static void unit(double v[3])
{
    double n = sqrt(dot(v, v));
    for (int k = 0; k < 3; k++)
        v[k] = n > 0 ? v[k] / n : 0;
}

static void open_mouth(const struct head_model *m, const char *name,
                       float amount, struct place *out)
{
    int k = head_model_expression(m, name);
    const float *mode =
        k < 0 ? NULL : m->expression + (size_t)k * (size_t)m->n_vertices * 3;
    for (int v = 0; v < m->n_vertices; v++)
        for (int i = 0; i < 3; i++)
            out[v].at[i] = (double)m->mean[v][i] +
                           (mode ? (double)(amount * mode[3 * v + i]) : 0);
}

static void vertex_normals(struct job *j)
{
    const struct head_model *m = j->m;
    for (int t = 0; t < m->n_triangles; t++) {
        const int32_t *v = m->triangle[t];
        double n[3];
        if (m->part[t] == HEAD_MODEL_BALL)
            continue;
        face_normal(j->vertex[v[0]].at, j->vertex[v[1]].at, j->vertex[v[2]].at,
                    n);
        for (int k = 0; k < 3; k++) {
            j->usable[v[k]] = true;
            for (int i = 0; i < 3; i++)
                j->vertex[v[k]].normal[i] += n[i];
        }
    }
    for (int v = 0; v < m->n_vertices; v++)
        unit(j->vertex[v].normal);
}

/* Which triangles are at each vertex. */
static void index_triangles(struct job *j)
{
    const struct head_model *m = j->m;
    for (int t = 0; t < m->n_triangles; t++)
        for (int k = 0; k < 3; k++)
            j->first[m->triangle[t][k] + 1]++;
    for (int v = 0; v < m->n_vertices; v++)
        j->first[v + 1] += j->first[v];
    for (int t = m->n_triangles - 1; t >= 0; t--)
        for (int k = 0; k < 3; k++)
            j->of[--j->first[m->triangle[t][k] + 1]] = t;
    /* Each start was counted down to the one before: shift back. */
    memmove(j->first, j->first + 1, (size_t)m->n_vertices * sizeof *j->first);
    j->first[m->n_vertices] = 3 * m->n_triangles;
}

/* A bending (r as kernel, and an affine part) that takes the points `from` to
 * `to`. coef [ROWS][3]. */
static bool bending(const double from[LANDMARKS][3],
                    const double to[LANDMARKS][3], double coef[ROWS * 3])
{
    double a[ROWS * ROWS] = {0};
    memset(coef, 0, sizeof(double) * ROWS * 3);
    for (int i = 0; i < LANDMARKS; i++) {
        for (int k = 0; k < LANDMARKS; k++) {
            double d[3];
            for (int x = 0; x < 3; x++)
                d[x] = from[i][x] - from[k][x];
            a[i * ROWS + k] = sqrt(dot(d, d));
        }
        for (int x = 0; x < 3; x++) {
            a[i * ROWS + LANDMARKS + x] = from[i][x];
            a[(LANDMARKS + x) * ROWS + i] = from[i][x];
            coef[3 * i + x] = to[i][x];
        }
        a[i * ROWS + ROWS - 1] = a[(ROWS - 1) * ROWS + i] = 1;
    }
    return linalg_solve(a, coef, ROWS, 3);
}

static void bend(const double from[LANDMARKS][3], const double *coef,
                 double p[3])
{
    double q[3];
    for (int x = 0; x < 3; x++)
        q[x] = coef[3 * (ROWS - 1) + x];
    for (int i = 0; i < LANDMARKS; i++) {
        double d[3];
        for (int k = 0; k < 3; k++)
            d[k] = p[k] - from[i][k];
        double r = sqrt(dot(d, d));
        for (int x = 0; x < 3; x++)
            q[x] += r * coef[3 * i + x];
    }
    for (int i = 0; i < 3; i++)
        for (int x = 0; x < 3; x++)
            q[x] += p[i] * coef[3 * (LANDMARKS + i) + x];
    memcpy(p, q, sizeof q);
}

/* The own map, mouth open, bent to the other head. */
static enum err_code start(struct job *j, const struct head_node *node,
                           struct err *e)
{
    struct head_model *own = NULL;
    enum err_code r = head_model_own(&own, e);
    if (r)
        return r;
    struct place *v = mem_calloc((size_t)own->n_vertices, sizeof *v);
    double from[LANDMARKS][3], to[LANDMARKS][3], coef[ROWS * 3];
    if (!v) {
        head_model_free(&own);
        return err_set(e, ERR_NOMEM, "no memory for a registration");
    }
    bool both = head_model_expression(j->m, "jawOpen") >= 0;
    open_mouth(own, "jaw_open", both ? 1.0F : 0.0F, v);
    for (int i = 0; i < LANDMARKS; i++) {
        memcpy(from[i], v[own->landmark[i]].at, sizeof from[i]);
        memcpy(to[i], j->vertex[j->m->landmark[i]].at, sizeof to[i]);
    }
    if (!bending((const double(*)[3])from, (const double(*)[3])to, coef))
        r = err_set(e, ERR_DATA, "head model: points lie on each other");
    for (int i = 0; i < HEAD_MAP_NODES && !r; i++) {
        j->skin[i] = node[i].n > 0;
        memset(j->start[i], 0, sizeof j->start[i]);
        for (int n = 0; n < node[i].n; n++)
            for (int k = 0; k < 3; k++)
                j->start[i][k] +=
                    (double)node[i].weight[n] * v[node[i].vertex[n]].at[k];
        if (j->skin[i])
            bend((const double(*)[3])from, coef, j->start[i]);
        memcpy(j->node[i].at, j->start[i], sizeof j->start[i]);
    }
    mem_free(v);
    head_model_free(&own);
    return r;
}

/* The neighbour of node i in a direction, itself where there is none: at the
 * ends, and where an eye or the mouth begins. Columns go round at the back,
 * where the first and the last are one. */
static int beside(const struct job *j, int i, int drow, int dcol)
{
    int row = i / HEAD_MAP_COLS + drow, col = i % HEAD_MAP_COLS + dcol;
    if (row < 0 || row >= HEAD_MAP_ROWS)
        return i;
    if (col < 0)
        col = HEAD_MAP_COLS - 2;
    if (col >= HEAD_MAP_COLS)
        col = 1;
    int to = HEAD_MAP_AT(row, col);
    return j->skin[to] ? to : i;
}

static void node_normals(struct job *j)
{
    for (int i = 0; i < HEAD_MAP_NODES; i++) {
        if (!j->skin[i])
            continue;
        const double *l = j->node[beside(j, i, 0, -1)].at;
        const double *r = j->node[beside(j, i, 0, 1)].at;
        const double *u = j->node[beside(j, i, -1, 0)].at;
        const double *d = j->node[beside(j, i, 1, 0)].at;
        double a[3], b[3], zero[3] = {0};
        for (int k = 0; k < 3; k++) {
            a[k] = r[k] - l[k];
            b[k] = d[k] - u[k];
        }
        /* right x down is towards the viewer in these axes */
        face_normal(zero, b, a, j->node[i].normal);
        unit(j->node[i].normal);
    }
}

/* The place of triangle abc that is nearest to p, as the corners' weights
 * (Ericson, Real-Time Collision Detection, 5.1.5). */
static void nearest_in(const double *p, const double *a, const double *b,
                       const double *c, double w[3])
{
    double ab[3], ac[3], ap[3], bp[3], cp[3];
    for (int k = 0; k < 3; k++) {
        ab[k] = b[k] - a[k];
        ac[k] = c[k] - a[k];
        ap[k] = p[k] - a[k];
        bp[k] = p[k] - b[k];
        cp[k] = p[k] - c[k];
    }
    double d1 = dot(ab, ap), d2 = dot(ac, ap), d3 = dot(ab, bp),
           d4 = dot(ac, bp), d5 = dot(ab, cp), d6 = dot(ac, cp);
    double va = d3 * d6 - d5 * d4, vb = d5 * d2 - d1 * d6,
           vc = d1 * d4 - d3 * d2;
    w[0] = w[1] = w[2] = 0;
    if (d1 <= 0 && d2 <= 0) {
        w[0] = 1;
    } else if (d3 >= 0 && d4 <= d3) {
        w[1] = 1;
    } else if (d6 >= 0 && d5 <= d6) {
        w[2] = 1;
    } else if (vc <= 0 && d1 >= 0 && d3 <= 0) {
        w[1] = d1 / (d1 - d3);
        w[0] = 1 - w[1];
    } else if (vb <= 0 && d2 >= 0 && d6 <= 0) {
        w[2] = d2 / (d2 - d6);
        w[0] = 1 - w[2];
    } else if (va <= 0 && d4 - d3 >= 0 && d5 - d6 >= 0) {
        w[2] = (d4 - d3) / ((d4 - d3) + (d5 - d6));
        w[1] = 1 - w[2];
    } else {
        double s = va + vb + vc;
        w[1] = vb / s;
        w[2] = vc / s;
        w[0] = 1 - w[1] - w[2];
    }
}

/* The vertices of the model nearest to a place whose normals agree. */
static int near_vertices(const struct job *j, const struct place *p,
                         int out[NEAREST])
{
    double far[NEAREST];
    int n = 0;
    for (int v = 0; v < j->m->n_vertices; v++) {
        const struct place *q = &j->vertex[v];
        double d = 0;
        if (!j->usable[v])
            continue;
        for (int k = 0; k < 3; k++)
            d += (p->at[k] - q->at[k]) * (p->at[k] - q->at[k]);
        if (d > REACH * REACH || (n == NEAREST && d >= far[n - 1]) ||
            dot(p->normal, q->normal) < AGREE)
            continue;
        int at = n < NEAREST ? n++ : n - 1;
        for (; at > 0 && far[at - 1] > d; at--) {
            far[at] = far[at - 1];
            out[at] = out[at - 1];
        }
        far[at] = d;
        out[at] = v;
    }
    return n;
}

/* The nearest place of the model's outside. False: none that agrees. */
static bool closest(const struct job *j, const struct place *p,
                    struct head_node *out, double at[3])
{
    int near[NEAREST], n = near_vertices(j, p, near);
    double best = (double)INFINITY;
    for (int i = 0; i < n; i++)
        for (int s = j->first[near[i]]; s < j->first[near[i] + 1]; s++) {
            const int32_t *v = j->m->triangle[j->of[s]];
            double w[3], q[3], d = 0;
            nearest_in(p->at, j->vertex[v[0]].at, j->vertex[v[1]].at,
                       j->vertex[v[2]].at, w);
            for (int k = 0; k < 3; k++) {
                q[k] = w[0] * j->vertex[v[0]].at[k] +
                       w[1] * j->vertex[v[1]].at[k] +
                       w[2] * j->vertex[v[2]].at[k];
                d += (q[k] - p->at[k]) * (q[k] - p->at[k]);
            }
            if (d >= best)
                continue;
            best = d;
            memcpy(at, q, sizeof q);
            *out = (struct head_node){.n = 3};
            for (int k = 0; k < 3; k++) {
                out->vertex[k] = v[k];
                out->weight[k] = (float)w[k];
            }
        }
    return n > 0;
}

/* Moves become the mean of neighbours' moves; those that are known (held)
 * pull by `hold`. */
static void smooth(struct job *j, const double (*want)[3], const bool *known,
                   int sweeps, double hold)
{
    for (int s = 0; s < sweeps; s++)
        for (int i = 0; i < HEAD_MAP_NODES; i++) {
            if (!j->skin[i])
                continue;
            const int to[4] = {beside(j, i, 0, -1), beside(j, i, 0, 1),
                               beside(j, i, -1, 0), beside(j, i, 1, 0)};
            double h = known[i] ? hold : 0;
            for (int k = 0; k < 3; k++) {
                double mean = 0;
                for (int n = 0; n < 4; n++)
                    mean += j->move[to[n]][k] / 4;
                j->move[i][k] = h * want[i][k] + (1 - h) * mean;
            }
        }
}

static void one_round(struct job *j, double (*want)[3], bool *known,
                      struct head_node *node, int sweeps, double hold)
{
    node_normals(j);
    for (int i = 0; i < HEAD_MAP_NODES; i++) {
        double at[3];
        known[i] = j->skin[i] && closest(j, &j->node[i], &node[i], at);
        for (int k = 0; k < 3 && known[i]; k++)
            want[i][k] = at[k] - j->start[i][k];
    }
    smooth(j, (const double(*)[3])want, known, sweeps, hold);
    for (int i = 0; i < HEAD_MAP_NODES; i++)
        for (int k = 0; k < 3; k++)
            j->node[i].at[k] = j->start[i][k] + j->move[i][k];
}

/* The seam is one line: both ends take the mean of the two. */
static enum err_code settle(struct job *j, struct head_node *node,
                            struct err *e)
{
    int lost = 0, skin = 0;
    node_normals(j);
    for (int i = 0; i < HEAD_MAP_NODES; i++) {
        double at[3];
        struct place loose = j->node[i];
        if (!j->skin[i])
            continue;
        skin++;
        if (closest(j, &loose, &node[i], at))
            continue;
        lost++; /* the nearest place, whichever way it faces */
        struct head_node keep = node[i];
        memset(loose.normal, 0, sizeof loose.normal);
        double best = (double)INFINITY;
        for (int v = 0; v < j->m->n_vertices; v++) {
            double d = 0;
            for (int k = 0; k < 3; k++)
                d += pow(j->vertex[v].at[k] - loose.at[k], 2);
            if (j->usable[v] && d < best) {
                best = d;
                keep = (struct head_node){.n = 1, .vertex = {v}, .weight = {1}};
            }
        }
        node[i] = keep;
    }
    return lost * 5 > skin
               ? err_set(e, ERR_DATA,
                         "head model: %d of %d places of the map find no "
                         "surface",
                         lost, skin)
               : OK;
}

static void job_free(struct job **jp)
{
    struct job *j = *jp;
    if (!j)
        return;
    mem_free(j->vertex);
    mem_free(j->usable);
    mem_free(j->first);
    mem_free(j->of);
    mem_free(j);
    *jp = NULL;
}

static struct job *job_new(const struct head_model *m)
{
    size_t v = (size_t)m->n_vertices, t = (size_t)m->n_triangles;
    struct job *j = mem_calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->m = m;
    j->vertex = mem_calloc(v, sizeof *j->vertex);
    j->usable = mem_calloc(v, sizeof *j->usable);
    j->first = mem_calloc(v + 2, sizeof *j->first);
    j->of = mem_calloc(3 * t, sizeof *j->of);
    if (!j->vertex || !j->usable || !j->first || !j->of)
        job_free(&j);
    return j;
}

enum err_code head_map_register(const struct head_model *m,
                                struct head_node node[HEAD_MAP_NODES],
                                struct err *e)
{
    static const struct {
        int sweeps;
        double hold;
    } rounds[] = {{400, 0.02}, {300, 0.05}, {200, 0.1}, {100, 0.2},
                  {60, 0.35},  {40, 0.5},   {30, 0.7},  {30, 0.85}};
    struct job *j = job_new(m);
    double(*want)[3] = mem_calloc(HEAD_MAP_NODES, sizeof *want);
    bool *known = mem_calloc(HEAD_MAP_NODES, sizeof *known);
    enum err_code r =
        j && want && known ? OK : err_set(e, ERR_NOMEM, "no memory for a map");
    if (!r) {
        open_mouth(m, "jawOpen", OPEN_THEIRS, j->vertex);
        vertex_normals(j);
        index_triangles(j);
        head_map_skin(node);
        r = start(j, node, e);
    }
    for (size_t k = 0; k < sizeof rounds / sizeof *rounds && !r; k++)
        one_round(j, want, known, node, rounds[k].sweeps, rounds[k].hold);
    if (!r)
        r = settle(j, node, e);
    if (!r)
        r = head_map_close(m, node, e);
    mem_free(known);
    mem_free(want);
    job_free(&j);
    return r;
}
