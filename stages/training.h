/* What trainer stages have in common: their parameters, and the loop of
 * lib/train with a stage as its host. */
#ifndef FACET_STAGES_TRAINING_H
#define FACET_STAGES_TRAINING_H

#include <stdlib.h>

#include "lib/flow/stage.h"
#include "lib/train/train.h"

/* clang-format off */
#define TRAINING_ROW(ctx, m, name, type, member, def, min, max, choices, unit, \
                     help)                                                     \
    {name, type, offsetof(ctx, m.member), def, min, max, choices, unit, help}

/* Rows of a parameter table for the member `m` (struct train_options) of the
 * context type `ctx`; rate, batch_, epochs_: defaults as texts. */
#define TRAINING_PARAMS(ctx, m, rate, batch_, epochs_)                         \
    TRAINING_ROW(ctx, m, "out", PARAM_PATH, out, NULL, 0, 0, NULL, NULL,       \
        "Folder of the run: checkpoint, model, tables, curves, card. A run "   \
        "whose checkpoint is there goes on."),                                 \
    TRAINING_ROW(ctx, m, "init", PARAM_FILE, init, "", 0, 0, NULL, NULL,       \
        "Weights to begin with: safetensors, or a checkpoint."),               \
    TRAINING_ROW(ctx, m, "epochs", PARAM_INT, epochs, epochs_, 1, 1e6, NULL,   \
        NULL, "How often the training samples are gone through."),             \
    TRAINING_ROW(ctx, m, "batch", PARAM_INT, batch, batch_, 1, 4096, NULL,     \
        NULL, "Samples a step."),                                              \
    TRAINING_ROW(ctx, m, "seed", PARAM_INT, seed, "1", 0, 1e15, NULL, NULL,    \
        "Of first weights and dropout."),                                      \
    TRAINING_ROW(ctx, m, "optimiser", PARAM_ENUM, optimiser, "adam", 0, 0,     \
        "sgd|adam|adamw", NULL, "How steps are made."),                        \
    TRAINING_ROW(ctx, m, "lr", PARAM_FLOAT, lr, rate, 0, 10, NULL, NULL,       \
        "Learning rate."),                                                     \
    TRAINING_ROW(ctx, m, "momentum", PARAM_FLOAT, momentum, "0.9", 0, 0.9999,  \
        NULL, NULL, "Of SGD."),                                                \
    TRAINING_ROW(ctx, m, "beta1", PARAM_FLOAT, beta1, "0.9", 0, 0.99999, NULL, \
        NULL, "Of Adam and AdamW."),                                           \
    TRAINING_ROW(ctx, m, "beta2", PARAM_FLOAT, beta2, "0.999", 0, 0.9999999,   \
        NULL, NULL, "Of Adam and AdamW."),                                     \
    TRAINING_ROW(ctx, m, "weight-decay", PARAM_FLOAT, weight_decay, "0", 0, 1, \
        NULL, NULL, "L2 in SGD and Adam, decoupled in AdamW."),                \
    TRAINING_ROW(ctx, m, "clip", PARAM_FLOAT, clip, "0", 0, 1e6, NULL, NULL,   \
        "Largest norm of the gradient; 0: any."),                              \
    TRAINING_ROW(ctx, m, "ema", PARAM_FLOAT, ema, "0.999", 0, 0.999999, NULL,  \
        NULL, "Decay of an average of the weights, which is then what is "     \
        "validated and kept; 0: none."),                                       \
    TRAINING_ROW(ctx, m, "schedule", PARAM_ENUM, schedule, "cosine", 0, 0,     \
        "constant|step|cosine|plateau", NULL,                                  \
        "How the learning rate falls."),                                       \
    TRAINING_ROW(ctx, m, "warmup", PARAM_FLOAT, warmup, "0", 0, 1e6, NULL,     \
        "epochs", "Rise from a small rate first."),                            \
    TRAINING_ROW(ctx, m, "lr-min", PARAM_FLOAT, lr_min, "0", 0, 10, NULL,      \
        NULL, "Where cosine and plateau end."),                                \
    TRAINING_ROW(ctx, m, "factor", PARAM_FLOAT, factor, "0.2", 0.0001, 0.9999, \
        NULL, NULL, "Step and plateau: what the rate is multiplied by."),      \
    TRAINING_ROW(ctx, m, "every", PARAM_INT, every, "10", 1, 1e6, NULL,        \
        "epochs", "Step: how often the rate falls."),                          \
    TRAINING_ROW(ctx, m, "patience", PARAM_INT, patience, "5", 0, 1e6, NULL,   \
        "epochs", "Plateau: how long it waits."),                              \
    TRAINING_ROW(ctx, m, "threshold", PARAM_FLOAT, threshold, "1e-3", 0,       \
        0.9999, NULL, NULL, "Plateau: the relative improvement that counts."), \
    TRAINING_ROW(ctx, m, "stop-early", PARAM_INT, stop_early, "0", 0, 1e6,     \
        NULL, "epochs", "End after so many without improvement; 0: never."),   \
    TRAINING_ROW(ctx, m, "checkpoint-every", PARAM_INT, checkpoint_every, "0", \
        0, 1e9, NULL, "steps", "0: at the ends of epochs only."),              \
    TRAINING_ROW(ctx, m, "log-every", PARAM_INT, log_every, "10", 1, 1e9,      \
        NULL, "steps", "How many a row of steps.csv is the mean of."),         \
    TRAINING_ROW(ctx, m, "sheet-every", PARAM_INT, sheet_every, "1", 0, 1e6,   \
        NULL, "epochs", "How often a sheet of samples is drawn; 0: never."),   \
    TRAINING_ROW(ctx, m, "precision", PARAM_ENUM, precision, "fast", 0, 0,     \
        "exact|fast|bf16", NULL,                                               \
        "fast: Winograd convolution; bf16: activations and gradients of 8 "    \
        "bits' precision, weights in f32.")
