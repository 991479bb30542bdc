/* An actor: one rendered person, and what it does over time. */
#ifndef STAGES_HEAD_RENDERER_ACTOR_H
#define STAGES_HEAD_RENDERER_ACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/geom/render.h"

struct actor_range {
    double pitch, yaw, roll; /* largest angle to either side, degrees */
    double expression;       /* 0 neutral .. 1 lively */
    double jitter;           /* 0: centred, one size .. 1 */
    double fill;             /* height of the face's points / picture height */
    double fov_deg;          /* of the picture's height; 0: orthographic */
    int width, height;
    int back, light; /* 0 random, else the choice */
    double grain;
    double sway_deg, travel, sway_hz; /* of actor_sway */
    bool turn_in_place; /* keep the mean of the points where it is */
};

struct actor {
    struct render_scene scene; /* what stays: shape, look, light, backdrop */
    double cx, cy, scale_px, camera;
    double phase[12], rate[12]; /* slow waves, for moving pictures */
    double blink_at[64];        /* s; increasing */
    int n_blinks;
    uint64_t seed;
};

/* The person number `index` (from 1) of a seed: the same whatever else is
 * drawn. */
void actor_new(struct actor *a, uint64_t seed, int64_t index,
               const struct actor_range *range);
/* One picture by itself: pose, expression and gaze drawn for this number. */
void actor_picture(const struct actor *a, const struct actor_range *range,
                   int64_t number, struct render_scene *out);
/* The moving picture at t seconds. */
void actor_at(const struct actor *a, const struct actor_range *range, double t,
              struct render_scene *out);
/* Picture 0 held: in frame `number` only the grain is another. */
void actor_still(const struct actor *a, const struct actor_range *range,
                 int64_t number, struct render_scene *out);
/* The same head, face unmoved, at t seconds: turning to and fro by sway_deg,
 * going to and fro by `travel` outer-eye distances (half that up and down, at
 * 0.7 times the pace). */
void actor_sway(const struct actor *a, const struct actor_range *range,
                int64_t number, double t, struct render_scene *out);
/* The actor at rest, turned in place by degrees. */
void actor_turned(const struct actor *a, double rx, double ry, double rz,
                  struct render_scene *out);

#endif
