/* FAN, the face alignment network, written into a graph. */
#ifndef FACET_MODELS_FAN_NET_H
#define FACET_MODELS_FAN_NET_H

#include "lib/nn/layer.h"
#include "lib/nn/safetensors.h"

#define FAN_NET_MAX_STACKS 16
#define FAN_NET_MAX_FEATURES 4096

/* Sizes; 0 means the published one. */
struct fan_net_spec {
    int stacks;   /* 4 */
    int features; /* of the hourglasses: 256; a multiple of 4 */
    int stem;     /* widths before: conv1 64, */
    int trunk;    /* conv2 and conv3 128; a multiple of 4 */
    int points;   /* heatmaps: 68 */
};

/* Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D face
 * alignment problem?", ICCV 2017; built as in 1adrianb/face-alignment
 * (608505f, models/fan.py), PyTorch's names. x [3,H,W] in 0..1, H and W
 * multiples of 64; heatmaps [points,H/4,W/4] of every stack go to maps[stack]
 * (may be NULL); those of the last count and are returned. -1 after a
 * failure, which the graph keeps (ERR_ARG for sizes out of range). Test:
 * tests/test_models.c. */
int fan_net(const struct nn_scope *s, int x, const struct fan_net_spec *spec,
            int *maps);
/* The sizes from the shapes of weights under prefix ("" or "module."); all of
 * them set. ERR_DATA if these are not a FAN's; the text names the file. */
enum err_code fan_net_read(const struct safetensors *w, const char *prefix,
                           struct fan_net_spec *spec, struct err *e) MUST_USE;

#endif
