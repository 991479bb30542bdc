/* What the source does not show of the head, from its mirrored side. */
#include "stages/generator/mirror.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/raster.h"
#include "lib/geom/rotation.h"

/* The z-buffer for visibility: pixels a head unit. */
#define BUFFER_UNIT 40.0
#define BUFFER_MAX 512
/* A vertex this far behind the buffer (head units) is hidden. */
static const double hidden_by = 0.05;
#define ALPHA_ROUNDS 4
#define GAIN_ROUNDS 80
/* Limits of the light's ratio (logarithm): the far side of a turned head may
 * lie in deep shadow; much brighter than the near side it is seldom, and what
 * looks so is background. Colours differ less than brightness does. */
static const float little = 0.002f; /* weight below which no ratio is known */
static const float coarsest = 5.0f; /* level that light is measured on */
static const float least_gain = -1.6f, most_gain = 0.35f, most_tint = 0.12f;

static float smoothstep(float lo, float hi, float x)
{
    float t = fminf(fmaxf((x - lo) / (hi - lo), 0.0f), 1.0f);

    return t * t * (3.0f - 2.0f * t);
}

/* How far (px) a place lies inside the jaw's outline on the far side of a
 * turned head; a large number where the outline does not reach. The points
 * run from the ear (0 or 16) to the chin (8). */
static double inside_outline(const struct surface *s, bool right,
                             const float p[3])
{
    double best = 1e18, inside = 1e9;

    for (int k = 0; k < 8; k++) {
        const float *a = s->points[right ? 16 - k : k];
        const float *b = s->points[right ? 15 - k : k + 1];
        double dx = (double)b[0] - (double)a[0];
        double dy = (double)b[1] - (double)a[1];
        double px = (double)p[0] - (double)a[0];
        double py = (double)p[1] - (double)a[1];
        double len2 = fmax(dx * dx + dy * dy, 1e-9);
        double t = (px * dx + py * dy) / len2;

        if ((k == 0 && t < 0.0) || (k == 7 && t > 1.0)) {
            /* beyond an end: this segment says nothing there */
            double ex = t < 0.0 ? px : px - dx, ey = t < 0.0 ? py : py - dy;

            if (ex * ex + ey * ey < best) {
                best = ex * ex + ey * ey;
                inside = 1e9;
            }
            continue;
        }
        t = fmin(fmax(t, 0.0), 1.0);
        double ex = px - t * dx, ey = py - t * dy;
        double cross = (dx * py - dy * px) / sqrt(len2);

        if (ex * ex + ey * ey < best) {
            best = ex * ex + ey * ey;
            inside = (cross < 0.0) != right ? sqrt(best) : -sqrt(best);
        }
    }
    return inside;
}

/* What lies outside the visible jaw is not the head, whatever the surface
 * says. */
static void hide_outside(const struct surface *s, float *seen)
{
    double rx, ry, rz;

    rotation_to_euler(s->pose.r, &rx, &ry, &rz);
    if (fabs(ry) < 8.0)
        return;
    for (int v = 0; v < s->mesh->n_vertices; v++)
        if (seen[v] > 0.0f)
            seen[v] *= smoothstep(
                0.02f, 0.12f,
                (float)(inside_outline(s, ry > 0.0, s->xyz[v]) / s->unit_px));
}

/* Visibility 0..1 of every vertex in the source view. */
static enum err_code see(const struct surface *s, const struct pyramid *p,
                         float *seen, float (*scratch)[3], struct err *e)
{
    const struct head_mesh *m = s->mesh;
    double lo[2] = {(double)INFINITY, (double)INFINITY},
           hi[2] = {-(double)INFINITY, -(double)INFINITY};
    double scale = BUFFER_UNIT / s->unit_px;
    struct raster *r = NULL;

    for (int v = 0; v < m->n_vertices; v++)
        for (int a = 0; a < 2; a++) {
            lo[a] = fmin(lo[a], (double)s->xyz[v][a]);
            hi[a] = fmax(hi[a], (double)s->xyz[v][a]);
        }
    int w = (int)fmin((hi[0] - lo[0]) * scale + 3.0, BUFFER_MAX);
    int h = (int)fmin((hi[1] - lo[1]) * scale + 3.0, BUFFER_MAX);
    enum err_code rc = raster_new(w, h, &r, e);

    if (rc != OK)
        return rc;
    for (int v = 0; v < m->n_vertices; v++) {
        for (int a = 0; a < 2; a++)
            scratch[v][a] =
                (float)(((double)s->xyz[v][a] - lo[a]) * scale + 1.0);
        scratch[v][2] = s->xyz[v][2];
    }
    raster_draw(r, (const float(*)[3])scratch, (const int32_t(*)[3])m->triangle,
                m->n_triangles, 0);
    for (int v = 0; v < m->n_vertices; v++) {
        int x = (int)(scratch[v][0] + 0.5f), y = (int)(scratch[v][1] + 0.5f);
        bool in = s->xyz[v][0] >= 0.0f && s->xyz[v][1] >= 0.0f &&
                  s->xyz[v][0] <= (float)(p->level[0].width - 1) &&
                  s->xyz[v][1] <= (float)(p->level[0].height - 1);

        seen[v] = in ? smoothstep(0.2f, 0.6f, s->normal[v][2]) : 0.0f;
        if (x < 0 || y < 0 || x >= w || y >= h)
            continue;
        double front = (double)r->z[(size_t)y * (size_t)w + (size_t)x];

        if (front > (double)s->xyz[v][2] + hidden_by * s->unit_px)
            seen[v] = 0.0f;
    }
    hide_outside(s, seen);
    raster_free(&r);
    return OK;
}

