/* The size of views: a larger frame is brought to it, with all that is given
 * in its coordinates. Test: tests/test_framing.c */
#ifndef FACET_STAGES_GENERATOR_FRAMING_H
#define FACET_STAGES_GENERATOR_FRAMING_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/item.h"
#include "lib/geom/landmarks.h"

/* The window of the frame that is shown, and what it becomes. */
struct framing {
    int64_t frame_width, frame_height;
    int64_t x0, y0, width, height; /* pixels of the frame */
    int64_t to_width, to_height;
    bool changes; /* false: the frame as it is */
    bool cut;     /* the window is not the whole frame */
};

/* A face keeps at least this part of the view's longer side, as far as it has
 * so many pixels: a view that would leave it less is cut round it. */
#define FRAMING_FACE 0.25

/* Views of at most max_side pixels (0: any) of a frame with points
 * f32[68][3]. A frame within it stays as it is. A larger one is reduced to it,
 * but the face (the longer side of its points' box) not below FRAMING_FACE of
 * max_side: where that leaves more than max_side, the window is cut round the
 * face, within the frame. Points that no face can have (not finite, far
 * outside) change nothing: whoever makes the view refuses them. */
void framing_choose(int64_t frame_width, int64_t frame_height,
                    const float (*points)[3], int64_t max_side,
                    struct framing *f);

/* Points [n][stride] (x, y and, from stride 3, z) into the view's coordinates.
 * z, which has no origin in the picture, is scaled. */
void framing_points(const struct framing *f, size_t n, size_t stride,
                    const float *in, float *out);

/* The window of frame u8[H,W,3], resized. */
enum err_code framing_picture(const struct framing *f,
                              const struct tensor *frame, struct tensor **out,
                              struct err *e) MUST_USE;

/* Everything in an item that is in the frame's coordinates: landmarks, target,
 * landmarks_true, points3d, surface, surface_seen, box, boxes, boxes_true,
 * boxes_ignore, and `pose`, a picture of the frame. `frame` becomes picture (a
 * reference is taken), and view_window f32[4] is added: x0, y0, x1, y1 of the
 * window in the old frame (its edges: 0, 0 the corner of the first pixel). */
enum err_code framing_item(const struct framing *f, struct tensor *picture,
                           struct item *it, struct err *e) MUST_USE;

#endif
