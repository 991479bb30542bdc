/* surface-evaluator: found head surfaces against true ones. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/flow/stage.h"
#include "lib/geom/head.h"
#include "lib/geom/head_map.h"
#include "lib/geom/raster.h"

#define SIDE 240    /* of the depth picture that tells what is hidden */
#define BEHIND 0.06 /* outer-eye distances: farther behind it is hidden */
#define AROUND 6    /* cells: how far from its place a node may have slid */

enum { VISIBLE, HIDDEN, KINDS };

/* In outer-eye distances. */
struct sum {
    double place, near; /* to the same place; to the nearest surface */
    int64_t n;
};

struct surface_evaluator {
    struct sum kind[KINDS], points, jaw;
    int64_t heads, missed;
    uint8_t part[HEAD_MAP_NODES];
    int32_t (*triangle)[3];
    struct raster *raster;
    float (*small)[3]; /* the map in the depth picture */
};

static enum err_code evaluator_open(void *ctx, struct stage *s, struct err *e)
{
    struct surface_evaluator *c = ctx;
    (void)s;
    head_map_parts(c->part);
    c->triangle = mem_array(HEAD_MAP_TRIANGLES, sizeof *c->triangle);
    c->small = mem_array(HEAD_MAP_NODES, sizeof *c->small);
    if (!c->triangle || !c->small)
        return err_set(e, ERR_NOMEM, "no memory for a map");
    head_map_triangles(c->triangle);
    return raster_new(SIDE, SIDE, &c->raster, e);
}

static void evaluator_close(void *ctx)
{
    struct surface_evaluator *c = ctx;
    mem_free(c->triangle);
    mem_free(c->small);
    raster_free(&c->raster);
}

static double squared(const float a[3], const float b[3])
{
    double d = 0;
    for (int k = 0; k < 3; k++)
        d += pow((double)a[k] - (double)b[k], 2);
    return d;
}

/* The true map into the depth picture. */
static void draw_depth(struct surface_evaluator *c, const float (*map)[3])
{
    float lo[2] = {INFINITY, INFINITY}, hi[2] = {-INFINITY, -INFINITY};
    for (int i = 0; i < HEAD_MAP_NODES; i++)
        for (int k = 0; k < 2; k++) {
            lo[k] = fminf(lo[k], map[i][k]);
            hi[k] = fmaxf(hi[k], map[i][k]);
        }
    float by = (SIDE - 3) / fmaxf(fmaxf(hi[0] - lo[0], hi[1] - lo[1]), 1e-6F);
    for (int i = 0; i < HEAD_MAP_NODES; i++)
        for (int k = 0; k < 3; k++)
            c->small[i][k] = k < 2 ? 1 + by * (map[i][k] - lo[k]) : map[i][k];
    raster_clear(c->raster);
    raster_draw(c->raster, (const float(*)[3])c->small,
                (const int32_t(*)[3])c->triangle, HEAD_MAP_TRIANGLES, 0);
}

/* Is node i of the true map in sight, eye being the outer-eye distance? */
static bool in_sight(const struct surface_evaluator *c, int i, double eye)
{
    const float *p = c->small[i];
    long x = lroundf(p[0]), y = lroundf(p[1]);
    if (x < 0 || y < 0 || x >= SIDE || y >= SIDE)
        return false;
    long at = y * SIDE + x;
    return c->raster->triangle[at] < 0 ||
           (double)p[2] >= (double)c->raster->z[at] - BEHIND * eye;
}

/* Squared distance from p to the segment a b. */
static double to_segment(const float p[3], const float a[3], const float b[3])
{
    double ab[3], t = 0, n = 0, d = 0;
    for (int k = 0; k < 3; k++) {
        ab[k] = (double)b[k] - (double)a[k];
        t += ab[k] * ((double)p[k] - (double)a[k]);
        n += ab[k] * ab[k];
    }
    t = n > 0 ? fmin(fmax(t / n, 0), 1) : 0;
    for (int k = 0; k < 3; k++)
        d += pow((double)p[k] - (double)a[k] - t * ab[k], 2);
    return d;
}

/* Squared distance from p to the triangle: to its plane where the foot lies
 * inside, else to its nearest side. */
static double to_triangle(const float p[3], const float a[3], const float b[3],
                          const float c[3])
{
    double u[3], v[3], w[3], uu = 0, uv = 0, vv = 0, wu = 0, wv = 0, ww = 0;
    for (int k = 0; k < 3; k++) {
        u[k] = (double)b[k] - (double)a[k];
        v[k] = (double)c[k] - (double)a[k];
        w[k] = (double)p[k] - (double)a[k];
        uu += u[k] * u[k];
        uv += u[k] * v[k];
        vv += v[k] * v[k];
        wu += w[k] * u[k];
        wv += w[k] * v[k];
        ww += w[k] * w[k];
    }
    double det = uu * vv - uv * uv;
    if (det > 1e-12 * uu * vv) {
        double s = (vv * wu - uv * wv) / det, t = (uu * wv - uv * wu) / det;
        if (s >= 0 && t >= 0 && s + t <= 1)
            return fmax(ww - s * wu - t * wv, 0);
    }
    return fmin(to_segment(p, a, b),
                fmin(to_segment(p, b, c), to_segment(p, a, c)));
}

