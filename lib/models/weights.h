/* Finding weight files by name. */
#ifndef FACET_MODELS_WEIGHTS_H
#define FACET_MODELS_WEIGHTS_H

#include "lib/base/err.h"

/* The path (mem_free) of the weights `name`: a path itself (it has a '/' or
 * ends in .safetensors), or NAME.safetensors in the folders of FACET_MODELS
 * (split by ':'), in models/ two or three above the program's folder (build
 * tree), in ../../share/facet/models (installed). ERR_NOTFOUND lists where it
 * was looked for. */
enum err_code weights_find(const char *name, char **path,
                           struct err *e) MUST_USE;

#endif