/* Is vertex v of the lips or mouth inside, behind the line of the inner lips?
 * The pit is always hidden, and is never what a view should show instead. */
static bool inside_mouth(const struct head_mesh *h, int v)
{
    const float *p = h->vertex[v];
    double z = (double)h->vertex[h->landmark[60]][2];

    for (int i = 60; i < 64; i++) { /* inner upper lip, left to right */
        const float *a = h->vertex[h->landmark[i]];
        const float *b = h->vertex[h->landmark[i + 1]];
        double t = ((double)p[0] - (double)a[0]) /
                   fmax((double)b[0] - (double)a[0], 1e-6);

        if (t >= 0.0)
            z = (double)a[2] + fmin(t, 1.0) * ((double)b[2] - (double)a[2]);
    }
    return (double)p[2] < z - 0.04;
}

/* Parts that are never replaced. */
static void keep_parts(const struct head_mesh *h, float *alpha)
{
    for (int t = 0; t < h->n_triangles; t++)
        for (int i = 0; i < 3; i++) {
            int v = h->triangle[t][i];
            uint8_t part = h->part[t];

            if (part == HEAD_NECK || part == HEAD_MOUTH ||
                (part == HEAD_LIPS && inside_mouth(h, v)))
                alpha[v] = 0.0f;
        }
}

/* Mean over the triangles' corners: one round of smoothing over the mesh of
 * k values a vertex; fixed vertices (may be NULL) keep theirs. sum and count
 * are scratch. */
static void smooth_round(const struct head_mesh *m, float *value, int k,
                         const float *fixed, float *sum, float *count)
{
    size_t n = (size_t)m->n_vertices;

    memset(sum, 0, n * (size_t)k * sizeof *sum);
    memset(count, 0, n * sizeof *count);
    for (int t = 0; t < m->n_triangles; t++) {
        const int32_t *c = m->triangle[t];

        for (int j = 0; j < k; j++) {
            float all =
                value[c[0] * k + j] + value[c[1] * k + j] + value[c[2] * k + j];

            for (int i = 0; i < 3; i++)
                sum[c[i] * k + j] += all;
        }
        for (int i = 0; i < 3; i++)
            count[c[i]] += 3.0f;
    }
    for (int v = 0; v < m->n_vertices; v++)
        for (int j = 0; j < k; j++) {
            float f = fixed ? fixed[v] : 0.0f;

            if (count[v] > 0.0f)
                value[v * k + j] = f * value[v * k + j] +
                                   (1.0f - f) * sum[v * k + j] / count[v];
        }
}

/* Logarithm of the ratio own / mirrored light where both are seen, and by how
 * much that counts (both). */
static void start_gain(const struct surface *s, const struct pyramid *p,
                       const float *seen, const struct mirror *m, float *both)
{
    /* fine enough not to reach over the outline */
    float lod = fminf((float)log2(fmax(s->unit_px / 16.0, 1.0)), coarsest);

    for (int v = 0; v < m->n_vertices; v++) {
        float own[3], other[3], mean = 0.0f;
        float *g = m->gain[v];

        both[v] = fminf(seen[v], seen[s->mesh->mirror[v]]);
        both[v] = smoothstep(0.3f, 0.9f, both[v]);
        memset(g, 0, sizeof m->gain[v]);
        if (!(both[v] > 0.0f))
            continue;
        pyramid_sample(p, s->xyz[v][0], s->xyz[v][1], lod, own);
        pyramid_sample(p, m->from[v][0], m->from[v][1], lod, other);
        for (int c = 0; c < 3; c++) {
            g[c] = logf((own[c] + 12.0f) / (other[c] + 12.0f));
            mean += g[c] / 3.0f;
        }
        for (int c = 0; c < 3; c++) {
            float tint = fminf(fmaxf(g[c] - mean, -most_tint), most_tint);

            g[c] = fminf(fmaxf(mean, least_gain), most_gain) + tint;
        }
    }
}

/* Carry the ratio on to where it is not measured: blurred over the mesh with
 * its weights (normalised convolution), so that what is far from any
 * measurement still has the nearest ones' until their weight is very small
 * (the ears and behind). work f32[n,4],
 * sum f32[n,4], count f32[n]. */
