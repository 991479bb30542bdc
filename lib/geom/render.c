/* From a scene to a picture: pose, project, z-buffer, shade, average. */
#include "lib/geom/render.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/render_internal.h"
#include "lib/geom/rotation.h"

#define SHADOW_SIZE 224
#define SHADOW_SPAN 5.6 /* head units across */
#define LUT 4096
#define MAX_SIDE 8192

/* The neck's joint, mm. */
static const double pivot[3] = {0, 92, -72};
static uint8_t lut[LUT + 1];

static void lut_fill(void)
{
    for (int i = 0; i <= LUT; i++) {
        double v = (double)i / LUT;
        v = v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
        lut[i] = (uint8_t)lrint(v * 255);
    }
}

static void head_materials(struct render *r)
{
    const struct head_base *b = head_base_get();
    r->n_tris = 0;
    for (int t = 0; t < b->n_tris; t++) {
        const int32_t *v = b->tri[t];
        bool rim = false;
        for (int k = 0; k < 3; k++)
            rim |= b->rim_of[v[k]] >= 0;
        enum material m = MAT_SKIN;
        if (rim)
            m = MAT_RIM;
        else if (b->part[t] == HEAD_EYE)
            m = MAT_EYE;
        else if (b->part[t] == HEAD_EAR)
            m = MAT_EAR;
        else if (b->part[t] == HEAD_MOUTH)
            m = v[0] >= HG_TEETH ? MAT_TEETH : MAT_MOUTH;
        memcpy(r->tri[t], v, sizeof *r->tri);
        r->mat[t] = (uint8_t)m;
        r->n_tris++;
    }
    bust_build(r);
    r->n_tris_fixed = r->n_tris;
}

enum err_code render_new(int width, int height, int samples,
                         struct render **out, struct err *e)
{
    *out = NULL;
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return err_set(e, ERR_ARG, "picture of %d x %d: sides must be 1..%d",
                       width, height, MAX_SIDE);
    if (samples < 1 || samples > 6 || width * samples > 32768 ||
        height * samples > 32768)
        return err_set(e, ERR_ARG,
                       "%d samples a pixel and axis: must be 1..6, "
                       "and at most 32768 a side",
                       samples);
    struct render *r = mem_calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for a renderer");
    r->width = width;
    r->height = height;
    r->samples = samples;
    size_t n = (size_t)width * (size_t)height;
    r->mm = mem_array(ALL_VERTS, sizeof *r->mm);
    r->cam = mem_array(ALL_VERTS, sizeof *r->cam);
    r->pix = mem_array(ALL_VERTS, sizeof *r->pix);
    r->v = mem_calloc(ALL_VERTS, sizeof *r->v);
    r->tri = mem_array(ALL_TRIS, sizeof *r->tri);
    r->mat = mem_array(ALL_TRIS, sizeof *r->mat);
    r->back = mem_array(n, sizeof *r->back);
    r->hair_lift = mem_array(HAIR_VERTS, sizeof *r->hair_lift);
    r->hair_mm = mem_array(HAIR_VERTS, sizeof *r->hair_mm);
    enum err_code rc = ERR_NOMEM;
    if (!r->mm || !r->cam || !r->pix || !r->v || !r->tri || !r->mat ||
        !r->back || !r->hair_lift || !r->hair_mm)
        err_set(e, ERR_NOMEM, "no memory to render %d x %d", width, height);
    else
        rc = raster_new(width * samples, height * samples, &r->raster, e);
    if (rc == OK)
        rc = raster_new(SHADOW_SIZE, SHADOW_SIZE, &r->shadow_map, e);
    if (rc != OK) {
        render_free(&r);
        return rc;
    }
    lut_fill();
    head_materials(r);
    *out = r;
    return OK;
}

void render_free(struct render **rp)
{
    struct render *r = *rp;
    if (!r)
        return;
    raster_free(&r->raster);
    raster_free(&r->shadow_map);
    mem_free(r->mm);
    mem_free(r->cam);
    mem_free(r->pix);
    mem_free(r->v);
    mem_free(r->tri);
    mem_free(r->mat);
    mem_free(r->back);
    mem_free(r->hair_lift);
    mem_free(r->hair_mm);
    mem_free(r);
    *rp = NULL;
}

