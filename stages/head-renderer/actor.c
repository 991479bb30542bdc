/* Actors: identity, look and surroundings from a seed; pose, expression,
 * blinking and gaze over time. */
#include "stages/head-renderer/actor.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

enum {
    JAW,
    SMILE,
    FROWN,
    PUCKER,
    BLINK_L,
    BLINK_R,
    BROW_UP,
    BROW_DOWN,
    SQUINT,
    PRESS,
    LIP_UP,
    BROW_INNER
};

static uint64_t mix_seed(uint64_t seed, uint64_t index, uint64_t salt)
{
    struct rng r;
    rng_seed(&r, seed ^ (salt * 0x9E3779B97F4A7C15u));
    uint64_t a = rng_u64(&r);
    rng_seed(&r, a ^ (index * 0xBF58476D1CE4E5B9u));
    return rng_u64(&r);
}

static void surroundings(struct actor *a, struct rng *r,
                         const struct actor_range *g)
{
    struct render_scene *s = &a->scene;
    render_light_random(r, &s->light);
    if (g->light == 1) { /* even */
        s->light.key = 0.72;
        s->light.fill = 0.4;
        s->light.ambient = 0.52;
        s->light.yaw_deg *= 0.3;
    } else if (g->light == 2) { /* from the side */
        s->light.key = 1.25;
        s->light.fill = 0.16;
        s->light.ambient = 0.30;
        s->light.yaw_deg = s->light.yaw_deg < 0 ? -58 : 58;
    }
    uint64_t back = rng_below(r, BACK_KINDS);
    s->back = g->back ? (enum render_backdrop)(g->back - 1)
                      : (enum render_backdrop)back;
    s->back_seed = rng_u64(r);
    s->grain = g->grain;
}

/* Where the face lies. Its 68 points are about 1.68 units high. */
static void framing(struct actor *a, struct rng *r, const struct actor_range *g)
{
    double j = g->jitter;
    double unit = g->fill * g->height / 1.68;
    a->scale_px = unit * (1 + j * rng_range(r, -0.14, 0.14));
    a->cx = g->width / 2.0 - 0.5 + j * unit * rng_range(r, -0.25, 0.25);
    a->cy = g->height * 0.53 - 0.5 + j * unit * rng_range(r, -0.15, 0.15);
    a->camera = 0;
    if (g->fov_deg > 0) {
        double half = g->height / a->scale_px / 2;
        double d = half / tan(g->fov_deg * PI / 360);
        a->camera = d < 5 ? 5 : d; /* never into the nose */
    }
}

void actor_new(struct actor *a, uint64_t seed, int64_t index,
               const struct actor_range *g)
{
    struct rng r;
    memset(a, 0, sizeof *a);
    rng_seed(&r, mix_seed(seed, (uint64_t)index, 1));
    for (int i = 0; i < HEAD_IDENTITY; i++) {
        double v = rng_normal(&r);
        a->scene.head.identity[i] = v > 2.2 ? 2.2 : v < -2.2 ? -2.2 : v;
    }
    render_look_random(&r, &a->scene.look);
    rng_seed(&r, mix_seed(seed, (uint64_t)index, 2));
    surroundings(a, &r, g);
    framing(a, &r, g);
    for (int i = 0; i < 12; i++) {
        a->phase[i] = rng_range(&r, 0, 2 * PI);
        a->rate[i] = rng_range(&r, 0.7, 1.4);
    }
    double t = rng_range(&r, 0.3, 2.0);
    for (a->n_blinks = 0; a->n_blinks < 64; a->n_blinks++) {
        a->blink_at[a->n_blinks] = t;
        t += rng_range(&r, 1.6, 5.0);
    }
    a->seed = mix_seed(seed, (uint64_t)index, 3);
    a->scene.cx = a->cx;
    a->scene.cy = a->cy;
    a->scene.scale_px = a->scale_px;
    a->scene.camera = a->camera;
    a->scene.from_neck = !g->turn_in_place;
    a->scene.grain_seed = a->seed;
}

