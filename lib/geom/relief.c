/* A picture's head as a relief: depth grid, weights, motion. */
#include "lib/geom/relief.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/raster.h"

/* All in head units (outer-eye distance, about 90 mm). */
static const double still_at = 1.5;   /* nothing moves farther out than this */
static const double firm_until = 0.1; /* everything moves up to here */
static const double sink = 0.9;       /* how much deeper the outside lies */
static const double sink_over = 0.7;  /* reached at this distance */
#define SMOOTH_ROUNDS 24

static double smoothstep(double lo, double hi, double x)
{
    double t = (x - lo) / (hi - lo);

    t = t < 0.0 ? 0.0 : t > 1.0 ? 1.0 : t;
    return t * t * (3.0 - 2.0 * t);
}

/* Distances between nodes to the nearest node with near[i] >= 0, and which
 * node that is: two sweeps over the eight neighbours (vector distance
 * transform, Danielsson 1980; off by a fraction of a step at most). */
static void nearest_sweep(int cols, int rows, int32_t *near)
{
    static const int nb[2][4][2] = {
        {{-1, 0}, {-1, -1}, {0, -1}, {1, -1}},
        {{1, 0}, {1, 1}, {0, 1}, {-1, 1}},
    };

    for (int pass = 0; pass < 4; pass++) {
        int dir = pass & 1;

        for (int k = 0; k < cols * rows; k++) {
            int at = dir ? cols * rows - 1 - k : k;
            int c = at % cols, r = at / cols;

            for (int j = 0; j < 4; j++) {
                int nc = c + nb[dir][j][0], nr = r + nb[dir][j][1];

                if (nc < 0 || nr < 0 || nc >= cols || nr >= rows)
                    continue;
                int32_t cand = near[nr * cols + nc], own = near[at];

                if (cand < 0 || cand == own)
                    continue;
                int dx = cand % cols - c, dy = cand / cols - r;
                int ox = own % cols - c, oy = own / cols - r;

                if (own < 0 || dx * dx + dy * dy < ox * ox + oy * oy)
                    near[at] = cand;
            }
        }
    }
}

static double node_distance(int cols, int a, int b)
{
    return hypot((double)(a % cols - b % cols), (double)(a / cols - b / cols));
}

/* The grid covers the head's surface and what may move around it. */
static enum err_code lay_grid(struct relief *g, const struct surface *s,
                              double step_px, struct err *e)
{
    double lo[2] = {(double)INFINITY, (double)INFINITY},
           hi[2] = {-(double)INFINITY, -(double)INFINITY};
    double margin = (still_at + 0.15) * s->unit_px;

    for (int t = 0; t < s->mesh->n_triangles; t++) {
        if (s->mesh->part[t] == HEAD_NECK)
            continue;
        for (int k = 0; k < 3; k++)
            for (int a = 0; a < 2; a++) {
                double v = (double)s->xyz[s->mesh->triangle[t][k]][a];

                lo[a] = fmin(lo[a], v);
                hi[a] = fmax(hi[a], v);
            }
    }
    double w = hi[0] - lo[0] + 2.0 * margin, h = hi[1] - lo[1] + 2.0 * margin;

    if (!isfinite(w) || !isfinite(h) || !(w > 0.0) || !(h > 0.0))
        return err_set(e, ERR_DATA, "relief: the surface has no extent");
    g->step = fmax(step_px, sqrt(w * h / RELIEF_MAX_NODES) * 1.02);
    /* whole multiples of the step, so that nodes of one step agree */
    g->x0 = floor((lo[0] - margin) / g->step) * g->step;
    g->y0 = floor((lo[1] - margin) / g->step) * g->step;
    g->cols = (int)ceil((hi[0] + margin - g->x0) / g->step) + 1;
    g->rows = (int)ceil((hi[1] + margin - g->y0) / g->step) + 1;
    return OK;
}

static enum err_code take_memory(struct relief *g, struct err *e)
{
    size_t n = (size_t)g->cols * (size_t)g->rows;
    int quads = (g->cols - 1) * (g->rows - 1);

    g->n_triangles = 2 * quads;
    g->xyz = mem_array(n, sizeof *g->xyz);
    g->follow = mem_array(n, sizeof *g->follow);
    g->outside = mem_array(n, sizeof *g->outside);
    g->beyond = mem_array(n, sizeof *g->beyond);
    g->triangle = mem_array((size_t)g->n_triangles, sizeof *g->triangle);
    if (!g->xyz || !g->follow || !g->outside || !g->beyond || !g->triangle)
        return err_set(e, ERR_NOMEM, "no memory for a relief of %d x %d nodes",
                       g->cols, g->rows);
    int32_t(*t)[3] = g->triangle;

