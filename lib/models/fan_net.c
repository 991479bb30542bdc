/* FAN from layers: stem, stacked hourglasses, heatmaps after each. */
#include "lib/models/fan_net.h"

#include <stdio.h>

#include "lib/models/parts.h"

#define DEPTH 4 /* of an hourglass */

static int norm_relu(const struct nn_scope *s, int x, const char *name)
{
    return nn_relu(s->g, nn_batch_norm_layer(s, x, name));
}

static int conv1x1(const struct nn_scope *s, int x, const char *name,
                   int64_t out, bool no_bias)
{
    struct nn_conv_layer c = {.out = out, .kernel = 1, .no_bias = no_bias};
    return nn_conv_layer(s, x, name, &c);
}

/* Three times BN, ReLU, 3x3; the raw results side by side, plus the input. */
static int conv_block(const struct nn_scope *s, int x, int64_t out)
{
    int part[3], y = x;
    for (int i = 0; i < 3; i++) {
        char name[8];
        struct nn_conv_layer c = {.out = i ? out / 4 : out / 2,
                                  .kernel = 3,
                                  .pad = 1,
                                  .no_bias = true};
        snprintf(name, sizeof name, "bn%d", i + 1);
        y = norm_relu(s, y, name);
        snprintf(name, sizeof name, "conv%d", i + 1);
        y = nn_conv_layer(s, y, name, &c);
        part[i] = y;
    }
    int residual = x;
    if (nn_graph_shape(s->g, x).c != out) {
        residual = norm_relu(s, x, "downsample.0");
        residual = conv1x1(s, residual, "downsample.2", out, true);
    }
    return nn_add(s->g, nn_concat(s->g, part, 3), residual);
}

static int block(const struct nn_scope *s, int x, int64_t out, const char *name,
                 int i)
{
    struct nn_scope b = nn_sub(s, "%s%d", name, i);
    return conv_block(&b, x, out);
}

static int hourglass(const struct nn_scope *s, int x, int level)
{
    int64_t f = nn_graph_shape(s->g, x).c;
    struct nn_pool_spec half = {.kernel = 2};
    int up = block(s, x, f, "b1_", level);
    int low = block(s, nn_avg_pool(s->g, x, &half), f, "b2_", level);
    if (level > 1)
        low = hourglass(s, low, level - 1);
    else
        low = block(s, low, f, "b2_plus_", level);
    low = block(s, low, f, "b3_", level);
    struct nn_shape to = nn_graph_shape(s->g, up);
    return nn_add(s->g, up, nn_resize_nearest(s->g, low, to.h, to.w));
}

static int stem(const struct nn_scope *s, int x, const struct fan_net_spec *p)
{
    struct nn_conv_layer first = {
        .out = p->stem, .kernel = 7, .stride = 2, .pad = 3};
    struct nn_pool_spec half = {.kernel = 2};
    x = norm_relu(s, nn_conv_layer(s, x, "conv1", &first), "bn1");
    x = nn_avg_pool(s->g, block(s, x, p->trunk, "conv", 2), &half);
    x = block(s, x, p->trunk, "conv", 3);
    return block(s, x, p->features, "conv", 4);
}

/* One stack: its heatmaps to *maps; the input of the next is returned. */
static int stack(const struct nn_scope *s, int x, const struct fan_net_spec *p,
                 int k, int *maps)
{
    char name[16];
    struct nn_scope m = nn_sub(s, "m%d", k);
    int y = block(s, hourglass(&m, x, DEPTH), p->features, "top_m_", k);
    snprintf(name, sizeof name, "conv_last%d", k);
    y = conv1x1(s, y, name, p->features, false);
    snprintf(name, sizeof name, "bn_end%d", k);
    y = norm_relu(s, y, name);
    snprintf(name, sizeof name, "l%d", k);
    *maps = conv1x1(s, y, name, p->points, false);
    if (k + 1 == p->stacks)
        return *maps;
    snprintf(name, sizeof name, "bl%d", k);
    y = conv1x1(s, y, name, p->features, false);
    snprintf(name, sizeof name, "al%d", k);
    int z = conv1x1(s, *maps, name, p->features, false);
    return nn_add(s->g, nn_add(s->g, x, y), z);
}

static bool in_range(const struct fan_net_spec *p)
{
    const int width[] = {p->features, p->trunk, p->stem, p->points};
    for (int i = 0; i < 4; i++) {
        if (width[i] < 1 || width[i] > FAN_NET_MAX_FEATURES)
            return false;
    }
    return p->features % 4 == 0 && p->trunk % 4 == 0 && p->stacks >= 1 &&
           p->stacks <= FAN_NET_MAX_STACKS;
}

int fan_net(const struct nn_scope *s, int x, const struct fan_net_spec *spec,
            int *maps)
{
    struct fan_net_spec p = *spec;
    p.stacks = p.stacks ? p.stacks : 4;
    p.features = p.features ? p.features : 256;
    p.stem = p.stem ? p.stem : 64;
    p.trunk = p.trunk ? p.trunk : 128;
    p.points = p.points ? p.points : 68;
    struct nn_shape in = nn_graph_shape(s->g, x);
    if (!in_range(&p))
        return part_fail(s->g, "FAN: %d stacks of %d features, %d points",
                         p.stacks, p.features, p.points);
    if (in.h % 64 || in.w % 64)
        return part_fail(s->g, "FAN: %lld x %lld is no multiple of 64",
                         (long long)in.h, (long long)in.w);
    x = stem(s, x, &p);
    for (int k = 0; k < p.stacks; k++) {
        int m = -1;
        x = stack(s, x, &p, k, &m);
        if (maps)
            maps[k] = m;
    }
    return x;
}

enum err_code fan_net_read(const struct safetensors *w, const char *prefix,
                           struct fan_net_spec *spec, struct err *e)
{
    struct fan_net_spec p = {
        .features = part_dim(w, prefix, "conv_last0.weight", 4, 0),
        .stem = part_dim(w, prefix, "conv1.weight", 4, 0),
        .trunk = part_dim(w, prefix, "conv2.conv1.weight", 4, 0) * 2,
        .points = part_dim(w, prefix, "l0.weight", 4, 0),
        .stacks = part_count(w, prefix, "l", ".weight", 0, FAN_NET_MAX_STACKS),
    };
    if (!p.features)
        return err_set(e, ERR_DATA,
                       "'%s' holds no FAN: %sconv_last0.weight is missing",
                       safetensors_origin(w), prefix);
    if (!in_range(&p))
        return err_set(
            e, ERR_DATA, "'%s' holds no FAN: widths %d, %d, %d, %d points",
            safetensors_origin(w), p.stem, p.trunk, p.features, p.points);
    *spec = p;
    return OK;
}
