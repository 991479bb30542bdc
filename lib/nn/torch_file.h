/* Files written by PyTorch: containers and their storages. */
#ifndef FACET_NN_TORCH_FILE_H
#define FACET_NN_TORCH_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/nn/pickle.h"
#include "lib/nn/torch_type.h"

/* Caps on untrusted files: their size, and what may be unpacked or made from
 * one: TORCH_FREE + TORCH_GROWTH x its size (an expanded tensor and a deflated
 * archive are larger than their file), never more than TORCH_MAX_FILE. The
 * tree of values has pickle.h's caps. */
#define TORCH_MAX_FILE ((size_t)4 << 30)
#define TORCH_FREE ((size_t)64 << 20)
#define TORCH_GROWTH 64
#define TORCH_MAX_PICKLE ((size_t)256 << 20)
#define TORCH_MAX_STORAGES 131072

enum torch_format {
    TORCH_PICKLE, /* a pickle that torch.save did not write: no storages */
    TORCH_LEGACY, /* torch.save before 1.6, or without zip */
    TORCH_ZIP,    /* torch.save since 1.6 */
    TORCH_SCRIPT  /* torch.jit.save since 1.4 */
};

struct torch_file;

/* Read an untrusted file as data: nothing that its pickle asks for is called
 * (see pickle.h). Only the object tree is read now; storages when asked for.
 * Errors name file and cause: ERR_NOTFOUND, ERR_IO, ERR_DATA, ERR_NOMEM,
 * ERR_UNSUPPORTED (tar files before 0.1.10, TorchScript with model.json,
 * torch.package, big-endian, encrypted). Tests: test_torch_file.c,
 * sh/62-import-torch.sh; fuzzed by fuzz_torch.c. */
enum err_code torch_file_read(const char *path, struct torch_file **out,
                              struct err *e) MUST_USE;
/* The same from memory, which must outlive it; origin is used in errors. */
enum err_code torch_file_parse(const void *data, size_t n, const char *origin,
                               struct torch_file **out, struct err *e) MUST_USE;
void torch_file_free(struct torch_file **f);

const char *torch_file_origin(const struct torch_file *f);
enum torch_format torch_file_format(const struct torch_file *f);
/* "PyTorch zip", .. */
const char *torch_file_format_text(const struct torch_file *f);
const struct pickle_value *torch_file_root(const struct torch_file *f);
/* The most bytes that what is made from this file may take. */
size_t torch_file_limit(const struct torch_file *f);

/* What ("storage", class, key, location, elements[, view]) says. */
struct torch_storage {
    const struct torch_type *type;
    struct pickle_bytes key;
    size_t elements;
    size_t view_first, view_elements; /* a view in very old files; else all */
};
enum err_code torch_storage_of(const struct pickle_value *persid,
                               struct torch_storage *out,
                               struct err *e) MUST_USE;
/* The bytes of a storage, at least elements * type->size; they live as long as
 * the file. No alignment is promised. */
enum err_code torch_file_storage(struct torch_file *f,
                                 const struct torch_storage *s,
                                 const uint8_t **data, struct err *e) MUST_USE;

#endif
