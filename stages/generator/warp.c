/* The method `warp`: from a picture and its points to views. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/fit.h"
#include "lib/geom/raster.h"
#include "lib/geom/relief.h"
#include "lib/geom/surface.h"
#include "stages/generator/matte.h"
#include "stages/generator/method.h"
#include "stages/generator/mirror.h"
#include "stages/generator/pyramid.h"

#define SUB 2 /* samples a pixel and axis where edges are smoothed */
/* A view is drawn in bands of about this many pixels, so that the z-buffers
 * stay small whatever the picture's size. */
#define BAND_PIXELS (1 << 19)
#define MAX_SIDE 16384 /* SUB times this is the rasteriser's limit */
/* Nodes of the relief a head unit. */
static const double nodes_per_unit = 24.0;
/* The mirrored side is drawn up to this far behind the relief (head units):
 * where it is needed, the relief is a chord from the outline to the ground. */
static const double chord = 0.25;

struct warp_source {
    struct pyramid pyramid;
    float points[LANDMARKS][3];
    struct surface *surface;
    struct relief *relief;
    struct mirror *mirror;
    struct matte *matte; /* NULL: no background can be told from the head */
    /* a view's nodes and vertices, in raster coordinates */
    float (*moved)[3];
    float (*turned)[3];
    float *weight; /* of the mirrored side, a vertex */
    bool mirrored;
};

/* The part of the picture that a view draws anew, in pixels. */
struct area {
    int x0, y0, x1, y1; /* x1, y1 not included */
};

/* What one view is drawn from. */
struct view {
    const struct warp_source *source;
    struct area box;
    struct raster *relief;
    struct raster *mirror; /* NULL if nothing is hidden */
};

static void warp_release(void *source)
{
    struct warp_source *s = source;

    if (!s)
        return;
    pyramid_free(&s->pyramid);
    surface_free(&s->surface);
    relief_free(&s->relief);
    mirror_free(&s->mirror);
    matte_free(&s->matte);
    mem_free(s->moved);
    mem_free(s->turned);
    mem_free(s->weight);
    mem_free(s);
}

static enum err_code check_points(const struct tensor *frame,
                                  const float (*points)[3], struct err *e)
{
    double size[2] = {(double)frame->shape[1], (double)frame->shape[0]};

    for (int i = 0; i < LANDMARKS; i++)
        for (int a = 0; a < 3; a++) {
            double v = (double)points[i][a];

            if (!isfinite(v))
                return err_set(e, ERR_DATA, "landmarks: point %d is not finite",
                               i);
            if (a < 2 && (v < -size[a] || v > 2.0 * size[a]))
                return err_set(e, ERR_DATA,
                               "landmarks: point %d is at %g, too "
                               "far outside the frame",
                               i, v);
        }
    double eyes = landmark_outer_eye(&points[0][0], 3);
    double box[4];

    landmark_box(&points[0][0], 3, box);
    if (!(eyes >= 1.0) && !(box[3] - box[1] >= 4.0))
        return err_set(e, ERR_NOFACE, "the face is smaller than 4 pixels");
    if (size[0] > MAX_SIDE || size[1] > MAX_SIDE)
        return err_set(e, ERR_UNSUPPORTED,
                       "a frame of %.0f x %.0f is larger than %d", size[0],
                       size[1], MAX_SIDE);
    return OK;
}

static enum err_code warp_prepare(struct tensor *frame,
                                  const float (*points)[3], const float *score,
                                  void **source, struct err *e)
{
    enum err_code rc = check_points(frame, points, e);

    *source = NULL;
    if (rc != OK)
        return rc;
    struct warp_source *s = mem_calloc(1, sizeof *s);

    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a warp source");
    memcpy(s->points, points, sizeof s->points);
    rc = pyramid_init(&s->pyramid, frame, e);
    if (rc == OK)
        rc = surface_new(points, score, &s->surface, e);
    if (rc == OK)
        rc = relief_new(s->surface, s->surface->unit_px / nodes_per_unit,
                        &s->relief, e);
    if (rc == OK)
        rc = mirror_new(s->surface, &s->pyramid, &s->mirror, e);
    if (rc == OK)
        rc = matte_new(s->surface, s->relief, &s->pyramid, &s->matte, e);
    if (rc == OK) {
        size_t n = (size_t)s->relief->cols * (size_t)s->relief->rows;
        size_t vertices = (size_t)s->surface->mesh->n_vertices;

        s->moved = mem_array(n, sizeof *s->moved);
        s->turned = mem_array(vertices, sizeof *s->turned);
        s->weight = mem_array(vertices, sizeof *s->weight);
        if (!s->moved || !s->turned || !s->weight)
            rc = err_set(e, ERR_NOMEM, "no memory for a warp source");
    }
    if (rc != OK) {
        warp_release(s);
        return rc;
    }
    *source = s;
    return OK;
}

