/* A growing byte buffer with a cap. */
#include "lib/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){.max = b->max};
}

/* Make cap hold len + n + 1 bytes (the closing NUL is not counted in max). */
static enum err_code grow(struct buf *b, size_t n, struct err *e)
{
    size_t need;
    if (!size_add(b->len, n, &need) || need > b->max)
        return err_set(e, ERR_NOMEM, "buffer is capped at %zu bytes", b->max);
    if (need < b->cap)
        return OK;
    size_t cap = b->cap ? b->cap : 256;
    while (cap <= need && cap <= b->max / 2)
        cap *= 2;
    if (cap <= need)
        cap = need + 1;
    void *p = mem_resize(b->data, cap, 1);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for %zu bytes", cap);
    b->data = p;
    b->cap = cap;
    return OK;
}

enum err_code buf_put(struct buf *b, const void *p, size_t n, struct err *e)
{
    enum err_code rc = grow(b, n, e);
    if (rc)
        return rc;
    if (n)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = 0;
    return OK;
}

enum err_code buf_puts(struct buf *b, const char *s, struct err *e)
{
    return buf_put(b, s, strlen(s), e);
}

enum err_code buf_printf(struct buf *b, struct err *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return err_set(e, ERR_ARG, "cannot format '%s'", fmt);
    enum err_code rc = grow(b, (size_t)n, e);
    if (rc)
        return rc;
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return OK;
}

void *buf_reserve(struct buf *b, size_t n, struct err *e)
{
    return grow(b, n, e) ? NULL : b->data + b->len;
}

const char *buf_str(const struct buf *b)
{
    if (!b->data)
        return "";
    b->data[b->len] = 0;
    return (const char *)b->data;
}
