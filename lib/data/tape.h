/* Tapes: files (or pipes) of items. A tape starts with the 8 bytes
 * "FACETTP1"; each record is u32 parts, u64 size of each part, the parts, and
 * a u64 XXH3 of all that, little-endian. A tape that ends inside a record is
 * an error that says at which byte. */
#ifndef FACET_DATA_TAPE_H
#define FACET_DATA_TAPE_H

#include <stdbool.h>
#include <stdio.h>

#include "lib/base/err.h"
#include "lib/data/item.h"
#include "lib/data/wire.h"

struct tape; /* open for reading or for writing */

/* "-" is stdin / stdout. A file being written appears under its name only at
 * tape_close (through a temporary); stdout is written directly, from the first
 * item on (the head of the tape comes with it, or with the end). */
struct tape *tape_open_read(const char *path, struct err *e) MUST_USE;
struct tape *tape_open_write(const char *path, struct err *e) MUST_USE;
/* The same over an open stream, which stays the caller's. */
struct tape *tape_read_stream(FILE *f, const char *name,
                              struct err *e) MUST_USE;
struct tape *tape_write_stream(FILE *f, const char *name,
                               struct err *e) MUST_USE;
/* The next item into *out (the caller's), or *out = NULL at a clean end. */
enum err_code tape_next(struct tape *t, struct item **out,
                        struct err *e) MUST_USE;
enum err_code tape_put(struct tape *t, const struct item *it,
                       struct err *e) MUST_USE;
enum err_code tape_flush(struct tape *t, struct err *e) MUST_USE;
/* Closes (and for a written file: fsync and rename). Frees t in any case. */
enum err_code tape_close(struct tape **t, struct err *e) MUST_USE;
/* Close without publishing a written file. */
void tape_abort(struct tape **t);

#endif
