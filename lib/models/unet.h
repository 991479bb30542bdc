/* A U-Net of any depth and width. */
#ifndef FACET_MODELS_UNET_H
#define FACET_MODELS_UNET_H

#include "lib/models/parts.h"

#define UNET_MAX_DEPTH 8

/* Sizes; 0 means the usual one. */
struct unet_spec {
    int depth;           /* halvings: 4 */
    int width;           /* of the first level, doubled by each halving: 64 */
    int out;             /* channels: 3 */
    enum part_norm norm; /* after each 3x3 */
    int groups;          /* of PART_GROUP: 8 */
    bool bilinear;       /* upsampling by interpolation (align_corners), the
                            lowest level then no wider than the one above; else
                            by transposed convolution 2x2 */
};

/* Ronneberger et al., "U-Net: Convolutional networks for biomedical image
 * segmentation", MICCAI 2015, with padding and norms as in
 * milesial/Pytorch-UNet (unet/unet_parts.py), whose names these are:
 * inc.double_conv.<i>, down<k>.maxpool_conv.1.double_conv.<i>,
 * up<k>.up, up<k>.conv.double_conv.<i>, outc.conv. Skips are concatenated
 * before the upsampled map, which is padded with zeros to their size. x
 * [C,H,W] to [out,H,W], H and W at least 2^depth. -1 after a failure, which the
 * graph keeps. Test: tests/test_models.c. */
int unet(const struct nn_scope *s, int x, const struct unet_spec *spec);
/* Sizes and input channels from the shapes of weights under prefix (groups
 * cannot be told: 8). ERR_DATA if these are not a U-Net's; the text names the
 * file. */
enum err_code unet_read(const struct safetensors *w, const char *prefix,
                        struct unet_spec *spec, int *channels,
                        struct err *e) MUST_USE;

#endif
