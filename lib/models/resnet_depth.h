/* ResNetDepth: the depth of 68 landmarks. */
#ifndef FACET_MODELS_RESNET_DEPTH_H
#define FACET_MODELS_RESNET_DEPTH_H

#include "lib/models/resnet.h"

/* 1adrianb/face-alignment (608505f, models/resnet.py): a bottleneck ResNet
 * with blocks 3, 8, 36, 3 over 71 planes, average pooling 7x7, linear. */
extern const struct resnet_spec resnet_depth_spec;

/* x [71,H,W] (the crop's RGB in 0..1 and 68 Gaussians; 256 x 256 as published)
 * to [points,1,1], points 0: 68. Of the last map the top-left 7x7 counts, so H
 * and W are 193 to 447. spec NULL: resnet_depth_spec. -1 after a failure,
 * which the graph keeps. Test: tests/test_models.c. */
int resnet_depth(const struct nn_scope *s, int x,
                 const struct resnet_spec *spec, int64_t points);

#endif
