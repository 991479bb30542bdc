/* Pictures of the project's own head: look, light, camera, backdrop. */
#ifndef FACET_GEOM_RENDER_H
#define FACET_GEOM_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/rng.h"
#include "lib/geom/head.h"
#include "lib/geom/head_model.h"

enum render_hair {
    HAIR_SHAVED,
    HAIR_SHORT,
    HAIR_SIDE, /* parted, volume on top */
    HAIR_LONG, /* to the shoulders */
    HAIR_CURLY,
    HAIR_BOB,
    HAIR_KINDS
};

enum render_backdrop {
    BACK_PLAIN,
    BACK_STUDIO,
    BACK_BOKEH,
    BACK_ROOM,
    BACK_KINDS
};

/* What does not change from frame to frame of one person. Colours linear. */
struct render_look {
    uint64_t seed; /* of noise: mottling, strands */
    float skin[3], lips[3], brow[3], hair[3], iris[3], cloth[3];
    float blush, mottle, oil; /* strengths, about 1 */
    float stubble;            /* 0..1 */
    float brow_thick, brow_dark;
    float lash;     /* 0..1 */
    float hairline; /* mm, + higher */
    float volume;   /* of the hair, about 1 */
    float part_x;   /* where the hair parts, mm */
    enum render_hair style;
    int collar; /* 0 round, 1 V, 2 high */
};

struct render_light {
    double yaw_deg,
        pitch_deg; /* where the key light comes from; + right, + up */
    double key, fill, ambient;
    float tint[3]; /* of the key */
};

struct render_scene {
    struct head_params head;
    double pose_deg[3]; /* rx, ry, rz as rotation.h */
    double gaze_rad[2]; /* of the eyes in the head: + right, + down */
    double scale_px;    /* pixels per head unit (outer-eye distance) */
    double cx, cy;      /* where the mean of the points comes to lie, px; with
                           from_neck: where it would be unturned */
    bool from_neck;     /* turn about the neck, as living heads do */
    double camera;      /* distance in head units; 0: orthographic */
    struct render_light light;
    struct render_look look;
    enum render_backdrop back;
    uint64_t back_seed;
    double grain; /* sensor noise, grey levels */
    uint64_t grain_seed;
};

/* Draw a look / a light from a generator; every field is set. */
void render_look_random(struct rng *r, struct render_look *look);
void render_light_random(struct rng *r, struct render_light *light);

struct render; /* buffers for one picture size */

/* samples: per pixel and axis, 1..6 (3 gives 3x3). */
enum err_code render_new(int width, int height, int samples,
                         struct render **out, struct err *e) MUST_USE;
void render_free(struct render **r);
/* Draw. rgb u8[height][width][3] sRGB; points f32[68][3]: picture pixels as
 * landmarks.h, z = pixels at the face's distance, 0 at their mean. The bytes
 * depend on the scene alone. ERR_ARG for numbers that are not finite. */
enum err_code render_draw(struct render *r, const struct render_scene *s,
                          uint8_t *rgb, float points[LANDMARKS][3],
                          struct err *e) MUST_USE;
/* Places of the own head (head_model_own's vertices) in the picture that was
 * drawn last from s, as its points. */
void render_places(const struct render *r, const struct render_scene *s,
                   const struct head_node *node, int n, float (*out)[3]);

#endif
