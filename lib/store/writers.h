/* The writers at work in a store, and what dead ones left. For store.c; the
 * caller holds the store's lock. */
#ifndef FACET_STORE_WRITERS_H
#define FACET_STORE_WRITERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/store/store.h"

/* "<root>/.facet/writer-<number>", new memory, or NULL. */
char *store_writer_dir(const char *root, int64_t number) MUST_USE;
/* Remove a writer's folder with its files. */
void store_writer_remove(const char *dir);

/* Complete the commits of dead writers (rows whose files were not yet in their
 * places), merge and remove what they left. *highest: the highest number in
 * use. */
enum err_code store_reap(const char *root, enum store_layout layout,
                         int64_t *highest, struct err *e) MUST_USE;

/* Does a live writer still hold this file, committed and not yet in its place?
 */
bool store_on_its_way(const char *root, const char *rel, const char *sum);

/* What a live writer says of itself. */
struct store_peer {
    char recipe[33], run[33], pid[24];
};
/* The first live writer for which `other` says true; false if there is none. */
enum err_code store_peers(const char *root,
                          bool (*other)(void *arg, const struct store_peer *p),
                          void *arg, struct store_peer *out, bool *found,
                          struct err *e) MUST_USE;

#endif
