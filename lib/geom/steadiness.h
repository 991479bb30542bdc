/* How steady found points are, and how far behind: against true ones, over the
 * frames of a clip. Test: tests/test_steadiness.c */
#ifndef FACET_GEOM_STEADINESS_H
#define FACET_GEOM_STEADINESS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/geom/landmarks.h"

struct steady_frame {
    double time_s;
    bool found;
    float truth[LANDMARKS][2], seen[LANDMARKS][2]; /* px */
};

/* Distances in px, root mean squares over points and frames. */
struct steadiness {
    size_t frames, found;
    double size;   /* mean outer-eye distance of the truth */
    double travel; /* of the truth about its mean over the clip: 0 is still */
    double jitter; /* of found - truth about its mean over the clip, which is
                      the points' constant error */
    double step;   /* change of found - truth from a frame to the next */
    double error;  /* mean distance of found and true points */
    double lag_s;  /* by which the truth, delayed, fits the found points best */
    bool has_lag;  /* the truth moves, and enough of it was seen */
};

#define STEADY_LAG_LEAST (-0.2) /* s: where the delay is sought */
#define STEADY_LAG_MOST 0.6

/* n frames in order of time, times increasing. The lag is the delay of least
 * squares over all points, each point's mean error left out; the truth is
 * interpolated by cubics, so the lag is finer than a frame. It wants 10 frames
 * found whose time less any of the delays lies within the clip, and a truth
 * that travels 1 % of its size. ERR_DATA: no frame was found, times do not
 * increase, or numbers that are not finite. */
enum err_code steadiness_measure(const struct steady_frame *f, size_t n,
                                 struct steadiness *out,
                                 struct err *e) MUST_USE;

#endif