static enum err_code check(const struct render_scene *s, struct err *e)
{
    const double all[] = {s->pose_deg[0],
                          s->pose_deg[1],
                          s->pose_deg[2],
                          s->gaze_rad[0],
                          s->gaze_rad[1],
                          s->scale_px,
                          s->cx,
                          s->cy,
                          s->camera,
                          s->grain,
                          s->light.key,
                          s->light.fill,
                          s->light.ambient,
                          s->light.yaw_deg,
                          s->light.pitch_deg};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!isfinite(all[i]))
            return err_set(e, ERR_ARG, "a number of the scene is not finite");
    for (int i = 0; i < HEAD_IDENTITY; i++)
        if (!isfinite(s->head.identity[i]))
            return err_set(e, ERR_ARG, "head parameter %s is not finite",
                           head_identity_names[i]);
    for (int i = 0; i < HEAD_EXPRESSION; i++)
        if (!isfinite(s->head.expression[i]))
            return err_set(e, ERR_ARG, "head parameter %s is not finite",
                           head_expression_names[i]);
    if (s->scale_px <= 0 || (s->camera != 0 && s->camera < 4))
        return err_set(e, ERR_ARG,
                       "scale must be above 0, the camera 0 or at least 4 "
                       "head units away");
    return OK;
}

/* Model positions of all vertices in mm: head, hair on it, bust as built. */
static void place_model(struct render *r, const struct render_scene *s)
{
    const struct head_base *b = head_base_get();
    head_deform(&s->head, NULL, HEAD_VERTS, r->mm);
    for (int i = 0; i < HAIR_VERTS; i++)
        for (int k = 0; k < 3; k++)
            r->mm[HAIR_FIRST + i][k] =
                r->hair_mm[i][k] + r->mm[i][k] - b->v[i].p[k];
}

/* Share of the body's (as against the head's) turn that a vertex takes: by its
 * rest height, so that the face stays rigid when the jaw opens. */
static double body_share(const struct render *r, int id)
{
    if (id >= BUST_FIRST)
        return 1;
    bool hair = id >= HAIR_FIRST;
    double y =
        hair ? r->hair_mm[id - HAIR_FIRST][1] : head_base_get()->v[id].p[1];
    double u = (y - (hair ? 150 : 121)) / 80;
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return u * u * (3 - 2 * u);
}

static void turn(struct render *r, const struct render_scene *s)
{
    const struct head_base *b = head_base_get();
    double rh[9], rb[9], mean[3] = {0, 0, 0}, t[3];
    rotation_from_euler(s->pose_deg[0], s->pose_deg[1], s->pose_deg[2], rh);
    rotation_from_euler(0.15 * s->pose_deg[0], 0.3 * s->pose_deg[1],
                        0.1 * s->pose_deg[2], rb);
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 3; k++)
            mean[k] += r->mm[b->landmark[i]][k] / LANDMARKS;
    for (int k = 0; k < 3; k++) {
        double turned = 0;
        for (int j = 0; j < 3; j++)
            turned += rh[3 * k + j] * (mean[j] - pivot[j]);
        t[k] = s->from_neck ? pivot[k] - mean[k] : -turned;
    }
    for (int i = 0; i < ALL_VERTS; i++) {
        const double *p = r->mm[i];
        double d[3] = {p[0] - pivot[0], p[1] - pivot[1], p[2] - pivot[2]};
        double w = body_share(r, i);
        for (int k = 0; k < 3; k++) {
            double h =
                rh[3 * k] * d[0] + rh[3 * k + 1] * d[1] + rh[3 * k + 2] * d[2];
            double q =
                rb[3 * k] * d[0] + rb[3 * k + 1] * d[1] + rb[3 * k + 2] * d[2];
            r->cam[i][k] = (float)((h + (q - h) * w + t[k]) / HEAD_MM);
        }
    }
}

/* Picture coordinates of a point in camera axes. */
static void project(const struct render_scene *s, const float c[3],
                    double out[3])
{
    double m = s->camera > 0 ? s->camera / (s->camera - (double)c[2]) : 1;
    out[0] = s->cx + s->scale_px * m * (double)c[0];
    out[1] = s->cy + s->scale_px * m * (double)c[1];
    out[2] = s->scale_px * (double)c[2];
}

