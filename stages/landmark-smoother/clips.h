/* Frames of clips back in their order: what comes before its turn is held until
 * what is missing has come, is known to be set aside, or is given up. */
#ifndef STAGES_LANDMARK_SMOOTHER_CLIPS_H
#define STAGES_LANDMARK_SMOOTHER_CLIPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/item.h"
#include "lib/geom/face_tracks.h"

struct face_here { /* one face of a frame */
    int64_t face;
    struct item *item; /* a copy of our own; NULL: set aside before us */
};

struct clip;
struct clip_frame {
    int64_t order; /* 0, 1, ... in the clip */
    double time_s;
    int64_t faces; /* how many are to come; 0: the whole frame is set aside */
    struct face_here *here;
    size_t n, cap, bytes;
    struct clip *clip;
    struct clip_frame *next;
};

struct clip {
    char *key;
    int64_t next, frames;     /* next to give out; promised, 0 unknown */
    struct clip_frame *first; /* waiting, in order */
    size_t n, bytes;
    uint64_t touched;
    struct face_tracks *tracks;
    struct clip *next_clip;
};

struct clips {
    size_t window, max_bytes, max_open;
    struct clip *first;
    size_t open, bytes;
    uint64_t clock;
    int64_t given_up; /* places in clips that nothing came for in time */
};

/* What an item says of its place. */
struct clip_place {
    const char *key;
    int64_t frames, order, face, faces;
    double time_s;
};

/* Take in a copy of `it`, or (it NULL) the word that this face will not come
 * (faces 0: nor any of its frame). ERR_DATA for what came twice, or after its
 * turn was given up. */
enum err_code clips_put(struct clips *c, const struct clip_place *p,
                        const struct item *it, struct err *e) MUST_USE;
/* The next frame whose turn it is, or that can wait no longer (all: any); NULL
 * if there is none. The caller's: give it to clip_frame_free, before the next
 * call. Faces are in the order of their numbers, without those set aside. */
struct clip_frame *clips_take(struct clips *c, bool all);
void clip_frame_free(struct clip_frame **f);
void clips_free(struct clips *c);

#endif
