/* detector-trainer: pictures with true boxes in, a face detector out. */
#include <stddef.h>
#include <stdio.h>

#include "lib/nn/threads.h"
#include "stages/detector-trainer/net.h"
#include "stages/training.h"

struct detector_trainer {
    struct training training;
    int64_t width, size;
    double alpha, gamma, box;
    struct detector_train net;
};

static const char card[] =
    "Single-shot face detector: input RGB/255, sides multiples of 32; boxes "
    "at strides 8, 16 and 32 with a score each, one for each face after "
    "non-maximum suppression. A box is that of the 68 landmarks, brows to "
    "chin.\n\n"
    "Intended use: finding faces in pictures for research on them. Terms: "
    "those of the pictures and annotations that it was trained on (see the "
    "configuration; 300-W annotations are for research only). Finding faces "
    "touches personal data.\n";

static const struct safetensors_pair meta[] = {
    {"model", "detector"}, {"box", "landmarks"}, {NULL, NULL}};

static enum err_code detector_open(void *ctx, struct stage *s, struct err *e)
{
    struct detector_trainer *c = ctx;
    nn_threads_set(stage_threads(s));
    c->net.width = (int)c->width;
    c->net.side = c->size;
    c->net.loss = (struct detector_loss_spec){c->alpha, c->gamma, c->box};
    enum err_code r = detector_train_new(&c->net, &c->training.o, e);
    if (r)
        return r;
    const struct train_task task = {
        .name = "face boxes",
        .metric = "AP",
        .unit = "%",
        .larger_is_better = true,
        .part = {{"net", c->net.ps, NULL}},
        .ctx = &c->net,
        .put = detector_train_put,
        .step = detector_train_step,
        .validate = detector_train_validate,
        .sheet = detector_train_sheet,
        .runs = detector_train_runs,
        .set_runs = detector_train_set_runs,
        .meta = meta,
        .card = card,
    };
    return training_open(s, &c->training.o, &task, &c->training.loop, e);
}

static void detector_close(void *ctx)
{
    struct detector_trainer *c = ctx;
    trainer_free(&c->training.loop);
    detector_train_free(&c->net);
}

static const struct stage_port in_ports[] = {
    {"in",
     "frame u8[S,S,3]?, boxes_true f32[*,4]?, boxes_ignore f32[*,4]?, sample "
     "i64?, role str?, val_count i64?, epoch_size i64?",
     "Pictures with true boxes as face-compositor gives them, in a stream "
     "(docs/training.md); failed ones too, whose places stay empty."},
    {NULL, NULL, NULL},
};
#define AT(m) offsetof(struct detector_trainer, m)
static const struct stage_param params[] = {
    TRAINING_PARAMS(struct detector_trainer, training.o, "2e-3", "16", "40"),
    {"width", PARAM_INT, AT(width), "16", 4, DETECTOR_MAX_WIDTH, NULL, NULL,
     "Of the first convolution; all others follow."},
    {"size", PARAM_INT, AT(size), "320", 64, 2048, NULL, "px",
     "Side of the pictures, a multiple of 32."},
    {"alpha", PARAM_FLOAT, AT(alpha), "0.25", 0, 1, NULL, NULL,
     "Focal loss: weight of faces against what is none."},
    {"gamma", PARAM_FLOAT, AT(gamma), "2", 0, 10, NULL, NULL,
     "Focal loss: how much less what is sure counts."},
    {"box", PARAM_FLOAT, AT(box), "1", 0, 1000, NULL, NULL,
     "Weight of the boxes' error beside the scores'."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "detector-trainer",
    .help = "Trains a network that finds the boxes of faces in whole pictures. "
            "Its commit is a checkpoint; a run that was stopped goes on from "
            "it.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .params = params,
    .aside = "out checkpoint-every log-every sheet-every",
    .ctx_size = sizeof(struct detector_trainer),
    .open = detector_open,
    .transform = training_transform,
    .finish = training_finish,
    .close = detector_close,
};

int main(int argc, char **argv)
{
    nn_threads_start(argv);
    return stage_main(&desc, argc, argv);
}
