/* Finding all faces of a frame, with one detector or another; private to the
 * face-detector. */
#ifndef FACET_STAGES_FACE_DETECTOR_FINDER_H
#define FACET_STAGES_FACE_DETECTOR_FINDER_H

#include "lib/data/tensor.h"
#include "lib/geom/boxes.h"
#include "lib/models/detector.h"
#include "lib/models/s3fd_detector.h"

#define FINDER_MOST 1024 /* boxes of a frame */

struct finder {
    struct detector *net;       /* ours, or */
    struct s3fd_detector *s3fd; /* S3FD, which looks at pictures as they are */
    double min_score;
    float *planes; /* grows with the pictures */
    size_t room;
};

/* Load weights by name or path: our detector's, or S3FD's, told by their
 * shapes. *min_score: what the file says, 0.5 if it says nothing. finder_free
 * also after a failure. */
enum err_code finder_load(struct finder *f, const char *model,
                          const struct nn_options *o, double *min_score,
                          struct err *e) MUST_USE;
void finder_free(struct finder *f);
/* All boxes of frame u8[H,W,3] that score f->min_score or more, best first, in
 * its pixels; the picture is looked at with its longer side resized to `side`.
 */
enum err_code finder_look(struct finder *f, const struct tensor *frame,
                          int64_t side, struct scored_box out[FINDER_MOST],
                          size_t *n, struct err *e) MUST_USE;

#endif
