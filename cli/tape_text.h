/* The text form of items, which `facet tape show --full` prints and
 * `facet tape make --text` reads (docs/wire.md describes it). */
#ifndef FACET_CLI_TAPE_TEXT_H
#define FACET_CLI_TAPE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/data/item.h"

/* A place in a text; `line` starts at 1. */
struct text_reader {
    const char *text;
    size_t n, pos;
    int line;
};

/* The next item, or *out = NULL at the end. *has_id: did the text give one?
 * ERR_DATA names the line. */
enum err_code text_item_read(struct text_reader *r, struct item **out,
                             bool *has_id, struct err *e) MUST_USE;
/* Set field `name` from a type ("str", "i64", "f64", "bool", "nil" or
 * "f32[68,3]") and its value in text form; numbers may be split by blanks or
 * commas. The whole text must be used up. */
enum err_code text_value(struct item *it, const char *name, const char *type,
                         const char *value, struct err *e) MUST_USE;
/* Append it in text form: exact, so that reading gives the same item. */
enum err_code text_item_write(const struct item *it, struct buf *out,
                              struct err *e) MUST_USE;
/* Append s as a quoted string, escaped as in JSON. */
enum err_code text_quote(const char *s, struct buf *out,
                         struct err *e) MUST_USE;
/* Append element i of t so that reading gives the same bits (all NaNs are
 * one). json: "null" where JSON has no such number. */
enum err_code text_element(const struct tensor *t, size_t i, bool json,
                           struct buf *out, struct err *e) MUST_USE;
/* Set element i of t from a number; ERR_DATA if it is none or out of range. */
enum err_code text_set_element(struct tensor *t, size_t i, const char *number,
                               struct err *e) MUST_USE;

#endif
