/* Finding weight files by name. */
#ifndef FACET_MODELS_WEIGHTS_H
#define FACET_MODELS_WEIGHTS_H

#include "lib/base/err.h"

/* The path (mem_free) of the weights `name`: a path itself (it has a '/' or
 * ends in .safetensors), or NAME.safetensors in the folders of lookup_models
 * (lib/base/lookup.h). ERR_NOTFOUND says where it was looked for, and the
 * nearest name or those that are there. */
enum err_code weights_find(const char *name, char **path,
                           struct err *e) MUST_USE;

#endif
