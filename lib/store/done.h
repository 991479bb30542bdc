/* Which snippets a store has dealt with: a compact table for a catalog. */
#ifndef FACET_STORE_DONE_H
#define FACET_STORE_DONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct store_done;

struct store_done_entry {
    bool finished;      /* every sample has its outcome */
    bool failed;        /* some sample, or the whole snippet, failed */
    bool views;         /* holds generated views */
    bool mixed;         /* holds samples of several settings or sources */
    bool lost;          /* a file that a row names is not there (see `look`) */
    const char *recipe; /* hash, of all of it unless mixed; the table's */
    uint64_t about[2];  /* see store_about */
};

/* Is a snippet's outcome that of these settings and this source? */
enum store_match {
    STORE_MATCH,        /* yes */
    STORE_OTHER_RECIPE, /* other settings, or unknown ones, or a mixture */
    STORE_OTHER_SOURCE  /* another file, or it belongs to another set */
};
/* about: of the source as it is now. recipe: hash; "": unknown here, and then
 * what is there is taken as it is. */
enum store_match store_done_match(const struct store_done_entry *d,
                                  const char *recipe, const uint64_t about[2]);
/* What a row takes over from its source: the file's hash, set and identity. */
void store_about(const char *source_hash, const char *set, const char *identity,
                 uint64_t out[2]);

/* Read the store below root (merging what killed writers left, if it can be
 * written). A missing root gives an empty table. About 64 bytes a snippet.
 * look: ask the file system for each file that the rows name. */
enum err_code store_done_load(const char *root, bool look,
                              struct store_done **out, struct err *e) MUST_USE;
/* false if the store knows nothing of the snippet. */
bool store_done_find(const struct store_done *d, const char *name,
                     const char *snippet, struct store_done_entry *out);
size_t store_done_count(const struct store_done *d);
void store_done_free(struct store_done **d);

#endif