/* The moved nodes' box within the picture. */
static struct area moved_area(const struct warp_source *s)
{
    double lo[2] = {(double)INFINITY, (double)INFINITY},
           hi[2] = {-(double)INFINITY, -(double)INFINITY};
    double limit[2] = {(double)s->pyramid.level[0].width,
                       (double)s->pyramid.level[0].height};
    int n = s->relief->cols * s->relief->rows;

    for (int i = 0; i < n; i++)
        for (int a = 0; a < 2; a++) {
            lo[a] = fmin(lo[a], (double)s->moved[i][a]);
            hi[a] = fmax(hi[a], (double)s->moved[i][a]);
        }
    for (int a = 0; a < 2; a++) {
        lo[a] = fmin(fmax(floor(lo[a]), 0.0), limit[a]);
        hi[a] = fmin(fmax(ceil(hi[a]) + 1.0, lo[a]), limit[a]);
    }
    return (struct area){(int)lo[0], (int)lo[1], (int)hi[0], (int)hi[1]};
}

/* Where in the source sample `at` of the relief looks; (x, y) is where it lies
 * itself, for samples that nothing covers. */
static void source_at(const struct view *v, size_t at, float x, float y,
                      float uv[2])
{
    const struct relief *g = v->source->relief;
    int32_t t = v->relief->triangle[at];

    if (t < 0) {
        uv[0] = x;
        uv[1] = y;
        return;
    }
    const int32_t *c = g->triangle[t];
    const float *a = g->xyz[c[0]], *b = g->xyz[c[1]], *d = g->xyz[c[2]];
    float wa = v->relief->bary[at][0], wb = v->relief->bary[at][1];

    for (int k = 0; k < 2; k++)
        uv[k] = d[k] + wa * (a[k] - d[k]) + wb * (b[k] - d[k]);
}

/* Level of the pyramid for a place drawn larger than it was seen: detail
 * that is drawn out in one direction only would show as streaks. jac: du/dx,
 * du/dy, dv/dx, dv/dy a pixel. */
static float stretch_level(const float jac[4])
{
    float sum =
        jac[0] * jac[0] + jac[1] * jac[1] + jac[2] * jac[2] + jac[3] * jac[3];
    float det = jac[0] * jac[3] - jac[1] * jac[2];
    float root = sqrtf(fmaxf(sum * sum - 4.0f * det * det, 0.0f));
    float least = 0.5f * (sum - root), most = 0.5f * (sum + root);

    /* both small: an even enlargement, which does not streak */
    float ratio = least / fmaxf(most, 1e-6f);

    if (!(ratio < 0.3f))
        return 0.0f;
    return fminf(fmaxf(-0.6f * log2f(fmaxf(ratio, 1e-4f) / 0.3f), 0.0f), 3.0f);
}

/* How much of the source at (u, w) moves with the head. */
static float moves(const struct warp_source *s, float u, float w)
{
    return s->matte ? matte_at(s->matte, u, w) : 1.0f;
}

/* Put the still background of pixel (px, py) behind a colour that was taken at
 * (u, w): what of the background was mixed into it there is taken out. */
static void stand(const struct warp_source *s, int px, int py, float u, float w,
                  float lod, float alpha, float rgb[3])
{
    const struct pyramid *g = &s->matte->ground;
    const uint8_t *here =
        g->level[0].rgb + 3 * ((int64_t)py * g->level[0].width + px);
    float there[3];

    if (alpha > 0.0f)
        pyramid_sample(g, u, w, lod, there);
    for (int c = 0; c < 3; c++)
        rgb[c] = alpha > 0.0f
                     ? rgb[c] + (1.0f - alpha) * ((float)here[c] - there[c])
                     : (float)here[c];
}

/* The mirrored side over one sample of the relief, where it is in front or the
 * relief is background (alpha 0). */
