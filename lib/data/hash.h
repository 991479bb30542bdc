/* Fingerprints of files: XXH3, 128 bits (no protection against forgery). */
#ifndef FACET_DATA_HASH_H
#define FACET_DATA_HASH_H

#include <stddef.h>

#include "lib/base/err.h"

/* The hash of a file's bytes as 32 hexadecimal digits, those that
 * `xxhsum -H2` prints. ERR_IO, ERR_NOTFOUND. */
enum err_code hash_file(const char *path, char hex[33], struct err *e) MUST_USE;
/* The same of n bytes in memory. */
void hash_bytes(const void *data, size_t n, char hex[33]);
/* The identity of a program: of an ELF file its loaded sections without notes
 * (the same for a build in another folder, and stripped), else the file's
 * bytes. */
enum err_code hash_program(const char *path, char hex[33],
                           struct err *e) MUST_USE;

#endif
