/* The parametric head's public face: parameters to mesh and points.
 *
 * Winding: with y down and z towards the viewer the axes are left-handed. A
 * triangle seen from outside runs counter-clockwise to the eye; its signed
 * area in picture x, y is negative and the outward normal is
 * -(b - a) x (c - a). */
#include "lib/geom/head.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/head_internal.h"

/* The lids lie on the eyeball: never nearer to its centre than this. */
#define LID_OVER (EYE_R + 1.15)
#define RIM_UNDER (EYE_R - 0.7)

static void blend(const struct head_base *b, const struct head_params *p,
                  int id, double out[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = b->v[id].p[k];
    if (!p)
        return;
    for (int m = 0; m < HEAD_MODES; m++) {
        double w = m < HEAD_IDENTITY ? p->identity[m]
                                     : p->expression[m - HEAD_IDENTITY];
        if (w != 0)
            for (int k = 0; k < 3; k++)
                out[k] += w * (double)b->mode[m][id][k];
    }
}

void head_eye_centre(const struct head_params *p, int side, double c[3])
{
    const struct head_base *b = head_base_get();
    int id = HG_BALL + (side < 0 ? HG_BALL_VERTS : 0);
    blend(b, p, id, c);
    c[0] += side * EYE_X - b->v[id].p[0];
    c[1] += EYE_Y - b->v[id].p[1];
    c[2] += EYE_Z - b->v[id].p[2];
}

static void on_eyeball(const struct head_base *b, const double eye[2][3],
                       int id, double q[3])
{
    const double *c = eye[q[0] > 0];
    double d[3], n = 0;
    for (int k = 0; k < 3; k++) {
        d[k] = q[k] - c[k];
        n += d[k] * d[k];
    }
    n = sqrt(n);
    if (n > LID_OVER + 7 || n < 1)
        return;
    double to = RIM_UNDER;
    if (b->rim_of[id] < 0) {
        double h = (n - LID_OVER) / 0.7;
        to = h > 12 ? n : LID_OVER + 0.7 * log1p(exp(h));
    }
    for (int k = 0; k < 3; k++)
        q[k] = c[k] + d[k] * (to / n);
}

void head_deform(const struct head_params *p, const int32_t *which, int n,
                 double (*out)[3])
{
    const struct head_base *b = head_base_get();
    double eye[2][3];
    head_eye_centre(p, -1, eye[0]);
    head_eye_centre(p, 1, eye[1]);
    for (int i = 0; i < n; i++) {
        int id = which ? which[i] : i;
        blend(b, p, id, out[i]);
        if (id < HG_BAG && fabs(b->v[id].p[1]) < 30 && b->v[id].p[2] > -30)
            on_eyeball(b, (const double(*)[3])eye, id, out[i]);
    }
}

static void to_units(const struct head_base *b, const double mm[3],
                     float out[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = (float)((mm[k] - b->centre[k]) / HEAD_MM);
}

static enum err_code check(const struct head_params *p, struct err *e)
{
    for (int m = 0; p && m < HEAD_IDENTITY; m++)
        if (!isfinite(p->identity[m]))
            return err_set(e, ERR_ARG, "head parameter %s is not finite",
                           head_identity_names[m]);
    for (int m = 0; p && m < HEAD_EXPRESSION; m++)
        if (!isfinite(p->expression[m]))
            return err_set(e, ERR_ARG, "head parameter %s is not finite",
                           head_expression_names[m]);
    return OK;
}

enum err_code head_landmarks(const struct head_params *p,
                             float out[LANDMARKS][3], struct err *e)
{
    enum err_code rc = check(p, e);
    if (rc != OK)
        return rc;
    const struct head_base *b = head_base_get();
    double mm[LANDMARKS][3];
    head_deform(p, b->landmark, LANDMARKS, mm);
    for (int i = 0; i < LANDMARKS; i++)
        to_units(b, mm[i], out[i]);
    return OK;
}

static enum err_code fill(const struct head_base *b,
                          const struct head_params *p, struct head_mesh *m,
                          struct err *e)
{
    double(*mm)[3] = mem_array(HEAD_VERTS, sizeof *mm);
    if (!mm)
        return err_set(e, ERR_NOMEM, "no memory for a head");
    head_deform(p, NULL, HEAD_VERTS, mm);
    for (int i = 0; i < HEAD_VERTS; i++)
        to_units(b, mm[i], m->vertex[i]);
    mem_free(mm);
    memcpy(m->uv, b->uv, sizeof b->uv);
    memcpy(m->triangle, b->tri, (size_t)b->n_tris * sizeof *b->tri);
    memcpy(m->part, b->part, (size_t)b->n_tris);
    memcpy(m->mirror, b->mirror, sizeof b->mirror);
    memcpy(m->landmark, b->landmark, sizeof b->landmark);
    m->n_vertices = HEAD_VERTS;
    m->n_triangles = b->n_tris;
    return OK;
}

enum err_code head_mesh_new(const struct head_params *p, struct head_mesh **out,
                            struct err *e)
{
    *out = NULL;
    enum err_code rc = check(p, e);
    if (rc != OK)
        return rc;
    const struct head_base *b = head_base_get();
    struct head_mesh *m = mem_calloc(1, sizeof *m);
    if (!m)
        return err_set(e, ERR_NOMEM, "no memory for a head");
    size_t nt = (size_t)b->n_tris;
    m->vertex = mem_array(HEAD_VERTS, sizeof *m->vertex);
    m->uv = mem_array(HEAD_VERTS, sizeof *m->uv);
    m->triangle = mem_array(nt, sizeof *m->triangle);
    m->part = mem_array(nt, sizeof *m->part);
    m->mirror = mem_array(HEAD_VERTS, sizeof *m->mirror);
    rc = ERR_NOMEM;
    if (m->vertex && m->uv && m->triangle && m->part && m->mirror)
        rc = fill(b, p, m, e);
    else
        err_set(e, ERR_NOMEM, "no memory for a head");
    if (rc != OK)
        head_mesh_free(&m);
    *out = m;
    return rc;
}

void head_mesh_free(struct head_mesh **mp)
{
    struct head_mesh *m = *mp;
    if (!m)
        return;
    mem_free(m->vertex);
    mem_free(m->uv);
    mem_free(m->triangle);
    mem_free(m->part);
    mem_free(m->mirror);
    mem_free(m);
    *mp = NULL;
}
