/* VGG-19's features from layers, and the perceptual loss. */
#include "lib/models/vgg.h"

#include <stdio.h>

#include "lib/models/parts.h"

/* Convolutions of the five stages (of the last only the first counts), and
 * widths as multiples of the first. */
static const int stage_convs[VGG_FEATURES] = {2, 2, 4, 4, 1};
static const int stage_width[VGG_FEATURES] = {1, 2, 4, 8, 8};

int vgg19_features(const struct nn_scope *s, int x, int width,
                   int feature[VGG_FEATURES])
{
    struct nn_scope f = nn_sub(s, "features");
    int at = 0; /* in nn.Sequential: convolution, ReLU, ..., pooling */
    if (width < 0 || width > PARTS_MAX_WIDTH / 8)
        return part_fail(s->g, "VGG-19: width %d", width);
    width = width ? width : 64;
    for (int i = 0; i < VGG_FEATURES; i++) {
        if (i) {
            x = nn_max_pool(s->g, x, &(struct nn_pool_spec){.kernel = 2});
            at++;
        }
        for (int k = 0; k < stage_convs[i]; k++, at += 2) {
            char name[16];
            int64_t out = stage_width[i] * width;
            struct nn_conv_layer c = {.out = out,
                                      .kernel = 3,
                                      .pad = 1,
                                      .init_std = part_he_std(out, 3)};
            snprintf(name, sizeof name, "%d", at);
            x = nn_relu(s->g, nn_conv_layer(&f, x, name, &c));
            if (k == 0)
                feature[i] = x;
        }
    }
    return x;
}

/* From [-1,1] to ImageNet's normalisation of [0,1]. */
static int imagenet(struct nn_graph *g, int x)
{
    static const float mean[3] = {2 * 0.485F - 1, 2 * 0.456F - 1,
                                  2 * 0.406F - 1};
    static const float std[3] = {2 * 0.229F, 2 * 0.224F, 2 * 0.225F};
    return nn_normalize(g, x, mean, std);
}

int vgg_loss(const struct nn_scope *vgg, int a, int b, int width)
{
    static const double weight[VGG_FEATURES] = {1.0 / 32, 1.0 / 16, 1.0 / 8,
                                                1.0 / 4, 1};
    struct nn_graph *g = vgg->g;
    int fa[VGG_FEATURES] = {-1}, fb[VGG_FEATURES] = {-1}, sum = -1;
    nn_graph_frozen(g, true);
    vgg19_features(vgg, imagenet(g, nn_detach(g, b)), width, fb);
    vgg19_features(vgg, imagenet(g, a), width, fa);
    nn_graph_frozen(g, false);
    for (int i = 0; i < VGG_FEATURES; i++) {
        int term = nn_scale(g, nn_l1_loss(g, fa[i], fb[i]), weight[i], 0);
        sum = i ? nn_add(g, sum, term) : term;
    }
    return sum;
}

enum err_code vgg19_read(const struct safetensors *w, const char *prefix,
                         int *width, struct err *e)
{
    bool ok = true;
    int at = 0;
    *width = part_dim(w, prefix, "features.0.weight", 4, 0);
    for (int i = 0; i < VGG_FEATURES && ok; i++) {
        at += i > 0;
        for (int k = 0; k < stage_convs[i] && ok; k++, at += 2) {
            char name[48];
            snprintf(name, sizeof name, "features.%d.weight", at);
            ok = part_dim(w, prefix, name, 4, 0) == stage_width[i] * *width &&
                 part_dim(w, prefix, name, 4, 2) == 3;
        }
    }
    if (!ok || !*width || *width > PARTS_MAX_WIDTH / 8)
        return err_set(e, ERR_DATA,
                       "'%s' holds no VGG-19: %sfeatures.0 to features.28 "
                       "are needed",
                       safetensors_origin(w), prefix);
    return OK;
}
