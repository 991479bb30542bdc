/* The project's head laid over a face: fit, then residual spread smoothly. */
#include "lib/geom/surface.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/linalg.h"
#include "lib/geom/rotation.h"

/* Reach of a point's residual over the surface, in the head's unit. */
static const double reach = 1.1;

static double wendland(double r)
{
    double q = 1.0 - r / reach;

    return q <= 0.0 ? 0.0 : q * q * q * q * (4.0 * r / reach + 1.0);
}

static double distance3(const float a[3], const float b[3])
{
    double x = (double)a[0] - (double)b[0], y = (double)a[1] - (double)b[1];
    double z = (double)a[2] - (double)b[2];

    return sqrt(x * x + y * y + z * z);
}

/* Model to picture: z gets the offset that agrees best with the points'. */
static void place(const struct fit_pose *p, double z_offset, const float m[3],
                  float out[3])
{
    const double t[3] = {p->tx, p->ty, z_offset};

    for (int i = 0; i < 3; i++)
        out[i] = (float)(p->scale * (p->r[3 * i] * (double)m[0] +
                                     p->r[3 * i + 1] * (double)m[1] +
                                     p->r[3 * i + 2] * (double)m[2]) +
                         t[i]);
}

/* Where a point pulls at the surface, and how stiffly the surface resists. */
struct pull {
    int32_t vertex;
    double stiffness;
    bool outline; /* in the picture's plane only */
};

/* The vertex of the skin's outline (seen edge-on, to the far side) that lies
 * nearest to a point in the picture; -1 if there is none near. */
static int32_t outline_vertex(const struct surface *s, const uint8_t *skin,
                              const float point[3], bool right)
{
    double best = 0.35 * s->unit_px;
    int32_t found = -1;

    for (int v = 0; v < s->mesh->n_vertices; v++) {
        const float *p = s->xyz[v], *n = s->normal[v];

        if (!skin[v] || fabsf(n[2]) > 0.3f || (n[0] > 0.0f) != right)
            continue;
        double d = hypot((double)p[0] - (double)point[0],
                         (double)p[1] - (double)point[1]);

        if (d < best) {
            best = d;
            found = v;
        }
    }
    return found;
}

/* Jaw points on the far side of a turned head mark the visible outline, not
 * the jaw: they pull at the outline of the surface instead, so that it ends
 * where the face ends in the picture. */
static enum err_code choose_pulls(const struct surface *s,
                                  const float (*points)[3],
                                  struct pull pull[LANDMARKS], struct err *e)
{
    const struct head_mesh *m = s->mesh;
    double rx, ry, rz;
    uint8_t *skin = mem_calloc((size_t)m->n_vertices, 1);

    if (!skin)
        return err_set(e, ERR_NOMEM, "no memory for the surface's outline");
    for (int t = 0; t < m->n_triangles; t++)
        for (int k = 0; m->part[t] == HEAD_SKIN && k < 3; k++)
            skin[m->triangle[t][k]] = 1;
    rotation_to_euler(s->pose.r, &rx, &ry, &rz);
    surface_normals(m, (const float(*)[3])s->xyz, s->normal);
    for (int i = 0; i < LANDMARKS; i++) {
        bool far_side = ry > 0.0 ? i > 8 && i <= 16 : i < 8;
        double turn = fabs(ry) / 25.0;

        pull[i] = (struct pull){m->landmark[i], 1e-4, false};
        if (i > 16)
            continue;
        pull[i].stiffness += 0.1 * turn * turn;
        if (!far_side || fabs(ry) < 12.0)
            continue;
        int32_t v = outline_vertex(s, skin, points[i], ry > 0.0);

        pull[i].stiffness = v < 0 ? 1.0 + turn * turn : 0.01;
        pull[i].vertex = v < 0 ? m->landmark[i] : v;
        pull[i].outline = v >= 0;
    }
    mem_free(skin);
    return OK;
}

/* Coefficients f64[68][3] of the basis functions that carry the residual. */
static enum err_code residual_weights(const struct surface *s,
                                      const float (*points)[3],
                                      const struct pull pull[LANDMARKS],
                                      double coef[LANDMARKS][3], struct err *e)
{
    double *a = mem_array((size_t)LANDMARKS * LANDMARKS, sizeof *a);

    if (!a)
        return err_set(e, ERR_NOMEM, "no memory for the surface's residual");
    for (int i = 0; i < LANDMARKS; i++) {
        const float *mi = s->mesh->vertex[pull[i].vertex];
        const float *at = s->xyz[pull[i].vertex];

        for (int j = 0; j < LANDMARKS; j++)
            a[i * LANDMARKS + j] =
                wendland(distance3(mi, s->mesh->vertex[pull[j].vertex]));
        a[i * (LANDMARKS + 1)] += pull[i].stiffness;
        for (int k = 0; k < 3; k++)
            coef[i][k] = pull[i].outline && k == 2
                             ? 0.0
                             : (double)points[i][k] - (double)at[k];
    }
    bool ok = linalg_solve_spd(a, &coef[0][0], LANDMARKS, 3);

    mem_free(a);
    return ok ? OK : err_set(e, ERR_DATA, "surface: the points are degenerate");
}

