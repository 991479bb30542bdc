/* Shading of one sample, and the openness (ambient occlusion) of the head. */
#include <math.h>
#include <stdbool.h>

#include "lib/geom/render_internal.h"
#include "lib/geom/rotation.h"

#define DEG (3.14159265358979323846 / 180.0)
#define AO_SIZE 128
#define AO_DIRS 56

static float dot(const float a[3], const float b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void unit(float v[3])
{
    float n = sqrtf(dot(v, v));
    for (int k = 0; k < 3; k++)
        v[k] /= n > 0 ? n : 1;
}

void shade_setup(struct shade_ctx *c, const struct render_scene *s)
{
    double y = s->light.yaw_deg * DEG, p = s->light.pitch_deg * DEG;
    c->s = s;
    c->key[0] = (float)(sin(y) * cos(p));
    c->key[1] = (float)-sin(p);
    c->key[2] = (float)(cos(y) * cos(p));
    c->fill[0] = c->key[0] > 0 ? -0.75f : 0.75f;
    c->fill[1] = -0.1f;
    c->fill[2] = 0.65f;
    unit(c->fill);
    for (int k = 0; k < 3; k++)
        c->half[k] = c->key[k] + (k == 2 ? 1.0f : 0.0f);
    unit(c->half);
    for (int e = 0; e < 2; e++) {
        /* The eyes meet a little in front of the viewer. */
        double in = e ? -0.02 : 0.02;
        c->gaze[e][0] = (float)sin(s->gaze_rad[0] + in);
        c->gaze[e][1] = (float)sin(s->gaze_rad[1]);
        c->gaze[e][2] = 1;
        unit(c->gaze[e]);
    }
    double m[9];
    rotation_from_euler(s->pose_deg[0], s->pose_deg[1], s->pose_deg[2], m);
    for (int k = 0; k < 9; k++)
        c->eye_rot[k] = (float)m[k];
}

bool shade_is_plain(const struct shade_in *in)
{
    if (in->mat != MAT_SKIN)
        return in->mat == MAT_CLOTH || in->mat == MAT_MOUTH;
    float a = fabsf(in->tex[0]), y = in->tex[1];
    if (in->tex[2] < -50 && y > -20)
        return true;
    return y > 88 || (a > 60 && y > 15) || (y < -36 && y > -48) ||
           (a > 29 && y > 14) || (y > 14 && y < 36) ||
           (a > 20 && y > 14 && y < 60);
}

static void base_colour(const struct shade_ctx *c, const struct shade_in *in,
                        float rgb[3], float *spec, float *gloss, float *band)
{
    const struct render_look *k = &c->s->look;
    static const float bag[3] = {0.16f, 0.030f, 0.028f};
    static const float tooth[3] = {0.70f, 0.66f, 0.56f};
    *spec = *gloss = *band = 0;
    switch (in->mat) {
    case MAT_EYE:
        eye_albedo(c, in, rgb, gloss);
        break;
    case MAT_MOUTH:
    case MAT_TEETH: {
        const float *from = in->mat == MAT_TEETH ? tooth : bag;
        float gap = 1;
        if (in->mat == MAT_TEETH) {
            float a = fabsf(in->tex[0]), w = a < 8.2f ? 8.2f : 6.6f;
            float u = fmodf(a < 8.2f ? a : a - 8.2f, w) / w;
            gap = 1 - 0.45f * smooth_step(0.08f, 0, fminf(u, 1 - u));
            gap *= 1 - 0.75f * smooth_step(12, 21, a);
        }
        for (int i = 0; i < 3; i++)
            rgb[i] = from[i] * gap;
        *spec = 0.5f;
        break;
    }
    case MAT_HAIR:
        hair_albedo(k, in->tex, rgb, band);
        break;
    case MAT_CLOTH:
        cloth_albedo(k, in->tex, rgb);
        break;
    default:
        skin_albedo(k, in->tex, rgb, spec);
        if (in->mat == MAT_EAR) {
            rgb[0] *= 1.02f;
            rgb[1] *= 0.86f;
            rgb[2] *= 0.84f;
        }
        if (in->mat == MAT_RIM) { /* wet, pink */
            rgb[0] = 0.6f * k->skin[0];
            rgb[1] = 0.42f * k->skin[1];
            rgb[2] = 0.42f * k->skin[2];
            if (in->tex[1] <
                (float)head_lid_y((double)fabsf(in->tex[0]), 0) + 1.0f)
                for (int i = 0; i < 3; i++)
                    rgb[i] *= 0.12f;
            *spec = 1;
        }
    }
}

static float pow32(float x)
{
    x *= x;
    x *= x;
    x *= x;
    x *= x;
    return x * x;
}

void shade(const struct shade_ctx *c, const struct shade_in *in, float rgb[3])
{
    /* How far light bleeds round the edge of the shadow, per channel. */
    static const float wrap_skin[3] = {0.34f, 0.17f, 0.12f};
    static const float sink[3] = {0.85f, 1.10f, 1.18f};
    const struct render_light *l = &c->s->light;
    float alb[3], spec, gloss, band;
    base_colour(c, in, alb, &spec, &gloss, &band);
    bool flesh = in->mat == MAT_SKIN || in->mat == MAT_EAR ||
                 in->mat == MAT_RIM || in->mat == MAT_CLOTH;
    float nl = dot(in->n, c->key), nf = fmaxf(0, dot(in->n, c->fill) + 0.3f);
    float up = 0.5f - 0.5f * in->n[1];
    float sh = in->shadow, ao = in->ao;
    if (in->mat == MAT_TEETH) { /* the mouth was shut when it was measured */
        ao = fmaxf(ao, 0.5f);
        sh = fmaxf(sh, 0.6f);
    }
    float hl = fmaxf(0, dot(in->n, c->half)), s = pow32(hl);
    float edge = 1 - fmaxf(0, in->n[2]);
    edge *= edge;
    float shine = spec * 0.055f * (hl * hl * hl * hl * 0.5f + 2.2f * s) *
                  (float)l->key * sh * (1 + 2 * edge);
    if (gloss > 0) {
        float sharp = pow32(s);
        shine = 0.9f * sharp * (float)l->key + 0.05f * s;
    }
    if (band > 0) {
        float t = in->n[1] + 0.30f - 0.35f * c->key[1]; /* a belt of sheen */
        float b = expf(-t * t * 14) * band * (0.25f + fmaxf(0, nl));
        for (int i = 0; i < 3; i++)
            alb[i] *= 1 + 1.5f * b * sh;
        shine = 0.016f * b * (float)l->key * sh;
    }
    for (int i = 0; i < 3; i++) {
        float w = flesh ? wrap_skin[i] : in->mat == MAT_HAIR ? 0.35f : 0.08f;
        float d = fmaxf(0, (nl + w) / (1 + w));
        float shc = flesh && i == 0 ? sqrtf(sh) * 0.5f + 0.5f * sh : sh;
        float aoc = flesh ? powf(ao, sink[i]) : ao;
        float lit =
            (float)l->key * l->tint[i] * d * shc * (0.35f + 0.65f * aoc);
        lit += (float)l->fill * nf * 0.77f * aoc;
        lit += (float)l->ambient * (0.55f + 0.45f * up) * aoc;
        rgb[i] = alb[i] * lit + shine * l->tint[i];
    }
}

/* Directions evenly over the sphere (golden spiral). */
static void direction(int i, double d[3])
{
    double z = 1 - (2 * i + 1.0) / AO_DIRS, r = sqrt(1 - z * z);
    double a = 2.399963229728653 * i;
    d[0] = r * cos(a);
    d[1] = z;
    d[2] = r * sin(a);
}

static void ao_pass(const struct head_base *b, const float (*nrm)[3],
                    struct raster *r, const double d[3], float (*pix)[3],
                    float *sum, float *total)
{
    double u[3] = {d[2], 0, -d[0]}, n = hypot(u[0], u[2]);
    if (n < 1e-6) {
        u[0] = 1;
        u[2] = 0;
        n = 1;
    }
    u[0] /= n;
    u[2] /= n;
    double v[3] = {d[1] * u[2], d[2] * u[0] - d[0] * u[2], -d[1] * u[0]};
    double s = AO_SIZE / 380.0;
    for (int i = 0; i < HEAD_VERTS; i++) {
        const double *p = b->v[i].p;
        double q[3] = {p[0], p[1] - 40, p[2] + 70};
        pix[i][0] = (float)(AO_SIZE / 2.0 + s * (q[0] * u[0] + q[2] * u[2]));
        pix[i][1] = (float)(AO_SIZE / 2.0 +
                            s * (q[0] * v[0] + q[1] * v[1] + q[2] * v[2]));
        pix[i][2] = (float)(q[0] * d[0] + q[1] * d[1] + q[2] * d[2]);
    }
    raster_clear(r);
    raster_draw(r, (const float(*)[3])pix, b->tri, b->n_tris, 0);
    for (int i = 0; i < HEAD_VERTS; i++) {
        float w = 0;
        for (int k = 0; k < 3; k++)
            w += nrm[i][k] * (float)d[k];
        if (w <= 0)
            continue;
        int x = (int)lrintf(pix[i][0]), y = (int)lrintf(pix[i][1]);
        bool open = true;
        if (x >= 0 && y >= 0 && x < AO_SIZE && y < AO_SIZE)
            open = r->z[y * AO_SIZE + x] < pix[i][2] + 5.0f;
        total[i] += w;
        sum[i] += open ? w : 0;
    }
}

static void rest_normals(const struct head_base *b, float (*nrm)[3])
{
    for (int i = 0; i < HEAD_VERTS; i++)
        nrm[i][0] = nrm[i][1] = nrm[i][2] = 0;
    for (int t = 0; t < b->n_tris; t++) {
        const double *p = b->v[b->tri[t][0]].p, *q = b->v[b->tri[t][1]].p,
                     *s = b->v[b->tri[t][2]].p;
        double a[3], c[3];
        for (int k = 0; k < 3; k++) {
            a[k] = q[k] - p[k];
            c[k] = s[k] - p[k];
        }
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 3; k++) {
                int k1 = (k + 1) % 3, k2 = (k + 2) % 3;
                nrm[b->tri[t][j]][k] -= (float)(a[k1] * c[k2] - a[k2] * c[k1]);
            }
    }
    for (int i = 0; i < HEAD_VERTS; i++)
        unit(nrm[i]);
}

