/* The 68 iBUG/Multi-PIE points: groups, mirror pairs, simple measures. */
#ifndef FACET_GEOM_LANDMARKS_H
#define FACET_GEOM_LANDMARKS_H

#include <stdbool.h>
#include <stdint.h>

#define LANDMARKS 68

/* Coordinates everywhere: picture pixels, x right, y down, z towards the
 * viewer; (0,0) is the CENTRE of the top-left pixel (as in 300-W csv files and
 * OpenCV). */

struct landmark_group {
    const char *name;
    int first, last; /* inclusive */
    bool closed;
    uint8_t rgb[3]; /* pose2pose's pose colours (P2P: networks.md) */
};
#define LANDMARK_GROUPS 9
extern const struct landmark_group landmark_groups[LANDMARK_GROUPS];
/* The point that landmark i becomes when the picture is mirrored. */
extern const int landmark_mirror[LANDMARKS];

/* Distance of the outer eye corners (36, 45) in x,y. p is [68][stride]. */
double landmark_outer_eye(const float *p, int stride);
/* Smallest axis-aligned box x0,y0,x1,y1 round the x,y of the points. */
void landmark_box(const float *p, int stride, double box[4]);

#endif
