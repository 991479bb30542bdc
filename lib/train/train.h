/* The loop that every trainer shares: items in order, steps, validation, best
 * weights, checkpoints, logs, charts, a model card. A trainer stage gives what
 * is its own (struct train_task) and hands its items on. */
#ifndef FACET_TRAIN_TRAIN_H
#define FACET_TRAIN_TRAIN_H

#include "lib/data/item.h"
#include "lib/nn/optim.h"
#include "lib/nn/schedule.h"
#include "lib/nn/train.h"

enum train_precision { TRAIN_EXACT, TRAIN_FAST, TRAIN_BF16 };

/* Every trainer's parameters (stages/training.h makes the table). */
struct train_options {
    const char *out;  /* folder of the run */
    const char *init; /* weights to begin with, "" for random ones */
    int64_t epochs, batch, seed;
    int optimiser; /* enum nn_optim_kind */
    double lr, momentum, beta1, beta2, weight_decay, clip, ema;
    int schedule; /* enum nn_schedule_kind */
    double warmup, lr_min, factor, threshold;
    int64_t every, patience;  /* epochs: step and plateau */
    int64_t stop_early;       /* epochs without a better metric; 0: never */
    int64_t checkpoint_every; /* steps; 0: at the end of epochs only */
    int64_t log_every;        /* steps a line of steps.csv */
    int64_t sheet_every;      /* epochs a sheet of samples; 0: none */
    int precision;            /* enum train_precision */
};
/* Precision and batch as a plan wants them. */
struct nn_train_options train_plan_options(const struct train_options *o);

/* One network that is trained; its name is its prefix in checkpoints. optim
 * NULL: the loop makes one from the options and takes its steps; given: the
 * task takes steps itself, the loop sets the rate and saves it. */
struct train_part {
    const char *name; /* NULL ends the list */
    struct nn_params *ps;
    struct nn_optim *optim;
};
#define TRAIN_MAX_PARTS 4

/* What one kind of training is. Calls return errors that end the run. */
struct train_task {
    const char *name;      /* "landmarks" */
    const char *metric;    /* "NME": of validation, */
    const char *unit;      /* "%", "" */
    bool larger_is_better; /* accuracy */
    struct train_part part[TRAIN_MAX_PARTS + 1];
    void *ctx; /* first argument of all calls */
    /* The sample into row `row` of the batch. */
    enum err_code (*put)(void *ctx, int64_t row, const struct item *it,
                         struct err *e);
    /* Forward and backward of a whole batch: adds to the parts' gradients,
     * *loss is the batch's mean. */
    enum err_code (*step)(void *ctx, double *loss, struct err *e);
    /* The metric over the held-back samples (n >= 1) with the first part's
     * weights as they are in ps: the averaged ones where an average is kept.
     * This and sheet may come between two puts of a batch (an epoch that ends
     * there): its rows must stay as they are. */
    enum err_code (*validate)(void *ctx, struct nn_params *ps,
                              struct item *const *val, size_t n, double *metric,
                              struct err *e);
    /* A picture of what it does with some of them, to a PNG. May be NULL. */
    enum err_code (*sheet)(void *ctx, struct nn_params *ps,
                           struct item *const *val, size_t n, const char *path,
                           struct err *e);
    /* The state of the task's random numbers (nn_train_runs); may be NULL. */
    uint64_t (*runs)(void *ctx);
    void (*set_runs)(void *ctx, uint64_t runs);
    /* Metadata of the model file, and paragraphs of its card (markdown). */
    const struct safetensors_pair *meta;
    const char *card;
};

/* Where the loop speaks: the stage. */
struct train_host {
    void *arg;
    void (*status)(void *arg, const char *text); /* the line that is replaced */
    void (*report)(void *arg, const char *text); /* results */
    void (*enough)(void *arg);                   /* no more items needed */
    bool (*stopping)(void *arg);                 /* the run is being stopped */
    const char *config;  /* resolved parameters, YAML lines; copied */
    const char *command; /* what began the run; "" if unknown; copied */
    const char *recipe;  /* what it comes from (lib/data/recipe.h); NULL or ""
                            if unknown; read by trainer_new alone */
};

struct trainer;

/* Makes the folder; goes on from its checkpoint if there is one, else takes
 * o->init. The task's nets must be there and outlive the trainer. ERR_DATA
 * names a checkpoint that does not fit. */
enum err_code trainer_new(const struct train_options *o,
                          const struct train_task *task,
                          const struct train_host *host, struct trainer **out,
                          struct err *e) MUST_USE;
void trainer_free(struct trainer **t);
/* One item of the stream (docs/training.md): fields `sample`, `role`,
 * `val_count`, `epoch_size`; one with `error_code` is a place left empty. Items
 * may come in any order; steps are made in the stream's. An error ends the
 * run, but for ERR_DATA with *item_only: this item is no sample. */
enum err_code trainer_item(struct trainer *t, const struct item *it,
                           bool *item_only, struct err *e) MUST_USE;
/* The stream has ended: the last checkpoint, curves, card, report. */
enum err_code trainer_finish(struct trainer *t, struct err *e) MUST_USE;
/* Steps taken so far, in all sittings. */
int64_t trainer_steps(const struct trainer *t);

#endif
