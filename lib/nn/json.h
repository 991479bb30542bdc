/* A strict pull reader for the small JSON headers of weight files. */
#ifndef FACET_NN_JSON_H
#define FACET_NN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define JSON_MAX_NESTING 8
#define JSON_MAX_STRING 4096

/* Reads untrusted text[n] (RFC 8259: nothing after the value but white space,
 * no comments, no trailing commas, valid UTF-8). The caller walks the text in
 * order; every function returns ERR_DATA with the byte's position where the
 * text is not what it asks for. */
struct json {
    const char *text;
    size_t n, at;
    int depth;
    bool fresh[JSON_MAX_NESTING]; /* no member read yet at this depth */
};

void json_init(struct json *j, const char *text, size_t n);
/* What comes next: one of { [ " 0 (a number) t f n, or 0 at the end. */
char json_peek(struct json *j);
enum err_code json_object(struct json *j, struct err *e) MUST_USE;
/* The next member's name into key (initialised by the caller, overwritten);
 * *more false when the object closes. The value must be read next. */
enum err_code json_member(struct json *j, struct buf *key, bool *more,
                          struct err *e) MUST_USE;
enum err_code json_array(struct json *j, struct err *e) MUST_USE;
enum err_code json_element(struct json *j, bool *more, struct err *e) MUST_USE;
/* A string, unescaped, into s (overwritten). No NUL inside. */
enum err_code json_string(struct json *j, struct buf *s,
                          struct err *e) MUST_USE;
/* A whole number 0 .. 2^63-1, without sign, fraction or exponent. */
enum err_code json_count(struct json *j, int64_t *v, struct err *e) MUST_USE;
/* Nothing but white space is left. */
enum err_code json_end(struct json *j, struct err *e) MUST_USE;

#endif
