/* Reading what a sample store knows: its base and all its journals, merged,
 * snippet by snippet. */
#ifndef FACET_STORE_SCAN_H
#define FACET_STORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/store/group.h"
#include "lib/store/row.h"

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
/* The same, for one who takes rows away. */
enum err_code store_scan_next_own(struct store_scan *s,
                                  struct store_group **out,
                                  struct err *e) MUST_USE;
size_t store_scan_damaged(const struct store_scan *s);
void store_scan_close(struct store_scan **s);

/* Names inside a store's root. */
#define STORE_DIR ".facet"
#define STORE_BASE ".facet/base.tsv"
#define STORE_LOCK ".facet/lock"
#define STORE_JOURNAL "journal.tsv"
#define STORE_WRITER "writer-" /* .facet/writer-<n>/journal.tsv */
#define STORE_RUN "run"        /* beside it: recipe, run, pid; a line each */
#define STORE_SUMMARY                                                          \
    ".facet/summary"             /* "<recipe> <rows>" lines, of the base */
#define STORE_DROP ".facet/drop" /* files to be removed, a line each */
#define STORE_RECIPES ".facet/recipes" /* <hash>.txt, <hash>.kin */
#define STORE_FORMAT ".facet/format"   /* there is a store */
#define STORE_ANNOTATED ".facet/rows"  /* annotation-writer's: there is none */
#define STORE_SOURCES ".facet/sources.tsv"

/* The journals' numbers in ascending order, new memory (mem_free). */
enum err_code store_writers(const char *root, int64_t **out, size_t *n,
                            struct err *e) MUST_USE;

#endif
