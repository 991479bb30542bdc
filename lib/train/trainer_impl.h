/* Inside of the training loop; for lib/train/trainer*.c only. */
#ifndef FACET_TRAIN_TRAINER_IMPL_H
#define FACET_TRAIN_TRAINER_IMPL_H

#include "lib/train/order.h"
#include "lib/train/train.h"

/* What a checkpoint keeps beside weights and optimisers. */
struct train_state {
    uint64_t position; /* of the stream: the first sample not used yet */
    uint64_t steps, samples, epochs;
    uint64_t val_count, epoch_size; /* the stream's, which must stay */
    uint64_t loss_n, log_n, best_epoch, bad, runs;
    double loss_sum, log_sum; /* of this epoch; since the last row */
    double best, metric;      /* NaN: none yet */
    double seconds;           /* of all sittings */
};

struct trainer {
    struct train_options o;
    struct train_task task;
    struct train_host host;
    char *out, *init, *config, *command; /* copies; o and host point here */
    struct nn_params *average; /* of part 0, where an average is kept */
    struct nn_optim *optim[TRAIN_MAX_PARTS]; /* ours, or NULL */
    struct nn_schedule schedule;
    struct train_state s;
    struct train_order order;
    struct item **val; /* references of held-back samples */
    size_t n_val;
    bool known;   /* val_count and epoch_size */
    bool resumed; /* a checkpoint was taken */
    bool drawn;   /* a gnuplot that fails is told of once */
    bool enough;
    int64_t rows, batch_first; /* in the batch; position of its first */
    double lr, norm, loss;     /* of the last step */
    int64_t began_ns;          /* this sitting, */
    uint64_t began_samples;    /* and what was there before it */
    int64_t next_status;
};

/* The optimiser of part i: the task's or ours. */
struct nn_optim *trainer_optim(const struct trainer *t, int i);
/* What is validated and kept: the average where there is one. */
struct nn_params *trainer_weights(const struct trainer *t);
/* Bring trainer_weights up to date. */
enum err_code trainer_refresh(struct trainer *t, struct err *e) MUST_USE;
double trainer_rate(const struct trainer *t); /* samples/s, 0: unknown */
double trainer_seconds(const struct trainer *t);

/* trainer_save.c */
enum err_code trainer_load(struct trainer *t, struct err *e) MUST_USE;
enum err_code trainer_save(struct trainer *t, struct err *e) MUST_USE;
/* <out>/model.safetensors: trainer_weights alone, with the task's metadata. */
enum err_code trainer_export(struct trainer *t, struct err *e) MUST_USE;
enum err_code trainer_config(struct trainer *t, struct err *e) MUST_USE;
/* trainer_recipe.c: warn if a run goes on with another recipe; keep ours. */
enum err_code trainer_recipe(struct trainer *t, struct err *e) MUST_USE;

/* trainer_epoch.c */
enum err_code trainer_end_epoch(struct trainer *t, struct err *e) MUST_USE;
/* trainer_card.c: <out>/model.md */
enum err_code trainer_card(const struct trainer *t, struct err *e) MUST_USE;
/* trainer_status.c */
void trainer_status(struct trainer *t);
/* "1:02:10" */
char *trainer_time(double seconds, char *out, size_t n);
/* "NME 4.31 %" */
char *trainer_metric(const struct trainer *t, double v, char *out, size_t n);

#endif
