/* A face's own frame in the picture, and putting a head there. For networks
 * that read points whatever their place, size and tilt. Test:
 * tests/test_face_frame.c */
#ifndef FACET_GEOM_FACE_FRAME_H
#define FACET_GEOM_FACE_FRAME_H

#include "lib/base/err.h"
#include "lib/geom/landmarks.h"

/* picture = centre + scale * turn(frame): turn by (c, s) = cos, sin. Unit: the
 * reference's. */
struct face_frame {
    double centre[2], scale, c, s;
};

/* Where the reference's points 17-67 lie best upon those of pts f32[68][stride]
 * (the jaw's slide); the size is the points' own (root mean square distance
 * from their mean) over the reference's. ERR_DATA if points are not finite or
 * all in one place. */
enum err_code face_frame_fit(const float reference[LANDMARKS][2],
                             const float *pts, int stride,
                             struct face_frame *out, struct err *e) MUST_USE;
/* The reference that our weights begin with: the project's mean head. */
enum err_code face_frame_reference(float out[LANDMARKS][2],
                                   struct err *e) MUST_USE;
/* x, y, z (depth, no offset) into the frame and back. */
void face_frame_in(const struct face_frame *f, const double p[3],
                   double out[3]);
void face_frame_out(const struct face_frame *f, const double p[3],
                    double out[3]);
/* A rotation to the picture as one to the frame, and back. */
void face_frame_turn_in(const struct face_frame *f, const double r[9],
                        double out[9]);
void face_frame_turn_out(const struct face_frame *f, const double r[9],
                         double out[9]);

/* A head in the picture, seen by a camera at 1 / near head units. */
struct face_place {
    double r[9], near, scale, t[3];
};
/* Scale and place by least squares so that the head's points f32[68][3] come
 * upon the picture's xyz f32[68][3]; r and near are given in *io. ERR_DATA if
 * the points are degenerate. */
enum err_code face_place_fit(const float (*head)[3], const float (*xyz)[3],
                             struct face_place *io, struct err *e) MUST_USE;
/* Points f32[n][3] of the head to the picture. */
void face_place_at(const struct face_place *p, const float (*head)[3], int n,
                   float (*out)[3]);

#endif
