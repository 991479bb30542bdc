/* Linear heads: memory, checks, frame, the project's own one. */
#include "lib/geom/head_model.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/fit.h"
#include "lib/geom/head_internal.h"

#define MAX_VERTICES 200000
#define MAX_TRIANGLES 400000

enum err_code head_model_new(int n_vertices, int n_triangles, int n_identity,
                             int n_expression, struct head_model **out,
                             struct err *e)
{
    *out = NULL;
    if (n_vertices < LANDMARKS || n_vertices > MAX_VERTICES ||
        n_triangles < 1 || n_triangles > MAX_TRIANGLES || n_identity < 0 ||
        n_expression < 0 || n_identity + n_expression > HEAD_MODEL_MAX_MODES)
        return err_set(e, ERR_ARG,
                       "a head of %d vertices, %d triangles, %d identity and "
                       "%d expression modes",
                       n_vertices, n_triangles, n_identity, n_expression);
    struct head_model *m = mem_calloc(1, sizeof *m);
    if (!m)
        return err_set(e, ERR_NOMEM, "no memory for a head model");
    size_t v = (size_t)n_vertices, t = (size_t)n_triangles;
    m->n_vertices = n_vertices;
    m->n_triangles = n_triangles;
    m->n_identity = n_identity;
    m->n_expression = n_expression;
    m->mean = mem_calloc(v, sizeof *m->mean);
    m->identity = mem_calloc((size_t)n_identity * v * 3 + 1, sizeof(float));
    m->expression = mem_calloc((size_t)n_expression * v * 3 + 1, sizeof(float));
    m->triangle = mem_calloc(t, sizeof *m->triangle);
    m->part = mem_calloc(t, 1);
    m->name = mem_calloc((size_t)n_expression + 1, sizeof *m->name);
    if (!m->mean || !m->identity || !m->expression || !m->triangle ||
        !m->part || !m->name) {
        head_model_free(&m);
        return err_set(e, ERR_NOMEM, "no memory for a head model");
    }
    *out = m;
    return OK;
}

void head_model_free(struct head_model **mp)
{
    struct head_model *m = *mp;
    if (!m)
        return;
    for (int k = 0; m->name && k < m->n_expression; k++)
        mem_free(m->name[k]);
    mem_free(m->name);
    mem_free(m->mean);
    mem_free(m->identity);
    mem_free(m->expression);
    mem_free(m->triangle);
    mem_free(m->part);
    mem_free(m);
    *mp = NULL;
}

static enum err_code check_numbers(const float *p, size_t n, const char *what,
                                   struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(p[i]) < 1e6F))
            return err_set(e, ERR_DATA, "head model: %s: number %zu is %g",
                           what, i, (double)p[i]);
    return OK;
}

enum err_code head_model_check(const struct head_model *m, struct err *e)
{
    size_t n = (size_t)m->n_vertices * 3;
    for (int i = 0; i < LANDMARKS; i++)
        if (m->landmark[i] < 0 || m->landmark[i] >= m->n_vertices)
            return err_set(e, ERR_DATA,
                           "head model: point %d is vertex %d of %d", i,
                           m->landmark[i], m->n_vertices);
    for (int t = 0; t < m->n_triangles; t++) {
        for (int k = 0; k < 3; k++)
            if (m->triangle[t][k] < 0 || m->triangle[t][k] >= m->n_vertices)
                return err_set(e, ERR_DATA,
                               "head model: triangle %d has vertex %d of %d", t,
                               m->triangle[t][k], m->n_vertices);
        if (m->part[t] > HEAD_MODEL_BALL)
            return err_set(e, ERR_DATA, "head model: triangle %d: part %d", t,
                           m->part[t]);
    }
    for (int k = 0; k < m->n_expression; k++)
        if (!m->name[k])
            return err_set(e, ERR_DATA, "head model: expression %d: no name",
                           k);
    enum err_code r = check_numbers(m->mean[0], n, "mean", e);
    if (!r)
        r = check_numbers(m->identity, (size_t)m->n_identity * n, "identity",
                          e);
    if (!r)
        r = check_numbers(m->expression, (size_t)m->n_expression * n,
                          "expression", e);
    return r;
}

static void turn(float *p, size_t n, const double r[9], double scale,
                 const double t[3])
{
    for (size_t i = 0; i < n; i++) {
        double v[3] = {(double)p[3 * i], (double)p[3 * i + 1],
                       (double)p[3 * i + 2]};
        for (int k = 0; k < 3; k++)
            p[3 * i + (size_t)k] =
                (float)(scale * (r[3 * k] * v[0] + r[3 * k + 1] * v[1] +
                                 r[3 * k + 2] * v[2]) +
                        (t ? t[k] : 0));
    }
}

enum err_code head_model_align(struct head_model *m, struct err *e)
{
    float own[LANDMARKS][3], theirs[LANDMARKS][3];
    double r[9], scale, t[3];
    size_t n = (size_t)m->n_vertices;
    enum err_code rc = head_landmarks(NULL, own, e);
    for (int i = 0; i < LANDMARKS; i++)
        memcpy(theirs[i], m->mean[m->landmark[i]], sizeof theirs[i]);
    if (!rc)
        rc = fit_similarity((const float(*)[3])theirs, (const float(*)[3])own,
                            LANDMARKS, r, &scale, t, e);
    if (rc)
        return err_wrap(e, "head model");
    turn(m->mean[0], n, r, scale, t);
    turn(m->identity, n * (size_t)m->n_identity, r, scale, NULL);
    turn(m->expression, n * (size_t)m->n_expression, r, scale, NULL);
    return OK;
}

