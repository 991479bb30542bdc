/* Where weight files lie: for the networks that load them and for the runner,
 * which notes what a run depends on. */
#ifndef FACET_BASE_WEIGHTS_PATH_H
#define FACET_BASE_WEIGHTS_PATH_H

#include "lib/base/err.h"

/* The path (mem_free) of the weights `name` for a program that lies in folder
 * `program` ("": unknown): a path itself (it has a '/' or ends in
 * .safetensors), or NAME.safetensors in the folders of FACET_MODELS (split by
 * ':'), in models/ two or three above the program's folder (build tree), in
 * ../../share/facet/models (installed). ERR_NOTFOUND lists where it was looked
 * for. */
enum err_code weights_path(const char *program, const char *name, char **path,
                           struct err *e) MUST_USE;

#endif