/* Static buffers: the bake happens once and its result is kept. */
static float ao[HEAD_VERTS], ao_sum[HEAD_VERTS], ao_total[HEAD_VERTS];
static float ao_pix[HEAD_VERTS][3], ao_nrm[HEAD_VERTS][3];

enum err_code render_occlusion(const float **out, struct err *e)
{
    static bool ready;
    *out = ao;
    if (ready)
        return OK;
    const struct head_base *b = head_base_get();
    struct raster *r;
    enum err_code rc = raster_new(AO_SIZE, AO_SIZE, &r, e);
    if (rc != OK)
        return rc;
    rest_normals(b, ao_nrm);
    for (int i = 0; i < HEAD_VERTS; i++)
        ao_sum[i] = ao_total[i] = 0;
    for (int i = 0; i < AO_DIRS; i++) {
        double d[3];
        direction(i, d);
        ao_pass(b, (const float(*)[3])ao_nrm, r, d, ao_pix, ao_sum, ao_total);
    }
    raster_free(&r);
    for (int i = 0; i < HEAD_VERTS; i++) {
        int m = b->mirror[i];
        float t = ao_total[i] + ao_total[m];
        ao[i] = t > 0 ? (ao_sum[i] + ao_sum[m]) / t : 1;
    }
    for (int pass = 0; pass < 3; pass++) { /* over the neighbours */
        for (int i = 0; i < HEAD_VERTS; i++)
            ao_sum[i] = ao_total[i] = 0;
        for (int t = 0; t < b->n_tris; t++) {
            const int32_t *v = b->tri[t];
            float m = (ao[v[0]] + ao[v[1]] + ao[v[2]]) / 3;
            for (int j = 0; j < 3; j++) {
                ao_sum[v[j]] += m;
                ao_total[v[j]] += 1;
            }
        }
        for (int i = 0; i < HEAD_VERTS; i++)
            if (ao_total[i] > 0)
                ao[i] = ao_sum[i] / ao_total[i];
    }
    ready = true;
    return OK;
}
