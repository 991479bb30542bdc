/* A growing list of named tensors on their way into a file. */
#ifndef FACET_NN_ITEMS_H
#define FACET_NN_ITEMS_H

#include "lib/nn/safetensors.h"

/* Names and references of tensors are the list's. Start with {0}. */
struct nn_items {
    struct nn_items_entry {
        char *name;
        struct tensor *tensor;
    } * entry;
    size_t n, cap;
};

/* Append t, whose reference goes over to the list (also on failure; NULL is
 * ERR_NOMEM, so that a tensor may be made in the call). The name is a printf
 * format. */
enum err_code nn_items_add(struct nn_items *l, struct tensor *t, struct err *e,
                           const char *fmt, ...) MUST_USE PRINTF_LIKE(4, 5);
/* All of them with safetensors_write. */
enum err_code nn_items_write(const struct nn_items *l, const char *path,
                             const struct safetensors_pair *meta,
                             struct err *e) MUST_USE;
void nn_items_free(struct nn_items *l); /* leaves it empty */

#endif
