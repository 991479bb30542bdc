/* The only caller of malloc. Counts live blocks and can fail on demand. */
#include "lib/base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Atomic uint64_t fail_in; /* 0: off */
static _Atomic bool fail_hit;
static _Atomic int64_t live;

bool size_mul(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

bool size_add(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

/* Is this the allocation that a test wants to fail? */
static bool must_fail(void)
{
    uint64_t n = atomic_load_explicit(&fail_in, memory_order_relaxed);
    if (n == 0)
        return false;
    atomic_store(&fail_in, n - 1);
    if (n != 1)
        return false;
    atomic_store(&fail_hit, true);
    return true;
}

static void *counted(void *p)
{
    if (p)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return p;
}

void *mem_alloc(size_t size)
{
    if (must_fail())
        return NULL;
    return counted(malloc(size ? size : 1));
}

void *mem_calloc(size_t n, size_t size)
{
    if (must_fail())
        return NULL;
    return counted(calloc(n ? n : 1, size ? size : 1));
}

void *mem_array(size_t n, size_t size)
{
    size_t bytes;
    if (!size_mul(n, size, &bytes))
        return NULL;
    return mem_alloc(bytes);
}

/* Blocks of at least this many bytes ask for large pages: walking weights and
 * activations of tens of MB through 4 KB pages costs a network a tenth of its
 * time and more, most of all in virtual machines. */
#define LARGE_PAGE ((size_t)2 << 20)

void *mem_aligned(size_t size)
{
    size_t align = size >= LARGE_PAGE ? LARGE_PAGE : 64, rounded;
    if (must_fail() || !size_add(size, 63, &rounded))
        return NULL;
    rounded &= ~(size_t)63;
    if (align == 64)
        return counted(aligned_alloc(64, rounded ? rounded : 64));
    /* Not more than whole pages that are used: the rest of the last one would
     * be memory for nothing. (C11's aligned_alloc wants a multiple.) */
    void *p = NULL;
    if (posix_memalign(&p, align, rounded) != 0)
        p = NULL;
    if (counted(p))
        (void)madvise(p, rounded & ~(align - 1), MADV_HUGEPAGE);
    return p;
}

void *mem_resize(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (must_fail() || !size_mul(n, size, &bytes))
        return NULL;
    void *q = realloc(p, bytes ? bytes : 1);
    if (q && !p)
        counted(q);
    return q;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *p = mem_alloc(len + 1);
    if (!p)
        return NULL;
    memcpy(p, s, len);
    p[len] = 0;
    return p;
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return NULL;
    char *p = mem_alloc((size_t)n + 1);
    if (!p)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

void mem_free(void *p)
{
    if (!p)
        return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(p);
}

void mem_fail_nth(uint64_t n)
{
    atomic_store(&fail_hit, false);
    atomic_store(&fail_in, n);
}

bool mem_fail_hit(void)
{
    return atomic_load(&fail_hit);
}

int64_t mem_live(void)
{
    return atomic_load(&live);
}