/* clang-format on */

/* The first member of a trainer stage's context, so that the calls below can be
 * its transform and finish. */
struct training {
    struct train_options o;
    struct trainer *loop; /* trainer_free in the stage's close */
};

static inline void training_status(void *s, const char *text)
{
    stage_status(s, "%s", text);
}

static inline void training_report(void *s, const char *text)
{
    stage_report(s, "%s", text);
}

static inline void training_enough(void *s)
{
    stage_enough(s);
}

static inline bool training_stopping(void *s)
{
    return stage_stopping(s);
}

/* Make the loop for stage s, in its open(). */
static inline enum err_code MUST_USE training_open(
    struct stage *s, const struct train_options *o,
    const struct train_task *task, struct trainer **out, struct err *e)
{
    struct buf config;
    const char *command = getenv("FACET_COMMAND");
    buf_init(&config, (size_t)1 << 20);
    enum err_code r = stage_config(s, &config, e);
    const struct train_host host = {
        .arg = s,
        .status = training_status,
        .report = training_report,
        .enough = training_enough,
        .stopping = training_stopping,
        .config = buf_str(&config),
        .command = command ? command : "",
        .recipe = stage_recipe(s),
    };
    if (!r)
        r = trainer_new(o, task, &host, out, e);
    buf_free(&config);
    return r;
}

/* Hand an input on. An error of the loop ends the run; that of an item that is
 * no sample is the item's. */
static inline enum err_code MUST_USE training_item(struct trainer *t,
                                                   struct stage *s,
                                                   const struct item *it,
                                                   struct err *e)
{
    bool item_only = false;
    enum err_code r = trainer_item(t, it, &item_only, e);
    if (r && !item_only && r != ERR_CANCEL)
        stage_break(s, r, "%s", e->text);
    return r;
}

/* Of stages that give the loop every item as it comes. */
static inline enum err_code training_transform(void *ctx, struct stage *s,
                                               struct item *const *in, size_t n,
                                               struct err *e)
{
    struct training *t = ctx;
    (void)n; /* one item a call: rows are gathered by the loop */
    return training_item(t->loop, s, in[0], e);
}

static inline enum err_code training_finish(void *ctx, struct stage *s,
                                            struct err *e)
{
    struct training *t = ctx;
    (void)s;
    return trainer_finish(t->loop, e);
}

#endif