static void overlay(const struct view *v, size_t at, float behind, float rgb[3])
{
    const struct warp_source *s = v->source;
    int32_t t = v->mirror->triangle[at];
    float share = 1.0f;

    if (t < 0)
        return;
    if ((double)v->mirror->z[at] <
        (double)v->relief->z[at] - chord * s->surface->unit_px)
        share = 1.0f - behind;
    const struct mirror *m = s->mirror;
    const int32_t *c = m->triangle[t];
    float w[3] = {v->mirror->bary[at][0], v->mirror->bary[at][1], 0.0f};
    float alpha = 0.0f, from[2] = {0, 0}, gain[3] = {0, 0, 0}, one[3];

    w[2] = 1.0f - w[0] - w[1];
    for (int i = 0; i < 3; i++) {
        alpha += w[i] * s->weight[c[i]];
        for (int k = 0; k < 2; k++)
            from[k] += w[i] * m->from[c[i]][k];
        for (int k = 0; k < 3; k++)
            gain[k] += w[i] * m->gain[c[i]][k];
    }
    alpha *= share;
    if (!(alpha > 0.01f))
        return;
    sample_bilinear(&s->pyramid.level[0], from[0], from[1], one);
    for (int k = 0; k < 3; k++)
        rgb[k] += alpha * (one[k] * gain[k] - rgb[k]);
}

static bool overlaid(const struct view *v, const size_t at[4])
{
    const struct warp_source *s = v->source;

    for (int k = 0; v->mirror && k < 4; k++) {
        int32_t t = v->mirror->triangle[at[k]];
        const int32_t *c = t >= 0 ? s->mirror->triangle[t] : NULL;

        if (c && (s->weight[c[0]] > 0.0f || s->weight[c[1]] > 0.0f ||
                  s->weight[c[2]] > 0.0f))
            return true;
    }
    return false;
}

/* One pixel: a sharp sample where its four sub-samples look at one smooth
 * piece of the source, their mean across an edge or where it shrinks. */
static void shade(const struct view *v, int px, int py, float rgb[3])
{
    const struct pyramid *p = &v->source->pyramid;
    float uv[4][2], jac[4], fold = 0.0f, span = 0.0f;
    size_t at[4];

    for (int k = 0; k < 4; k++) {
        int sx = (px - v->box.x0) * SUB + (k & 1);
        int sy = (py - v->box.y0) * SUB + (k >> 1);

        at[k] = (size_t)sy * (size_t)v->relief->width + (size_t)sx;
        source_at(v, at[k], (float)px + 0.5f * (float)(k & 1) - 0.25f,
                  (float)py + 0.5f * (float)(k >> 1) - 0.25f, uv[k]);
    }
    for (int a = 0; a < 2; a++) {
        jac[2 * a] = uv[1][a] - uv[0][a] + uv[3][a] - uv[2][a];
        jac[2 * a + 1] = uv[2][a] - uv[0][a] + uv[3][a] - uv[1][a];
        const float d[3] = {
            fabsf(uv[0][a] + uv[3][a] - uv[1][a] - uv[2][a]),
            fabsf(uv[1][a] - uv[0][a]),
            fabsf(uv[2][a] - uv[0][a]),
        };

        fold = d[0] > fold ? d[0] : fold;
        span = d[1] > span ? d[1] : span;
        span = d[2] > span ? d[2] : span;
    }
    bool cover = overlaid(v, at);
    bool smooth = fold < 0.2f && span < 0.8f;
    float lod = smooth ? stretch_level(jac) : 0.0f;

    if (smooth && !cover) {
        float u = 0.25f * (uv[0][0] + uv[1][0] + uv[2][0] + uv[3][0]);
        float w = 0.25f * (uv[0][1] + uv[1][1] + uv[2][1] + uv[3][1]);

        if (lod > 0.0f)
            pyramid_sample(p, u, w, lod, rgb);
        else
            sample_bicubic(&p->level[0], u, w, rgb);
        float alpha = moves(v->source, u, w);

        if (alpha < 1.0f)
            stand(v->source, px, py, u, w, lod, alpha, rgb);
        return;
    }
    for (int c = 0; c < 3; c++)
        rgb[c] = 0.0f;
    for (int k = 0; k < 4; k++) {
        float one[3];

        pyramid_sample(p, uv[k][0], uv[k][1], lod, one);
        float alpha = moves(v->source, uv[k][0], uv[k][1]);

        if (alpha < 1.0f)
            stand(v->source, px, py, uv[k][0], uv[k][1], lod, alpha, one);
        if (cover)
            overlay(v, at[k], alpha, one);
        for (int c = 0; c < 3; c++)
            rgb[c] += 0.25f * one[c];
    }
}

static uint8_t to_u8(float v)
{
    v = v > 0.0f ? v : 0.0f;
    return (uint8_t)((v < 255.0f ? v : 255.0f) + 0.5f);
}

static void to_raster(const struct area *box, float (*xyz)[3], int n)
{
    for (int i = 0; i < n; i++) {
        xyz[i][0] = (xyz[i][0] - (float)box->x0) * SUB + 0.5f * (SUB - 1);
        xyz[i][1] = (xyz[i][1] - (float)box->y0) * SUB + 0.5f * (SUB - 1);
    }
}

/* The head's vertices after the motion, and their weights; s->mirrored says
 * whether there is anything to draw. */