static int own_part(uint8_t part)
{
    switch (part) {
    case HEAD_EYE:
        return HEAD_MODEL_BALL;
    case HEAD_NECK:
    case HEAD_SCALP:
        return HEAD_MODEL_NECK;
    case HEAD_SKIN:
    case HEAD_LIPS:
    case HEAD_BROW:
        return HEAD_MODEL_FACE;
    default:
        return -1; /* the ears' shells, the mouth's inside */
    }
}

/* Triangles of the outside, and of the eyeballs. */
static int own_triangles(const struct head_base *b, struct head_model *m)
{
    int n = 0;
    for (int t = 0; t < b->n_tris; t++) {
        const int32_t *v = b->tri[t];
        int part = own_part(b->part[t]);
        bool inside = v[0] >= HG_BAG || v[1] >= HG_BAG || v[2] >= HG_BAG;
        if (part < 0 || (part != HEAD_MODEL_BALL && inside))
            continue;
        if (m) {
            memcpy(m->triangle[n], v, sizeof m->triangle[n]);
            m->part[n] = (uint8_t)part;
        }
        n++;
    }
    return n;
}

static void own_modes(const struct head_base *b, struct head_model *m)
{
    size_t n = HEAD_VERTS * 3;
    for (size_t k = 0; k < HEAD_MODES; k++) {
        float *to = k < HEAD_IDENTITY ? m->identity + k * n
                                      : m->expression + (k - HEAD_IDENTITY) * n;
        for (size_t i = 0; i < n; i++)
            to[i] = b->mode[k][i / 3][i % 3] / (float)HEAD_MM;
    }
}

enum err_code head_model_own(struct head_model **out, struct err *e)
{
    const struct head_base *b = head_base_get();
    struct head_model *m;
    double(*mm)[3] = mem_array(HEAD_VERTS, sizeof *mm);
    *out = NULL;
    if (!mm)
        return err_set(e, ERR_NOMEM, "no memory for a head");
    enum err_code r = head_model_new(HEAD_VERTS, own_triangles(b, NULL),
                                     HEAD_IDENTITY, HEAD_EXPRESSION, &m, e);
    if (!r) {
        (void)own_triangles(b, m);
        head_deform(NULL, NULL, HEAD_VERTS, mm);
        for (int i = 0; i < HEAD_VERTS; i++)
            for (int k = 0; k < 3; k++)
                m->mean[i][k] = (float)((mm[i][k] - b->centre[k]) / HEAD_MM);
        own_modes(b, m);
        memcpy(m->landmark, b->landmark, sizeof m->landmark);
        for (int k = 0; k < HEAD_EXPRESSION && !r; k++) {
            m->name[k] = mem_strdup(head_expression_names[k]);
            if (!m->name[k])
                r = err_set(e, ERR_NOMEM, "no memory for a head");
        }
        if (r)
            head_model_free(&m);
    }
    mem_free(mm);
    *out = r ? NULL : m;
    return r;
}

/* Letters alone, lower case. */
static bool same_word(const char *a, const char *b)
{
    for (;;) {
        while (*a == '_')
            a++;
        while (*b == '_')
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
        a++;
        b++;
    }
}

int head_model_expression(const struct head_model *m, const char *name)
{
    for (int k = 0; k < m->n_expression; k++)
        if (same_word(m->name[k], name))
            return k;
    return -1;
}

void head_node_at(const struct head_node *n, const float *vertex, float out[3])
{
    double p[3] = {0, 0, (double)n->offset_z};
    for (int i = 0; i < n->n; i++)
        for (int k = 0; k < 3; k++)
            p[k] += (double)n->weight[i] * (double)vertex[3 * n->vertex[i] + k];
    for (int k = 0; k < 3; k++)
        out[k] = (float)p[k];
}

/* Moeller and Trumbore (1997). *t along dir, w the corners' weights. */
static bool ray_triangle(const float *a, const float *b, const float *c,
                         const double from[3], const double dir[3], double *t,
                         double w[3])
{
    double u[3], v[3], s[3], p[3], q[3];
    for (int k = 0; k < 3; k++) {
        u[k] = (double)b[k] - (double)a[k];
        v[k] = (double)c[k] - (double)a[k];
        s[k] = from[k] - (double)a[k];
    }
    for (int k = 0; k < 3; k++) {
        int i = (k + 1) % 3, j = (k + 2) % 3;
        p[k] = dir[i] * v[j] - dir[j] * v[i];
        q[k] = s[i] * u[j] - s[j] * u[i];
    }
    double det = u[0] * p[0] + u[1] * p[1] + u[2] * p[2];
    if (fabs(det) < 1e-14)
        return false;
    w[1] = (s[0] * p[0] + s[1] * p[1] + s[2] * p[2]) / det;
    w[2] = (dir[0] * q[0] + dir[1] * q[1] + dir[2] * q[2]) / det;
    w[0] = 1 - w[1] - w[2];
    *t = (v[0] * q[0] + v[1] * q[1] + v[2] * q[2]) / det;
    return w[0] >= -1e-9 && w[1] >= -1e-9 && w[2] >= -1e-9;
}

bool head_model_ray(const struct head_model *m, const double from[3],
                    const double dir[3], unsigned parts, struct head_node *out)
{
    double best = 0, t, w[3];
    bool found = false;
    for (int i = 0; i < m->n_triangles; i++) {
        const int32_t *v = m->triangle[i];
        if (!(parts >> m->part[i] & 1) ||
            !ray_triangle(m->mean[v[0]], m->mean[v[1]], m->mean[v[2]], from,
                          dir, &t, w) ||
            t <= best)
            continue;
        best = t;
        found = true;
        *out = (struct head_node){.n = 3};
        for (int k = 0; k < 3; k++) {
            out->vertex[k] = v[k];
            out->weight[k] = (float)w[k];
        }
    }
    return found;
}
