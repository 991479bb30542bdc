/* A sample store: pictures in pose2pose's layout, and what became of every
 * sample. See docs/store.md.
 *
 * Crash safety. A sample's new files are written and synced in this writer's
 * folder below .facet/, named by their hash; then one checksummed row with the
 * hash of each file is appended to this writer's own journal and synced: that
 * is the commit. Then the files are renamed to their places. A kill before the
 * commit changes nothing; one after it is made good when the store is next
 * opened, by the same renames. So a row never stands beside other files than
 * its own. index.csv and metadata.csv are made from base and journals in a
 * fixed order, so they do not depend on who wrote what when. Any number of
 * writers (processes) of one run may share a root; a file lock guards
 * merging. */
#ifndef FACET_STORE_STORE_H
#define FACET_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/store/row.h"

enum store_layout {
    STORE_PAIRS,   /* <name>/<snippet>/frame_<i>.jpg, pose_<i>.png */
    STORE_VIEWS,   /* <name>/<snippet>/frame_<i>, view_<i>_<vv>.png */
    STORE_IDENTITY /* <set>/<identity>/<picture>, <set>/metadata.csv */
};
/* What generated pictures say made them. */
#define STORE_SOFTWARE "facet 0.1"
const char *store_layout_name(enum store_layout l);

struct store;

/* What to do with finished results from other settings or sources. */
enum store_other { STORE_REMAKE, STORE_KEEP, STORE_REFUSE };

/* Where results come from; texts as stage.h gives them, borrowed by the call,
 * "" outside a pipeline. */
struct store_settings {
    const char *recipe, *sinks, *run_key;
    enum store_other other;
};
/* What a store held when it was opened. */
struct store_before {
    size_t rows, others; /* samples; those of other settings */
    char differ[300];    /* in what (recipe_differ), of most of those */
};

/* Start writing. Makes root where missing; ends what a killed writer left
 * (its commits are completed, its journal is merged, its temporary files go).
 * set may be NULL: nothing is known. ERR_IO: cannot write there. ERR_ARG: the
 * root holds another layout; results from other settings, which set refuses.
 * ERR_STATE: another run with other settings is writing there. */
enum err_code store_open(const char *root, enum store_layout layout,
                         const struct store_settings *set, struct store **out,
                         struct err *e) MUST_USE;
const struct store_before *store_before(const struct store *s);
/* Hash of the recipe, which rows carry; "" unknown. */
const char *store_recipe(const struct store *s);
/* Is this hash that of our recipe, or of a sink of this run with our root? */
bool store_ours(const struct store *s, const char *recipe);

enum store_put_how {
    STORE_NEW,     /* there was no such file */
    STORE_CHANGED, /* it held other bytes (or `again`: it is written anew) */
    STORE_SAME     /* these bytes are there already; nothing is written */
};
/* Write one file of the sample whose row is logged next; it takes its place
 * with that row. rel: checked, folders are made. sum is for the row. */
enum err_code store_put(struct store *s, const char *rel, const void *data,
                        size_t n, bool again, char sum[STORE_SUM],
                        enum store_put_how *how, struct err *e) MUST_USE;
/* Drop what was put since the last row: the sample has failed. */
void store_unput(struct store *s);
bool store_has(const struct store *s, const char *rel);
/* Commit: append the sample's row (its recipe is set here), durable with all
 * its files when it returns OK. */
enum err_code store_log(struct store *s, const struct store_row *row,
                        struct err *e) MUST_USE;

/* Note that `owner` is the one that stores `what` in this run. ERR_DATA if
 * another one did before; *again: the same one did. 16 bytes a claim. */
enum err_code store_claim(struct store *s, const char *what, const char *owner,
                          bool *again, struct err *e) MUST_USE;

struct store_totals {
    size_t snippets, finished, ok, failed, damaged;
    size_t removed;    /* files of samples that are no more */
    size_t mismatched; /* rows taken away: their files were not theirs */
    size_t clashes;    /* samples that two items stored */
    size_t others;     /* samples that still are of other settings */
};
/* Merge this writer's journal and write index.csv and metadata.csv. totals
 * (of the whole store) may be NULL. Nothing may be put or logged after. */
enum err_code store_finish(struct store *s, struct store_totals *totals,
                           struct err *e) MUST_USE;
void store_close(struct store **s);

/* Merge what finished or killed writers left below root, if there is a store
 * and it can be written; used before listing what is done. */
enum err_code store_recover(const char *root, struct err *e) MUST_USE;

/* More path parts than any path that can be opened has. */
#define STORE_PARTS 2048
/* Is s one to `depth` path parts that may stand below a root: not empty, not
 * absolute, no ".", "..", empty or over-long part, no control character, UTF-8,
 * no leading '.' of a part (hidden)? ERR_DATA names `what`. Untrusted. */
enum err_code store_check_path(const char *s, const char *what, int depth,
                               struct err *e) MUST_USE;

/* Write path through tmp (same file system), durable when it returns; the
 * folder of path exists. tmp is gone afterwards in any case. */
enum err_code store_write_via(const char *tmp, const char *path,
                              const void *data, size_t n,
                              struct err *e) MUST_USE;

/* Compare the files of all rows with their sums; `bad` is told the path of each
 * that is missing or has other bytes. mend: the rows of such files are taken
 * away, so that a run makes their samples again. ERR_NOTFOUND: no store.
 * ERR_STATE: mend, while somebody writes there. */
struct store_verified {
    size_t rows, files, bad, unknown; /* unknown: files without a sum */
};
enum err_code store_verify(const char *root, bool mend,
                           void (*bad)(void *arg, const char *path), void *arg,
                           struct store_verified *out, struct err *e) MUST_USE;

/* merge.c: write index, metadata and base; the caller holds the lock. verify:
 * rows (of journals, or all) whose files do not match are taken away. */
enum store_check { STORE_CHECK_NONE, STORE_CHECK_JOURNALS, STORE_CHECK_ALL };
enum err_code store_merge(const char *root, enum store_layout layout,
                          enum store_check verify, struct store_totals *totals,
                          struct err *e) MUST_USE;

#endif
