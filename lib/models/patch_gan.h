/* PatchGAN: a discriminator that judges every patch of a picture. */
#ifndef FACET_MODELS_PATCH_GAN_H
#define FACET_MODELS_PATCH_GAN_H

#include "lib/models/parts.h"

/* Sizes; 0 means pix2pix's. */
struct patch_gan_spec {
    int width;           /* of the first convolution: 64 */
    int layers;          /* convolutions of stride 2: 3 (70x70 patches) */
    enum part_norm norm; /* PART_BATCH or PART_INSTANCE */
};

/* Isola et al., "Image-to-image translation with conditional adversarial
 * networks", CVPR 2017, as in junyanz/pytorch-CycleGAN-and-pix2pix
 * (models/networks.py, NLayerDiscriminator): 4x4 convolutions with padding 1,
 * leaky ReLU 0.2, names model.<i>., weights drawn from N(0, 0.02). x [C,H,W] to
 * logits [1,h,w]. -1 after a failure, which the graph keeps. Test:
 * tests/test_models.c. */
int patch_gan(const struct nn_scope *s, int x,
              const struct patch_gan_spec *spec);
/* Sizes and input channels from the shapes of weights under prefix. ERR_DATA
 * if these are not a PatchGAN's; the text names the file. */
enum err_code patch_gan_read(const struct safetensors *w, const char *prefix,
                             struct patch_gan_spec *spec, int *channels,
                             struct err *e) MUST_USE;

#endif
