/* The content of source files, remembered beside a store so that unchanged
 * files need not be read again. A file counts as unchanged when device, inode,
 * size, and the times of its last change and of its last change of status are
 * the same to the nanosecond; a file that was touched within two seconds before
 * it was looked at is not remembered: stamps are as coarse as the file system's
 * clock, so it could change again, while it is read or after, and keep them. */
#ifndef FACET_STORE_SOURCES_H
#define FACET_STORE_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct sources;

/* root: of the store; "" for none, and one that cannot be read or written is
 * none too: then it is remembered in memory only. bytes: what was remembered
 * before is not believed, all is read. About 32 bytes a file. */
enum err_code sources_open(const char *root, bool bytes, struct sources **out,
                           struct err *e) MUST_USE;
/* XXH3-128 of a regular file's bytes. ERR_NOTFOUND, ERR_IO: also for what is no
 * regular file. */
enum err_code sources_hash(struct sources *s, const char *path, char hex[33],
                           struct err *e) MUST_USE;
/* For tests: another clock than the system's, ns since the epoch. */
void sources_set_clock(struct sources *s, int64_t (*now)(void *arg), void *arg);
size_t sources_read(const struct sources *s); /* files that were read */
void sources_close(struct sources **s);

#endif
