/* VGG-19's features, and the perceptual loss made from them. */
#ifndef FACET_MODELS_VGG_H
#define FACET_MODELS_VGG_H

#include "lib/nn/layer.h"
#include "lib/nn/safetensors.h"

#define VGG_FEATURES 5

/* Simonyan and Zisserman, "Very deep convolutional networks for large-scale
 * image recognition", ICLR 2015, configuration E, up to relu5_1; names
 * features.<i>. as torchvision's. x [3,H,W], H and W at least 16, ImageNet
 * normalised; feature[0..4] are relu1_1 [width,H,W], relu2_1 [2 width,H/2,W/2],
 * relu3_1, relu4_1, relu5_1 [8 width,H/16,W/16] (halves rounded down). width
 * 0: 64. The last is returned, or -1 after a failure, which the graph keeps.
 * Test: tests/test_models.c. */
int vgg19_features(const struct nn_scope *s, int x, int width,
                   int feature[VGG_FEATURES]);

/* The seed's perceptual loss (P2P; Wang et al. 2018, section 3.3): the sum
 * over the five features of 1/32, 1/16, 1/8, 1/4, 1 times the mean absolute
 * difference. a and b [3,H,W] in [-1,1], brought to ImageNet's normalisation
 * here. vgg is the scope of VGG-19, which is frozen; gradients go to a only.
 * Nodes added after this call are trained again (nn_graph_frozen(g, false)).
 * Returns one number for the batch. */
int vgg_loss(const struct nn_scope *vgg, int a, int b, int width);

/* The width from the shapes of weights under prefix. ERR_DATA if these are
 * not VGG-19's; the text names the file. Layers behind conv5_1 may be in the
 * file or not. */
enum err_code vgg19_read(const struct safetensors *w, const char *prefix,
                         int *width, struct err *e) MUST_USE;

#endif
