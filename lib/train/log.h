/* The tables of a run: CSV files that grow row by row and can go back to where
 * a checkpoint stands. */
#ifndef FACET_TRAIN_LOG_H
#define FACET_TRAIN_LOG_H

#include <stdint.h>

#include "lib/base/err.h"

/* Begin <folder>/<name> with `head` as its first line, or go on with the one
 * that is there: rows whose first number is over `last` (made after the
 * checkpoint that a run goes on from) are taken out. ERR_IO. A table with
 * another head line is set aside as <name>.old. */
enum err_code train_log_open(const char *folder, const char *name,
                             const char *head, int64_t last,
                             struct err *e) MUST_USE;
/* Append one row (without its line end). */
enum err_code train_log_row(const char *folder, const char *name, struct err *e,
                            const char *fmt, ...) MUST_USE PRINTF_LIKE(4, 5);

#endif
