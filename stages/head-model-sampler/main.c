/* head-model-sampler: random heads of a linear model as a landmarker sees
 * them, with the truth, as a stream for training. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/flow/stage.h"
#include "lib/geom/head_map.h"
#include "lib/geom/head_sample.h"
#include "lib/store/epochs.h"
#include "stages/head-model-sampler/read.h"

struct sampler {
    const char *model, *resume;
    int64_t epochs, epoch_size, val, seed;
    double own_share;
    bool surface, seen;
    struct head_range range;
    struct head_sampler *own, *other; /* other NULL: all are own heads */
    int64_t next, first, end;         /* first: of training */
    float (*map)[3];
};

static enum err_code make(const struct head_model *m, bool own, bool surface,
                          struct head_sampler **out, struct err *e)
{
    struct head_node *node =
        surface ? mem_calloc(HEAD_MAP_NODES, sizeof *node) : NULL;
    enum err_code r = OK;
    if (surface && !node)
        return err_set(e, ERR_NOMEM, "no memory for a map");
    if (surface)
        r = own ? head_map_own(m, node, e) : head_map_register(m, node, e);
    if (!r)
        r = head_sampler_new(m, node, surface ? HEAD_MAP_NODES : 0, out, e);
    mem_free(node);
    return r;
}

static enum err_code open_models(struct sampler *c, struct err *e)
{
    struct head_model *m = NULL;
    bool own = strcmp(c->model, "own") == 0;
    enum err_code r = OK;
    if (own || c->own_share > 0) {
        r = head_model_own(&m, e);
        if (!r)
            r = make(m, true, c->surface, &c->own, e);
        head_model_free(&m);
    }
    if (!own && !r) {
        r = head_model_read(c->model, &m, e);
        if (!r)
            r = make(m, false, c->surface, &c->other, e);
        head_model_free(&m);
    }
    return r;
}

static enum err_code sampler_open(void *ctx, struct stage *s, struct err *e)
{
    struct sampler *c = ctx;
    int64_t at = 0, n = stage_replicas(s), k = stage_replica(s);
    enum err_code r = open_models(c, e);
    if (!r)
        r = epochs_read_resume(c->resume, &at, e);
    if (r)
        return r;
    c->map = mem_calloc(HEAD_MAP_NODES, sizeof *c->map);
    if (!c->map)
        return err_set(e, ERR_NOMEM, "no memory for a map");
    c->end = c->val + c->epochs * c->epoch_size;
    c->first = at < c->val ? c->val : at < c->end ? at : c->end;
    stage_expect(s, (c->end - c->first + c->val + n - 1 - k) / n);
    return OK;
}

/* The next position that is this replica's; what was trained on already is
 * left out, but validation comes again. */
static bool next_position(struct sampler *c, struct stage *s, int64_t *out)
{
    int64_t n = stage_replicas(s), k = stage_replica(s);
    for (;; c->next++) {
        if (c->next == c->val)
            c->next = c->first;
        if (c->next >= c->end || c->next % n == k)
            break;
    }
    *out = c->next++;
    return *out < c->end;
}

static enum err_code set_floats(struct item *it, const char *name,
                                const float *v, int64_t rows, int64_t cols,
                                struct err *e)
{
    const int64_t shape[2] = {rows, cols};
    struct tensor *t = tensor_new(DT_F32, 2, shape, e);
    if (!t)
        return ERR_NOMEM;
    memcpy(t->data, v, t->bytes);
    return item_set_tensor(it, name, t, e);
}

static enum err_code set_surface(struct item *it, const float *v, struct err *e)
{
    const int64_t shape[3] = {HEAD_MAP_ROWS, HEAD_MAP_COLS, 3};
    struct tensor *t = tensor_new(DT_F16, 3, shape, e);
    if (!t)
        return ERR_NOMEM;
    uint16_t *to = t->data;
    for (size_t i = 0; i < t->count; i++)
        to[i] = f32_to_f16(v[i]);
    return item_set_tensor(it, "surface_true", t, e);
}

static enum err_code set_seen(const struct sampler *c, struct item *it,
                              const struct head_sample *h, struct err *e)
{
    const int64_t shape[3] = {HEAD_MAP_ROWS, HEAD_MAP_COLS, 3};
    struct tensor *t = tensor_new(DT_F32, 3, shape, e);
    if (!t)
        return ERR_NOMEM;
    head_sample_see(h, (const float(*)[3])c->map, HEAD_MAP_NODES,
                    (float(*)[3])t->data);
    return item_set_tensor(it, "surface_seen", t, e);
}

static enum err_code set_sample(const struct sampler *c, struct item *it,
                                const struct head_sample *h, struct err *e)
{
    static const char *const angle[3] = {"pitch_true", "yaw_true", "roll_true"};
    enum err_code r =
        set_floats(it, "landmarks", h->points[0], LANDMARKS, 2, e);
    if (!r)
        r = set_floats(it, "landmarks_true", h->truth[0], LANDMARKS, 3, e);
    if (!r)
        r = set_floats(it, "head_true", h->head[0], LANDMARKS, 3, e);
    for (int k = 0; k < 3 && !r; k++)
        r = item_set_f64(it, angle[k], h->pose_deg[k], e);
    if (!r)
        r = item_set_f64(it, "near_true", h->near, e);
    if (!r && c->surface)
        r = set_surface(it, c->map[0], e);
    if (!r && c->surface && c->seen)
        r = set_seen(c, it, h, e);
    return r;
}

