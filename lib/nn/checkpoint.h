/* Checkpoints: all that a training run needs to go on bit for bit. */
#ifndef FACET_NN_CHECKPOINT_H
#define FACET_NN_CHECKPOINT_H

#include "lib/nn/optim.h"
#include "lib/nn/schedule.h"

/* One file (safetensors): weights under their own names with a prefix per
 * part, "<part>.", so that a model's weights can be taken from it with
 * nn_params_source(ps, w, "generator."); averaged weights, a whole state dict
 * as well, under "ema.<part>."; optimiser state "optim.<part>.<name>.exp_avg".
 * In the metadata, under keys that begin with "facet.": the format and its
 * version, steps, options, schedules, numbers of the caller (epoch, data
 * position, random state, best metric) and a checksum over everything. Numbers
 * come back bit for bit; the caller's texts (meta) are kept for people and are
 * read with safetensors_meta. Tested by tests/test_checkpoint.c. */
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

/* Between steps: gradients are not saved. Whole or not at all (written beside,
 * synced, renamed), from the tensors' own memory; what a killed writer of the
 * same path has left beside it is removed, so there may be one writer a path
 * at a time. ERR_DATA names a weight that is not finite, ERR_ARG a bad or
 * doubled name or what could not be read again, ERR_IO the file; the old file
 * then stays as it was. */
enum err_code nn_checkpoint_save(const char *path,
                                 const struct nn_checkpoint_part *parts,
                                 const struct nn_checkpoint_value *values,
                                 const struct safetensors_pair *meta,
                                 struct err *e) MUST_USE;
/* Everything back into parts and values, bit for bit. Checks all before it
 * changes anything: ERR_DATA names the file and what is damaged, missing, too
 * many, of another shape, or another optimiser or schedule; ERR_UNSUPPORTED: a
 * version of the format to come; ERR_NOTFOUND: no such file; ERR_ARG as above.
 * The learning rate and steps are the file's; all other options must be the
 * same here and there. Any change of what the file says is noticed. */
enum err_code nn_checkpoint_load(const char *path,
                                 const struct nn_checkpoint_part *parts,
                                 const struct nn_checkpoint_value *values,
                                 struct err *e) MUST_USE;
/* The same from an open file, which stays the caller's. */
enum err_code nn_checkpoint_take(const struct safetensors *w,
                                 const struct nn_checkpoint_part *parts,
                                 const struct nn_checkpoint_value *values,
                                 struct err *e) MUST_USE;

#endif
