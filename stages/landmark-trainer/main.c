/* landmark-trainer: annotated face crops in, a landmark network out. */
#include <stddef.h>
#include <stdio.h>

#include "lib/nn/threads.h"
#include "stages/landmark-trainer/net.h"
#include "stages/training.h"

struct landmark_trainer {
    struct training training;
    int64_t stacks, features, stem, trunk;
    double sigma, points;
    struct landmark_net net;
};

static const char card[] =
    "FAN-shaped network (Bulat and Tzimiropoulos 2017) whose 68 heatmaps are "
    "read as distributions: input RGB/255, 256 x 256, a square round the face; "
    "a point is the mean of its map's softmax near the maximum "
    "(`decode: softmax`).\n\n"
    "Crop: the box of the points, its top raised by 0.22 of its height; centre "
    "the middle of that box, y less 0.06 of its height; side 200 (w + h) / "
    "195.\n\n"
    "Intended use: finding facial landmarks for research on face pictures. "
    "Terms: those of the pictures and annotations that it was trained on (see "
    "the configuration; 300-W annotations are for research only). Finding and "
    "identifying faces touches personal data.\n";

static const struct safetensors_pair meta[] = {
    {"model", "fan"},      {"crop", "facet"},      {"decode", "softmax"},
    {"min_score", "0.30"}, {"good_score", "0.45"}, {NULL, NULL}};

static enum err_code trainer_stage_open(void *ctx, struct stage *s,
                                        struct err *e)
{
    struct landmark_trainer *c = ctx;
    nn_threads_set(stage_threads(s));
    c->net.spec = (struct fan_net_spec){.stacks = (int)c->stacks,
                                        .features = (int)c->features,
                                        .stem = (int)c->stem,
                                        .trunk = (int)c->trunk,
                                        .points = 68};
    c->net.loss =
        (struct fan_loss_spec){.sigma = c->sigma, .points = c->points};
    enum err_code r = landmark_net_new(&c->net, &c->training.o, e);
    if (r)
        return r;
    const struct train_task task = {
        .name = "landmarks",
        .metric = "NME",
        .unit = "%",
        .part = {{"net", c->net.ps, NULL}},
        .ctx = &c->net,
        .put = landmark_net_put,
        .step = landmark_net_step,
        .validate = landmark_net_validate,
        .sheet = landmark_net_sheet,
        .runs = landmark_net_runs,
        .set_runs = landmark_net_set_runs,
        .meta = meta,
        .card = card,
    };
    return training_open(s, &c->training.o, &task, &c->training.loop, e);
}

static void trainer_stage_close(void *ctx)
{
    struct landmark_trainer *c = ctx;
    trainer_free(&c->training.loop);
    landmark_net_free(&c->net);
}

static const struct stage_port in_ports[] = {
    {"in",
     "frame u8[H,W,3]?, landmarks_true f32[68,*]?, sample i64?, role str?, "
     "val_count i64?, epoch_size i64?",
     "Crops of 256 x 256 with true points in their pixels, as face-augmenter "
     "gives them, in a stream (docs/training.md); failed ones too, whose "
     "places stay empty."},
    {NULL, NULL, NULL},
};
#define AT(m) offsetof(struct landmark_trainer, m)
static const struct stage_param params[] = {
    TRAINING_PARAMS(struct landmark_trainer, training.o, "3e-3", "16", "100"),
    {"stacks", PARAM_INT, AT(stacks), "1", 1, FAN_NET_MAX_STACKS, NULL, NULL,
     "Hourglasses one after the other."},
    {"features", PARAM_INT, AT(features), "128", 4, FAN_NET_MAX_FEATURES, NULL,
     NULL, "Their width."},
    {"stem", PARAM_INT, AT(stem), "32", 4, 1024, NULL, NULL,
     "Width of the first convolution."},
    {"trunk", PARAM_INT, AT(trunk), "64", 4, 1024, NULL, NULL,
     "Width of the two blocks after it."},
    {"sigma", PARAM_FLOAT, AT(sigma), "1", 0.1, 10, NULL, "cells",
     "Of the target Gaussians; a cell is 4 pixels of the crop."},
    {"points", PARAM_FLOAT, AT(points), "0.5", 0, 100, NULL, NULL,
     "Weight of the distance between found and true points beside the maps' "
     "cross entropy."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "landmark-trainer",
    .help = "Trains a network that finds 68 landmarks in a face crop. Its "
            "commit is a checkpoint; a run that was stopped goes on from it.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .params = params,
    .aside = "out checkpoint-every log-every sheet-every",
    .ctx_size = sizeof(struct landmark_trainer),
    .open = trainer_stage_open,
    .transform = training_transform,
    .finish = training_finish,
    .close = trainer_stage_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