static void turn_mirror(struct warp_source *s, const struct relief_motion *m)
{
    s->mirrored = false;
    if (s->mirror->n_triangles == 0)
        return;
    mirror_weights(s->mirror, s->surface, m->r, s->weight);
    for (int i = 0; !s->mirrored && i < s->mirror->n_vertices; i++)
        s->mirrored = s->weight[i] > 0.01f;
    if (!s->mirrored)
        return;
    for (int i = 0; i < s->surface->mesh->n_vertices; i++) {
        const float *p = s->surface->xyz[i];

        for (int a = 0; a < 3; a++)
            s->turned[i][a] =
                (float)(m->scale * (m->r[3 * a] * (double)p[0] +
                                    m->r[3 * a + 1] * (double)p[1] +
                                    m->r[3 * a + 2] * (double)p[2]) +
                        m->t[a]);
    }
}

static void shift_up(float (*xyz)[3], int n, float by)
{
    for (int i = 0; i < n; i++)
        xyz[i][1] -= by;
}

/* One band: v->box, with nodes and vertices in its raster coordinates. The
 * rasters are as wide, and at least as high; what they held is forgotten. */
static void draw_band(struct warp_source *s, struct view *v, struct tensor *img)
{
    v->relief->height = (v->box.y1 - v->box.y0) * SUB;
    raster_clear(v->relief);
    raster_draw(v->relief, (const float(*)[3])s->moved,
                (const int32_t(*)[3])s->relief->triangle,
                s->relief->n_triangles, 0);
    if (v->mirror) {
        v->mirror->height = v->relief->height;
        raster_clear(v->mirror);
        raster_draw(v->mirror, (const float(*)[3])s->turned,
                    (const int32_t(*)[3])s->mirror->triangle,
                    s->mirror->n_triangles, 1);
    }
    for (int y = v->box.y0; y < v->box.y1; y++)
        for (int x = v->box.x0; x < v->box.x1; x++) {
            uint8_t *p = tensor_u8(img) + (y * img->shape[1] + x) * 3;
            float rgb[3];

            shade(v, x, y, rgb);
            for (int c = 0; c < 3; c++)
                p[c] = to_u8(rgb[c]);
        }
}

static enum err_code draw_area(struct warp_source *s, const struct area *all,
                               struct tensor *img, struct err *e)
{
    struct view v = {.source = s, .box = *all};
    int nodes = s->relief->cols * s->relief->rows;
    int vertices = s->mirrored ? s->surface->mesh->n_vertices : 0;
    int width = all->x1 - all->x0, height = all->y1 - all->y0;
    int band = BAND_PIXELS / width;

    band = band < 1 ? 1 : band > height ? height : band;
    enum err_code rc = raster_new(width * SUB, band * SUB, &v.relief, e);

    if (rc == OK && s->mirrored)
        rc = raster_new(width * SUB, band * SUB, &v.mirror, e);
    to_raster(all, s->moved, nodes);
    to_raster(all, s->turned, vertices);
    for (int y = all->y0; rc == OK && y < all->y1; y += band) {
        v.box.y0 = y;
        v.box.y1 = all->y1 - y < band ? all->y1 : y + band;
        draw_band(s, &v, img);
        shift_up(s->moved, nodes, (float)(band * SUB));
        shift_up(s->turned, vertices, (float)(band * SUB));
    }
    raster_free(&v.relief);
    raster_free(&v.mirror);
    return rc;
}

static enum err_code warp_view(void *source, const float (*target)[3],
                               struct tensor **out, struct err *e)
{
    struct warp_source *s = source;
    const struct sample_source *pixels = &s->pyramid.level[0];
    struct relief_motion m;
    struct tensor *img = NULL;
    enum err_code rc = fit_similarity((const float(*)[3])s->points, target,
                                      LANDMARKS, m.r, &m.scale, m.t, e);

    *out = NULL;
    if (rc != OK)
        return err_wrap(e, "target");
    relief_move(s->relief, &m, pixels->width, pixels->height, s->moved);
    turn_mirror(s, &m);
    img = tensor_copy(s->pyramid.data[0], e);
    if (!img)
        return e ? e->code : ERR_NOMEM;
    struct area box = moved_area(s);

    if (box.x1 > box.x0 && box.y1 > box.y0)
        rc = draw_area(s, &box, img, e);
    if (rc != OK)
        tensor_free(&img);
    *out = img;
    return rc;
}

/* The number goes up whenever the pictures change. */
const struct generator_method generator_warp = {
    .name = "warp",
    .model = "head-relief-2",
    .prepare = warp_prepare,
    .view = warp_view,
    .release = warp_release,
};
