/* FAN: the network from its weights. */
#include "lib/models/fan.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/models/fan_pairs.h"

#define BN_EPS 1e-5 /* PyTorch's default */
#define MAX_STACKS 16
#define MAX_FEATURES 4096

struct fan {
    struct nn_net *net;
    struct fan_info info;
    float *mirrored; /* one crop and its maps, for flip */
};

/* What the building functions share. */
struct builder {
    struct nn_graph *g;
    const struct safetensors *w;
    int64_t parameters;
};

/* A parameter "<prefix>.<name>"; NULL after a failure, which the graph
 * keeps. */
static struct tensor *weight(struct builder *b, const char *prefix,
                             const char *name, int ndim,
                             const int64_t *shape)
{
    char full[96];
    struct err e = {0};
    struct tensor *t = NULL;
    snprintf(full, sizeof full, "%s.%s", prefix, name);
    if (nn_graph_status(b->g, NULL))
        return NULL;
    if (safetensors_weight(b->w, full, ndim, shape, &t, &e))
        nn_graph_fail(b->g, &e);
    else
        b->parameters += (int64_t)t->count;
    return t;
}

static int conv(struct builder *b, int x, const char *prefix, int64_t out,
                int64_t k, int64_t stride, bool biased)
{
    int64_t in = nn_graph_shape(b->g, x).c;
    struct tensor *w =
        weight(b, prefix, "weight", 4, (const int64_t[]){out, in, k, k});
    struct tensor *bias =
        biased ? weight(b, prefix, "bias", 1, &out) : NULL;
    int n = w ? nn_conv(b->g, x, w, bias, stride, k / 2) : -1;
    tensor_free(&w);
    tensor_free(&bias);
    return n;
}

static int norm_relu(struct builder *b, int x, const char *prefix)
{
    static const char *const names[] = {"weight", "bias", "running_mean",
                                        "running_var"};
    struct tensor *t[4] = {NULL};
    int64_t c = nn_graph_shape(b->g, x).c;
    for (int i = 0; i < 4; i++)
        t[i] = weight(b, prefix, names[i], 1, &c);
    b->parameters -= 2 * c; /* running statistics are not parameters */
    int n = t[3] ? nn_batch_norm(b->g, x, t[0], t[1], t[2], t[3], BN_EPS)
                 : -1;
    for (int i = 0; i < 4; i++)
        tensor_free(&t[i]);
    return nn_relu(b->g, n);
}

/* Three times BN, ReLU, 3x3; the raw results side by side, plus the input. */
static int conv_block(struct builder *b, int x, const char *prefix,
                      int64_t out)
{
    char name[80];
    int part[3], y = x;
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.bn%d", prefix, i + 1);
        y = norm_relu(b, y, name);
        snprintf(name, sizeof name, "%s.conv%d", prefix, i + 1);
        y = conv(b, y, name, i ? out / 4 : out / 2, 3, 1, false);
        part[i] = y;
    }
    int residual = x;
    if (nn_graph_shape(b->g, x).c != out) {
        snprintf(name, sizeof name, "%s.downsample.0", prefix);
        residual = norm_relu(b, x, name);
        snprintf(name, sizeof name, "%s.downsample.2", prefix);
        residual = conv(b, residual, name, out, 1, 1, false);
    }
    return nn_add(b->g, nn_concat(b->g, part, 3), residual);
}

static int hourglass(struct builder *b, int x, const char *prefix, int level)
{
    char name[64];
    int64_t c = nn_graph_shape(b->g, x).c;
    snprintf(name, sizeof name, "%s.b1_%d", prefix, level);
    int up = conv_block(b, x, name, c);
    snprintf(name, sizeof name, "%s.b2_%d", prefix, level);
    int low = conv_block(b, nn_avg_pool2(b->g, x), name, c);
    if (level > 1) {
        low = hourglass(b, low, prefix, level - 1);
    } else {
        snprintf(name, sizeof name, "%s.b2_plus_%d", prefix, level);
        low = conv_block(b, low, name, c);
    }
    snprintf(name, sizeof name, "%s.b3_%d", prefix, level);
    low = conv_block(b, low, name, c);
    return nn_add(b->g, up, nn_upsample2(b->g, low));
}

static void build(struct builder *b, const struct fan_info *info)
{
    struct nn_graph *g = b->g;
    int64_t f = info->features;
    int x = nn_input(g, 3, FAN_SIDE, FAN_SIDE);
    x = norm_relu(b, conv(b, x, "conv1", 64, 7, 2, true), "bn1");
    x = nn_avg_pool2(g, conv_block(b, x, "conv2", 128));
    x = conv_block(b, x, "conv3", 128);
    x = conv_block(b, x, "conv4", f);
    for (int k = 0; k < info->stacks; k++) {
        char name[32];
        snprintf(name, sizeof name, "m%d", k);
        int y = hourglass(b, x, name, 4);
        snprintf(name, sizeof name, "top_m_%d", k);
        y = conv_block(b, y, name, f);
        snprintf(name, sizeof name, "conv_last%d", k);
        y = conv(b, y, name, f, 1, 1, true);
        snprintf(name, sizeof name, "bn_end%d", k);
        y = norm_relu(b, y, name);
        snprintf(name, sizeof name, "l%d", k);
        int maps = conv(b, y, name, FAN_POINTS, 1, 1, true);
        if (k + 1 == info->stacks) {
            nn_output(g, maps);
            break;
        }
        snprintf(name, sizeof name, "bl%d", k);
        y = conv(b, y, name, f, 1, 1, true);
        snprintf(name, sizeof name, "al%d", k);
        maps = conv(b, maps, name, f, 1, 1, true);
        x = nn_add(g, nn_add(g, x, y), maps);
    }
}

