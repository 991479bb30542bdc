/* A growing byte buffer with a cap: no buffer without a limit. */
#ifndef FACET_BASE_BUF_H
#define FACET_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct buf {
    uint8_t *data; /* owned; NUL-terminated after buf_printf/buf_puts */
    size_t len, cap, max;
};

/* max: the most bytes it may ever hold (not counting a closing NUL). */
void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b); /* also after failure; leaves it empty */
/* Append. ERR_NOMEM if memory or the cap does not allow it (b unchanged). */
enum err_code buf_put(struct buf *b, const void *p, size_t n,
                      struct err *e) MUST_USE;
enum err_code buf_puts(struct buf *b, const char *s, struct err *e) MUST_USE;
enum err_code buf_printf(struct buf *b, struct err *e, const char *fmt,
                         ...) MUST_USE PRINTF_LIKE(3, 4);
/* Make room for n more bytes and return where they go (len unchanged). */
void *buf_reserve(struct buf *b, size_t n, struct err *e) MUST_USE;
/* The contents as a string ("" when empty); valid until the next change. */
const char *buf_str(const struct buf *b);

#endif
