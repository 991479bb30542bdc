/* PatchGAN from layers. */
#include "lib/models/patch_gan.h"

#include <stdio.h>

#define MAX_LAYERS 8
#define SLOPE 0.2
#define INIT_STD 0.02

static int conv(const struct nn_scope *s, int x, int at, int64_t out,
                int64_t stride, bool no_bias)
{
    char name[16];
    struct nn_conv_layer c = {.out = out,
                              .kernel = 4,
                              .stride = stride,
                              .pad = 1,
                              .no_bias = no_bias,
                              .init_std = INIT_STD};
    snprintf(name, sizeof name, "%d", at);
    return nn_conv_layer(s, x, name, &c);
}

int patch_gan(const struct nn_scope *s, int x,
              const struct patch_gan_spec *spec)
{
    int layers = spec->layers ? spec->layers : 3;
    int width = spec->width ? spec->width : 64;
    if (layers < 1 || layers > MAX_LAYERS || width < 1 ||
        width > PARTS_MAX_WIDTH / 8)
        return part_fail(s->g, "PatchGAN: %d layers, width %d", layers, width);
    if (spec->norm != PART_BATCH && spec->norm != PART_INSTANCE)
        return part_fail(s->g, "PatchGAN: batch or instance norm");
    struct nn_scope m = nn_sub(s, "model");
    bool no_bias = spec->norm == PART_BATCH;
    x = nn_leaky_relu(s->g, conv(&m, x, 0, width, 2, false), SLOPE);
    int at = 2;
    for (int i = 1; i <= layers; i++, at += 3) {
        char name[16];
        int64_t out = (int64_t)width << (i < 3 ? i : 3);
        x = conv(&m, x, at, out, i < layers ? 2 : 1, no_bias);
        snprintf(name, sizeof name, "%d", at + 1);
        x = part_norm(&m, x, name, spec->norm, 0);
        x = nn_leaky_relu(s->g, x, SLOPE);
    }
    return conv(&m, x, at, 1, 1, false);
}

enum err_code patch_gan_read(const struct safetensors *w, const char *prefix,
                             struct patch_gan_spec *spec, int *channels,
                             struct err *e)
{
    struct patch_gan_spec p = {.width =
                                   part_dim(w, prefix, "model.0.weight", 4, 0),
                               .norm = part_norm_read(w, prefix, "model.3")};
    char name[32] = "";
    bool ok = p.width && p.width <= PARTS_MAX_WIDTH / 8 &&
              part_dim(w, prefix, "model.0.weight", 4, 2) == 4;
    int out = 0;
    for (; ok && out != 1 && p.layers <= MAX_LAYERS; p.layers++) {
        snprintf(name, sizeof name, "model.%d.weight", 2 + 3 * p.layers);
        out = part_dim(w, prefix, name, 4, 0);
        ok = out && part_dim(w, prefix, name, 4, 2) == 4;
    }
    p.layers--; /* the last convolution is none of them */
    *channels = part_dim(w, prefix, "model.0.weight", 4, 1);
    if (!ok || out != 1 || p.layers < 1 || p.norm == PART_GROUP)
        return err_set(e, ERR_DATA,
                       "'%s' holds no PatchGAN: 4x4 convolutions %smodel.0, "
                       "model.2, model.5, ... down to one channel are needed",
                       safetensors_origin(w), prefix);
    *spec = p;
    return OK;
}
