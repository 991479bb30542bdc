/* ResNets from layers, as torchvision builds them. */
#include "lib/models/resnet.h"

#include <stdio.h>
#include <string.h>

#include "lib/models/parts.h"

const struct resnet_spec resnet_18 = {.blocks = {2, 2, 2, 2}};
const struct resnet_spec resnet_34 = {.blocks = {3, 4, 6, 3}};
const struct resnet_spec resnet_50 = {.blocks = {3, 4, 6, 3},
                                      .bottleneck = true};

static int conv_norm(const struct nn_scope *s, int x, const char *conv,
                     const char *norm, int64_t out, int64_t kernel,
                     int64_t stride)
{
    struct nn_conv_layer c = {.out = out,
                              .kernel = kernel,
                              .stride = stride,
                              .pad = kernel / 2,
                              .no_bias = true,
                              .init_std = part_he_std(out, kernel)};
    return nn_batch_norm_layer(s, nn_conv_layer(s, x, conv, &c), norm);
}

/* `inner` is the width of the 3x3 convolutions; a bottleneck gives 4 times
 * as many channels. */
static int block(const struct nn_scope *s, int x, int64_t inner, int64_t stride,
                 bool bottleneck)
{
    struct nn_graph *g = s->g;
    int64_t out = bottleneck ? inner * 4 : inner;
    int y, residual = x;
    if (bottleneck) {
        y = nn_relu(g, conv_norm(s, x, "conv1", "bn1", inner, 1, 1));
        y = nn_relu(g, conv_norm(s, y, "conv2", "bn2", inner, 3, stride));
        y = conv_norm(s, y, "conv3", "bn3", out, 1, 1);
    } else {
        y = nn_relu(g, conv_norm(s, x, "conv1", "bn1", inner, 3, stride));
        y = conv_norm(s, y, "conv2", "bn2", inner, 3, 1);
    }
    if (stride != 1 || nn_graph_shape(g, x).c != out)
        residual =
            conv_norm(s, x, "downsample.0", "downsample.1", out, 1, stride);
    return nn_relu(g, nn_add(g, y, residual));
}

int resnet_trunk(const struct nn_scope *s, int x, const struct resnet_spec *p)
{
    int64_t width = p->width ? p->width : 64;
    struct nn_pool_spec pool = {.kernel = 3, .stride = 2, .pad = 1};
    for (int i = 0; i < 4; i++) {
        if (p->blocks[i] < 1 || p->blocks[i] > RESNET_MAX_BLOCKS)
            return part_fail(s->g, "ResNet: layer%d has %d blocks", i + 1,
                             p->blocks[i]);
    }
    if (width < 1 || width > PARTS_MAX_WIDTH / 32)
        return part_fail(s->g, "ResNet: width %d", p->width);
    x = nn_relu(s->g, conv_norm(s, x, "conv1", "bn1", width, 7, 2));
    x = nn_max_pool(s->g, x, &pool);
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < p->blocks[i]; k++) {
            struct nn_scope b = nn_sub(s, "layer%d.%d", i + 1, k);
            x = block(&b, x, width << i, i && !k ? 2 : 1, p->bottleneck);
        }
    }
    return x;
}

int resnet_embedding(const struct nn_scope *s, int x,
                     const struct resnet_spec *p)
{
    return nn_global_avg_pool(s->g, resnet_trunk(s, x, p));
}

int resnet_classifier(const struct nn_scope *s, int x,
                      const struct resnet_spec *p, int64_t classes)
{
    x = resnet_embedding(s, x, p);
    return nn_linear_layer(s, x, "fc", classes, false);
}

int resnet_discriminator(const struct nn_scope *s, int x,
                         const struct resnet_spec *p, double dropout)
{
    int64_t hidden = (p->width ? p->width : 64) * 4;
    x = resnet_embedding(s, x, p);
    x = nn_linear_layer(s, x, "fc.0", hidden, false);
    x = nn_leaky_relu(s->g, x, 0.01);
    if (dropout > 0)
        x = nn_dropout(s->g, x, dropout);
    return nn_linear_layer(s, x, "fc.3", 1, false);
}

int resnet_identity_loss(const struct nn_scope *id, int a, int b,
                         const struct resnet_spec *p)
{
    struct nn_graph *g = id->g;
    nn_graph_frozen(g, true);
    nn_graph_eval(g, true);
    b = resnet_embedding(id, nn_detach(g, b), p);
    a = resnet_embedding(id, a, p);
    nn_graph_frozen(g, false);
    nn_graph_eval(g, false);
    /* Every pair belongs together: 1 for each picture. */
    int same = nn_scale(g, nn_slice(g, b, 0, 1), 0, 1);
    return nn_cosine_embedding_loss(g, a, b, same, 0);
}

enum err_code resnet_read(const struct safetensors *w, const char *prefix,
                          struct resnet_info *info, struct err *e)
{
    struct resnet_info r;
    memset(&r, 0, sizeof r);
    r.spec.width = part_dim(w, prefix, "conv1.weight", 4, 0);
    r.channels = part_dim(w, prefix, "conv1.weight", 4, 1);
    r.spec.bottleneck = part_has(w, prefix, "layer1.0.conv3.weight");
    bool ok = r.spec.width && r.channels &&
              part_dim(w, prefix, "conv1.weight", 4, 2) == 7;
    for (int i = 0; i < 4 && ok; i++) {
        char name[16];
        snprintf(name, sizeof name, "layer%d.", i + 1);
        r.spec.blocks[i] =
            part_count(w, prefix, name, ".conv1.weight", 0, RESNET_MAX_BLOCKS);
        ok = r.spec.blocks[i] > 0;
    }
    if (!ok)
        return err_set(e, ERR_DATA,
                       "'%s' holds no ResNet: %sconv1 (7x7) and layer1 to "
                       "layer4 are needed",
                       safetensors_origin(w), prefix);
    if ((r.classes = part_dim(w, prefix, "fc.weight", 2, 0)))
        r.head = RESNET_CLASSES;
    else if ((r.classes = part_dim(w, prefix, "fc.3.weight", 2, 0)) &&
             part_has(w, prefix, "fc.0.weight"))
        r.head = RESNET_DISCRIMINATOR;
    *info = r;
    return OK;
}