/* From a found node to the true surface about its place. */
static double to_surface(const struct surface_evaluator *c, const float p[3],
                         int i, const float (*map)[3])
{
    int row = i / HEAD_MAP_COLS, col = i % HEAD_MAP_COLS;
    double best = (double)INFINITY;
    for (int r = row - AROUND; r < row + AROUND; r++)
        for (int k = col - AROUND; k < col + AROUND; k++) {
            if (r < 0 || k < 0 || r + 1 >= HEAD_MAP_ROWS ||
                k + 1 >= HEAD_MAP_COLS)
                continue;
            const int32_t(*t)[3] = (const int32_t(*)[3])c->triangle +
                                   (ptrdiff_t)2 * (r * (HEAD_MAP_COLS - 1) + k);
            for (int n = 0; n < 2; n++)
                best = fmin(best, to_triangle(p, map[t[n][0]], map[t[n][1]],
                                              map[t[n][2]]));
        }
    return sqrt(best);
}

static void add(struct sum *s, double place, double near)
{
    s->place += place;
    s->near += near;
    s->n++;
}

static const struct tensor *map_of(const struct item *it, const char *name)
{
    const struct tensor *t = item_tensor(it, name);
    bool ok = t && t->count == 3 * HEAD_MAP_NODES;
    for (size_t i = 0; ok && i < t->count; i++)
        ok = isfinite(tensor_f32(t)[i]);
    return ok ? t : NULL;
}

static enum err_code evaluator_transform(void *ctx, struct stage *s,
                                         struct item *const *in, size_t n,
                                         struct err *e)
{
    struct surface_evaluator *c = ctx;
    const struct tensor *truth = map_of(in[0], "surface_seen");
    const struct tensor *found = map_of(in[0], "surface");
    const struct tensor *p = item_tensor(in[0], "landmarks_true");
    const struct tensor *q = item_tensor(in[0], "points3d");
    (void)s;
    (void)n;
    if (!truth || !p)
        return err_set(e, ERR_DATA, "no true surface and points");
    const float(*m)[3] = (const float(*)[3])truth->data;
    const float(*t)[3] = (const float(*)[3])p->data;
    double eye = sqrt(squared(t[36], t[45]));
    if (!(eye > 0) || !isfinite(eye))
        return err_set(e, ERR_DATA, "the true outer eye corners coincide");
    if (!found || !q || item_get(in[0], "error_code")) {
        c->missed++;
        return OK;
    }
    const float(*f)[3] = (const float(*)[3])found->data;
    draw_depth(c, m);
    for (int i = 0; i < HEAD_MAP_NODES; i++) {
        if (c->part[i] == HEAD_NECK) /* moves by itself */
            continue;
        add(&c->kind[in_sight(c, i, eye) ? VISIBLE : HIDDEN],
            sqrt(squared(f[i], m[i])) / eye, to_surface(c, f[i], i, m) / eye);
    }
    for (int i = 0; i < LANDMARKS; i++)
        add(i < 17 ? &c->jaw : &c->points,
            sqrt(squared((const float *)q->data + 3 * i, t[i])) / eye, 0);
    c->heads++;
    return OK;
}

static void tell(struct stage *s, const char *what, const struct sum *x)
{
    stage_report(s, "%s: %.2f %% to the surface, %.2f %% to the same place",
                 what, x->n ? 100 * x->near / (double)x->n : 0,
                 x->n ? 100 * x->place / (double)x->n : 0);
}

static enum err_code evaluator_finish(void *ctx, struct stage *s, struct err *e)
{
    struct surface_evaluator *c = ctx;
    const struct sum *v = &c->kind[VISIBLE], *h = &c->kind[HIDDEN];
    (void)e;
    if (!c->heads) {
        stage_report(s, "no surface in %lld heads", (long long)c->missed);
        return OK;
    }
    struct sum all = {v->place + h->place, v->near + h->near, v->n + h->n};
    tell(s, "surface error", &all);
    tell(s, "visible parts", v);
    tell(s, "hidden parts", h);
    stage_report(s, "points 17-67: %.2f %%, jaw points: %.2f %%",
                 100 * c->points.place / (double)c->points.n,
                 100 * c->jaw.place / (double)c->jaw.n);
    stage_report(s,
                 "%lld heads, %lld without a face; %.0f %% of the surface "
                 "in sight",
                 (long long)c->heads, (long long)c->missed,
                 100 * (double)v->n / (double)all.n);
    return OK;
}

static const struct stage_port in_ports[] = {
    {"in",
     "surface_seen f32[65,41,3]?, landmarks_true f32[68,3]?, surface "
     "f32[65,41,3]?, points3d f32[68,3]?",
     "Heads with true and found surface and points in the picture."},
    {NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "surface-evaluator",
    .help =
        "Measures lifted heads against the truth: mean 3-D distances in % "
        "of the outer-eye distance, of what is in sight and what is hidden, "
        "without the neck.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .ctx_size = sizeof(struct surface_evaluator),
    .open = evaluator_open,
    .transform = evaluator_transform,
    .finish = evaluator_finish,
    .close = evaluator_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
