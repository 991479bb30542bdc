/* The square of a picture that a landmark network looks at. One rule for the
 * stage that uses the network and for those that make its training data.
 * Test: tests/test_crop.c */
#ifndef FACET_GEOM_CROP_H
#define FACET_GEOM_CROP_H

#include <stdbool.h>

/* Which square round a face the network was trained on. */
enum crop_rule {
    CROP_FACET, /* box = of the landmarks; models/README.md */
    CROP_FAN    /* box = a detector's; 1adrianb/face-alignment */
};

/* A square in continuous picture coordinates: pixel i covers [i, i+1). */
struct crop {
    double x0, y0, side;
};

/* The crop that belongs to a box x0,y0,x1,y1 (pixel-centre coordinates). */
struct crop crop_of_box(enum crop_rule rule, const double box[4]);
/* Is it a box: finite, no further out than 1e6, 1 pixel wide and high? */
bool crop_box_ok(const double box[4]);

/* From pixel to pixel between two pictures, (0,0) the centre of each one's
 * first pixel: x' = m[0] x + m[1] y + m[2], y' = m[3] x + m[4] y + m[5]. */
struct affine {
    double m[6];
};
/* From the pixels of the picture to those of the crop resized to size. */
struct affine crop_affine(struct crop c, int size);
/* false (and nothing in out) if a has no inverse. */
bool affine_invert(const struct affine *a, struct affine *out);
void affine_apply(const struct affine *a, double x, double y, double out[2]);

/* How a training crop differs from the one that belongs to the box. */
struct crop_change {
    double scale; /* of the side: 1.2 shows more, the face is smaller */
    double shift_x, shift_y; /* of the middle, in sides */
    double turn_rad; /* the crop turns clockwise, the face in it the other
                        way */
    double aspect;   /* width of the crop over its height, 1 as it is */
    bool mirror;     /* left and right exchanged, in the crop */
};
/* From the pixels of the picture to those of the changed crop of size x size
 * pixels. With mirror its determinant is negative. */
struct affine crop_changed(struct crop c, int size,
                           const struct crop_change *change);

#endif
