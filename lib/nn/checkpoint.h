/* Checkpoints: all that a training run needs to go on bit for bit. */
#ifndef FACET_NN_CHECKPOINT_H
#define FACET_NN_CHECKPOINT_H

#include "lib/nn/optim.h"
#include "lib/nn/schedule.h"

/* One file (safetensors): weights under their own names with a prefix per
 * set, optimiser state ("optim.<set>.<name>.exp_avg"), EMA, and in the
 * metadata steps, schedules, numbers and texts of the caller (epoch, data
 * position, random state, best metric). A model's weights can be taken from
 * it with nn_params_source(ps, w, "<set>."). */
struct nn_checkpoint_part {
    const char *name; /* "generator"; NULL ends the list */
    struct nn_params *ps;
    struct nn_optim *optim;       /* may be NULL */
    struct nn_schedule *schedule; /* may be NULL */
};
struct nn_checkpoint_value {
    const char *name; /* NULL ends the list */
    uint64_t *number; /* one of the two */
    double *real;
};

/* Whole or not at all (written beside, synced, renamed). ERR_IO names the
 * file. */
enum err_code nn_checkpoint_save(const char *path,
                                 const struct nn_checkpoint_part *parts,
                                 const struct nn_checkpoint_value *values,
                                 const struct safetensors_pair *meta,
                                 struct err *e) MUST_USE;
/* Everything back into parts and values, bit for bit. Checks all before it
 * changes anything: ERR_DATA names file and what is missing or of another
 * shape, kind of optimiser or schedule. */
enum err_code nn_checkpoint_load(const char *path,
                                 const struct nn_checkpoint_part *parts,
                                 const struct nn_checkpoint_value *values,
                                 struct err *e) MUST_USE;

#endif
