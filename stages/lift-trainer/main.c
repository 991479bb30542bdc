/* lift-trainer: heads as a landmarker sees them in, a lifting network out. */
#include <stddef.h>
#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/geom/head_map.h"
#include "lib/nn/threads.h"
#include "stages/lift-trainer/net.h"
#include "stages/training.h"

#define MAX_HELD 65536

struct lift_trainer {
    struct training training;
    int64_t width, blocks, codes;
    double w_points, w_rotation, w_near, w_head;
    bool surface;
    struct lift_train net;
    struct item **held; /* [vals] validation samples until all are there */
    int64_t vals, n_held;
    bool begun; /* the last layer's beginning is made, or not needed */
};

static const char card[] =
    "Lifts 68 picture points (iBUG order, jaw points on the visible contour) "
    "to true 3-D points, pose, camera distance and a position map of the whole "
    "head (65 x 41 points). Input: points in the face's own frame "
    "(lib/geom/face_frame.h), 136 numbers.\n\n"
    "Intended use: depth, pose and surface of faces for research and "
    "augmentation. It sees points, never pictures. Its heads are those of the "
    "linear model that it was trained on (see the configuration): ages, "
    "proportions and expressions beyond that are drawn towards it. Terms: "
    "those of that model. A face's shape is personal data of its owner.\n";

static const struct safetensors_pair meta[] = {
    {"model", "lift"}, {"map", "65x41"}, {NULL, NULL}};

static enum err_code open_(void *ctx, struct stage *s, struct err *e)
{
    struct lift_trainer *c = ctx;
    struct lift_train *n = &c->net;
    nn_threads_set(stage_threads(s));
    n->spec = (struct lift_spec){.width = (int)c->width,
                                 .blocks = (int)c->blocks,
                                 .codes = (int)c->codes,
                                 .nodes = c->surface ? HEAD_MAP_NODES : 0};
    n->w_points = c->w_points;
    n->w_rotation = c->w_rotation;
    n->w_near = c->w_near;
    n->w_head = c->w_head;
    enum err_code r = lift_train_new(n, &c->training.o, e);
    if (r)
        return r;
    const struct train_task task = {
        .name = "lifting",
        .metric = "3-D error",
        .unit = "%",
        .part = {{"net", n->ps, NULL}},
        .ctx = n,
        .put = lift_train_put,
        .step = lift_train_step,
        .validate = lift_train_validate,
        .runs = lift_train_runs,
        .set_runs = lift_train_set_runs,
        .meta = meta,
        .card = card,
    };
    r = training_open(s, &c->training.o, &task, &c->training.loop, e);
    c->begun =
        !r && (trainer_steps(c->training.loop) > 0 || *c->training.o.init);
    return r;
}

static void drop_held(struct lift_trainer *c)
{
    for (int64_t i = 0; c->held && i < c->vals; i++)
        item_free(&c->held[i]);
    mem_free(c->held);
    c->held = NULL;
    c->n_held = 0;
}

/* Validation samples come first; they are kept until the last is there, as
 * the loop takes its first step only after it. They may come in any order, and
 * twice, but are used in the stream's: sums of floats depend on it. */
static enum err_code begin(struct lift_trainer *c, const struct item *it,
                           struct err *e)
{
    int64_t vals = item_i64(it, "val_count", 0);
    int64_t at = item_i64(it, "sample", -1);
    if (vals < 1 || vals > MAX_HELD) {
        c->begun = true;
        return OK;
    }
    if (!c->held) {
        c->held = mem_calloc((size_t)vals, sizeof(struct item *));
        c->vals = vals;
    }
    if (!c->held)
        return err_set(e, ERR_NOMEM, "no memory for held-back samples");
    /* Another count is refused by the loop. */
    if (at < 0 || at >= vals || vals != c->vals || c->held[at])
        return OK;
    c->held[at] = item_child(it, e);
    if (!c->held[at])
        return err_set(e, ERR_NOMEM, "no memory for held-back samples");
    if (++c->n_held < vals)
        return OK;
    c->begun = true;
    enum err_code r = lift_train_components(&c->net, c->held, (size_t)vals, e);
    drop_held(c);
    return r;
}

static enum err_code transform(void *ctx, struct stage *s,
                               struct item *const *in, size_t n, struct err *e)
{
    struct lift_trainer *c = ctx;
    (void)n; /* one item a call: rows are gathered by the loop */
    if (!c->begun) {
        enum err_code r = begin(c, in[0], e);
        if (r) {
            stage_break(s, r, "%s", e->text);
            return r;
        }
    }
    return training_item(c->training.loop, s, in[0], e);
}

static enum err_code finish(void *ctx, struct stage *s, struct err *e)
{
    struct lift_trainer *c = ctx;
    enum err_code r = trainer_finish(c->training.loop, e);
    if (!r && c->net.yaw_mae > 0)
        stage_report(s, "yaw MAE of the last validation %.2f deg",
                     c->net.yaw_mae);
    return r;
}

static void close_(void *ctx)
{
    struct lift_trainer *c = ctx;
    drop_held(c);
    trainer_free(&c->training.loop);
    lift_train_free(&c->net);
}

static const struct stage_port in_ports[] = {
    {"in",
     "landmarks f32[68,2]?, landmarks_true f32[68,3]?, head_true f32[68,3]?, "
     "yaw_true f64?, pitch_true f64?, roll_true f64?, near_true f64?, "
     "surface_true f16[65,41,3]?, sample i64?, val_count i64?, epoch_size i64?",
     "Heads with their truth as head-model-sampler gives them, in a stream "
     "(docs/training.md)."},
    {NULL, NULL, NULL},
};
#define AT(m) offsetof(struct lift_trainer, m)
static const struct stage_param params[] = {
    TRAINING_PARAMS(struct lift_trainer, training.o, "1e-3", "256", "60"),
    {"width", PARAM_INT, AT(width), "384", 4, LIFT_MAX_WIDTH, NULL, NULL,
     "Of the hidden layers."},
    {"blocks", PARAM_INT, AT(blocks), "4", 0, LIFT_MAX_BLOCKS, NULL, NULL,
     "Residual blocks of two layers each."},
    {"codes", PARAM_INT, AT(codes), "48", 1, LIFT_MAX_CODES, NULL, NULL,
     "Numbers that a head's shape is told by."},
    {"surface", PARAM_BOOL, AT(surface), "true", 0, 0, NULL, NULL,
     "Learn the position map too."},
    {"points", PARAM_FLOAT, AT(w_points), "1", 0, 1000, NULL, NULL,
     "Weight of the error of the true points."},
    {"rotation", PARAM_FLOAT, AT(w_rotation), "1", 0, 1000, NULL, NULL,
     "Weight of the error of the rotation's nine numbers."},
    {"near", PARAM_FLOAT, AT(w_near), "1", 0, 1000, NULL, NULL,
     "Weight of the error of the camera's nearness."},
    {"head", PARAM_FLOAT, AT(w_head), "1", 0, 1000, NULL, NULL,
     "Weight of the error of points and map in the head's frame."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "lift-trainer",
    .help = "Trains a network that lifts 68 picture points to 3-D points, pose "
            "and surface. Its commit is a checkpoint; a run that was stopped "
            "goes on from it.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .params = params,
    .aside = "out checkpoint-every log-every sheet-every",
    .ctx_size = sizeof(struct lift_trainer),
    .open = open_,
    .transform = transform,
    .finish = finish,
    .close = close_,
};

int main(int argc, char **argv)
{
    nn_threads_start(argv);
    return stage_main(&desc, argc, argv);
}
