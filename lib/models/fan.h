/* FAN, the face alignment network: 68 heatmaps of a face crop. */
#ifndef FACET_MODELS_FAN_H
#define FACET_MODELS_FAN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/nn/net.h"
#include "lib/nn/safetensors.h"

#define FAN_POINTS 68
#define FAN_SIDE 256 /* of the crop, pixels */
#define FAN_MAP 64   /* of a heatmap, cells; a cell is 4 crop pixels */
/* Other sides of crops that a fan takes: multiples of FAN_SIDE_STEP. */
#define FAN_SIDE_STEP 64
#define FAN_MAX_SIDE 512
#define FAN_MAP_OF(side) ((side) / 4)

/* Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D face
 * alignment problem?", ICCV 2017; built as in 1adrianb/face-alignment
 * (608505f, models/fan.py) with any number of features and stacks, both read
 * from the weights' shapes. Parameter names as PyTorch's. */
struct fan;

struct fan_info {
    int features, stacks;
    int64_t parameters;
};

struct fan_options {
    enum nn_mode mode;
    enum nn_path path;
    bool bf16; /* activations and weights in bf16: faster, and heatmaps with
                  an error of about 1 % of their largest value */
    size_t fast_bytes; /* as in nn_options */
};

/* Weights are read from the file when a plan packs them, so the file is kept
 * (by a reference); one that is only open costs no memory. ERR_NOTFOUND /
 * ERR_DATA name the parameter; ERR_UNSUPPORTED: bf16 on a CPU without it. Test:
 * tests/test_fan.c against PyTorch 1.13. */
enum err_code fan_new(struct safetensors *weights, const struct fan_options *o,
                      struct fan **out, struct err *e) MUST_USE;
void fan_free(struct fan **f);
struct fan_info fan_info(const struct fan *f);

/* n crops f32[n,3,256,256] (RGB, 0..1) to heatmaps f32[n,68,64,64]. flip adds
 * the mirrored crop's maps, mirrored back with left and right points
 * exchanged (sum, not mean). Crops are run one by one, which is the fastest
 * on CPUs: all of a crop's activations stay in cache. */
enum err_code fan_heatmaps(struct fan *f, const float *crops, int64_t n,
                           bool flip, float *maps, struct err *e) MUST_USE;
/* The same for crops f32[n,3,side,side] to maps f32[n,68,side/4,side/4]. The
 * network is planned for a side when it is first used, and kept; a face looks
 * to it as large as its crop's pixels say, and it was trained on 256. ERR_ARG
 * for a side that is no multiple of 64 from 64 to 512. */
enum err_code fan_heatmaps_at(struct fan *f, int side, const float *crops,
                              int64_t n, bool flip, float *maps,
                              struct err *e) MUST_USE;
/* Add the mirrored crop's maps to one crop's, as flip does above: for a caller
 * who decides after a look. */
enum err_code fan_add_mirrored(struct fan *f, int side, const float *crop,
                               float *maps, struct err *e) MUST_USE;
/* Time per step so far at side 256, as a table. */
enum err_code fan_profile(const struct fan *f, struct buf *b,
                          struct err *e) MUST_USE;

/* How a map becomes a point. */
enum fan_decode {
    FAN_CENTROID, /* of the 5x5 cells round the maximum, negatives as 0 */
    FAN_QUARTER,  /* FA: the maximum, a quarter cell towards the higher
                     neighbour in each axis */
    FAN_SOFTMAX   /* maps are logits: the mean of the softmax over the map in
                     the 7x7 cells round its maximum; the score is the share
                     of the distribution that lies there (lib/models/fan_loss.h
                     trains such maps) */
};

/* maps f32[68,64,64] to points in crop pixels, xy[i] = (x,y), where (0,0) is
 * the CENTRE of the crop's top-left pixel (cell (x,y) has its centre at
 * (4x + 1.5, 4y + 1.5)), and to the maximum of each map, score[i]. The first
 * of equal maxima counts. score may be NULL. */
void fan_decode(const float *maps, enum fan_decode how, float xy[FAN_POINTS][2],
                float *score);
/* The same for maps f32[68,map,map]. */
void fan_decode_at(const float *maps, int map, enum fan_decode how,
                   float xy[FAN_POINTS][2], float *score);

#endif