static void normals(struct render *r)
{
    for (int i = 0; i < ALL_VERTS; i++)
        memset(r->v[i].normal, 0, sizeof r->v[i].normal);
    for (int t = 0; t < r->n_tris; t++) {
        const int32_t *v = r->tri[t];
        float a[3], b[3];
        for (int k = 0; k < 3; k++) {
            a[k] = r->cam[v[1]][k] - r->cam[v[0]][k];
            b[k] = r->cam[v[2]][k] - r->cam[v[0]][k];
        }
        float n[3] = {a[2] * b[1] - a[1] * b[2], a[0] * b[2] - a[2] * b[0],
                      a[1] * b[0] - a[0] * b[1]};
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 3; k++)
                r->v[v[j]].normal[k] += n[k];
    }
    for (int i = 0; i < ALL_VERTS; i++) {
        float *n = r->v[i].normal;
        float len = sqrtf(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
        for (int k = 0; k < 3 && len > 0; k++)
            n[k] /= len;
    }
}

/* Depth as the key light sees it, then how much of it reaches each vertex. */
static void cast_shadows(struct render *r, const struct shade_ctx *c)
{
    const float *l = c->key;
    float u[3] = {l[2], 0, -l[0]}, n = sqrtf(l[0] * l[0] + l[2] * l[2]);
    n = n > 1e-4f ? n : 1;
    u[0] /= n;
    u[2] /= n;
    float v[3] = {l[1] * u[2], l[2] * u[0] - l[0] * u[2], -l[1] * u[0]};
    const float s = (float)(SHADOW_SIZE / SHADOW_SPAN), mid = SHADOW_SIZE / 2;
    for (int i = 0; i < ALL_VERTS; i++) {
        const float *p = r->cam[i];
        r->pix[i][0] = mid + s * (p[0] * u[0] + p[2] * u[2]);
        r->pix[i][1] = mid + s * (p[0] * v[0] + p[1] * v[1] + p[2] * v[2]);
        r->pix[i][2] = p[0] * l[0] + p[1] * l[1] + p[2] * l[2];
    }
    raster_clear(r->shadow_map);
    raster_draw(r->shadow_map, (const float(*)[3])r->pix,
                (const int32_t(*)[3])r->tri, r->n_tris, 0);
    for (int i = 0; i < ALL_VERTS; i++) {
        int x = (int)lrintf(r->pix[i][0]), y = (int)lrintf(r->pix[i][1]);
        float lit = 0, taps = 0, bias = 0.075f;
        for (int dy = -2; dy <= 2; dy++)
            for (int dx = -2; dx <= 2; dx++) {
                int px = x + dx, py = y + dy;
                taps += 1;
                if (px < 0 || py < 0 || px >= SHADOW_SIZE || py >= SHADOW_SIZE)
                    lit += 1;
                else
                    lit += r->shadow_map->z[py * SHADOW_SIZE + px] <
                                   r->pix[i][2] + bias
                               ? 1
                               : 0;
            }
        r->v[i].shadow = lit / taps;
    }
}

static void open_sky(struct render *r, const float *ao)
{
    for (int i = 0; i < HEAD_VERTS; i++)
        r->v[i].ao = ao[i];
    for (int i = 0; i < HAIR_VERTS; i++) {
        float low = smooth_step(20, 120, (float)r->hair_mm[i][1]);
        r->v[HAIR_FIRST + i].ao =
            (0.55f + 0.45f * smooth_step(-1.5f, 9, r->hair_lift[i])) *
            (1 - 0.45f * low);
    }
    for (int i = 0; i < BUST_VERTS; i++) {
        const double *p = r->mm[BUST_FIRST + i];
        float out = smooth_step(45, 120, (float)fabs(p[0]));
        r->v[BUST_FIRST + i].ao =
            fmaxf(out, 0.72f + 0.28f * smooth_step(165, 260, (float)p[1]));
    }
}

