/* ResNets: classifier, embedding, and pose2pose's discriminator. */
#ifndef FACET_MODELS_RESNET_H
#define FACET_MODELS_RESNET_H

#include "lib/nn/layer.h"
#include "lib/nn/safetensors.h"

#define RESNET_MAX_BLOCKS 256 /* of one of the four stages */

/* He et al., "Deep residual learning for image recognition", CVPR 2016; built
 * and named as torchvision's (models/resnet.py): conv1 7x7 stride 2, bn1,
 * ReLU, max pooling 3 stride 2, layer1..layer4 of basic or bottleneck blocks
 * (stride in the 3x3), and, by the functions below, fc. */
struct resnet_spec {
    int blocks[4];
    bool bottleneck;
    int width; /* of conv1 and layer1; 0: 64 */
};
extern const struct resnet_spec resnet_18, resnet_34, resnet_50;

/* x [C,H,W] to the last feature map [8 width (32 width with bottlenecks),
 * H/32, W/32], rounded up. -1 after a failure, which the graph keeps. */
int resnet_trunk(const struct nn_scope *s, int x, const struct resnet_spec *p);
/* The pooled features: [512,1,1] for ResNet-18 and -34. */
int resnet_embedding(const struct nn_scope *s, int x,
                     const struct resnet_spec *p);
/* Logits [classes,1,1]: fc.weight, fc.bias. */
int resnet_classifier(const struct nn_scope *s, int x,
                      const struct resnet_spec *p, int64_t classes);
/* One logit [1,1,1], "is this picture real": fc.0 to 256 (width x 4), leaky
 * ReLU 0.01, dropout, fc.3 (P2P: p2p/models.py, Discriminator; there the
 * dropout is 0.5). */
int resnet_discriminator(const struct nn_scope *s, int x,
                         const struct resnet_spec *p, double dropout);

/* The seed's identity loss (P2P: p2p/train.py): the mean over the batch of 1 -
 * cosine of the embeddings of a and b, pictures as the net takes them. id is
 * the scope of the identity net (a ResNet-34), which is frozen and goes by its
 * running statistics; gradients go to a only. Nodes added after this call are
 * trained again (nn_graph_frozen and nn_graph_eval off). Returns one number
 * for the batch. */
int resnet_identity_loss(const struct nn_scope *id, int a, int b,
                         const struct resnet_spec *p);

/* What heads a file holds. */
enum resnet_head { RESNET_NO_HEAD, RESNET_CLASSES, RESNET_DISCRIMINATOR };
struct resnet_info {
    struct resnet_spec spec;
    int channels; /* of the input */
    enum resnet_head head;
    int classes; /* outputs of the head's last layer */
};
/* Sizes from the shapes of weights under prefix. ERR_DATA if these are not a
 * ResNet's; the text names the file. Test: tests/test_models.c. */
enum err_code resnet_read(const struct safetensors *w, const char *prefix,
                          struct resnet_info *info, struct err *e) MUST_USE;

#endif
