/* Reading what a sample store knows: its base and all its journals, merged,
 * snippet by snippet. */
#ifndef FACET_STORE_SCAN_H
#define FACET_STORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/store/row.h"

/* All rows of one snippet in index order, one per sample and view; rows of
 * failures that later success made void are gone. Owned by the scan, valid
 * until its next call. */
struct store_group {
    struct store_row *rows;
    size_t n;
    char **lines; /* private: what the rows point into */
    size_t cap;
};

/* What the rows of a snippet amount to. */
struct store_outcome {
    bool finished; /* every sample has its row, or the snippet failed whole */
    bool views;    /* it has generated views */
    size_t ok, failed;
    int64_t n_frames; /* samples the snippet should have; 0 unknown */
};

struct store_scan;

/* The root's state at this moment, also while writers are at work. A root
 * that is no store reads as empty. Unmerged journals are held in memory, the
 * base is streamed. Damaged rows are counted and left out. */
enum err_code store_scan_open(const char *root, struct store_scan **out,
                              struct err *e) MUST_USE;
/* The caller holds the store's lock already (see store.c). */
enum err_code store_scan_open_locked(const char *root, struct store_scan **out,
                                     struct err *e) MUST_USE;
/* The next snippet, or *out = NULL at the end. */
enum err_code store_scan_next(struct store_scan *s,
                              const struct store_group **out,
                              struct err *e) MUST_USE;
size_t store_scan_damaged(const struct store_scan *s);
void store_scan_close(struct store_scan **s);

void store_group_measure(const struct store_group *g,
                         struct store_outcome *out);

/* Names inside a store's root. */
#define STORE_DIR ".facet"
#define STORE_BASE ".facet/base.tsv"
#define STORE_LOCK ".facet/lock"
#define STORE_JOURNAL "journal.tsv"
#define STORE_WRITER "writer-" /* .facet/writer-<n>/journal.tsv */

/* The journals' numbers in ascending order, new memory (mem_free). */
enum err_code store_writers(const char *root, int64_t **out, size_t *n,
                            struct err *e) MUST_USE;

#endif
