/* Random changes of a face crop; private to the face-augmenter. */
#ifndef FACET_STAGES_FACE_AUGMENTER_AUGMENT_H
#define FACET_STAGES_FACE_AUGMENTER_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/rng.h"
#include "lib/data/item.h"
#include "lib/geom/crop.h"

/* The parameters; a strength of 0 switches its change off. */
struct strengths {
    /* where the crop lies */
    double box_jitter, scale, shift, rotate, rotate_wide, aspect, mirror,
        reflect;
    /* colour */
    double brightness, contrast, saturation, hue, warmth, gamma, grey;
    /* what spoils pictures, each in a share `often` of them */
    double often, blur, motion, rescale, noise, shadow, cover, cover_size;
    int64_t jpeg;
};

/* One item being changed. Every kind of change draws from a generator of its
 * own, so that none of them changes what the others do. */
struct draw {
    const struct strengths *s;
    const struct item *item;
    uint64_t seed;
    int size;   /* of the crop */
    float *px;  /* f32[size,size,3], 0..255 */
    float *tmp; /* as large */
};
struct rng draw_rng(const struct draw *d, const char *what);
/* Normal, cut at 2.5 deviations. */
double draw_normal(struct rng *r, double deviation);

/* shape.c: jitter the box, as a detector would. */
void shape_box(const struct draw *d, double box[4]);
void shape_change(const struct draw *d, struct crop_change *out);
bool shape_reflects(const struct draw *d);

/* cover.c: things before the face, and shadows on it. */
void cover_face(const struct draw *d);
void cover_shadow(const struct draw *d);

/* look.c: colour, then what the camera does to the picture. */
void look_colour(const struct draw *d);
enum err_code look_camera(const struct draw *d, struct err *e) MUST_USE;
/* The quality of the JPEG file that the picture was kept in; 0: none. */
int look_jpeg(const struct draw *d);

#endif
