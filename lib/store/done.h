/* Which snippets a store has dealt with: a compact table for a catalog. */
#ifndef FACET_STORE_DONE_H
#define FACET_STORE_DONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct store_done;
struct store_group;

struct store_done_entry {
    bool finished;     /* every sample has its outcome */
    bool failed;       /* some sample, or the whole snippet, failed */
    bool views;        /* holds generated views */
    bool mixed;        /* of several runs' settings, or several sources */
    bool ours;         /* all of it is of the sinks that were given */
    bool lost;         /* a file that a row names is not there (see `look`) */
    bool lacking;      /* what look->lacks says */
    uint64_t about[2]; /* see store_about */
};

/* Is a snippet's outcome that of these settings and this source? */
enum store_match {
    STORE_MATCH,        /* yes */
    STORE_OTHER_RECIPE, /* other settings, or unknown ones, or a mixture */
    STORE_OTHER_SOURCE  /* another file, or it belongs to another set */
};
/* about: of the source as it is now. Outside a pipeline (no sinks were given
 * to the table) nothing is known: do not ask. */
enum store_match store_done_match(const struct store_done_entry *d,
                                  const uint64_t about[2]);
/* What a row takes over from its source: the file's hash, set and identity. */
void store_about(const char *source_hash, const char *set, const char *identity,
                 uint64_t out[2]);

/* The sinks of a run that write rows into one store. */
struct store_sinks {
    char (*recipe)[33];
    bool *gives; /* samples, not only failures */
    size_t n;
};
/* Of the texts of recipe.h those that write rows: into root, or all where it is
 * NULL. The caller frees also what a failure has left. */
enum err_code store_sinks_read(struct store_sinks *s, const char *sinks,
                               const char *root, struct err *e) MUST_USE;
void store_sinks_free(struct store_sinks *s);

/* What to ask the file system of each snippet. */
struct store_look {
    bool files; /* is each file there that the rows name, of its size? */
    /* NULL ok: does it lack anything else? Only asked of finished ones of
     * ours. */
    bool (*lacks)(void *arg, const struct store_group *g);
    void *arg;
};

/* Read the store below root (merging what killed writers left, if it can be
 * written). A missing root gives an empty table. About 64 bytes a snippet.
 * look: what to look for beside the rows; NULL: nothing. of: whose rows
 * are ours; a snippet of ours is finished when all of them that give samples
 * have given theirs. None: outside a pipeline, all are. */
enum err_code store_done_load(const char *root, const struct store_look *look,
                              const struct store_sinks *of,
                              struct store_done **out, struct err *e) MUST_USE;
/* false if the store knows nothing of the snippet. */
bool store_done_find(const struct store_done *d, const char *name,
                     const char *snippet, struct store_done_entry *out);
size_t store_done_count(const struct store_done *d);
void store_done_free(struct store_done **d);

#endif