    for (int r = 0; r + 1 < g->rows; r++)
        for (int c = 0; c + 1 < g->cols; c++) {
            int32_t a = r * g->cols + c, b = a + 1;
            int32_t d = a + g->cols, f = d + 1;

            t[0][0] = a;
            t[0][1] = b;
            t[0][2] = f;
            t[1][0] = a;
            t[1][1] = f;
            t[1][2] = d;
            t += 2;
        }
    return OK;
}

/* Ears stand off the head: as relief they would drag what is beside them
 * along; the mirrored side, where it is drawn, has them. The mouth's inside is
 * a pit that would tear teeth and lips apart; the gap is bridged instead. */
static bool in_relief(uint8_t part)
{
    return part != HEAD_EAR && part != HEAD_MOUTH;
}

/* Depth of the surface at each node, by the z-buffer on the grid itself. */
static enum err_code draw_depth(const struct relief *g, const struct surface *s,
                                struct raster *z, struct err *e)
{
    size_t n = (size_t)s->mesh->n_vertices;
    float(*v)[3] = mem_array(n, sizeof *v);
    int32_t(*list)[3] = mem_array((size_t)s->mesh->n_triangles, sizeof *list);
    int n_list = 0;

    if (!v || !list) {
        mem_free(v);
        mem_free(list);
        return err_set(e, ERR_NOMEM, "no memory for a relief");
    }
    for (size_t i = 0; i < n; i++) {
        v[i][0] = (float)(((double)s->xyz[i][0] - g->x0) / g->step);
        v[i][1] = (float)(((double)s->xyz[i][1] - g->y0) / g->step);
        v[i][2] = s->xyz[i][2];
    }
    for (int t = 0; t < s->mesh->n_triangles; t++)
        if (in_relief(s->mesh->part[t]))
            memcpy(list[n_list++], s->mesh->triangle[t], sizeof *list);
    raster_draw(z, (const float(*)[3])v, (const int32_t(*)[3])list, n_list, 1);
    /* numbers of the whole mesh again */
    for (int t = 0, k = 0; t < s->mesh->n_triangles; t++)
        if (in_relief(s->mesh->part[t]))
            list[k++][0] = t;
    for (int i = 0; i < g->cols * g->rows; i++)
        if (z->triangle[i] >= 0)
            z->triangle[i] = list[z->triangle[i]][0];
    mem_free(v);
    mem_free(list);
    return OK;
}

static bool is_face(uint8_t part)
{
    return part != HEAD_NECK && part != HEAD_SCALP && part != HEAD_EAR;
}

/* The nearest node on the head (without the neck) sets the weight; the nearest
 * node on anything sets the depth behind which the outside lies; the nearest
 * on the face says how far a border may hold a node back. */
static void fill_nodes(struct relief *g, const struct surface *s,
                       const struct raster *z, int32_t *near)
{
    int n = g->cols * g->rows;
    double unit = s->unit_px / g->step; /* head unit in nodes */

    for (int i = 0; i < n; i++) {
        int32_t t = z->triangle[i];

        near[i] = t >= 0 && s->mesh->part[t] != HEAD_NECK ? i : -1;
    }
    nearest_sweep(g->cols, g->rows, near);
    for (int i = 0; i < n; i++) {
        double d = near[i] < 0 ? 1e9 : node_distance(g->cols, i, near[i]);

        g->beyond[i] = (float)fmin(d * g->step, 1e9);
        g->follow[i] =
            (float)(1.0 - smoothstep(firm_until, still_at, d / unit));
    }
    for (int i = 0; i < n; i++) {
        int32_t t = z->triangle[i];

        near[i] = t >= 0 && is_face(s->mesh->part[t]) ? i : -1;
    }
    nearest_sweep(g->cols, g->rows, near);
    for (int i = 0; i < n; i++)
        g->outside[i] =
            near[i] < 0 ? 1e9f
                        : (float)(g->step * node_distance(g->cols, i, near[i]));
    for (int i = 0; i < n; i++)
        near[i] = z->triangle[i] >= 0 ? i : -1;
    nearest_sweep(g->cols, g->rows, near);
    for (int i = 0; i < n; i++) {
        double d = near[i] < 0 ? 1e9 : node_distance(g->cols, i, near[i]);
        double depth = near[i] < 0 ? 0.0 : (double)z->z[near[i]];

        g->xyz[i][0] = (float)(g->x0 + (i % g->cols) * g->step);
        g->xyz[i][1] = (float)(g->y0 + (double)(i / g->cols) * g->step);
        g->xyz[i][2] =
            (float)(depth -
                    sink * s->unit_px * smoothstep(0.0, sink_over, d / unit));
    }
}

