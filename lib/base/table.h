/* Tables of other people's programs: CSV as spreadsheets and scripts write it.
 * Every reader of such files goes through here. (What we wrote ourselves, a
 * store's index, is read by csv_record, to the letter.) */
#ifndef FACET_BASE_TABLE_H
#define FACET_BASE_TABLE_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct table {
    const char *path; /* the caller's, for messages */
    struct buf text;
    size_t pos, next_line;
    char separator; /* , ; or tab, as the first line has it */
    size_t line;    /* of the record, from 1 */
    char **field;   /* the record: owned, until the next */
    size_t n;       /* its fields; 0: the table is at its end */
    size_t columns; /* fields of the first record */
};

/* Read a file of at most max bytes. Taken: a byte order mark, CRLF and CR,
 * blank lines and lines of separators alone, blanks around fields, empty fields
 * behind the last column, quoted fields. ERR_DATA: UTF-16, no text. On failure
 * nothing is left to close. The errors of all functions here name the file and,
 * where there is one, the line. */
enum err_code table_open(struct table *t, const char *path, size_t max,
                         struct err *e) MUST_USE;
/* The next record that is not blank; t->n is 0 at the end. */
enum err_code table_next(struct table *t, struct err *e) MUST_USE;
/* Begin again at the first record. */
void table_rewind(struct table *t);
/* The field of that name in this record, which is the head line: as it is, else
 * whatever its capitals. -1 if there is none. */
int table_column(const struct table *t, const char *name);
/* A field of the record as a finite number. ERR_DATA: "'p.csv' line 4 column 2:
 * '1,5' has a decimal comma: write 1.5". */
enum err_code table_number(const struct table *t, size_t column, double *out,
                           struct err *e) MUST_USE;
void table_close(struct table *t);

#endif