static enum err_code set_order(const struct sampler *c, struct item *it,
                               int64_t at, struct err *e)
{
    bool val = at < c->val;
    int64_t epoch = val ? -1 : (at - c->val) / c->epoch_size;
    enum err_code r = item_set_i64(it, "sample", at, e);
    if (!r)
        r = item_set_str(it, "role", val ? "val" : "train", e);
    if (!r)
        r = item_set_i64(it, "epoch", epoch, e);
    if (!r)
        r = item_set_i64(it, "val_count", c->val, e);
    return r ? r : item_set_i64(it, "epoch_size", c->epoch_size, e);
}

static enum err_code sampler_produce(void *ctx, struct stage *s, bool *end,
                                     struct err *e)
{
    struct sampler *c = ctx;
    struct head_sample h;
    struct rng r;
    int64_t at;
    char key[48];
    if (!next_position(c, s, &at)) {
        *end = true;
        return OK;
    }
    rng_seed(&r, (uint64_t)c->seed * 0x9E3779B97F4A7C15U + (uint64_t)at);
    /* The draw is made in any case: a file of own heads gives own heads. */
    double whose = rng_unit(&r);
    bool own = !c->other || whose < c->own_share;
    head_sampler_draw(own ? c->own : c->other, &r, &c->range, &h,
                      c->surface ? c->map : NULL);
    struct item *it = item_new(e);
    if (!it)
        return ERR_NOMEM;
    snprintf(key, sizeof key, "%lld.%lld", (long long)c->seed, (long long)at);
    item_set_key(it, key);
    enum err_code rc = set_sample(c, it, &h, e);
    if (!rc)
        rc = set_order(c, it, at, e);
    if (rc) {
        item_free(&it);
        return rc;
    }
    return stage_emit(s, NULL, it, e);
}

static void sampler_close(void *ctx)
{
    struct sampler *c = ctx;
    head_sampler_free(&c->own);
    head_sampler_free(&c->other);
    mem_free(c->map);
}

static const struct stage_port out_ports[] = {
    {"out",
     "landmarks f32[68,2], landmarks_true f32[68,3], head_true f32[68,3], "
     "yaw_true "
     "f64, pitch_true f64, roll_true f64, near_true f64, surface_true "
     "f16[65,41,3]?, surface_seen f32[65,41,3]?, sample i64, role str, epoch "
     "i64, val_count i64, "
     "epoch_size i64",
     "One head: points as a landmarker would mark them in a picture, with "
     "noise, jaw points on the visible contour; the true points there, z "
     "towards the viewer (pixels, mean 0); the same and the position map in "
     "the head's frame (unit: outer-eye distance of a standard head); degrees; "
     "that unit over the camera's distance; and its place in the stream."},
    {NULL, NULL, NULL},
};

#define AT(member) offsetof(struct sampler, member)
static const struct stage_param params[] = {
    {"model", PARAM_STR, AT(model), "own", 0, 0, NULL, NULL,
     "own: the project's parametric head; else a .safetensors file of a linear "
     "head (mean, identity, expression, triangles, part, landmarks68)."},
    {"own-share", PARAM_FLOAT, AT(own_share), "0", 0, 1, NULL, NULL,
     "Share of own heads among those of a file."},
    {"surface", PARAM_BOOL, AT(surface), "true", 0, 0, NULL, NULL,
     "Give the position map of each head too."},
    {"seen", PARAM_BOOL, AT(seen), "false", 0, 0, NULL, NULL,
     "Give it also as it lies in the picture, as landmarks_true."},
    {"epochs", PARAM_INT, AT(epochs), "1", 1, 1e6, NULL, NULL,
     "How many; every one has new heads."},
    {"epoch-size", PARAM_INT, AT(epoch_size), "20000", 1, 1e9, NULL, NULL,
     "Heads an epoch."},
    {"val", PARAM_INT, AT(val), "1000", 0, 65536, NULL, NULL,
     "Heads that come first, for validation."},
    {"seed", PARAM_INT, AT(seed), "1", 0, 1e15, NULL, NULL,
     "Another seed, other heads."},
    {"resume", PARAM_PATH, AT(resume), "", 0, 0, NULL, NULL,
     "Go on at the sample whose number a trainer has written to "
     "FOLDER/position, if there is one (validation comes first all the same)."},
    {"yaw", PARAM_FLOAT, AT(range.yaw), "90", 0, 90, NULL, "deg",
     "Heads turn so far to either side."},
    {"pitch", PARAM_FLOAT, AT(range.pitch), "35", 0, 60, NULL, "deg",
     "Up and down; a few go farther."},
    {"roll", PARAM_FLOAT, AT(range.roll), "25", 0, 90, NULL, "deg",
     "Tilt; a few go farther."},
    {"expression", PARAM_FLOAT, AT(range.expression), "1", 0, 1, NULL, NULL,
     "0 neutral, 1 lively."},
    {"noise", PARAM_FLOAT, AT(range.noise), "1", 0, 5, NULL, NULL,
     "Errors of the points, 1 as of a good landmarker; 0: exact points."},
    {"pull", PARAM_FLOAT, AT(range.pull), "1", 0, 5, NULL, NULL,
     "How much points of turned faces are drawn to where those of frontal ones "
     "are, 1 as of our landmarker."},
    {"nearest", PARAM_FLOAT, AT(range.nearest), "4.5", 0, 1000, NULL,
     "outer-eye distances",
     "How near cameras come; 0: parallel projection only."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "head-model-sampler",
    .help = "Draws heads of a linear model as a landmarker sees them, with the "
            "truth. Identity, expression, pose, camera and noise follow from "
            "the seed and the sample's number alone.",
    .kind = STAGE_SOURCE,
    .out = out_ports,
    .params = params,
    .aside = "resume",
    .ctx_size = sizeof(struct sampler),
    .open = sampler_open,
    .produce = sampler_produce,
    .close = sampler_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
