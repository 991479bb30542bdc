/* Samples put back into the order of their stream. */
#ifndef FACET_TRAIN_ORDER_H
#define FACET_TRAIN_ORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/data/item.h"

/* More than can be on their way at once; beyond it something is lost. */
#define TRAIN_ORDER_MAX 16384

struct train_order {
    int64_t next; /* the position that is waited for */
    struct train_order_entry {
        int64_t at;
        struct item *item; /* owned; NULL: a place left empty */
    } * entry;             /* a heap by `at` */
    size_t n, cap;
};

/* Take over the item of position `at` (NULL: empty). What is before `next`, or
 * there already, is dropped: it was here before. ERR_STATE: too many wait. */
enum err_code train_order_put(struct train_order *o, int64_t at,
                              struct item *it, struct err *e) MUST_USE;
/* The item at `next`, which then moves on; false if it is not there yet. *out
 * is the caller's, NULL for an empty place. */
bool train_order_take(struct train_order *o, struct item **out);
/* Go on at another position, as after a checkpoint. */
void train_order_skip(struct train_order *o, int64_t next);
void train_order_free(struct train_order *o);

#endif
