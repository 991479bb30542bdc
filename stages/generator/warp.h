/* The method `warp`: new views of a face by laying its picture on the
 * project's head and turning it. No network. docs/generator.md says how. */
#ifndef FACET_STAGES_GENERATOR_WARP_H
#define FACET_STAGES_GENERATOR_WARP_H

#include "lib/base/err.h"
#include "lib/data/tensor.h"
#include "lib/geom/landmarks.h"

/* What is worked out once a picture and serves all its views. */
struct warp_source;

/* frame u8[H,W,3] (one reference is taken), points f32[68][3] in its pixels,
 * score f32[68] or NULL. ERR_DATA if the points are degenerate, not finite or
 * farther outside the frame than the frame is large. */
enum err_code warp_source_new(struct tensor *frame, const float (*points)[3],
                              const float *score, struct warp_source **out,
                              struct err *e) MUST_USE;
void warp_source_free(struct warp_source **s);

/* The picture with its points moved to target f32[68][3]: u8[H,W,3], the
 * caller's. ERR_DATA if target is degenerate or not finite. */
enum err_code warp_view(struct warp_source *s, const float (*target)[3],
                        struct tensor **out, struct err *e) MUST_USE;

#endif
