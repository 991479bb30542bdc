/* landmark-lifter: 68 picture points in; true 3-D points, pose and the head's
 * surface out. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/flow/stage.h"
#include "lib/geom/face_frame.h"
#include "lib/geom/head_map.h"
#include "lib/geom/linalg.h"
#include "lib/geom/rotation.h"
#include "lib/models/lift.h"
#include "lib/models/weights.h"
#include "lib/nn/net.h"
#include "lib/nn/threads.h"

enum { REPLACE_Z, REPLACE_ALL, REPLACE_NONE };
enum { OUT_POINTS, OUT_ROTATION, OUT_NEAR, OUT_HEAD, OUTS };

struct lifter {
    const char *model;
    int replace;
    bool surface;
    struct lift_spec spec;
    struct nn_net *net;
    float reference[LANDMARKS][2];
    float *out[OUTS];
};

static enum err_code plan(struct lifter *c, const struct safetensors *w,
                          struct err *e)
{
    const struct nn_options o = {.mode = NN_FAST};
    struct nn_params *ps = nn_params_new(0, e);
    struct nn_graph *g = ps ? nn_graph_new(e) : NULL;
    struct lift_out node;
    enum err_code r = g ? OK : ERR_NOMEM;
    if (g) {
        struct nn_scope s = nn_scope(g, ps);
        nn_params_source(ps, w, "");
        if (lift_net(&s, nn_input(g, 2 * LANDMARKS, 1, 1), &c->spec, &node)) {
            nn_output(g, node.points);
            nn_output(g, node.rotation);
            nn_output(g, node.near);
            nn_output(g, node.head);
        }
        nn_params_source(ps, NULL, NULL);
        r = nn_plan(g, &o, &c->net, e);
    }
    nn_graph_free(&g);
    nn_params_free(&ps);
    return r;
}

static enum err_code read_weights(struct lifter *c, const struct safetensors *w,
                                  struct err *e)
{
    const int64_t shape[2] = {LANDMARKS, 2};
    struct tensor *t = NULL;
    enum err_code r = lift_read(w, &c->spec, e);
    if (!r && c->surface && c->spec.nodes != HEAD_MAP_NODES)
        r = err_set(e, ERR_UNSUPPORTED,
                    "'%s' was trained without this surface (%d nodes, %d "
                    "expected)",
                    safetensors_origin(w), c->spec.nodes, HEAD_MAP_NODES);
    if (!r)
        r = safetensors_weight(w, "reference", 2, shape, &t, e);
    if (!r)
        memcpy(c->reference, t->data, sizeof c->reference);
    tensor_free(&t);
    return r ? r : plan(c, w, e);
}

static enum err_code lifter_open(void *ctx, struct stage *s, struct err *e)
{
    struct lifter *c = ctx;
    char *path = NULL;
    struct safetensors *w = NULL;
    nn_threads_set(stage_threads(s));
    enum err_code r = weights_find(c->model, &path, e);
    if (!r)
        r = safetensors_read(path, &w, e);
    if (!r)
        r = read_weights(c, w, e);
    const size_t size[OUTS] = {3 * LANDMARKS, 9, 1,
                               3 * (LANDMARKS + (size_t)c->spec.nodes)};
    for (int i = 0; i < OUTS && !r; i++) {
        c->out[i] = mem_aligned(size[i] * sizeof(float));
        if (!c->out[i])
            r = err_set(e, ERR_NOMEM, "no memory for the lifter");
    }
    safetensors_free(&w);
    mem_free(path);
    return r;
}

static void lifter_close(void *ctx)
{
    struct lifter *c = ctx;
    nn_net_free(&c->net);
    for (int i = 0; i < OUTS; i++)
        mem_free(c->out[i]);
}

struct lifted {
    float xyz[LANDMARKS][3]; /* picture, z with mean 0 */
    struct face_place place;
    double angle[3];
};

