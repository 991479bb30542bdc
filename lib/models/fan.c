/* FAN: the network from its weights. */
#include "lib/models/fan.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/models/fan_pairs.h"

#define BN_EPS 1e-5 /* PyTorch's default */
#define MAX_STACKS 16
#define MAX_FEATURES 4096

#define N_SIDES (FAN_MAX_SIDE / FAN_SIDE_STEP)

struct fan {
    struct nv_net *net[N_SIDES]; /* of crop side (i + 1) * FAN_SIDE_STEP */
    float *mirrored[N_SIDES];    /* one crop and its maps, for flip */
    struct fan_info info;
    enum nv_mode mode;
    struct tensor **weight; /* in the order in which build() asks for them */
    size_t n_weight, cap_weight;
};

/* What the building functions share. */
struct builder {
    struct nv_graph *g;
    const struct safetensors *w; /* NULL: from the fan's weights */
    struct fan *f;
    size_t next; /* of the fan's weights */
};

/* Keep a weight for plans of other sides. */
static enum err_code keep_weight(struct fan *f, struct tensor *t, struct err *e)
{
    if (f->n_weight == f->cap_weight) {
        size_t cap = f->cap_weight ? f->cap_weight * 2 : 256;
        void *m = mem_resize(f->weight, cap, sizeof *f->weight);
        if (!m)
            return err_set(e, ERR_NOMEM, "no memory for FAN");
        f->weight = m;
        f->cap_weight = cap;
    }
    f->weight[f->n_weight++] = tensor_ref(t);
    return OK;
}

/* A parameter "<prefix>.<name>"; NULL after a failure, which the graph
 * keeps. */
static struct tensor *weight(struct builder *b, const char *prefix,
                             const char *name, int ndim, const int64_t *shape)
{
    char full[96];
    struct err e = {0};
    struct tensor *t = NULL;
    if (nv_graph_status(b->g, NULL))
        return NULL;
    if (!b->w)
        return tensor_ref(b->f->weight[b->next++]);
    snprintf(full, sizeof full, "%s.%s", prefix, name);
    enum err_code r = safetensors_weight(b->w, full, ndim, shape, &t, &e);
    if (!r)
        r = keep_weight(b->f, t, &e);
    if (r) {
        nv_graph_fail(b->g, &e);
        tensor_free(&t);
    } else {
        b->f->info.parameters += (int64_t)t->count;
    }
    return t;
}

static int conv(struct builder *b, int x, const char *prefix, int64_t out,
                int64_t k, int64_t stride, bool biased)
{
    int64_t in = nv_graph_shape(b->g, x).c;
    struct tensor *w =
        weight(b, prefix, "weight", 4, (const int64_t[]){out, in, k, k});
    struct tensor *bias = biased ? weight(b, prefix, "bias", 1, &out) : NULL;
    int n = w ? nv_conv(b->g, x, w, bias, stride, k / 2) : -1;
    tensor_free(&w);
    tensor_free(&bias);
    return n;
}

static int norm_relu(struct builder *b, int x, const char *prefix)
{
    static const char *const names[] = {"weight", "bias", "running_mean",
                                        "running_var"};
    struct tensor *t[4] = {NULL};
    int64_t c = nv_graph_shape(b->g, x).c;
    for (int i = 0; i < 4; i++)
        t[i] = weight(b, prefix, names[i], 1, &c);
    if (b->w)
        b->f->info.parameters -= 2 * c; /* statistics are not parameters */
    int n = t[3] ? nv_batch_norm(b->g, x, t[0], t[1], t[2], t[3], BN_EPS) : -1;
    for (int i = 0; i < 4; i++)
        tensor_free(&t[i]);
    return nv_relu(b->g, n);
}

/* Three times BN, ReLU, 3x3; the raw results side by side, plus the input. */
static int conv_block(struct builder *b, int x, const char *prefix, int64_t out)
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
    if (nv_graph_shape(b->g, x).c != out) {
        snprintf(name, sizeof name, "%s.downsample.0", prefix);
        residual = norm_relu(b, x, name);
        snprintf(name, sizeof name, "%s.downsample.2", prefix);
        residual = conv(b, residual, name, out, 1, 1, false);
    }
    return nv_add(b->g, nv_concat(b->g, part, 3), residual);
}

static int hourglass(struct builder *b, int x, const char *prefix, int level)
{
    char name[64];
    int64_t c = nv_graph_shape(b->g, x).c;
    snprintf(name, sizeof name, "%s.b1_%d", prefix, level);
    int up = conv_block(b, x, name, c);
    snprintf(name, sizeof name, "%s.b2_%d", prefix, level);
    int low = conv_block(b, nv_avg_pool2(b->g, x), name, c);
    if (level > 1) {
        low = hourglass(b, low, prefix, level - 1);
    } else {
        snprintf(name, sizeof name, "%s.b2_plus_%d", prefix, level);
        low = conv_block(b, low, name, c);
    }
    snprintf(name, sizeof name, "%s.b3_%d", prefix, level);
    low = conv_block(b, low, name, c);
    return nv_add(b->g, up, nv_upsample2(b->g, low));
}

