/* Heads as a landmarker sees them: drawing one. */
#include "lib/geom/head_sample.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/head_points.h"
#include "lib/geom/rotation.h"

#define INNER 17 /* the first point that is not the jaw's */

struct head_sampler {
    struct head_points *face; /* the 68 points, then the jaw's places */
    struct head_points *surface;
    struct head_mood mood;
    int jaw_first[HEAD_JAW + 1]; /* rows of face, behind the points */
    double size;                 /* of the mean head's inner points */
    float *weight;               /* of all modes */
    float (*at)[3];              /* face's places of this head */
};

/* Root mean square distance of points 17-67 from their mean. */
static double inner_size(const float (*p)[3])
{
    double mean[3] = {0}, sum = 0;
    const int n = LANDMARKS - INNER;
    for (int i = INNER; i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++)
            mean[k] += (double)p[i][k] / n;
    for (int i = INNER; i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++)
            sum += pow((double)p[i][k] - mean[k], 2);
    return sqrt(sum / n);
}

static enum err_code make_face(struct head_sampler *s,
                               const struct head_model *m, struct err *e)
{
    struct head_jaw *jaw = mem_calloc(1, sizeof *jaw);
    size_t room = LANDMARKS + HEAD_JAW * HEAD_JAW_MAX;
    struct head_node *node = mem_calloc(room, sizeof *node);
    int n = LANDMARKS;
    enum err_code r = jaw && node ? head_jaw_find(m, jaw, e)
                                  : err_set(e, ERR_NOMEM, "no memory");
    for (int i = 0; i < LANDMARKS && !r; i++)
        node[i] = (struct head_node){
            .n = 1, .vertex = {m->landmark[i]}, .weight = {1}};
    for (int i = 0; i < HEAD_JAW && !r; i++) {
        s->jaw_first[i] = n;
        for (int k = 0; k < jaw->n[i]; k++)
            node[n++] = jaw->node[i][k];
    }
    s->jaw_first[HEAD_JAW] = n;
    if (!r)
        r = head_points_new(m, node, n, &s->face, e);
    mem_free(jaw);
    mem_free(node);
    return r;
}

enum err_code head_sampler_new(const struct head_model *m,
                               const struct head_node *node, int n,
                               struct head_sampler **out, struct err *e)
{
    struct head_sampler *s = mem_calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a sampler of heads");
    enum err_code r = make_face(s, m, e);
    if (!r && n)
        r = head_points_new(m, node, n, &s->surface, e);
    if (!r) {
        int modes = m->n_identity + m->n_expression;
        s->weight = mem_calloc((size_t)modes + 1, sizeof *s->weight);
        s->at = mem_array((size_t)s->face->n, sizeof *s->at);
        if (!s->weight || !s->at)
            r = err_set(e, ERR_NOMEM, "no memory for a sampler of heads");
    }
    if (!r) {
        head_mood_learn(m, &s->mood);
        s->size = inner_size((const float(*)[3])s->face->mean);
        if (!(s->size > 0))
            r = err_set(e, ERR_DATA, "head model: all points in one place");
    }
    if (r)
        head_sampler_free(&s);
    *out = s;
    return r;
}

void head_sampler_free(struct head_sampler **sp)
{
    struct head_sampler *s = *sp;
    if (!s)
        return;
    head_points_free(&s->face);
    head_points_free(&s->surface);
    mem_free(s->weight);
    mem_free(s->at);
    mem_free(s);
    *sp = NULL;
}

int head_sampler_nodes(const struct head_sampler *s)
{
    return s->surface ? s->surface->n : 0;
}

static void scale_all(float (*p)[3], int n, double f)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            p[i][k] = (float)((double)p[i][k] * f);
}

/* This head's places in its own frame, of standard size. */
static void shape_head(struct head_sampler *s, float (*surface)[3])
{
    const struct head_points *f = s->face;
    const float *mood = s->weight + f->n_identity;
    head_points_mean(f, s->at);
    head_points_add(f, 0, f->n_identity, s->weight, s->at);
    double size = inner_size((const float(*)[3])s->at);
    double by = size > 0 ? s->size / size : 1;
    head_points_add(f, f->n_identity, f->n_expression, mood, s->at);
    scale_all(s->at, f->n, by);
    if (!surface || !s->surface)
        return;
    head_points_mean(s->surface, surface);
    head_points_add(s->surface, 0, f->n_identity + f->n_expression, s->weight,
                    surface);
    scale_all(surface, s->surface->n, by);
}

/* To the picture: xy, and z in pixels at the face's distance. */
static void project(const struct head_sample *h, const double r[9],
                    const float p[3], float out[3])
{
    double v[3];
    for (int k = 0; k < 3; k++)
        v[k] = r[3 * k] * (double)p[0] + r[3 * k + 1] * (double)p[1] +
               r[3 * k + 2] * (double)p[2];
    double by = h->scale_px / fmax(1 - h->near * v[2], 0.05);
    out[0] = (float)(h->centre_px[0] + by * v[0]);
    out[1] = (float)(h->centre_px[1] + by * v[1]);
    out[2] = (float)(h->scale_px * v[2]);
}

