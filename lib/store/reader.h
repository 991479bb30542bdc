/* Reading a store sample by sample, also a bare tree of pose2pose's layout. */
#ifndef FACET_STORE_READER_H
#define FACET_STORE_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/data/tensor.h"
#include "lib/store/row.h"

struct store_reader;

/* root is a store (.facet or index.csv), or holds frame_<i>.jpg|png files with
 * pose_<i> beside them, and metadata.csv for their sets where there is one.
 * ERR_NOTFOUND: no such folder. ERR_DATA: nothing of either kind. */
enum err_code store_reader_open(const char *root, struct store_reader **out,
                                struct err *e) MUST_USE;
/* The next row in index order, *row = NULL at the end; valid until the next
 * call. Rows of failures come too. Paths in a row were checked to stay below
 * root. */
enum err_code store_reader_next(struct store_reader *r,
                                const struct store_row **row,
                                struct err *e) MUST_USE;
/* Go back to the first row. */
enum err_code store_reader_rewind(struct store_reader *r,
                                  struct err *e) MUST_USE;
void store_reader_close(struct store_reader **r);

/* Of a bare tree: files and folders that may hold samples and cannot be read,
 * sorted by path; of a store none (its index knows). The reader's. */
struct file_bad;
const struct file_bad *store_reader_lost(const struct store_reader *r,
                                         size_t *n);

/* The bytes of file f (0 .. STORE_FILES-1) of a row into b (initialised by the
 * callee), at most max. ERR_DATA: they are not those that the row was stored
 * with (where it says so, and check). sum: of what was read. */
enum err_code store_reader_file(const struct store_reader *r,
                                const struct store_row *row, int f, size_t max,
                                bool check, struct buf *b, char sum[STORE_SUM],
                                struct err *e) MUST_USE;
/* landmarks_<i>.csv of n bytes: points f32[68,3] and scores f32[68] (NULL where
 * the file has none). ERR_DATA names the line. Untrusted. */
enum err_code store_parse_landmarks(const void *data, size_t n,
                                    const char *path, struct tensor **points,
                                    struct tensor **scores,
                                    struct err *e) MUST_USE;
/* The same from a file. */
enum err_code store_read_landmarks(const char *path, struct tensor **points,
                                   struct tensor **scores,
                                   struct err *e) MUST_USE;

#endif