/* Even out the depth outside the head, where the nearest node jumps from one
 * side to another, and over the lips, whose folds would show as streaks; the
 * head itself stays, but for a light touch at its rim. */
static void smooth_depth(struct relief *g, const struct surface *s,
                         const struct raster *z, float *tmp)
{
    int cols = g->cols, rows = g->rows;

    for (int round = 0; round < SMOOTH_ROUNDS; round++) {
        for (int i = 0; i < cols * rows; i++)
            tmp[i] = g->xyz[i][2];
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++) {
                int at = r * cols + c;
                bool rim = false;

                if (c == 0 || r == 0 || c == cols - 1 || r == rows - 1)
                    continue;
                const int nb[4] = {at - 1, at + 1, at - cols, at + cols};
                float mean = 0.0f;

                for (int k = 0; k < 4; k++) {
                    mean += 0.25f * tmp[nb[k]];
                    rim = rim || z->triangle[nb[k]] < 0;
                }
                int32_t t = z->triangle[at];

                if (t < 0 || s->mesh->part[t] == HEAD_LIPS)
                    g->xyz[at][2] = mean;
                else if (rim && round < 4)
                    g->xyz[at][2] = 0.5f * tmp[at] + 0.5f * mean;
            }
    }
}

enum err_code relief_new(const struct surface *s, double step_px,
                         struct relief **out, struct err *e)
{
    struct raster *z = NULL;
    int32_t *near = NULL;
    struct relief *g = mem_calloc(1, sizeof *g);
    enum err_code rc;

    *out = NULL;
    if (!g)
        return err_set(e, ERR_NOMEM, "no memory for a relief");
    g->unit_px = s->unit_px;
    rc = lay_grid(g, s, fmax(step_px, 1.0), e);
    if (rc == OK)
        rc = take_memory(g, e);
    if (rc == OK)
        rc = raster_new(g->cols, g->rows, &z, e);
    if (rc == OK)
        rc = draw_depth(g, s, z, e);
    if (rc == OK) {
        near = mem_array((size_t)g->cols * (size_t)g->rows, sizeof *near);
        if (!near)
            rc = err_set(e, ERR_NOMEM, "no memory for a relief");
    }
    if (rc == OK) {
        fill_nodes(g, s, z, near);
        /* bary is not needed any more: its memory serves the smoothing */
        smooth_depth(g, s, z, &z->bary[0][0]);
    }
    mem_free(near);
    raster_free(&z);
    if (rc != OK)
        relief_free(&g);
    *out = g;
    return rc;
}

void relief_free(struct relief **gp)
{
    struct relief *g = *gp;

    if (!g)
        return;
    mem_free(g->xyz);
    mem_free(g->follow);
    mem_free(g->outside);
    mem_free(g->beyond);
    mem_free(g->triangle);
    mem_free(g);
    *gp = NULL;
}

/* How much of its shift a node keeps that lies b pixels inside the border it
 * would leave and `out` pixels from the face: linear between the two. */
static double kept(double b, double out)
{
    if (!(out > 0.0))
        return 1.0;
    return b > 0.0 ? b / (b + out) : 0.0;
}

void relief_move(const struct relief *g, const struct relief_motion *m,
                 int64_t width, int64_t height, float (*out)[3])
{
    const double size[2] = {(double)width - 1.0, (double)height - 1.0};
    for (int i = 0; i < g->cols * g->rows; i++) {
        const float *p = g->xyz[i];
        double f = (double)g->follow[i];

        for (int a = 0; a < 3; a++) {
            double at = (double)p[a];
            double q = m->scale * (m->r[3 * a] * (double)p[0] +
                                   m->r[3 * a + 1] * (double)p[1] +
                                   m->r[3 * a + 2] * (double)p[2]) +
                       m->t[a];
            double d = f * (q - at);

            if (a < 2)
                d *= kept(d > 0.0 ? at : size[a] - at, (double)g->outside[i]);
            out[i][a] = (float)(at + d);
        }
    }
}
