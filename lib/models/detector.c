/* The face detector's network. */
#include "lib/models/detector.h"

#include <math.h>
#include <stdio.h>

#include "lib/models/parts.h"

/* Sizes overlap: a face at the border of two levels is found by either. */
const struct detector_level detector_level[DETECTOR_LEVELS] = {
    {8, 24, 0, 44}, {16, 64, 36, 110}, {32, 160, 90, 1e9}};

/* Without the bias: a batch norm follows. */
static int conv_norm(const struct nn_scope *s, int x, const char *name,
                     int64_t out, int64_t kernel, int64_t stride)
{
    char norm[32];
    struct nn_conv_layer c = {.out = out,
                              .kernel = kernel,
                              .stride = stride,
                              .pad = kernel / 2,
                              .no_bias = true};
    snprintf(norm, sizeof norm, "%s_bn", name);
    return nn_batch_norm_layer(s, nn_conv_layer(s, x, name, &c), norm);
}

static int conv_relu(const struct nn_scope *s, int x, const char *name,
                     int64_t out, int64_t stride)
{
    return nn_relu(s->g, conv_norm(s, x, name, out, 3, stride));
}

/* Down by two, then a residual block. */
static int stage(const struct nn_scope *s, int x, int i, int64_t out)
{
    struct nn_scope b = nn_sub(s, "stage%d", i);
    int y = conv_relu(&b, x, "down", out, 2);
    int z = conv_relu(&b, y, "a", out, 1);
    z = conv_norm(&b, z, "b", out, 3, 1);
    return nn_relu(s->g, nn_add(s->g, y, z));
}

/* What a level sees: its own stage's features and those of the coarser one. */
static int merge(const struct nn_scope *s, int x, int coarser, int i,
                 int64_t width)
{
    char name[16];
    snprintf(name, sizeof name, "side%d", i);
    int y = conv_norm(s, x, name, width, 1, 1);
    if (coarser >= 0) {
        struct nn_shape to = nn_graph_shape(s->g, y);
        y = nn_add(s->g, y, nn_resize_nearest(s->g, coarser, to.h, to.w));
    }
    return nn_relu(s->g, y);
}

static int head(const struct nn_scope *s, int x, int i, int64_t width)
{
    struct nn_scope h = nn_sub(s, "head%d", i);
    struct nn_conv_layer c = {.out = DETECTOR_CHANNELS, .kernel = 1};
    return nn_conv_layer(&h, conv_relu(&h, x, "a", width, 1), "out", &c);
}

bool detector_net(const struct nn_scope *s, int x, int width,
                  int level[DETECTOR_LEVELS])
{
    struct nn_shape in = nn_graph_shape(s->g, x);
    int64_t w = width ? width : 16;
    if (w < 4 || w > DETECTOR_MAX_WIDTH || in.h % DETECTOR_STEP ||
        in.w % DETECTOR_STEP) {
        part_fail(s->g, "detector: width %lld, picture %lld x %lld",
                  (long long)w, (long long)in.w, (long long)in.h);
        return false;
    }
    const int64_t out[DETECTOR_LEVELS] = {4 * w, 6 * w, 8 * w};
    int feature[DETECTOR_LEVELS], y = -1;
    x = conv_relu(s, x, "stem1", w, 2);
    x = conv_relu(s, x, "stem2", 2 * w, 2);
    for (int i = 0; i < DETECTOR_LEVELS; i++)
        feature[i] = x = stage(s, x, i, out[i]);
    for (int i = DETECTOR_LEVELS - 1; i >= 0; i--) {
        y = merge(s, feature[i], y, i, 3 * w);
        level[i] = head(s, y, i, 3 * w);
    }
    return level[0] >= 0;
}

enum err_code detector_read(const struct safetensors *w, const char *prefix,
                            int *width, struct err *e)
{
    int v = part_dim(w, prefix, "stem1.weight", 4, 0);
    if (v < 4 || v > DETECTOR_MAX_WIDTH ||
        part_dim(w, prefix, "head0.out.weight", 4, 0) != DETECTOR_CHANNELS ||
        part_dim(w, prefix, "side0.weight", 4, 0) != 3 * v)
        return err_set(e, ERR_DATA, "'%s' holds no face detector of ours",
                       safetensors_origin(w));
    *width = v;
    return OK;
}

void detector_box(const struct detector_level *l, int64_t i, int64_t j,
                  const float v[4], float box[4])
{
    double s = l->stride;
    double x = ((double)i + 0.5 + (double)v[0]) * s - 0.5;
    double y = ((double)j + 0.5 + (double)v[1]) * s - 0.5;
    /* A picture has no face that is e^4 times a level's size. */
    double w = l->size * exp(fmin(fmax((double)v[2], -4), 4));
    double h = l->size * exp(fmin(fmax((double)v[3], -4), 4));
    box[0] = (float)(x - w / 2);
    box[1] = (float)(y - h / 2);
    box[2] = (float)(x + w / 2);
    box[3] = (float)(y + h / 2);
}