static void textures(struct render *r)
{
    const struct head_base *b = head_base_get();
    for (int i = 0; i < ALL_VERTS; i++)
        for (int k = 0; k < 3 && (i < HAIR_FIRST || i >= BUST_FIRST); k++)
            r->v[i].tex[k] =
                (float)(i < HEAD_VERTS ? b->v[i].p[k] : r->mm[i][k]);
}

static void sample_in(const struct render *r, size_t at, struct shade_in *in)
{
    int32_t t = r->raster->triangle[at];
    const float *w2 = r->raster->bary[at];
    float w[3] = {w2[0], w2[1], 1 - w2[0] - w2[1]};
    const struct render_vertex *a = &r->v[r->tri[t][0]],
                               *b = &r->v[r->tri[t][1]],
                               *c = &r->v[r->tri[t][2]];
    for (int k = 0; k < 3; k++) {
        in->tex[k] = w[0] * a->tex[k] + w[1] * b->tex[k] + w[2] * c->tex[k];
        in->n[k] =
            w[0] * a->normal[k] + w[1] * b->normal[k] + w[2] * c->normal[k];
    }
    in->ao = w[0] * a->ao + w[1] * b->ao + w[2] * c->ao;
    in->shadow = w[0] * a->shadow + w[1] * b->shadow + w[2] * c->shadow;
    in->mat = (enum material)r->mat[t];
    in->side = in->tex[0] < 0 ? -1 : 1;
    float len = 0;
    for (int k = 0; k < 3; k++)
        len += in->n[k] * in->n[k];
    len = len > 0 ? 1 / sqrtf(len) : 0;
    if (in->mat == MAT_HAIR && in->n[2] < 0)
        len = -len; /* the inside of the shell */
    for (int k = 0; k < 3; k++)
        in->n[k] *= len;
}

static uint8_t to_byte(float v, float grain)
{
    if (v > 0.7f) /* shoulder, so that highlights do not clip hard */
        v = 0.7f + 0.3f * (1 - expf(-(v - 0.7f) / 0.3f));
    v = v < 0 ? 0 : v > 1 ? 1 : v;
    float b = (float)lut[(int)(v * LUT + 0.5f)] + grain;
    return (uint8_t)(b < 0 ? 0 : b > 255 ? 255 : lrintf(b));
}

static void pixel(const struct render *r, const struct shade_ctx *c, int x,
                  int y, float rgb[3])
{
    int ss = r->samples;
    float sum[3] = {0, 0, 0}, kept[MAT_CLOTH + 1][3];
    unsigned have = 0;
    const float *back = r->back[(size_t)y * (size_t)r->width + (size_t)x];
    for (int sy = 0; sy < ss; sy++)
        for (int sx = 0; sx < ss; sx++) {
            size_t at = (size_t)(y * ss + sy) * (size_t)r->raster->width +
                        (size_t)(x * ss + sx);
            int32_t t = r->raster->triangle[at];
            const float *got = back;
            float fresh[3];
            /* Strands are finer than samples: a third of them will do. */
            bool again = t >= 0 && r->mat[t] == MAT_HAIR && ss > 2 &&
                         (sx + 2 * sy) % 3 == 0;
            if (t >= 0 && !again && (have >> r->mat[t] & 1)) {
                got = kept[r->mat[t]];
            } else if (t >= 0) {
                struct shade_in in;
                sample_in(r, at, &in);
                shade(c, &in, fresh);
                got = fresh;
                if (in.mat == MAT_HAIR || shade_is_plain(&in)) {
                    memcpy(kept[in.mat], fresh, sizeof fresh);
                    have |= 1u << in.mat;
                }
            }
            for (int k = 0; k < 3; k++)
                sum[k] += fminf(got[k], 1.3f);
        }
    for (int k = 0; k < 3; k++)
        rgb[k] = sum[k] / (float)(ss * ss);
}

static float grain_at(uint64_t seed, int x, int y, int k)
{
    uint64_t h = seed + (uint64_t)x * 0x9E3779B97F4A7C15u +
                 (uint64_t)y * 0xC2B2AE3D27D4EB4Fu + (uint64_t)k * 0x1656667Bu;
    h ^= h >> 29;
    h *= 0xBF58476D1CE4E5B9u;
    h ^= h >> 32;
    /* Sum of four uniform bytes: near normal, deviation about 1. */
    int s = (int)(h & 255) + (int)(h >> 8 & 255) + (int)(h >> 16 & 255) +
            (int)(h >> 24 & 255);
    return (float)(s - 510) / 148.0f;
}

