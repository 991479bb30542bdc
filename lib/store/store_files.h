/* A sample's files on their way: written in the writer's folder, named by their
 * name and hash, and moved to their places once their row is committed. For
 * store.c. */
#ifndef FACET_STORE_STORE_FILES_H
#define FACET_STORE_STORE_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/store/row.h"
#include "lib/store/store.h"

struct store_pending {
    char *rel, *from, *to;
};
struct store_files {
    const char *root, *dir; /* of the store, of the writer; borrowed */
    struct store_pending pending[STORE_FILES];
    size_t n;
    bool committed; /* their row is durable: they must get to their places */
};

/* The name of a pending file, by its name and size-hash: files of the same
 * bytes are two. */
void store_pending_name(const char *rel, const char *sum, char name[33]);
/* As store_put. */
enum err_code store_files_put(struct store_files *s, const char *rel,
                              const void *data, size_t n, bool again,
                              char sum[STORE_SUM], enum store_put_how *how,
                              struct err *e) MUST_USE;
/* Before the row: the names in the writer's folder last. */
enum err_code store_files_ready(struct store_files *s, struct err *e) MUST_USE;
/* After the row. What could not be moved is tried again by the next call. */
enum err_code store_files_publish(struct store_files *s,
                                  struct err *e) MUST_USE;
void store_files_drop(struct store_files *s); /* there will be no row */
/* Before a merge: drop or publish. */
enum err_code store_files_settle(struct store_files *s, struct err *e) MUST_USE;
void store_files_free(struct store_files *s);

#endif