static void spread_gain(const struct head_mesh *h, const struct mirror *m,
                        const float *both, float *work, float *sum,
                        float *count)
{
    for (int v = 0; v < m->n_vertices; v++) {
        for (int c = 0; c < 3; c++)
            work[4 * v + c] = both[v] * m->gain[v][c];
        work[4 * v + 3] = both[v];
    }
    for (int round = 0; round < GAIN_ROUNDS; round++)
        smooth_round(h, work, 4, NULL, sum, count);
    for (int v = 0; v < m->n_vertices; v++)
        for (int c = 0; c < 3; c++) {
            float w = work[4 * v + 3];
            float far = work[4 * v + c] / (w + little);

            m->gain[v][c] = expf(far + both[v] * (m->gain[v][c] - far));
        }
}

static enum err_code choose_triangles(const struct head_mesh *h,
                                      struct mirror *m, struct err *e)
{
    m->n_triangles = 0;
    for (int pass = 0; pass < 2; pass++) {
        int n = 0;

        for (int t = 0; t < h->n_triangles; t++) {
            const int32_t *c = h->triangle[t];

            if (h->part[t] == HEAD_NECK || h->part[t] == HEAD_MOUTH ||
                fmaxf(m->alpha[c[0]], fmaxf(m->alpha[c[1]], m->alpha[c[2]])) <
                    0.02f)
                continue;
            if (pass)
                memcpy(m->triangle[n], c, sizeof m->triangle[n]);
            n++;
        }
        if (pass || n == 0)
            return OK;
        m->triangle = mem_array((size_t)n, sizeof *m->triangle);
        if (!m->triangle)
            return err_set(e, ERR_NOMEM, "no memory for the mirrored side");
        m->n_triangles = n;
    }
    return OK;
}

static enum err_code fill(struct mirror *m, const struct surface *s,
                          const struct pyramid *p, float *seen, float *work,
                          struct err *e)
{
    const struct head_mesh *h = s->mesh;
    size_t n = (size_t)m->n_vertices;
    float *sum = work, *count = work + 4 * n, *both = work + 5 * n;
    enum err_code rc = see(s, p, seen, (float(*)[3])work, e);

    if (rc != OK)
        return rc;
    for (int round = 0; round < 2; round++)
        smooth_round(h, seen, 1, NULL, sum, count);
    for (int v = 0; v < m->n_vertices; v++) {
        int o = h->mirror[v];

        m->alpha[v] = smoothstep(0.25f, 0.75f, (1.0f - seen[v]) * seen[o]);
        m->from[v][0] = s->xyz[o][0];
        m->from[v][1] = s->xyz[o][1];
    }
    keep_parts(h, m->alpha);
    for (int round = 0; round < ALPHA_ROUNDS; round++)
        smooth_round(h, m->alpha, 1, NULL, sum, count);
    keep_parts(h, m->alpha);
    rc = choose_triangles(h, m, e);
    if (rc != OK || m->n_triangles == 0)
        return rc;
    start_gain(s, p, seen, m, both);
    spread_gain(h, m, both, work + 6 * n, sum, count);
    return OK;
}

enum err_code mirror_new(const struct surface *s, const struct pyramid *p,
                         struct mirror **out, struct err *e)
{
    size_t n = (size_t)s->mesh->n_vertices;
    struct mirror *m = mem_calloc(1, sizeof *m);
    float *seen = NULL, *work = NULL;
    enum err_code rc = OK;

    *out = NULL;
    if (m) {
        m->n_vertices = s->mesh->n_vertices;
        m->alpha = mem_array(n, sizeof *m->alpha);
        m->from = mem_array(n, sizeof *m->from);
        m->gain = mem_array(n, sizeof *m->gain);
        seen = mem_array(n, sizeof *seen);
        work = mem_array(n, 10 * sizeof *work);
    }
    if (!m || !m->alpha || !m->from || !m->gain || !seen || !work)
        rc = err_set(e, ERR_NOMEM, "no memory for the mirrored side");
    if (rc == OK)
        rc = fill(m, s, p, seen, work, e);
    mem_free(seen);
    mem_free(work);
    if (rc != OK)
        mirror_free(&m);
    *out = m;
    return rc;
}

void mirror_weights(const struct mirror *m, const struct surface *s,
                    const double r[9], float *weight)
{
    for (int v = 0; v < m->n_vertices; v++) {
        const float *n = s->normal[v];
        float now = (float)(r[6] * (double)n[0] + r[7] * (double)n[1] +
                            r[8] * (double)n[2]);
        float before = fmaxf(n[2], 0.05f);

        weight[v] = 0.0f;
        if (m->alpha[v] > 0.0f && now > 0.0f)
            weight[v] = m->alpha[v] * smoothstep(1.02f, 1.4f, now / before) *
                        smoothstep(0.02f, 0.25f, now);
    }
}

void mirror_free(struct mirror **mp)
{
    struct mirror *m = *mp;

    if (!m)
        return;
    mem_free(m->alpha);
    mem_free(m->from);
    mem_free(m->gain);
    mem_free(m->triangle);
    mem_free(m);
    *mp = NULL;
}
