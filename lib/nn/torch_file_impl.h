/* Inside of torch_file*.c. */
#ifndef FACET_NN_TORCH_FILE_IMPL_H
#define FACET_NN_TORCH_FILE_IMPL_H

#include "lib/base/buf.h"
#include "lib/nn/torch_file.h"
#include "lib/nn/torch_zip.h"

/* A storage of a legacy file. */
struct torch_record {
    struct pickle_bytes key;
    const struct torch_type *type;
    size_t elements;
    const uint8_t *data; /* NULL: not in the file */
};

struct torch_file {
    char *origin;
    enum torch_format format;
    size_t limit;
    struct pickle *tree;
    /* legacy */
    struct buf bytes; /* the file, if we read it */
    const uint8_t *data;
    size_t data_n;
    struct torch_record *record; /* sorted by key */
    size_t n_records;
    /* zip */
    struct torch_zip *zip;
    char *root;           /* "archive/" */
    struct buf pickled;   /* data.pkl */
    struct buf *unpacked; /* one an entry, empty until asked for */
    size_t unpacked_bytes;
};

/* Read the tree from x->zip. */
enum err_code torch_file_unzip(struct torch_file *x, struct err *e) MUST_USE;
/* Read tree and records from x->data. */
enum err_code torch_file_legacy(struct torch_file *x, struct err *e) MUST_USE;
/* The bytes of a storage in either. */
enum err_code torch_file_entry(struct torch_file *x,
                               const struct torch_storage *s,
                               const uint8_t **data, size_t *n,
                               struct err *e) MUST_USE;
enum err_code torch_file_record(struct torch_file *x,
                                const struct torch_storage *s,
                                const uint8_t **data, size_t *n,
                                struct err *e) MUST_USE;

#endif