void actor_picture(const struct actor *a, const struct actor_range *g,
                   int64_t number, struct render_scene *out)
{
    struct rng r;
    *out = a->scene;
    rng_seed(&r, mix_seed(a->seed, (uint64_t)number, 4));
    out->pose_deg[0] = rng_range(&r, -g->pitch, g->pitch);
    out->pose_deg[1] = rng_range(&r, -g->yaw, g->yaw);
    out->pose_deg[2] = rng_range(&r, -g->roll, g->roll);
    out->gaze_rad[0] = rng_range(&r, -0.28, 0.28);
    out->gaze_rad[1] = rng_range(&r, -0.12, 0.14);
    double *x = out->head.expression, lively = g->expression;
    double kind = rng_unit(&r), much = rng_range(&r, 0.35, 1.0) * lively;
    if (kind < 0.28)
        x[SMILE] = much;
    else if (kind < 0.40)
        x[JAW] = 0.8 * much;
    else if (kind < 0.48)
        x[PUCKER] = much;
    else if (kind < 0.56)
        x[FROWN] = much;
    if (x[SMILE] > 0)
        x[LIP_UP] = 0.5 * much * rng_unit(&r);
    double brow = rng_unit(&r), by = rng_range(&r, 0, 0.8) * lively;
    x[brow < 0.5 ? BROW_UP : brow < 0.8 ? BROW_DOWN : BROW_INNER] = by;
    x[SQUINT] = rng_range(&r, 0, 0.6) * lively;
    if (rng_unit(&r) < 0.05)
        x[BLINK_L] = x[BLINK_R] = 1;
    out->grain_seed = rng_u64(&r);
}

void actor_still(const struct actor *a, const struct actor_range *g,
                 int64_t number, struct render_scene *out)
{
    actor_picture(a, g, 0, out);
    out->grain_seed = mix_seed(a->seed, (uint64_t)number, 7);
}

void actor_sway(const struct actor *a, const struct actor_range *g,
                int64_t number, double t, struct render_scene *out)
{
    double w = 2 * PI * g->sway_hz * t;
    actor_still(a, g, number, out);
    out->pose_deg[1] += g->sway_deg * sin(w + a->phase[0]);
    out->cx += g->travel * a->scale_px * sin(w + a->phase[1]);
    out->cy += g->travel / 2 * a->scale_px * sin(0.7 * w + a->phase[2]);
}

/* A slow smooth wave in -1..1 that does not repeat within a clip. */
static double wave(const struct actor *a, int k, double hz, double t)
{
    double w = 2 * PI * hz * a->rate[k] * t;
    return 0.62 * sin(w + a->phase[k]) +
           0.38 * sin(1.83 * w + 2.7 * a->phase[(k + 5) % 12]);
}

static double blink(const struct actor *a, double t)
{
    for (int i = 0; i < a->n_blinks; i++) {
        double d = t - a->blink_at[i];
        if (d > 0 && d < 0.28)
            return sin(PI * pow(d / 0.28, 0.8));
    }
    return 0;
}

void actor_at(const struct actor *a, const struct actor_range *g, double t,
              struct render_scene *out)
{
    *out = a->scene;
    out->pose_deg[0] = g->pitch * wave(a, 0, 0.31, t);
    out->pose_deg[1] = g->yaw * wave(a, 1, 0.23, t);
    out->pose_deg[2] = g->roll * wave(a, 2, 0.27, t);
    /* The eyes stay a little behind the head, and jump. */
    double jump = floor(t * 1.1 * a->rate[3] + a->phase[3]);
    struct rng r;
    rng_seed(&r, mix_seed(a->seed, (uint64_t)(int64_t)jump, 5));
    out->gaze_rad[0] =
        rng_range(&r, -0.14, 0.14) - 0.4 * out->pose_deg[1] * PI / 180;
    out->gaze_rad[1] =
        rng_range(&r, -0.07, 0.08) + 0.3 * out->pose_deg[0] * PI / 180;
    double *x = out->head.expression, lively = g->expression;
    double say = wave(a, 4, 0.35, t);
    double talk = say > -0.2 ? (say + 0.2) / 1.2 : 0;
    double beat = 0.5 - 0.5 * cos(2 * PI * 2.9 * a->rate[5] * t + a->phase[5]);
    x[JAW] = lively * 0.55 * talk * beat * (0.6 + 0.4 * wave(a, 6, 1.7, t));
    double round = wave(a, 7, 1.3, t), grin = wave(a, 8, 0.19, t);
    x[PUCKER] = round > 0 ? 0.5 * lively * talk * round : 0;
    x[SMILE] = grin > 0.1 ? 0.8 * lively * (grin - 0.1) : 0;
    x[LIP_UP] = 0.25 * lively * talk * (1 - beat);
    double brow = wave(a, 9, 0.33, t);
    x[BROW_UP] = brow > 0 ? 0.7 * lively * brow : 0;
    x[BROW_DOWN] = brow < 0 ? -0.5 * lively * brow : 0;
    x[BLINK_L] = x[BLINK_R] = blink(a, t);
    out->grain_seed = mix_seed(a->seed, (uint64_t)llrint(t * 1e6), 6);
}

void actor_turned(const struct actor *a, double rx, double ry, double rz,
                  struct render_scene *out)
{
    *out = a->scene;
    out->pose_deg[0] = rx;
    out->pose_deg[1] = ry;
    out->pose_deg[2] = rz;
    out->from_neck = false;
}