static void bend(struct surface *s, const struct pull pull[LANDMARKS],
                 const double coef[LANDMARKS][3])
{
    for (int v = 0; v < s->mesh->n_vertices; v++) {
        const float *m = s->mesh->vertex[v];
        double d[3] = {0, 0, 0};

        for (int i = 0; i < LANDMARKS; i++) {
            double w = wendland(distance3(m, s->mesh->vertex[pull[i].vertex]));

            for (int k = 0; w > 0.0 && k < 3; k++)
                d[k] += w * coef[i][k];
        }
        for (int k = 0; k < 3; k++)
            s->xyz[v][k] += (float)d[k];
    }
}

void surface_normals(const struct head_mesh *m, const float (*xyz)[3],
                     float (*normal)[3])
{
    memset(normal, 0, (size_t)m->n_vertices * sizeof *normal);
    for (int t = 0; t < m->n_triangles; t++) {
        const int32_t *c = m->triangle[t];
        float a[3], b[3], n[3];

        for (int k = 0; k < 3; k++) {
            a[k] = xyz[c[1]][k] - xyz[c[0]][k];
            b[k] = xyz[c[2]][k] - xyz[c[0]][k];
        }
        /* y down turns the mesh's counter-clockwise into clockwise */
        n[0] = b[1] * a[2] - b[2] * a[1];
        n[1] = b[2] * a[0] - b[0] * a[2];
        n[2] = b[0] * a[1] - b[1] * a[0];
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 3; k++)
                normal[c[i]][k] += n[k];
    }
    for (int v = 0; v < m->n_vertices; v++) {
        float *n = normal[v];
        float len = sqrtf(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);

        for (int k = 0; k < 3; k++)
            n[k] = len > 0.0f ? n[k] / len : 0.0f;
    }
}

static bool points_flat(const float (*points)[3])
{
    float lo = points[0][2], hi = points[0][2];

    for (int i = 1; i < LANDMARKS; i++) {
        lo = fminf(lo, points[i][2]);
        hi = fmaxf(hi, points[i][2]);
    }
    return !((double)(hi - lo) > 1e-3 * landmark_outer_eye(&points[0][0], 3));
}

static enum err_code lay(struct surface *s, const float (*points)[3],
                         struct err *e)
{
    double coef[LANDMARKS][3], z_points = 0.0, z_model = 0.0;
    float target[LANDMARKS][3], at[3];
    struct pull pull[LANDMARKS];
    bool flat = points_flat(points);

    for (int i = 0; i < LANDMARKS; i++) {
        place(&s->pose, 0.0, s->mesh->vertex[s->mesh->landmark[i]], at);
        z_model += (double)at[2] / LANDMARKS;
        z_points += (double)points[i][2] / LANDMARKS;
        memcpy(target[i], points[i], sizeof target[i]);
        if (flat)
            target[i][2] = at[2];
    }
    for (int i = 0; flat && i < LANDMARKS; i++)
        target[i][2] += (float)(z_points - z_model);
    for (int v = 0; v < s->mesh->n_vertices; v++)
        place(&s->pose, z_points - z_model, s->mesh->vertex[v], s->xyz[v]);
    enum err_code rc = choose_pulls(s, (const float(*)[3])target, pull, e);

    if (rc == OK)
        rc = residual_weights(s, (const float(*)[3])target, pull, coef, e);
    if (rc == OK)
        bend(s, pull, (const double(*)[3])coef);
    return rc;
}

enum err_code surface_new(const float (*points)[3], const float *score,
                          struct surface **out, struct err *e)
{
    struct head_params params;
    struct surface *s = mem_calloc(1, sizeof *s);
    enum err_code rc;

    *out = NULL;
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a surface");
    for (int i = 0; i < LANDMARKS; i++)
        if (!isfinite(points[i][2]) || fabsf(points[i][2]) > 1e7f) {
            mem_free(s);
            return err_set(e, ERR_DATA, "surface: point %d is not finite", i);
        }
    memcpy(s->points, points, sizeof s->points);
    rc = fit_head(&points[0][0], 3, score, &params, &s->pose, NULL, e);
    if (rc == OK)
        rc = head_mesh_new(&params, &s->mesh, e);
    if (rc == OK) {
        size_t n = (size_t)s->mesh->n_vertices;

        s->unit_px = s->pose.scale;
        s->xyz = mem_array(n, sizeof *s->xyz);
        s->normal = mem_array(n, sizeof *s->normal);
        if (!s->xyz || !s->normal)
            rc = err_set(e, ERR_NOMEM, "no memory for a surface");
    }
    if (rc == OK)
        rc = lay(s, points, e);
    if (rc != OK) {
        surface_free(&s);
        return rc;
    }
    surface_normals(s->mesh, (const float(*)[3])s->xyz, s->normal);
    *out = s;
    return OK;
}

void surface_free(struct surface **sp)
{
    struct surface *s = *sp;

    if (!s)
        return;
    head_mesh_free(&s->mesh);
    mem_free(s->xyz);
    mem_free(s->normal);
    mem_free(s);
    *sp = NULL;
}
