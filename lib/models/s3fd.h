/* S3FD, the face detector: scores and boxes at six strides. */
#ifndef FACET_MODELS_S3FD_H
#define FACET_MODELS_S3FD_H

#include "lib/nn/layer.h"
#include "lib/nn/safetensors.h"

#define S3FD_LEVELS 6 /* strides 4, 8, 16, 32, 64, 128 */

/* Nodes of one level: score [2,h,w] (background, face; logits), box [4,h,w]
 * (offsets to the prior: see networks.md). */
struct s3fd_level {
    int score, box;
};

/* Zhang et al., "S3FD: Single shot scale-invariant face detector", ICCV 2017,
 * as in 1adrianb/face-alignment (608505f, detection/sfd/net_s3fd.py), its
 * names. x [3,H,W]: BGR 0..255 less (104,117,123). At stride 4 the background
 * is the largest of three. width 0: 64 (of conv1_1; all others follow). 0, or
 * -1 after a failure, which the graph keeps. Test: tests/test_models.c. */
int s3fd(const struct nn_scope *s, int x, int width,
         struct s3fd_level level[S3FD_LEVELS]);
/* The width from the shapes of weights under prefix. ERR_DATA if these are
 * not an S3FD's; the text names the file. */
enum err_code s3fd_read(const struct safetensors *w, const char *prefix,
                        int *width, struct err *e) MUST_USE;

#endif