static enum err_code lift(struct lifter *c, const float *pts, int stride,
                          struct lifted *l, struct err *e)
{
    struct face_frame f;
    float x[LANDMARKS][2];
    double m[9], near[9], mean = 0;
    enum err_code r =
        face_frame_fit((const float(*)[2])c->reference, pts, stride, &f, e);
    for (int i = 0; i < LANDMARKS && !r; i++) {
        double p[3] = {(double)pts[i * stride], (double)pts[i * stride + 1], 0};
        double q[3];
        face_frame_in(&f, p, q);
        x[i][0] = (float)q[0];
        x[i][1] = (float)q[1];
    }
    const float *in[] = {x[0]};
    if (!r)
        r = nn_run(c->net, in, c->out, e);
    if (r)
        return r;
    for (int i = 0; i < LANDMARKS; i++) {
        const float *o = c->out[OUT_POINTS] + 3 * i;
        double p[3] = {(double)o[0], (double)o[1], (double)o[2]}, q[3];
        face_frame_out(&f, p, q);
        for (int k = 0; k < 3; k++)
            l->xyz[i][k] = (float)q[k];
        mean += q[2] / LANDMARKS;
    }
    for (int i = 0; i < LANDMARKS; i++)
        l->xyz[i][2] -= (float)mean;
    for (int k = 0; k < 9; k++)
        m[k] = (double)c->out[OUT_ROTATION][k];
    linalg_nearest_rotation(m, near);
    face_frame_turn_out(&f, near, l->place.r);
    rotation_to_euler(l->place.r, &l->angle[0], &l->angle[1], &l->angle[2]);
    l->place.near = fmin(fmax((double)c->out[OUT_NEAR][0], 0), 0.5);
    return face_place_fit((const float(*)[3])c->out[OUT_HEAD],
                          (const float(*)[3])l->xyz, &l->place, e);
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

static enum err_code set_surface(const struct lifter *c, const struct lifted *l,
                                 struct item *it, struct err *e)
{
    const int64_t shape[3] = {HEAD_MAP_ROWS, HEAD_MAP_COLS, 3};
    struct tensor *t = tensor_new(DT_F32, 3, shape, e);
    if (!t)
        return ERR_NOMEM;
    float *map = c->out[OUT_HEAD] + 3 * LANDMARKS;
    face_place_at(&l->place, (const float(*)[3])map, HEAD_MAP_NODES,
                  (float(*)[3])t->data);
    return item_set_tensor(it, "surface", t, e);
}

static enum err_code fill(const struct lifter *c, const struct tensor *given,
                          const struct lifted *l, struct item *it,
                          struct err *e)
{
    static const char *const name[3] = {"pitch_deg", "yaw_deg", "roll_deg"};
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
        r = item_set_f64(it, name[k], l->angle[k], e);
    if (!r)
        r = item_set_f64(it, "near", l->place.near, e);
    return r || !c->surface ? r : set_surface(c, l, it, e);
}

static enum err_code lifter_transform(void *ctx, struct stage *s,
                                      struct item *const *in, size_t n,
                                      struct err *e)
{
    struct lifter *c = ctx;
    struct lifted l;
    const struct tensor *t = item_tensor(in[0], "landmarks");
    (void)n; /* batch is 1: a face takes a quarter of a millisecond */
    if (t->shape[1] < 2 || t->shape[1] > 8)
        return err_set(e, ERR_DATA, "landmarks need x and y");
    enum err_code r = lift(c, tensor_f32(t), (int)t->shape[1], &l, e);
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

#define AT(member) offsetof(struct lifter, member)
static const struct stage_param params[] = {
    {"model", PARAM_STR, AT(model), "lift-384", 0, 0, NULL, NULL,
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
    .ctx_size = sizeof(struct lifter),
    .open = lifter_open,
    .transform = lifter_transform,
    .close = lifter_close,
};

int main(int argc, char **argv)
{
    nn_threads_start(argv);
    return stage_main(&desc, argc, argv);
}
