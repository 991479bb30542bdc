/* The only module that calls malloc: checked sizes, and failures on demand. */
#ifndef FACET_BASE_MEM_H
#define FACET_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/* a * b or a + b into *out; false (and *out untouched) on overflow. */
bool size_mul(size_t a, size_t b, size_t *out) MUST_USE;
bool size_add(size_t a, size_t b, size_t *out) MUST_USE;

/* All return NULL when memory cannot be had (never exit). Memory is given
 * back with mem_free. mem_calloc zeroes; mem_array checks n * size. */
void *mem_alloc(size_t size) MUST_USE;
void *mem_calloc(size_t n, size_t size) MUST_USE;
void *mem_array(size_t n, size_t size) MUST_USE;
/* 64-byte aligned, for tensors and SIMD; give back with mem_free. */
void *mem_aligned(size_t size) MUST_USE;
/* Resize to n elements; on failure NULL and the old block stays valid. */
void *mem_resize(void *p, size_t n, size_t size) MUST_USE;
char *mem_strdup(const char *s) MUST_USE;
char *mem_strndup(const char *s, size_t n) MUST_USE;
/* A formatted string in new memory; NULL on failure. */
char *mem_printf(const char *fmt, ...) MUST_USE PRINTF_LIKE(1, 2);
void mem_free(void *p); /* NULL is fine */
/* Large memory of its own pages, zeroed, 64-byte aligned: it goes back to the
 * system at once when it is unmapped, where malloc may keep what was freed. For
 * weights and arenas; what comes and goes often is malloc's. Less than
 * MEM_MAP_LEAST bytes are malloc's in any case. size must be the same in both
 * calls; NULL is fine. */
#define MEM_MAP_LEAST ((size_t)256 << 10)
void *mem_map(size_t size) MUST_USE;
void mem_unmap(void *p, size_t size);

/* For tests: make the n-th allocation from now (1 = next) fail, once.
 * 0 switches off. mem_live() counts blocks not given back yet. */
void mem_fail_nth(uint64_t n);
bool mem_fail_hit(void); /* did the failure happen since mem_fail_nth? */
int64_t mem_live(void);
/* Bytes in blocks not given back yet, as malloc rounds them; and the most there
 * have been since mem_peak_reset. */
int64_t mem_bytes(void);
int64_t mem_peak(void);
void mem_peak_reset(void);

#endif
