/* Putting faces into a picture. */
#include "stages/face-compositor/scene.h"

#include <math.h>
#include <string.h>

#include "lib/media/affine.h"

/* Share of a box that must lie within the picture for it to be a face. */
#define VISIBLE 0.45
/* Share of another face that a paste may cover. */
#define COVERED 0.04

/* From the picture to the scene. */
static struct affine forth(const struct shot *shot,
                           const struct scene_place *at)
{
    const double *b = shot->box;
    double k = at->size / sqrt((b[2] - b[0]) * (b[3] - b[1]));
    double c = k * cos(at->turn_rad), s = k * sin(at->turn_rad);
    double m = at->mirror ? -1 : 1;
    struct affine a = {{m * c, -s, 0, m * s, c, 0}};
    double x = (b[0] + b[2]) / 2, y = (b[1] + b[3]) / 2;
    a.m[2] = at->x - a.m[0] * x - a.m[1] * y;
    a.m[5] = at->y - a.m[3] * x - a.m[4] * y;
    return a;
}

static void box_in_scene(const struct shot *shot, const struct affine *to,
                         double box[4])
{
    box[0] = box[1] = (double)INFINITY;
    box[2] = box[3] = -(double)INFINITY;
    for (int i = 0; i < LANDMARKS; i++) {
        double p[2];
        affine_apply(to, (double)shot->xy[i][0], (double)shot->xy[i][1], p);
        box[0] = fmin(box[0], p[0]);
        box[1] = fmin(box[1], p[1]);
        box[2] = fmax(box[2], p[0]);
        box[3] = fmax(box[3], p[1]);
    }
}

/* Share of box a that lies in box b. */
static double share_in(const double a[4], const double b[4])
{
    double w = fmin(a[2], b[2]) - fmax(a[0], b[0]);
    double h = fmin(a[3], b[3]) - fmax(a[1], b[1]);
    return w > 0 && h > 0 ? w * h / ((a[2] - a[0]) * (a[3] - a[1])) : 0;
}

static void note_face(struct scene *s, const double box[4])
{
    const double all[4] = {-0.5, -0.5, s->side - 0.5, s->side - 0.5};
    if (s->n == SCENE_MAX_FACES || share_in(box, all) <= 0)
        return;
    struct scene_face *f = &s->face[s->n++];
    double size = sqrt((box[2] - box[0]) * (box[3] - box[1]));
    for (int i = 0; i < 4; i++)
        f->box[i] = (float)box[i];
    f->ignore = size < s->least || share_in(box, all) < VISIBLE;
}

/* A region of a picture, and how it ends. */
struct region {
    double x0, y0, x1, y1; /* picture pixels */
    bool round;
    double soft; /* width of the edge, picture pixels */
};

static float mask_at(const struct region *r, double x, double y)
{
    double d;
    if (r->round) {
        double rx = (r->x1 - r->x0) / 2, ry = (r->y1 - r->y0) / 2;
        double u = (x - r->x0 - rx) / rx, v = (y - r->y0 - ry) / ry;
        d = (1 - sqrt(u * u + v * v)) * fmin(rx, ry);
    } else {
        d = fmin(fmin(x - r->x0, r->x1 - x), fmin(y - r->y0, r->y1 - y));
    }
    return (float)fmin(fmax(d / r->soft + 0.5, 0), 1);
}

/* The part of the scene that the region covers: its rectangle, cut; false if
 * there is none. */
static bool extent(const struct scene *s, const struct affine *to,
                   const struct region *r, int at[4])
{
    double box[4] = {(double)INFINITY, (double)INFINITY, -(double)INFINITY,
                     -(double)INFINITY},
           p[2];
    for (int i = 0; i < 4; i++) {
        affine_apply(to, i % 2 ? r->x1 : r->x0, i / 2 ? r->y1 : r->y0, p);
        box[0] = fmin(box[0], p[0]);
        box[1] = fmin(box[1], p[1]);
        box[2] = fmax(box[2], p[0]);
        box[3] = fmax(box[3], p[1]);
    }
    at[0] = (int)fmax(floor(box[0]), 0);
    at[1] = (int)fmax(floor(box[1]), 0);
    at[2] = (int)fmin(ceil(box[2]) + 1, s->side);
    at[3] = (int)fmin(ceil(box[3]) + 1, s->side);
    return at[0] < at[2] && at[1] < at[3];
}

