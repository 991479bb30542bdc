/* Tensors of weight files as lines of a table, for 80 columns. */
#ifndef FACET_CLI_WEIGHTS_TEXT_H
#define FACET_CLI_WEIGHTS_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Widths of the columns, found by measuring all rows first. */
struct weights_table {
    int name, shape;
};
void weights_measure(struct weights_table *t, const char *name, int ndim,
                     const int64_t *shape);
/* "name  f32  64x3x7x7  9408", on standard output; a name that is too long for
 * its column pushes the rest to the right. */
void weights_row(const struct weights_table *t, const char *name,
                 const char *dtype, int ndim, const int64_t *shape,
                 uint64_t count);
/* "23,821,456"; returns out. */
const char *weights_count(uint64_t n, char out[32]);
/* "95.3 MB" beside the exact number; returns out. */
const char *weights_bytes(uint64_t n, char out[32]);
/* "64x3x7x7", "scalar"; returns out. */
const char *weights_shape(int ndim, const int64_t *shape, char *out, size_t n);

#endif
