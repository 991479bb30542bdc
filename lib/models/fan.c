/* FAN: the network from its weights. */
#include "lib/models/fan.h"

#include "lib/base/mem.h"
#include "lib/models/fan_net.h"
#include "lib/models/fan_pairs.h"

#define N_SIDES (FAN_MAX_SIDE / FAN_SIDE_STEP)

struct fan {
    struct nn_net *net[N_SIDES]; /* of crop side (i + 1) * FAN_SIDE_STEP */
    float *mirrored[N_SIDES];    /* one crop and its maps, for flip */
    struct nn_params *weights;   /* lent by their file, for plans of other
                                    sides */
    struct fan_net_spec spec;
    struct fan_options options;
};

/* Plan the network for crops of a side. */
static enum err_code plan_side(struct fan *f, int side, struct err *e)
{
    struct nn_graph *g = nn_graph_new(e);
    if (!g)
        return ERR_NOMEM;
    struct nn_scope s = nn_scope(g, f->weights);
    nn_output(g, fan_net(&s, nn_input(g, 3, side, side), &f->spec, NULL));
    struct nn_options o = {.path = f->options.path,
                           .mode = f->options.mode,
                           .bf16 = f->options.bf16,
                           .fast_bytes = f->options.fast_bytes,
                           .like = f->net[FAN_SIDE / FAN_SIDE_STEP - 1]};
    enum err_code r = nn_plan(g, &o, &f->net[side / FAN_SIDE_STEP - 1], e);
    nn_graph_free(&g);
    return r;
}

enum err_code fan_new(struct safetensors *weights, const struct fan_options *o,
                      struct fan **out, struct err *e)
{
    *out = NULL;
    struct fan *f = mem_calloc(1, sizeof *f);
    if (!f)
        return err_set(e, ERR_NOMEM, "no memory for FAN");
    f->options = *o;
    enum err_code r = fan_net_read(weights, "", &f->spec, e);
    if (!r && f->spec.points != FAN_POINTS)
        r = err_set(e, ERR_DATA, "'%s': a FAN with %d points, not %d",
                    safetensors_origin(weights), f->spec.points, FAN_POINTS);
    if (!r) {
        f->weights = nn_params_new(0, e);
        r = f->weights ? OK : ERR_NOMEM;
    }
    if (!r) {
        nn_params_lend(f->weights, weights, NULL);
        r = plan_side(f, FAN_SIDE, e);
        nn_params_lend(f->weights, NULL, NULL);
    }
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
        nn_net_free(&(*f)->net[i]);
        mem_free((*f)->mirrored[i]);
    }
    nn_params_free(&(*f)->weights);
    mem_free(*f);
    *f = NULL;
}

struct fan_info fan_info(const struct fan *f)
{
    return (struct fan_info){.features = f->spec.features,
                             .stacks = f->spec.stacks,
                             .parameters = nn_params_total(f->weights)};
}

enum err_code fan_profile(const struct fan *f, struct buf *b, struct err *e)
{
    return nn_net_describe(f->net[FAN_SIDE / FAN_SIDE_STEP - 1], b, e);
}

enum err_code fan_add_mirrored(struct fan *f, int side, const float *crop,
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
    enum err_code r = nn_run(f->net[at], in, out, e);
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
    enum err_code r = f->net[at] ? OK : plan_side(f, side, e);
    for (int64_t i = 0; i < n && !r; i++) {
        const float *in[1] = {crops + i * 3 * side * side};
        float *out[1] = {maps + i * FAN_POINTS * map * map};
        r = nn_run(f->net[at], in, out, e);
        if (!r && flip)
            r = fan_add_mirrored(f, side, in[0], out[0], e);
    }
    return r;
}

enum err_code fan_heatmaps(struct fan *f, const float *crops, int64_t n,
                           bool flip, float *maps, struct err *e)
{
    return fan_heatmaps_at(f, FAN_SIDE, crops, n, flip, maps, e);
}
