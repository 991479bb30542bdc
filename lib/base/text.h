/* Strict number parsing, edit distance, CSV fields, small string helpers. */
#ifndef FACET_BASE_TEXT_H
#define FACET_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* The whole string must be the number; no spaces, no inf/nan; locale-free.
 * false if not. */
bool text_to_i64(const char *s, int64_t *out) MUST_USE;
bool text_to_f64(const char *s, double *out) MUST_USE;
/* true yes on y 1, false no off n 0; also True, TRUE. */
bool text_to_bool(const char *s, bool *out) MUST_USE;

/* Damerau-Levenshtein distance of two short strings (at most 64 bytes are
 * looked at). */
size_t text_distance(const char *a, const char *b);
/* The entry of names[n] nearest to word if near enough for "did you mean",
 * else NULL. */
const char *text_nearest(const char *word, const char *const *names, size_t n);

/* One CSV record (RFC 4180: quotes, doubled quotes, CRLF) starting at *pos in
 * text[len]; fields are new strings. At the end of text: *n == 0, OK. */
enum err_code csv_record(const char *text, size_t len, size_t *pos,
                         char ***fields, size_t *n, struct err *e) MUST_USE;
/* The same as other programs write it: fields split by the separator, blanks
 * around them left out. Use lib/base/table.h. */
enum err_code csv_record_loose(const char *text, size_t len, size_t *pos,
                               char separator, char ***fields, size_t *n,
                               struct err *e) MUST_USE;
/* Take the last field away. */
void csv_record_drop(char **fields, size_t *n);
void csv_record_free(char **fields, size_t n);
/* Append s as one CSV field, quoted where needed. */
enum err_code csv_put(struct buf *b, const char *s, struct err *e) MUST_USE;

bool text_starts(const char *s, const char *prefix);
bool text_ends(const char *s, const char *suffix);
/* Bytes of a byte order mark at the beginning (UTF-8's: 3), else 0. */
size_t text_bom(const char *s, size_t n);
/* Does it begin with a byte order mark of UTF-16? */
bool text_is_utf16(const char *s, size_t n);
/* How a text file of other programs begins: *from is where, behind a byte order
 * mark. ERR_DATA: UTF-16, or bytes that are no text. */
enum err_code text_check(const char *s, size_t n, size_t *from,
                         struct err *e) MUST_USE;
/* Why text_to_f64 did not take s, for messages: "'1,5' has a decimal comma:
 * write 1.5", "'x' is no number"; returns out. */
const char *text_no_number(const char *s, char *out, size_t size);
/* Valid UTF-8 (no surrogates, no overlong forms)? */
bool text_is_utf8(const char *s, size_t n);
/* Turn into '?' what could play with a terminal or a reader: control characters
 * (C0 with line ends, DEL, C1), line separators, characters that turn the
 * direction of writing, and bytes that are not UTF-8. The length stays. What a
 * file or a peer says can then be shown. */
void text_plain(char *s, size_t n);
/* Any bytes as a text that can be shown, sent and read back by a person, new
 * memory: control characters, and bytes above 0x7f where s is not UTF-8, as
 * \xNN. NULL: no memory. */
char *text_escaped(const char *s) MUST_USE;
/* A line of n bytes (no '\n') as it would stand on a terminal in the end: what
 * follows its last carriage return (those that close it do not count), escape
 * sequences taken out, tabs as blanks, the rest as text_plain does it. In
 * place; the new length. */
size_t text_shown(char *s, size_t n);

#endif
