/* The rows of one snippet, and what they amount to. For scan.c and those who
 * read its groups. */
#ifndef FACET_STORE_GROUP_H
#define FACET_STORE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/store/kin.h"
#include "lib/store/row.h"

/* All rows of one snippet in index order, one per sample, face and view; rows
 * that later ones made void are gone. Owned by the scan, valid until its next
 * call. */
struct store_group {
    struct store_row *rows;
    size_t n;
    /* private: */
    char **lines; /* what the rows point into */
    size_t *age;  /* 0: from the base; else the later, the higher */
    size_t cap;
    /* Files that rows named which are gone, and that no row names any more. */
    char **dropped;
    size_t n_dropped, cap_dropped;
    size_t clashes; /* samples that two items, or two sinks of a run, stored */
    const struct store_kin *kin; /* the scan's */
};

/* What the rows of a snippet amount to. */
struct store_outcome {
    bool finished; /* every sample has its row, or the snippet failed whole */
    bool views;    /* it has generated views */
    bool mixed;    /* rows of several runs' settings, or of several sources */
    size_t ok, failed;
    int64_t n_frames; /* samples the snippet should have; 0 unknown */
};
void store_group_measure(const struct store_group *g,
                         struct store_outcome *out);
/* Of a snippet whose rows are all of n kin recipes of which each has samples of
 * its own to give: has each given them? So if each has all samples (a failure
 * counts for all of them), or if they share the samples out among them. */
bool store_group_all_gave(const struct store_group *g,
                          const char (*recipes)[33], const bool *gives,
                          size_t n);

/* For scan.c: add a copy of the row, in the order of store_row_compare and, of
 * one sample, of writing. Of two rows of the same settings and source a success
 * stays against a failure; otherwise the later one counts. */
enum err_code store_group_add(struct store_group *g,
                              const struct store_row *row, size_t age,
                              struct err *e) MUST_USE;
/* All rows are there: take away those that others made void. */
enum err_code store_group_settle(struct store_group *g, struct err *e) MUST_USE;
/* Take one row away; its files are dropped. */
enum err_code store_group_drop(struct store_group *g, size_t i,
                               struct err *e) MUST_USE;
/* After such: files that a row still names are not dropped. */
void store_group_keep_named(struct store_group *g);
void store_group_clear(struct store_group *g);
void store_group_free(struct store_group *g);

#endif
