/* S3FD from picture to faces: the network, its boxes, suppression. */
#ifndef FACET_MODELS_S3FD_DETECTOR_H
#define FACET_MODELS_S3FD_DETECTOR_H

#include <stdint.h>

#include "lib/geom/boxes.h"
#include "lib/models/s3fd.h"
#include "lib/nn/net.h"

#define S3FD_KEEP 0.5       /* FA: faces score more than this */
#define S3FD_OVERLAP 0.3    /* FA: two boxes with more overlap are one face */
#define S3FD_CANDIDATE 0.05 /* FA never looks at boxes below this */
#define S3FD_LEAST_SIDE 32  /* px; smaller pictures are padded */
#define S3FD_MAX_PIXELS (1 << 24) /* the network takes 0.6 KB for each */

/* What the network gave for one level: score [2,h,w] (background, face;
 * logits) and box [4,h,w]. */
struct s3fd_maps {
    const float *score, *box;
    int64_t height, width;
};

/* Boxes that score more than `least`, level by level in rows, unsorted:
 * new memory in *out (mem_free), NULL if there are none. Decoded as in
 * 1adrianb/face-alignment (608505f, detection/sfd/bbox.py and detect.py), its
 * numbers taken for pixel-centre coordinates, as its landmarks take them. Boxes
 * may reach out of the picture. ERR_DATA: a number that is not finite.
 * Test: tests/test_s3fd.c */
enum err_code s3fd_decode(const struct s3fd_maps level[S3FD_LEVELS],
                          double least, struct scored_box **out, size_t *n,
                          struct err *e) MUST_USE;

struct s3fd_options {
    enum nn_mode mode;
    enum nn_path path;
    bool bf16;
    size_t fast_bytes; /* as in nn_options */
    double keep;       /* 0: S3FD_KEEP; S3FD_CANDIDATE..1 */
    double overlap;    /* 0: S3FD_OVERLAP; up to 1 */
};

struct s3fd_detector;

/* Weights are read from the file when a plan packs them, so the file is kept
 * (by a reference). ERR_NOTFOUND / ERR_DATA name the file or the parameter;
 * ERR_ARG: options out of range. Test: tests/test_s3fd.c against PyTorch. */
enum err_code s3fd_detector_new(struct safetensors *weights,
                                const struct s3fd_options *o,
                                struct s3fd_detector **out,
                                struct err *e) MUST_USE;
void s3fd_detector_free(struct s3fd_detector **d);
/* The faces of a picture u8[height,width,3] (sRGB), highest score first. *faces
 * belongs to d until the next call. Any size up to S3FD_MAX_PIXELS, else
 * ERR_ARG: the network itself takes any from 32 x 32, smaller pictures get
 * mean-coloured pixels below and on the right. A size is planned when it is
 * first seen; the plans of the last four sizes are kept. */
enum err_code s3fd_detect(struct s3fd_detector *d, const uint8_t *rgb,
                          int height, int width,
                          const struct scored_box **faces, size_t *n,
                          struct err *e) MUST_USE;

#endif
