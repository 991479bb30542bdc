/* For tests of lib/data/wire: writes raw msgpack, so that a message can be
 * wrong in any way, and decodes it. */
#ifndef FACET_TESTS_RAW_MSGPACK_H
#define FACET_TESTS_RAW_MSGPACK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/data/item.h"

extern struct buf mp_out;       /* where all of these append */
extern const uint8_t mp_id[16]; /* the id that mp_begin writes */

void mp_raw(const void *p, size_t n);
void mp_byte(unsigned b);
void mp_be32(uint32_t v);
void mp_map(unsigned n);
void mp_array(unsigned n);
void mp_str(const char *s);
void mp_bin(const void *p, size_t n);
void mp_uint(uint32_t v);
/* The start of a good header with n fields, which follow. */
void mp_begin(unsigned n);
/* A tensor map up to its last key and value, which follow. */
void mp_array_head(const char *type, unsigned ndim, const uint32_t *shape);
/* Decode what was written, with one more part of n bytes if part is given.
 * Empties mp_out. Checks what must hold whatever happens. */
enum err_code mp_decode(const void *part, size_t n, struct item **it,
                        struct err *e);

#endif