/* Features and stacks from the weights' shapes. */
static enum err_code read_info(const struct safetensors *w,
                               struct fan_info *info, struct err *e)
{
    struct safetensors_entry t;
    if (!safetensors_find(w, "conv_last0.weight", &t) || t.ndim != 4)
        return err_set(e, ERR_DATA, "'%s' holds no FAN: conv_last0.weight is "
                       "missing", safetensors_origin(w));
    if (t.shape[0] < 4 || t.shape[0] > MAX_FEATURES || t.shape[0] % 4)
        return err_set(e, ERR_DATA, "'%s': a FAN with %lld features",
                       safetensors_origin(w), (long long)t.shape[0]);
    info->features = (int)t.shape[0];
    for (info->stacks = 1; info->stacks < MAX_STACKS; info->stacks++) {
        char name[32];
        snprintf(name, sizeof name, "l%d.weight", info->stacks);
        if (!safetensors_find(w, name, NULL))
            break;
    }
    return OK;
}

enum err_code fan_new(const struct safetensors *weights, enum nn_mode mode,
                      struct fan **out, struct err *e)
{
    *out = NULL;
    struct builder b = {.w = weights};
    struct fan *f = mem_calloc(1, sizeof *f);
    if (!f)
        return err_set(e, ERR_NOMEM, "no memory for FAN");
    enum err_code r = read_info(weights, &f->info, e);
    if (!r) {
        b.g = nn_graph_new(e);
        r = b.g ? OK : ERR_NOMEM;
    }
    if (!r) {
        build(&b, &f->info);
        f->info.parameters = b.parameters;
        r = nn_plan(b.g, &(struct nn_options){.mode = mode}, &f->net, e);
    }
    nn_graph_free(&b.g);
    if (r)
        fan_free(&f);
    *out = f;
    return r;
}

void fan_free(struct fan **f)
{
    if (!f || !*f)
        return;
    nn_net_free(&(*f)->net);
    mem_free((*f)->mirrored);
    mem_free(*f);
    *f = NULL;
}

struct fan_info fan_info(const struct fan *f)
{
    return f->info;
}

enum err_code fan_profile(const struct fan *f, struct buf *b, struct err *e)
{
    return nn_net_describe(f->net, b, e);
}

#define CROP_FLOATS (3 * FAN_SIDE * FAN_SIDE)
#define MAP_FLOATS (FAN_POINTS * FAN_MAP * FAN_MAP)

/* Run the mirrored crop and add its maps. */
static enum err_code add_mirrored(struct fan *f, const float *crop,
                                  float *maps, struct err *e)
{
    if (!f->mirrored)
        f->mirrored = mem_array(CROP_FLOATS + MAP_FLOATS, sizeof(float));
    if (!f->mirrored)
        return err_set(e, ERR_NOMEM, "no memory for a mirrored crop");
    float *m = f->mirrored, *n = m + CROP_FLOATS;
    for (int row = 0; row < 3 * FAN_SIDE; row++) {
        for (int x = 0; x < FAN_SIDE; x++)
            m[row * FAN_SIDE + x] = crop[row * FAN_SIDE + FAN_SIDE - 1 - x];
    }
    const float *in[1] = {m};
    float *out[1] = {n};
    enum err_code r = nn_run(f->net, in, out, e);
    if (r)
        return r;
    for (int i = 0; i < FAN_POINTS; i++) {
        const float *from = n + fan_mirror_point[i] * FAN_MAP * FAN_MAP;
        float *to = maps + i * FAN_MAP * FAN_MAP;
        for (int c = 0; c < FAN_MAP * FAN_MAP; c++)
            to[c] += from[c / FAN_MAP * FAN_MAP + FAN_MAP - 1 - c % FAN_MAP];
    }
    return OK;
}

enum err_code fan_heatmaps(struct fan *f, const float *crops, int64_t n,
                           bool flip, float *maps, struct err *e)
{
    enum err_code r = OK;
    for (int64_t i = 0; i < n && !r; i++) {
        const float *in[1] = {crops + i * CROP_FLOATS};
        float *out[1] = {maps + i * MAP_FLOATS};
        r = nn_run(f->net, in, out, e);
        if (!r && flip)
            r = add_mirrored(f, in[0], out[0], e);
    }
    return r;
}
