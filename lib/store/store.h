/* A sample store: pictures in pose2pose's layout, and what became of every
 * sample. See docs/store.md.
 *
 * Crash safety. A file is written under .facet/, synced, and renamed to its
 * place; then one checksummed row is appended to this writer's own journal and
 * synced: that is the commit. A kill leaves at most a torn last row, which is
 * ignored, and files without a row, which the replay writes again with the
 * same bytes. index.csv and metadata.csv are made from base and journals in a
 * fixed order, so they do not depend on who wrote what when. Any number of
 * writers (processes) may share a root; a file lock guards merging. */
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

/* Start writing. Makes root where missing; ends what a killed writer left
 * (its journal is merged, its temporary files go). ERR_IO: cannot write there.
 * ERR_ARG: the root holds another layout. */
enum err_code store_open(const char *root, enum store_layout layout,
                         struct store **out, struct err *e) MUST_USE;
/* Write one file, durable when it returns. rel: checked, folders are made. */
enum err_code store_put(struct store *s, const char *rel, const void *data,
                        size_t n, struct err *e) MUST_USE;
bool store_has(const struct store *s, const char *rel);
/* Commit: append the sample's row, durable when it returns OK. Files first. */
enum err_code store_log(struct store *s, const struct store_row *row,
                        struct err *e) MUST_USE;

struct store_totals {
    size_t snippets, finished, ok, failed, damaged;
};
/* Merge this writer's journal and write index.csv and metadata.csv. totals
 * (of the whole store) may be NULL. Nothing may be put or logged after. */
enum err_code store_finish(struct store *s, struct store_totals *totals,
                           struct err *e) MUST_USE;
void store_close(struct store **s);

/* Merge what finished or killed writers left below root, if there is a store
 * and it can be written; used before listing what is done. */
enum err_code store_recover(const char *root, struct err *e) MUST_USE;

/* Is s one to three path parts (depth of them at most) that may stand below a
 * root: not empty, not absolute, no ".", "..", empty or over-long part, no
 * control character, UTF-8, no leading '.' of a part (hidden)? ERR_DATA names
 * `what`. Untrusted. */
enum err_code store_check_path(const char *s, const char *what, int depth,
                               struct err *e) MUST_USE;

/* Write path through tmp (same file system), durable when it returns; the
 * folder of path exists. tmp is gone afterwards in any case. */
enum err_code store_write_via(const char *tmp, const char *path,
                              const void *data, size_t n,
                              struct err *e) MUST_USE;

/* merge.c: write index, metadata and base; the caller holds the lock. */
enum err_code store_merge(const char *root, enum store_layout layout,
                          struct store_totals *totals, struct err *e) MUST_USE;

#endif
