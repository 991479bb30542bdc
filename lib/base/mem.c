/* The only caller of malloc. Counts live blocks and can fail on demand. */
#include "lib/base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Atomic uint64_t fail_in; /* 0: off */
static _Atomic bool fail_hit;
static _Atomic int64_t live, bytes, peak;

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

static void add_bytes(size_t n)
{
    int64_t now =
        atomic_fetch_add_explicit(&bytes, (int64_t)n, memory_order_relaxed) +
        (int64_t)n;
    int64_t most = atomic_load_explicit(&peak, memory_order_relaxed);
    while (now > most &&
           !atomic_compare_exchange_weak_explicit(
               &peak, &most, now, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void drop_bytes(size_t n)
{
    atomic_fetch_sub_explicit(&bytes, (int64_t)n, memory_order_relaxed);
}

static void *counted(void *p)
{
    if (p) {
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
        add_bytes(malloc_usable_size(p));
    }
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
    size_t all;
    if (!size_mul(n, size, &all))
        return NULL;
    return mem_alloc(all);
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
    size_t all, before = p ? malloc_usable_size(p) : 0;
    if (must_fail() || !size_mul(n, size, &all))
        return NULL;
    void *q = realloc(p, all ? all : 1);
    if (q && !p)
        return counted(q);
    if (q) {
        drop_bytes(before);
        add_bytes(malloc_usable_size(q));
    }
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
    drop_bytes(malloc_usable_size(p));
    free(p);
}

/* A sanitizer's malloc sees what is written past the end, pages do not. */
#ifdef __SANITIZE_ADDRESS__
#define MAPS false
#else
#define MAPS true
#endif

/* Large ones begin at a large page: more is mapped, and what is over goes
 * back. */
static void *map_pages(size_t size)
{
    const size_t page = 4096;
    size_t extra = size >= LARGE_PAGE ? LARGE_PAGE - page : 0, all;
    if (!size_add(size, page - 1, &size) || !size_add(size, extra, &all))
        return NULL;
    size &= ~(page - 1);
    all = size + extra;
    uint8_t *p = mmap(NULL, all, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    size_t before = (size_t)(-(uintptr_t)p & (LARGE_PAGE - 1));
    if (!extra)
        return p;
    if (before)
        (void)munmap(p, before);
    if (before < extra)
        (void)munmap(p + before + size, extra - before);
    p += before;
    (void)madvise(p, size & ~(LARGE_PAGE - 1), MADV_HUGEPAGE);
    return p;
}

void *mem_map(size_t size)
{
    if (size < MEM_MAP_LEAST || !MAPS) {
        void *p = mem_aligned(size);
        if (p)
            memset(p, 0, size);
        return p;
    }
    if (must_fail())
        return NULL;
    void *p = map_pages(size);
    if (!p)
        return NULL;
    atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    add_bytes(size);
    return p;
}

void mem_unmap(void *p, size_t size)
{
    if (!p || size < MEM_MAP_LEAST || !MAPS) {
        mem_free(p);
        return;
    }
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    drop_bytes(size);
    (void)munmap(p, size);
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

int64_t mem_bytes(void)
{
    return atomic_load(&bytes);
}

int64_t mem_peak(void)
{
    return atomic_load(&peak);
}

void mem_peak_reset(void)
{
    atomic_store(&peak, atomic_load(&bytes));
}
