/* Finding the 68 points of a face in a frame; private to the landmarker. */
#ifndef FACET_STAGES_LANDMARKER_FACE_H
#define FACET_STAGES_LANDMARKER_FACE_H

#include <stdbool.h>

#include "lib/base/err.h"
#include "lib/data/tensor.h"
#include "lib/geom/crop.h"
#include "lib/models/fan.h"

struct finder {
    struct fan *fan;
    enum crop_rule crop;
    enum fan_decode decode;
    bool flip;
    bool truncate; /* points cut to whole pixels, as FA does */
    double good;   /* a face this sure ends the search */
    double enough; /* a face this sure is one: no fine search for a better */
    double likely; /* a look this sure is refined at once */
    double floor;  /* below this a place is not refined */
    double again;  /* a box is looked at again, as the points ask for it, where
                      that moves the crop by more than this many sides */
    double tilt;   /* the same where the face is tilted by more degrees: the
                      crop is turned upright */
    int passes;    /* most refinements, 1 or more */
    int max_looks; /* most looks of a search */
    float *input;  /* scratch, finder_start's */
    float *maps;
    float *pixels;
};

struct face {
    float xy[FAN_POINTS][2]; /* pixels, (0,0) the centre of the first */
    float peak[FAN_POINTS];  /* of the heatmaps, about 0..1 */
    double score;            /* mean of the peaks */
    double box[4];           /* what the last crop was made from */
    struct crop crop;
    int looks; /* times the network ran */
};

/* Scratch memory for a finder whose settings the caller has filled in. */
enum err_code finder_start(struct finder *f, struct err *e) MUST_USE;
void finder_stop(struct finder *f); /* frees scratch and fan */

/* One look at a crop, resized to side x side pixels for the network (256, as
 * it was trained; 192 finds a face as well at 0.56 of the time). */
enum err_code face_look(struct finder *f, const struct tensor *frame,
                        struct crop c, int side, struct face *out,
                        struct err *e) MUST_USE;
/* How much two crops differ, in sides. */
double face_crop_change(struct crop a, struct crop b);
/* The face in a known box; once again, upright, where the points lie otherwise
 * than the box says or are tilted (CROP_FACET only: it makes crops of points).
 * ERR_ARG for a box that is not one. */
enum err_code face_in_box(struct finder *f, const struct tensor *frame,
                          const double box[4], struct face *out,
                          struct err *e) MUST_USE;
/* The whole frame (its larger side) as one crop. */
enum err_code face_in_frame(struct finder *f, const struct tensor *frame,
                            struct face *out, struct err *e) MUST_USE;
/* Search: the whole frame first, then finer and finer places, each level from
 * the middle outwards, until one is good; a place that looks likely is refined
 * at once, by crops made from the points themselves until they stay put. out
 * holds the best that was found, however unsure. The result depends on the
 * frame alone. */
enum err_code face_search(struct finder *f, const struct tensor *frame,
                          struct face *out, struct err *e) MUST_USE;

#endif
