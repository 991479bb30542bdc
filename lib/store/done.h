/* Which snippets a store has dealt with: a compact table for a catalog. */
#ifndef FACET_STORE_DONE_H
#define FACET_STORE_DONE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

struct store_done;

struct store_done_entry {
    bool finished; /* every sample has its outcome */
    bool failed;   /* some sample, or the whole snippet, failed */
    bool views;    /* holds generated views */
};

/* Read the store below root (merging what killed writers left, if it can be
 * written). A missing root gives an empty table. About 32 bytes a snippet. */
enum err_code store_done_load(const char *root, struct store_done **out,
                              struct err *e) MUST_USE;
/* false if the store knows nothing of the snippet. */
bool store_done_find(const struct store_done *d, const char *name,
                     const char *snippet, struct store_done_entry *out);
size_t store_done_count(const struct store_done *d);
void store_done_free(struct store_done **d);

#endif