static enum err_code blend(struct scene *s, const struct tensor *frame,
                           const struct affine *to, const struct region *r,
                           struct err *e)
{
    struct affine back;
    int at[4];
    if (!affine_invert(to, &back))
        return err_set(e, ERR_DATA, "the face is too small or too large");
    if (!extent(s, to, r, at))
        return OK;
    double m[6];
    int w = at[2] - at[0], h = at[3] - at[1];
    memcpy(m, back.m, sizeof m);
    m[2] += m[0] * at[0] + m[1] * at[1];
    m[5] += m[3] * at[0] + m[4] * at[1];
    enum err_code rc = image_affine(frame, m, AFFINE_REFLECT, h, w, s->tmp, e);
    for (int y = 0; y < h && !rc; y++) {
        for (int x = 0; x < w; x++) {
            float k = mask_at(r, m[0] * x + m[1] * y + m[2],
                              m[3] * x + m[4] * y + m[5]);
            const float *from = s->tmp + 3 * (y * w + x);
            float *p = s->px + 3 * ((at[1] + y) * s->side + at[0] + x);
            for (int c = 0; c < 3 && k > 0; c++)
                p[c] += k * (from[c] - p[c]);
        }
    }
    return rc;
}

/* Reflection, as far as it does not show the face again: that would be one
 * that nobody is told of. */
static void widen(const struct shot *shot, struct region *r)
{
    const double *b = shot->box;
    double w = b[2] - b[0], h = b[3] - b[1];
    double right = r->x1 - b[2], bottom = r->y1 - b[3];
    r->x0 -= fmax(b[0] - r->x0 - 0.3 * w, 0);
    r->y0 -= fmax(b[1] - r->y0 - 0.6 * h, 0);
    r->x1 += fmax(right - 0.3 * w, 0);
    r->y1 += fmax(bottom - 0.2 * h, 0);
}

enum err_code scene_whole(struct scene *s, const struct shot *shot,
                          const struct scene_place *at, bool reflect,
                          struct err *e)
{
    struct affine to = forth(shot, at);
    double w = (double)shot->frame->shape[1], h = (double)shot->frame->shape[0];
    double box[4];
    struct region all = {-0.5, -0.5, w - 0.5, h - 0.5, false, 1e-3};
    if (reflect)
        widen(shot, &all);
    enum err_code r = blend(s, shot->frame, &to, &all, e);
    box_in_scene(shot, &to, box);
    if (!r)
        note_face(s, box);
    return r;
}

enum err_code scene_paste(struct scene *s, const struct shot *shot,
                          const struct scene_place *at, double around,
                          bool *done, struct err *e)
{
    struct affine to = forth(shot, at);
    const double *b = shot->box;
    double right = (double)shot->frame->shape[1] - 0.5;
    double bottom = (double)shot->frame->shape[0] - 0.5;
    double w = b[2] - b[0], h = b[3] - b[1], k = (around - 1) / 2, box[4];
    /* More above than below: the points' box ends at the brows. */
    struct region r = {
        fmax(b[0] - k * w, -0.5),  fmax(b[1] - (k + 0.25) * h, -0.5),
        fmin(b[2] + k * w, right), fmin(b[3] + k * h, bottom),
        rng_unit(s->rng) < 0.4,    0};
    r.soft = rng_unit(s->rng) < 0.4 ? 1 : 0.15 * w;
    int cut[4];
    *done = false;
    if (!extent(s, &to, &r, cut))
        return OK;
    const double over[4] = {cut[0], cut[1], cut[2], cut[3]};
    for (int i = 0; i < s->n; i++) {
        double other[4];
        for (int c = 0; c < 4; c++)
            other[c] = (double)s->face[i].box[c];
        if (share_in(other, over) > COVERED)
            return OK;
    }
    enum err_code rc = blend(s, shot->frame, &to, &r, e);
    box_in_scene(shot, &to, box);
    if (!rc)
        note_face(s, box);
    *done = !rc;
    return rc;
}
