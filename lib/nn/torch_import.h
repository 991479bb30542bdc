/* PyTorch files as safetensors: reading, choosing and loading in one. */
#ifndef FACET_NN_TORCH_IMPORT_H
#define FACET_NN_TORCH_IMPORT_H

#include "lib/nn/safetensors.h"
#include "lib/nn/torch_tensors.h"

/* The weights of a PyTorch file, in memory; owns all. */
struct torch_import {
    struct torch_weights *weights;
    struct tensor **tensor;        /* weights->n; NULL: cannot be written */
    struct safetensors_item *item; /* those that can, in order, NULL name */
    size_t n;                      /* items */
    size_t skipped, widened;       /* tensors left out; int8 and int16 */
    const char *format;            /* "PyTorch zip" */
    char *source;                  /* "fan.pth.tar (PyTorch legacy)" */
};

/* Read path (untrusted, see torch_file.h), choose (torch_weights_of) and load.
 * A chosen tensor that cannot be written (complex, quantized, sparse) is
 * ERR_UNSUPPORTED with its name, or left out if skip is set. Errors name the
 * file. Test: tests/sh/62-import-torch.sh. */
enum err_code torch_import(const char *path, const struct torch_options *o,
                           bool skip, struct torch_import **out,
                           struct err *e) MUST_USE;
/* The same for a file that is open already. */
enum err_code torch_import_from(struct torch_file *f,
                                const struct torch_options *o, bool skip,
                                struct torch_import **out,
                                struct err *e) MUST_USE;
void torch_import_free(struct torch_import **m);
/* Write as safetensors (whole or not at all), metadata format = pt and
 * source. */
enum err_code torch_import_write(const struct torch_import *m, const char *path,
                                 struct err *e) MUST_USE;
/* The same as a weight file in memory. */
enum err_code torch_import_safetensors(const struct torch_import *m,
                                       struct safetensors **out,
                                       struct err *e) MUST_USE;

#endif
