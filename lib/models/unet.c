/* A U-Net from layers. */
#include "lib/models/unet.h"

#include <stdio.h>

/* Twice 3x3, norm, ReLU; the first to `mid` channels. */
static int double_conv(const struct nn_scope *s, int x, int64_t mid,
                       int64_t out, const struct unet_spec *p)
{
    struct nn_scope d = nn_sub(s, "double_conv");
    for (int i = 0; i < 2; i++) {
        char conv[8], norm[8];
        struct nn_conv_layer c = {.out = i ? out : mid,
                                  .kernel = 3,
                                  .pad = 1,
                                  .no_bias = p->norm != PART_NONE};
        snprintf(conv, sizeof conv, "%d", 3 * i);
        snprintf(norm, sizeof norm, "%d", 3 * i + 1);
        x = nn_conv_layer(&d, x, conv, &c);
        x = nn_relu(s->g, part_norm(&d, x, norm, p->norm, p->groups));
    }
    return x;
}

/* The upsampled x beside the skip, brought to its size. */
static int join(struct nn_graph *g, int x, int skip)
{
    struct nn_shape a = nn_graph_shape(g, x), b = nn_graph_shape(g, skip);
    int64_t dy = b.h - a.h, dx = b.w - a.w;
    if (dy || dx)
        x = nn_pad(g, x, NN_PAD_ZERO, dy / 2, dy - dy / 2, dx / 2, dx - dx / 2);
    return nn_concat(g, (int[]){skip, x}, 2);
}

static int up(const struct nn_scope *s, int x, int skip, int64_t out,
              const struct unet_spec *p)
{
    struct nn_shape in = nn_graph_shape(s->g, x);
    struct nn_scope c = nn_sub(s, "conv");
    int64_t mid = out;
    if (p->bilinear) {
        mid = in.c;
        x = nn_resize_bilinear(s->g, x, 2 * in.h, 2 * in.w, true);
    } else {
        struct nn_conv_layer t = {
            .out = in.c / 2, .kernel = 2, .stride = 2, .transposed = true};
        x = nn_conv_layer(s, x, "up", &t);
    }
    return double_conv(&c, join(s->g, x, skip), mid, out, p);
}

static bool in_range(const struct unet_spec *p)
{
    return p->depth >= 1 && p->depth <= UNET_MAX_DEPTH && p->width >= 1 &&
           p->width <= PARTS_MAX_WIDTH >> p->depth && p->out >= 1 &&
           p->groups >= 1 &&
           (p->norm != PART_GROUP || p->width % p->groups == 0) &&
           (!p->bilinear || p->width % 2 == 0);
}

int unet(const struct nn_scope *s, int x, const struct unet_spec *spec)
{
    struct unet_spec p = *spec;
    struct nn_shape in = nn_graph_shape(s->g, x);
    int level[UNET_MAX_DEPTH];
    p.depth = p.depth ? p.depth : 4;
    p.width = p.width ? p.width : 64;
    p.out = p.out ? p.out : 3;
    p.groups = p.groups ? p.groups : 8;
    if (!in_range(&p))
        return part_fail(s->g, "U-Net: depth %d, width %d, %d groups", p.depth,
                         p.width, p.groups);
    if (x >= 0 && (in.h >> p.depth < 1 || in.w >> p.depth < 1))
        return part_fail(s->g, "U-Net: %lld x %lld is too small for depth %d",
                         (long long)in.h, (long long)in.w, p.depth);
    struct nn_scope b = nn_sub(s, "inc");
    x = double_conv(&b, x, p.width, p.width, &p);
    for (int i = 1; i <= p.depth; i++) {
        int64_t out = (int64_t)p.width << i;
        level[i - 1] = x;
        if (i == p.depth && p.bilinear)
            out /= 2;
        x = nn_max_pool(s->g, x, &(struct nn_pool_spec){.kernel = 2});
        b = nn_sub(s, "down%d.maxpool_conv.1", i);
        x = double_conv(&b, x, out, out, &p);
    }
    for (int i = p.depth - 1; i >= 0; i--) {
        int64_t out = (int64_t)p.width << i;
        if (p.bilinear && i)
            out /= 2;
        b = nn_sub(s, "up%d", p.depth - i);
        x = up(&b, x, level[i], out, &p);
    }
    b = nn_sub(s, "outc");
    struct nn_conv_layer last = {.out = p.out, .kernel = 1};
    return nn_conv_layer(&b, x, "conv", &last);
}

enum err_code unet_read(const struct safetensors *w, const char *prefix,
                        struct unet_spec *spec, int *channels, struct err *e)
{
    struct unet_spec p = {
        .depth = part_count(w, prefix, "down",
                            ".maxpool_conv.1.double_conv.0.weight", 1,
                            UNET_MAX_DEPTH),
        .width = part_dim(w, prefix, "inc.double_conv.0.weight", 4, 0),
        .out = part_dim(w, prefix, "outc.conv.weight", 4, 0),
        .norm = part_norm_read(w, prefix, "inc.double_conv.1"),
        .groups = 8,
        .bilinear = !part_has(w, prefix, "up1.up.weight")};
    if (part_has(w, prefix, "inc.double_conv.0.bias"))
        p.norm = PART_NONE;
    *channels = part_dim(w, prefix, "inc.double_conv.0.weight", 4, 1);
    if (!*channels || !in_range(&p))
        return err_set(e, ERR_DATA,
                       "'%s' holds no U-Net: %sinc.double_conv.0, "
                       "down1.maxpool_conv.1 and outc.conv are needed",
                       safetensors_origin(w), prefix);
    *spec = p;
    return OK;
}