static void build(struct builder *b, int side)
{
    struct nv_graph *g = b->g;
    const struct fan_info *info = &b->f->info;
    int64_t f = info->features;
    int x = nv_input(g, 3, side, side);
    x = norm_relu(b, conv(b, x, "conv1", 64, 7, 2, true), "bn1");
    x = nv_avg_pool2(g, conv_block(b, x, "conv2", 128));
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
            nv_output(g, maps);
            break;
        }
        snprintf(name, sizeof name, "bl%d", k);
        y = conv(b, y, name, f, 1, 1, true);
        snprintf(name, sizeof name, "al%d", k);
        maps = conv(b, maps, name, f, 1, 1, true);
        x = nv_add(g, nv_add(g, x, y), maps);
    }
}

/* Features and stacks from the weights' shapes. */
static enum err_code read_info(const struct safetensors *w,
                               struct fan_info *info, struct err *e)
{
    struct safetensors_entry t;
    if (!safetensors_find(w, "conv_last0.weight", &t) || t.ndim != 4)
        return err_set(e, ERR_DATA,
                       "'%s' holds no FAN: conv_last0.weight is "
                       "missing",
                       safetensors_origin(w));
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

/* Plan the network for crops of a side; w is NULL but for the first. */
static enum err_code plan_side(struct fan *f, const struct safetensors *w,
                               int side, struct err *e)
{
    struct builder b = {.w = w, .f = f, .g = nv_graph_new(e)};
    if (!b.g)
        return ERR_NOMEM;
    build(&b, side);
    enum err_code r = nv_plan(b.g, &(struct nv_options){.mode = f->mode},
                              &f->net[side / FAN_SIDE_STEP - 1], e);
    nv_graph_free(&b.g);
    return r;
}

enum err_code fan_new(const struct safetensors *weights, enum nv_mode mode,
                      struct fan **out, struct err *e)
{
    *out = NULL;
    struct fan *f = mem_calloc(1, sizeof *f);
    if (!f)
        return err_set(e, ERR_NOMEM, "no memory for FAN");
    f->mode = mode;
    enum err_code r = read_info(weights, &f->info, e);
    if (!r)
        r = plan_side(f, weights, FAN_SIDE, e);
    if (r)
        fan_free(&f);
    *out = f;
    return r;
}

void fan_free(struct fan **f)
{
    if (!f || !*f)
        return;
    for (int i = 0; i < N_SIDES; i++) {
        nv_net_free(&(*f)->net[i]);
        mem_free((*f)->mirrored[i]);
    }
    for (size_t i = 0; i < (*f)->n_weight; i++)
        tensor_free(&(*f)->weight[i]);
    mem_free((*f)->weight);
    mem_free(*f);
    *f = NULL;
}

struct fan_info fan_info(const struct fan *f)
{
    return f->info;
}

enum err_code fan_profile(const struct fan *f, struct buf *b, struct err *e)
{
    return nv_net_describe(f->net[FAN_SIDE / FAN_SIDE_STEP - 1], b, e);
}

/* Run the mirrored crop and add its maps. */
static enum err_code add_mirrored(struct fan *f, int side, const float *crop,
                                  float *maps, struct err *e)
{
    int at = side / FAN_SIDE_STEP - 1, w = FAN_MAP_OF(side);
    size_t crop_floats = 3 * (size_t)side * (size_t)side;
    size_t map_floats = FAN_POINTS * (size_t)w * (size_t)w;
    if (!f->mirrored[at])
        f->mirrored[at] = mem_array(crop_floats + map_floats, sizeof(float));
    if (!f->mirrored[at])
        return err_set(e, ERR_NOMEM, "no memory for a mirrored crop");
    float *m = f->mirrored[at], *n = m + crop_floats;
    for (int row = 0; row < 3 * side; row++) {
        for (int x = 0; x < side; x++)
            m[row * side + x] = crop[row * side + side - 1 - x];
    }
    const float *in[1] = {m};
    float *out[1] = {n};
    enum err_code r = nv_run(f->net[at], in, out, e);
    if (r)
        return r;
    for (int i = 0; i < FAN_POINTS; i++) {
        const float *from = n + fan_mirror_point[i] * w * w;
        float *to = maps + i * w * w;
        for (int c = 0; c < w * w; c++)
            to[c] += from[c / w * w + w - 1 - c % w];
    }
    return OK;
}

enum err_code fan_heatmaps_at(struct fan *f, int side, const float *crops,
                              int64_t n, bool flip, float *maps, struct err *e)
{
    if (side < FAN_SIDE_STEP || side > FAN_MAX_SIDE || side % FAN_SIDE_STEP)
        return err_set(e, ERR_ARG,
                       "FAN: crops of side %d (multiples of %d "
                       "up to %d)",
                       side, FAN_SIDE_STEP, FAN_MAX_SIDE);
    int at = side / FAN_SIDE_STEP - 1;
    int64_t map = FAN_MAP_OF(side);
    enum err_code r = f->net[at] ? OK : plan_side(f, NULL, side, e);
    for (int64_t i = 0; i < n && !r; i++) {
        const float *in[1] = {crops + i * 3 * side * side};
        float *out[1] = {maps + i * FAN_POINTS * map * map};
        r = nv_run(f->net[at], in, out, e);
        if (!r && flip)
            r = add_mirrored(f, side, in[0], out[0], e);
    }
    return r;
}

enum err_code fan_heatmaps(struct fan *f, const float *crops, int64_t n,
                           bool flip, float *maps, struct err *e)
{
    return fan_heatmaps_at(f, FAN_SIDE, crops, n, flip, maps, e);
}
