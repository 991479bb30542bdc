/* The order in which a training source hands out its records: one endless (or
 * ended) stream that is the same from run to run, and can be entered anywhere.
 *
 * First all validation records, once, in the order they were added; then the
 * training records of epoch 0, 1, 2, ..., each epoch in an order of its own
 * that depends on the seed and the epoch alone (Fisher-Yates). Records come
 * from one or several pools. Of each pool an epoch takes `draw` records: those
 * of a pool are gone through in shuffled rounds, so that all of them are shown
 * equally often (the counts differ by one at most), whatever `draw` is.
 * docs/training.md. Test: tests/test_epochs.c */
#ifndef FACET_STORE_EPOCHS_H
#define FACET_STORE_EPOCHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct epochs;

#define EPOCHS_ALL SIZE_MAX

/* One place of the stream. */
struct epochs_sample {
    size_t record;    /* what epochs_add was given */
    int64_t position; /* from 0 without gaps, validation included */
    int64_t epoch;    /* -1: validation */
    int64_t slot;     /* place within the epoch, or within the validation */
};

/* epochs 0: without end. ERR_NOMEM. */
enum err_code epochs_new(uint64_t seed, int64_t epochs, struct epochs **out,
                         struct err *e) MUST_USE;
void epochs_free(struct epochs **p);
/* A new pool, to which the records added from now on belong. An epoch takes
 * draw records of it; EPOCHS_ALL: as many as it has. */
enum err_code epochs_pool(struct epochs *p, size_t draw,
                          struct err *e) MUST_USE;
/* Add a record to the last pool, or to the validation records. ERR_STATE
 * before the first epochs_pool or after epochs_start. */
enum err_code epochs_add(struct epochs *p, size_t record, bool validation,
                         struct err *e) MUST_USE;
/* All is added. The stream will be the validation records and then the first
 * training position >= resume and all after it (0: everything). ERR_DATA: no
 * training record, or a pool that is to be drawn from is empty, or so many
 * samples that they cannot be counted. ERR_ARG: resume < 0. */
enum err_code epochs_start(struct epochs *p, int64_t resume,
                           struct err *e) MUST_USE;
int64_t epochs_val_count(const struct epochs *p);
int64_t epochs_size(const struct epochs *p); /* training samples an epoch */
/* How many samples epochs_next will still give; -1: without end. */
int64_t epochs_left(const struct epochs *p);
/* The next sample; *end (and nothing in out) when there is none. */
enum err_code epochs_next(struct epochs *p, struct epochs_sample *out,
                          bool *end, struct err *e) MUST_USE;

/* Is the group (a photo, a person) held back for validation? About `share` of
 * all groups are, always the same ones: the name alone decides. */
bool epochs_held_back(const char *group, double share);

/* The position that a trainer has written to <folder>/position: one whole
 * number >= 0. folder "" or no such file: 0. ERR_DATA: something else stands
 * there (untrusted). */
enum err_code epochs_read_resume(const char *folder, int64_t *position,
                                 struct err *e) MUST_USE;

#endif