static void resolve(const struct render *r, const struct shade_ctx *c,
                    uint8_t *out)
{
    const struct render_scene *s = c->s;
    for (int y = 0; y < r->height; y++)
        for (int x = 0; x < r->width; x++) {
            float rgb[3];
            pixel(r, c, x, y, rgb);
            uint8_t *o = out + 3 * ((size_t)y * (size_t)r->width + (size_t)x);
            for (int k = 0; k < 3; k++) {
                float g = s->grain > 0 ? (float)s->grain *
                                             grain_at(s->grain_seed, x, y, k)
                                       : 0;
                o[k] = to_byte(rgb[k], g);
            }
        }
}

static void refresh(struct render *r, const struct render_scene *s)
{
    if (!r->look_ready || memcmp(&r->look, &s->look, sizeof r->look) != 0) {
        memcpy(&r->look, &s->look, sizeof r->look);
        hair_build(r, &r->look);
        textures(r);
        r->look_ready = true;
    }
    if (!r->back_ready || r->back_kind != s->back ||
        r->back_seed != s->back_seed) {
        backdrop_draw(s->back, s->back_seed, r->width, r->height, r->back);
        r->back_kind = s->back;
        r->back_seed = s->back_seed;
        r->back_ready = true;
    }
}

/* The 68 points; returns the mean of their z, which they are given from. */
static double mark_points(const struct render *r, const struct render_scene *s,
                          float points[LANDMARKS][3])
{
    const struct head_base *b = head_base_get();
    double mean_z = 0;
    for (int i = 0; i < LANDMARKS; i++) {
        double p[3];
        project(s, r->cam[b->landmark[i]], p);
        for (int k = 0; k < 3; k++)
            points[i][k] = (float)p[k];
        mean_z += p[2] / LANDMARKS;
    }
    for (int i = 0; i < LANDMARKS; i++)
        points[i][2] -= (float)mean_z;
    return mean_z;
}

void render_places(const struct render *r, const struct render_scene *s,
                   const struct head_node *node, int n, float (*out)[3])
{
    float points[LANDMARKS][3];
    double m[9], p[3], mean_z = mark_points(r, s, points);
    rotation_from_euler(s->pose_deg[0], s->pose_deg[1], s->pose_deg[2], m);
    for (int i = 0; i < n; i++) {
        float c[3];
        head_node_at(&node[i], r->cam[0], c);
        /* The offset is of the head's own z. */
        c[2] -= node[i].offset_z;
        for (int k = 0; k < 3; k++)
            c[k] += (float)m[3 * k + 2] * node[i].offset_z;
        project(s, c, p);
        for (int k = 0; k < 3; k++)
            out[i][k] = (float)(k == 2 ? p[k] - mean_z : p[k]);
    }
}

enum err_code render_draw(struct render *r, const struct render_scene *s,
                          uint8_t *rgb, float points[LANDMARKS][3],
                          struct err *e)
{
    const float *ao;
    enum err_code rc = check(s, e);
    if (rc == OK)
        rc = render_occlusion(&ao, e);
    if (rc != OK)
        return rc;
    struct shade_ctx ctx;
    refresh(r, s);
    place_model(r, s);
    turn(r, s);
    normals(r);
    open_sky(r, ao);
    shade_setup(&ctx, s);
    cast_shadows(r, &ctx);
    int ss = r->samples;
    for (int i = 0; i < ALL_VERTS; i++) {
        double p[3];
        project(s, r->cam[i], p);
        r->pix[i][0] = (float)((p[0] + 0.5) * ss - 0.5);
        r->pix[i][1] = (float)((p[1] + 0.5) * ss - 0.5);
        r->pix[i][2] = (float)p[2];
    }
    (void)mark_points(r, s, points);
    raster_clear(r->raster);
    raster_draw(r->raster, (const float(*)[3])r->pix,
                (const int32_t(*)[3])r->tri, r->n_tris, 0);
    resolve(r, &ctx, rgb);
    return OK;
}