static void mark(const struct head_sampler *s, struct head_sample *h)
{
    double r[9], z = 0;
    rotation_from_euler(h->pose_deg[0], h->pose_deg[1], h->pose_deg[2], r);
    double n = fmax(hypot(r[1], r[4]), 1e-9);
    const double up[2] = {r[1] / n, r[4] / n};
    for (int i = 0; i < LANDMARKS; i++) {
        memcpy(h->head[i], s->at[i], sizeof h->head[i]);
        project(h, r, s->at[i], h->truth[i]);
        z += (double)h->truth[i][2] / LANDMARKS;
    }
    for (int i = 0; i < LANDMARKS; i++) {
        h->truth[i][2] -= (float)z;
        h->clean[i][0] = h->truth[i][0];
        h->clean[i][1] = h->truth[i][1];
    }
    for (int i = 0; i < HEAD_JAW; i++) {
        float xy[HEAD_JAW_MAX][2], p[3];
        int first = s->jaw_first[i], m = s->jaw_first[i + 1] - first;
        for (int k = 0; k < m; k++) {
            project(h, r, s->at[first + k], p);
            xy[k][0] = p[0];
            xy[k][1] = p[1];
        }
        int at = head_jaw_contour(i, (const float(*)[2])xy, m, up);
        memcpy(h->clean[i], xy[at], sizeof h->clean[i]);
    }
    memcpy(h->points, h->clean, sizeof h->points);
}

void head_sample_see(const struct head_sample *h, const float (*surface)[3],
                     int n, float (*out)[3])
{
    double r[9], z = 0;
    float p[3];
    rotation_from_euler(h->pose_deg[0], h->pose_deg[1], h->pose_deg[2], r);
    for (int i = 0; i < LANDMARKS; i++) {
        project(h, r, h->head[i], p);
        z += (double)p[2] / LANDMARKS;
    }
    for (int i = 0; i < n; i++) {
        project(h, r, surface[i], out[i]);
        out[i][2] -= (float)z;
    }
}

void head_sampler_pose(struct head_sampler *s, const float *identity,
                       const float *expression, struct head_sample *io,
                       float (*surface)[3])
{
    size_t ni = (size_t)s->face->n_identity, ne = (size_t)s->face->n_expression;
    memset(s->weight, 0, (ni + ne) * sizeof *s->weight);
    if (identity)
        memcpy(s->weight, identity, ni * sizeof *s->weight);
    if (expression)
        memcpy(s->weight + ni, expression, ne * sizeof *s->weight);
    shape_head(s, surface);
    mark(s, io);
}

static double clipped(struct rng *r, double deviation, double most)
{
    double v = deviation * rng_normal(r);
    return fmin(fmax(v, -most), most);
}

/* Half of the heads look anywhere, half of them more or less here. Heads bend
 * up and down less far where they are turned aside. */
static void draw_pose(struct rng *r, const struct head_range *g,
                      double pose_deg[3])
{
    double wide = rng_range(r, -1, 1), near = rng_normal(r);
    bool anywhere = rng_unit(r) < 0.6;
    double yaw = anywhere ? wide * g->yaw : near * g->yaw / 3;
    pose_deg[1] = fmin(fmax(yaw, -g->yaw), g->yaw);
    double pitch = clipped(r, g->pitch / 2, 1.4 * g->pitch);
    pose_deg[0] = pitch * (1 - 0.3 * fabs(pose_deg[1]) / 90);
    pose_deg[2] = clipped(r, g->roll / 2, 1.6 * g->roll);
}

void head_sampler_draw(struct head_sampler *s, struct rng *r,
                       const struct head_range *range, struct head_sample *out,
                       float (*surface)[3])
{
    int ni = s->face->n_identity;
    for (int k = 0; k < ni; k++)
        s->weight[k] = (float)clipped(r, 1, 3);
    head_mood_draw(&s->mood, r, range->expression, s->weight + ni);
    draw_pose(r, range, out->pose_deg);
    out->near = 0;
    if (rng_unit(r) < 0.8 && range->nearest > 0)
        out->near = rng_unit(r) / range->nearest;
    out->scale_px = exp(rng_range(r, log(20.0), log(200.0)));
    for (int k = 0; k < 2; k++)
        out->centre_px[k] = rng_range(r, 0, 500);
    shape_head(s, surface);
    mark(s, out);
    double turn[9];
    rotation_from_euler(out->pose_deg[0], out->pose_deg[1], out->pose_deg[2],
                        turn);
    double long_up = fmax(hypot(turn[1], turn[4]), 1e-9);
    const double up[2] = {turn[1] / long_up, turn[4] / long_up};
    double pull = range->pull * fmin(fmax(1 + 0.3 * rng_normal(r), 0), 2);
    head_noise_pull(r, pull, out->scale_px, out->pose_deg[1], up, out->points);
    head_noise_add(r, range->noise, out->scale_px, out->pose_deg[1],
                   out->points);
}
