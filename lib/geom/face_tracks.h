/* The faces of a clip followed from frame to frame, each with its filter.
 * Test: tests/test_face_tracks.c */
#ifndef FACET_GEOM_FACE_TRACKS_H
#define FACET_GEOM_FACE_TRACKS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/geom/one_euro.h"

#define FACE_TRACKS_MOST 1024 /* faces of one frame */

struct face_tracks_options {
    struct one_euro filter;
    double keep_s; /* a face not seen for longer comes back as another one */
    double jump;   /* face sizes: one that is farther off from where it was
                      expected is another face (or another shot) */
};

struct face_tracks;

struct face_tracks *face_tracks_new(const struct face_tracks_options *o,
                                    struct err *e) MUST_USE;
void face_tracks_free(struct face_tracks **t);

/* One face of a frame, in and out. */
struct face_seen {
    float points[LANDMARKS][3]; /* px; come back smoothed */
    int64_t track;              /* out: 0, 1, ... in order of appearance */
};

/* The n faces (n may be 0) of the next frame, `time_s` on the clip's clock. A
 * face is the one of an earlier frame whose points, moved on with its speed,
 * lie nearest in the mean, nearest pairs first; never farther than `jump`
 * (twice that, as time since it was seen goes to keep_s), and never more than
 * 1.5 times as large or small. A time before the last one begins everything
 * anew, but numbers go on. What comes out depends on the frames so far alone.
 * ERR_DATA: points that are not finite, or n too large; ERR_NOMEM. The tracks
 * then stay as they were. */
enum err_code face_tracks_step(struct face_tracks *t, double time_s,
                               struct face_seen *face, size_t n,
                               struct err *e) MUST_USE;

/* The size that speeds and distances are measured in: the outer-eye distance,
 * or, where a profile folds it up, 0.55 times the box's longer side: about the
 * same for a face from the front. */
double face_size(float points[LANDMARKS][3]);

#endif
