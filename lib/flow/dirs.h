/* Where stage executables are: FACET_STAGES (folders split by ':'), then
 * stages/ beside the running program (build tree; with it ../examples), then
 * ../libexec/facet and ../share/facet/examples (installed). */
#ifndef FACET_FLOW_DIRS_H
#define FACET_FLOW_DIRS_H

#include <stddef.h>

#include "lib/base/err.h"

/* A new NULL-terminated list of the folders that exist, in the order in which
 * they are searched; NULL with e set on failure. */
char **stage_dirs(struct err *e) MUST_USE;
void stage_dirs_free(char ***dirs);

/* "PYTHONPATH=...": what there is of it, and behind that the folder of our
 * facet.py (in the source tree, or ../share/facet/python), for stages in
 * Python, into *out (mem_free); NULL if there is no such folder. ERR_NOMEM. */
enum err_code python_path(char **out, struct err *e) MUST_USE;

/* The path of the stage `name` into *path (mem_free). A name with a '/' is
 * taken as a path. ERR_NOTFOUND with the folders searched and the nearest
 * name that is there. */
enum err_code stage_find(const char *const *dirs, const char *name, char **path,
                         struct err *e) MUST_USE;

/* Names of all executables in dirs, sorted, each once (the first folder that
 * has it counts), and the path of each. */
struct stage_list {
    char **names, **paths;
    size_t n;
};
enum err_code stage_list(const char *const *dirs, struct stage_list *out,
                         struct err *e) MUST_USE;
void stage_list_free(struct stage_list *l);

#endif
