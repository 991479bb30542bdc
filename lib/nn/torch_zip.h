/* Zip archives, read only: the only module that uses libzip. */
#ifndef FACET_NN_TORCH_ZIP_H
#define FACET_NN_TORCH_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define TORCH_ZIP_MAX_ENTRIES 131072
#define TORCH_ZIP_MAX_NAME 512

struct torch_zip;

/* Open an untrusted archive. Every entry must be plain (stored or deflated,
 * not encrypted), its name unique and short, without "..", "\" or a leading
 * "/". Nothing is ever written to disk. ERR_IO, ERR_NOTFOUND, ERR_DATA,
 * ERR_UNSUPPORTED, ERR_NOMEM. */
enum err_code torch_zip_open(const char *path, struct torch_zip **out,
                             struct err *e) MUST_USE;
/* The same from data[n], which must outlive it. */
enum err_code torch_zip_parse(const void *data, size_t n,
                              struct torch_zip **out, struct err *e) MUST_USE;
void torch_zip_close(struct torch_zip **z);
/* Entries sorted by name. */
size_t torch_zip_count(const struct torch_zip *z);
const char *torch_zip_name(const struct torch_zip *z, size_t i);
bool torch_zip_find(const struct torch_zip *z, const char *name, size_t *i);
/* Bytes of an entry once unpacked, as the archive claims. */
size_t torch_zip_size(const struct torch_zip *z, size_t i);
/* Unpack entry i into out (initialised by the callee, 64-byte boundaries are
 * not kept). Its length must be what the archive claims and at most max, and
 * its checksum right. */
enum err_code torch_zip_extract(struct torch_zip *z, size_t i, size_t max,
                                struct buf *out, struct err *e) MUST_USE;

#endif
