/* Inside of a weight file that is read; for lib/nn/safetensors*.c only. */
#ifndef FACET_NN_SAFETENSORS_IMPL_H
#define FACET_NN_SAFETENSORS_IMPL_H

#include "lib/nn/safetensors.h"

struct safetensors_part {
    char *name;
    const char *word;
    enum dtype dtype;
    size_t elem;
    int ndim;
    int64_t shape[TENSOR_MAX_DIMS];
    size_t begin, end; /* within the data */
};

struct safetensors_text {
    char *key, *value;
};

struct safetensors {
    int refs;
    char *origin;
    int fd;              /* of a file that is open only, else -1 */
    uint64_t at;         /* where its data begins */
    struct buf bytes;    /* all of a file that was read */
    const uint8_t *data; /* the data, inside bytes; NULL where only open */
    size_t data_n;
    struct safetensors_part *entry;
    size_t *by_name; /* indices sorted by name, for look-ups */
    size_t n, cap;
    struct safetensors_text *meta;
    size_t n_meta, cap_meta;
};

/* Fill in entries, index and metadata from a header of n bytes; data_n is
 * known. */
enum err_code safetensors_understand(struct safetensors *x, const void *head,
                                     size_t n, struct err *e) MUST_USE;
/* The bytes of a tensor, from memory or from the file. ERR_IO; ERR_DATA if the
 * file has become shorter. */
enum err_code safetensors_fetch(const struct safetensors *s,
                                const struct safetensors_part *t, void *to,
                                struct err *e) MUST_USE;

#endif
