/* landmark-lifter: 68 picture points in; true 3-D points, pose and the head's
 * surface out. */
#include <stddef.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/flow/stage.h"
#include "lib/geom/head_map.h"
#include "lib/models/lifter.h"
#include "lib/models/weights.h"
#include "lib/nn/threads.h"

enum { REPLACE_Z, REPLACE_ALL, REPLACE_NONE };

struct lifter_stage {
    const char *model;
    int replace;
    bool surface;
    struct lifter *lifter;
};

static enum err_code check_surface(const struct lifter_stage *c,
                                   const struct safetensors *w, struct err *e)
{
    if (!c->surface || lifter_nodes(c->lifter) == HEAD_MAP_NODES)
        return OK;
    return err_set(e, ERR_UNSUPPORTED,
                   "'%s' was trained without this surface (%d nodes, %d "
                   "expected)",
                   safetensors_origin(w), lifter_nodes(c->lifter),
                   HEAD_MAP_NODES);
}

static enum err_code lifter_open(void *ctx, struct stage *s, struct err *e)
{
    const struct nn_options o = {.mode = NN_FAST};
    struct lifter_stage *c = ctx;
    char *path = NULL;
    struct safetensors *w = NULL;
    nn_threads_set(stage_threads(s));
    enum err_code r = weights_find(c->model, &path, e);
    if (!r)
        r = safetensors_read(path, &w, e);
    if (!r)
        r = lifter_new(w, &o, &c->lifter, e);
    if (!r)
        r = check_surface(c, w, e);
    safetensors_free(&w);
    mem_free(path);
    return r;
}

static void lifter_close(void *ctx)
{
    struct lifter_stage *c = ctx;
    lifter_free(&c->lifter);
}

static enum err_code set_points(struct item *it, const char *name,
                                const float *v, struct err *e)
{
    const int64_t shape[2] = {LANDMARKS, 3};
    struct tensor *t = tensor_new(DT_F32, 2, shape, e);
    if (!t)
        return ERR_NOMEM;
    memcpy(t->data, v, t->bytes);
    return item_set_tensor(it, name, t, e);
}

static enum err_code set_surface(const struct lifter_stage *c,
                                 const struct lifted *l, struct item *it,
                                 struct err *e)
{
    const int64_t shape[3] = {HEAD_MAP_ROWS, HEAD_MAP_COLS, 3};
    struct tensor *t = tensor_new(DT_F32, 3, shape, e);
    if (!t)
        return ERR_NOMEM;
    lifter_surface(c->lifter, l, (float(*)[3])t->data);
    return item_set_tensor(it, "surface", t, e);
}

static enum err_code fill(const struct lifter_stage *c,
                          const struct tensor *given, const struct lifted *l,
                          struct item *it, struct err *e)
{
    static const char *const name[3] = {"pitch_deg", "yaw_deg", "roll_deg"};
    const double angle[3] = {l->pitch, l->yaw, l->roll};
    float p[LANDMARKS][3];
    enum err_code r = OK;
    memcpy(p, l->xyz, sizeof p);
    for (int i = 0; i < LANDMARKS && c->replace == REPLACE_Z; i++)
        memcpy(p[i], tensor_f32(given) + i * given->shape[1],
               2 * sizeof(float));
    if (c->replace != REPLACE_NONE)
        r = set_points(it, "landmarks", p[0], e);
    if (!r)
        r = set_points(it, "points3d", l->xyz[0], e);
    for (int k = 0; k < 3 && !r; k++)
        r = item_set_f64(it, name[k], angle[k], e);
    if (!r)
        r = item_set_f64(it, "near", l->place.near, e);
    return r || !c->surface ? r : set_surface(c, l, it, e);
}

static enum err_code lifter_transform(void *ctx, struct stage *s,
                                      struct item *const *in, size_t n,
                                      struct err *e)
{
    struct lifter_stage *c = ctx;
    struct lifted l;
    const struct tensor *t = item_tensor(in[0], "landmarks");
    (void)n; /* batch is 1: a face takes a quarter of a millisecond */
    if (t->shape[1] < 2 || t->shape[1] > 8)
        return err_set(e, ERR_DATA, "landmarks need x and y");
    enum err_code r =
        lifter_lift(c->lifter, tensor_f32(t), (int)t->shape[1], &l, e);
    if (r)
        return r;
    struct item *it = item_child(in[0], e);
    if (!it)
        return ERR_NOMEM;
    r = fill(c, t, &l, it, e);
    if (r) {
        item_free(&it);
        return r;
    }
    return stage_emit(s, NULL, it, e);
}

static const struct stage_port in_ports[] = {
    {"in", "landmarks f32[68,*]",
     "68 points as annotators mark them: x, y in picture pixels; more numbers "
     "are not looked at."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out",
     "landmarks f32[68,3], points3d f32[68,3], yaw_deg f64, pitch_deg f64, "
     "roll_deg f64, near f64, surface f32[65,41,3]?",
     "The true points: in the picture, z towards the viewer (pixels, mean 0), "
     "jaw points where the jaw is and not on the outline; the head's pose "
     "(yaw + turns the nose to the picture's right, pitch + lifts it, roll + "
     "is clockwise; R = Rz Ry Rx); outer-eye distance over the camera's "
     "distance; the position map in the picture (lib/geom/head_map.h)."},
    {NULL, NULL, NULL},
};

#define AT(member) offsetof(struct lifter_stage, member)
static const struct stage_param params[] = {
    {"model", PARAM_MODEL, AT(model), "lift-384", 0, 0, NULL, NULL,
     "Weights of the lifting network: a name in models/ (FACET_MODELS adds "
     "folders), or a .safetensors file."},
    {"replace", PARAM_ENUM, AT(replace), "z", 0, 0, "z|all|none", NULL,
     "What becomes of the field landmarks: z, their depth is set and x, y "
     "stay; all, they become points3d; none, they stay."},
    {"surface", PARAM_BOOL, AT(surface), "false", 0, 0, NULL, NULL,
     "Give the position map of the whole head too."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "landmark-lifter",
    .help = "Lifts 68 picture points to 3-D: depth, the jaw behind the visible "
            "outline, pose, and the head's whole surface.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct lifter_stage),
    .open = lifter_open,
    .transform = lifter_transform,
    .close = lifter_close,
};

int main(int argc, char **argv)
{
    nn_threads_start(argv);
    return stage_main(&desc, argc, argv);
}
