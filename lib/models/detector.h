/* Our face detector: one look at a whole picture, boxes at three strides. */
#ifndef FACET_MODELS_DETECTOR_H
#define FACET_MODELS_DETECTOR_H

#include "lib/geom/boxes.h"
#include "lib/nn/layer.h"
#include "lib/nn/net.h"
#include "lib/nn/safetensors.h"

#define DETECTOR_LEVELS 3 /* strides 8, 16, 32 */
#define DETECTOR_STEP 32  /* sides of pictures are multiples of it */
#define DETECTOR_MAX_WIDTH 256
#define DETECTOR_CHANNELS 5 /* of a level: face (a logit), x, y, w, h */

/* What a level's cells speak of. */
struct detector_level {
    int stride;      /* pixels */
    double size;     /* sqrt(w h) of a face whose w and h read 0, pixels */
    double from, to; /* sizes of faces that this level is to find */
};
extern const struct detector_level detector_level[DETECTOR_LEVELS];

/* Anchor-free, after FCOS (Tian et al., ICCV 2019) with the feature pyramid of
 * Lin et al. (CVPR 2017); ours in its sizes. x f32[3,H,W], RGB/255, H and W
 * multiples of DETECTOR_STEP; width: of the first convolution, 0 for 16.
 * level[i]: nodes [DETECTOR_CHANNELS, H/stride, W/stride]. false after a
 * failure, which the graph keeps. Test: tests/test_detector.c */
bool detector_net(const struct nn_scope *s, int x, int width,
                  int level[DETECTOR_LEVELS]);
/* The width from a file's shapes. ERR_DATA if it is none of these; the text
 * names the file. */
enum err_code detector_read(const struct safetensors *w, const char *prefix,
                            int *width, struct err *e) MUST_USE;

/* The box that a cell tells: v[4] as in the maps; x0,y0,x1,y1, pixel
 * centres. Cell (i,j) stands at ((i + 1/2) stride - 1/2, ..): x and y are
 * the face's middle from there in strides, w and h logarithms of the sides
 * over the level's size. */
void detector_box(const struct detector_level *l, int64_t i, int64_t j,
                  const float v[4], float box[4]);

/* Boxes with their scores (sigmoids) from one picture's maps, of cells that
 * score at least min_score; those of one face become one (NMS at an overlap
 * of 0.4), best first. At most max, of the most certain cells
 * DETECTOR_MAX_CELLS. */
#define DETECTOR_MAX_CELLS 1024
enum err_code detector_decode(const float *const maps[DETECTOR_LEVELS],
                              int64_t h, int64_t w, double min_score,
                              struct scored_box *out, size_t max, size_t *n,
                              struct err *e) MUST_USE;

/* The network from its weights, planned for each size of picture that it
 * meets (the last few are kept). */
struct detector;
/* The weights' file is kept by a reference. o: path, mode, bf16. */
enum err_code detector_new(struct safetensors *w, const struct nn_options *o,
                           struct detector **out, struct err *e) MUST_USE;
void detector_free(struct detector **d);
/* picture f32[3,h,w], RGB 0..1, h and w multiples of DETECTOR_STEP. */
enum err_code detector_find(struct detector *d, const float *picture, int64_t h,
                            int64_t w, double min_score, struct scored_box *out,
                            size_t max, size_t *n, struct err *e) MUST_USE;

/* One picture's truth. */
struct detector_truth {
    const float (*box)[4]; /* x0,y0,x1,y1; may reach beyond the picture */
    const bool *ignore;    /* neither face nor none: no loss near it */
    int n;
};
struct detector_loss_spec {
    double alpha, gamma; /* of the focal loss (Lin et al., ICCV 2017) */
    double box;          /* weight of the boxes' error */
};
/* Loss of one level of n pictures: maps f32[n,5,h,w]. Cells in the middle of
 * a face of the level's sizes are faces, cells near it and those of sizes
 * just beyond are left out, all others are none: focal loss; and for faces
 * the smooth L1 distance of the box (beta 1/10) in units of its sides.
 * Everything times scale; grad as maps is overwritten. Returns the loss. The
 * same for any number of threads. */
double detector_loss(const struct detector_loss_spec *spec,
                     const struct detector_level *l, const float *maps,
                     const struct detector_truth *truth, int64_t n, int64_t h,
                     int64_t w, double scale, float *grad);
/* Cells of all levels that are faces in this truth, for the scale: the loss
 * is a mean over them. h, w: of the picture. */
int64_t detector_positives(const struct detector_truth *truth, int64_t n,
                           int64_t h, int64_t w);

#endif
