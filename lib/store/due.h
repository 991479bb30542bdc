/* What of a listing is to be done: compared with what a store has finished, by
 * name, settings and content. For catalog. */
#ifndef FACET_STORE_DUE_H
#define FACET_STORE_DUE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum due_retry { DUE_NEW, DUE_FAILED, DUE_ALL };

struct due_options {
    const char *done;   /* root of the store, as the sink's `root`; "" none */
    const char *sheets; /* root of the contact sheets; "" none: what is finished
                           but whose sheet is not is due too */
    const char *sinks;  /* stage_sinks */
    enum due_retry retry;
    bool bytes; /* read all sources: do not believe what is remembered */
};
struct due_counts {
    size_t recipe; /* finished, from other settings: due again */
    size_t source; /* finished, the source has changed since: due again */
    size_t lost;   /* finished, but files are gone: due again */
    size_t kept;   /* finished, from other settings or sources: left */
};

struct due;

/* With other=apart the store's part for these settings is looked at. */
enum err_code due_open(const struct due_options *o, struct due **out,
                       struct err *e) MUST_USE;
/* A clip or picture and the file it lies in. */
struct due_source {
    const char *path, *name, *snippet, *set, *identity;
};
/* Is it to be done? A source that cannot be read counts as one of unknown
 * content. */
bool due_ask(struct due *d, const struct due_source *s);
/* The hash of a file's bytes, "" where it cannot be read. */
const char *due_hash(struct due *d, const char *path);
struct due_counts due_counts(const struct due *d);
void due_close(struct due **d);

#endif
