/* A row of a sample store: one sample's outcome, as a line of the journal and
 * as a line of index.csv. */
#ifndef FACET_STORE_ROW_H
#define FACET_STORE_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* The columns of index.csv in their order: pose2pose's four, then ours. All
 * paths are relative to the store's root. Names: store_columns. */
enum store_col {
    COL_NAME,
    COL_SNIPPET,
    COL_N_FRAMES,
    COL_SET,
    COL_SAMPLE, /* "i"; "" when the whole snippet failed */
    COL_VIEW,   /* generated pictures: 0 .. n_views-1; else "" */
    COL_N_VIEWS,
    COL_IDENTITY,
    COL_STATUS, /* "ok", "no face", "decode error", ... */
    COL_REASON, /* text of the error */
    COL_STAGE,  /* where it failed */
    COL_SOURCE, /* path of the clip or picture */
    COL_PTS_NS, /* true presentation time */
    COL_FRAME_INDEX,
    COL_WIDTH, /* of the frame, pixels */
    COL_HEIGHT,
    COL_FRAME,
    COL_POSE,
    COL_LANDMARKS,
    COL_GENERATED,
    COL_METHOD,
    COL_MODEL,
    COL_RX_DEG,
    COL_RY_DEG,
    COL_RZ_DEG,
    COL_SEED,
    COL_NOTE, /* what the decoder had to say of a good sample */
    /* Stores of format 1 end here. */
    COL_FACE,        /* of several faces of a picture: 0 .. faces-1; else "" */
    COL_FACES,       /* how many of them */
    COL_ITEM,        /* id of the item that was stored */
    COL_RECIPE,      /* hash of the settings it came from; "" unknown */
    COL_SOURCE_HASH, /* of the clip or picture, XXH3-128; "" unknown */
    COL_FRAME_SUM,   /* of the files: "<bytes>-<XXH3-128>"; "" unknown */
    COL_POSE_SUM,
    COL_LANDMARKS_SUM,
    COL_GENERATED_SUM,
    STORE_COLS
};
#define STORE_COLS_1 COL_FACE /* columns of format 1 */
/* The files of a row: column of the path, and of its sum. */
#define STORE_FILES 4
extern const enum store_col store_file_cols[STORE_FILES];
extern const enum store_col store_sum_cols[STORE_FILES];
extern const char *const store_columns[STORE_COLS];

/* Values are borrowed, never NULL once store_row_clear was called. */
struct store_row {
    const char *v[STORE_COLS];
};

#define STORE_LINE_MAX 65536 /* bytes of a journal line, newline included */

void store_row_clear(struct store_row *r); /* all "" */
bool store_row_ok(const struct store_row *r);
/* A whole-number column, or fallback when it is "" or not a number. */
int64_t store_row_i64(const struct store_row *r, enum store_col c,
                      int64_t fallback);

/* Order of index.csv: name, snippet (bytes), sample, face, view (numbers;
 * absent first). 0: the same sample. */
int store_row_compare(const struct store_row *a, const struct store_row *b);
/* Do both come from the same settings and source? */
bool store_row_same_key(const struct store_row *a, const struct store_row *b);
/* Only name and snippet. */
int store_row_compare_snippet(const struct store_row *a,
                              const struct store_row *b);

/* Append the journal's line: a checksum of 16 hex digits and all columns,
 * tab-separated, bytes below 0x20, 0x7f and '%' as %XX, then a newline.
 * ERR_DATA when longer than STORE_LINE_MAX (b unchanged then). */
enum err_code store_row_encode(const struct store_row *r, struct buf *b,
                               struct err *e) MUST_USE;
/* Read such a line, also one of format 1 (its missing columns are "" (n bytes
 * without the newline; NUL at line[n]) in place: r points into it afterwards.
 * false if it is torn or damaged. Untrusted. */
bool store_row_decode(char *line, size_t n, struct store_row *r) MUST_USE;

/* Append the header or the row as CSV with "\n". */
enum err_code store_row_csv_header(struct buf *b, struct err *e) MUST_USE;
enum err_code store_row_csv(const struct store_row *r, struct buf *b,
                            struct err *e) MUST_USE;

#define STORE_SUM 56 /* bytes of a file's sum as text, with the NUL */
/* The sum of n bytes: "<n>-<XXH3-128>". */
void store_sum(const void *data, size_t n, char out[STORE_SUM]);
/* Of a file. ERR_IO, ERR_NOTFOUND. */
enum err_code store_sum_file(const char *path, char out[STORE_SUM],
                             struct err *e) MUST_USE;
/* Does the file hold the bytes of this sum? false also if it cannot be read.
 * Size first: most of what does not match is told without reading. */
bool store_sum_matches(const char *path, const char *sum);

/* Is there a regular file of this sum's size (of any, where sum is "")? */
bool store_sum_fits(const char *path, const char *sum);

/* FNV-1a 64 with a seed, finalised; the same on every machine. */
uint64_t store_hash(uint64_t seed, const void *p, size_t n);

/* The status word of an error code: ERR_NOFACE "no face", ERR_DATA "decode
 * error" (or "bad data" where decoding is not what failed), ... */
const char *store_status(enum err_code code, bool decoding);

#endif
