/* Files that belong to facet and are named without a path (models, pipelines),
 * and what to say of a path that is not there. */
#ifndef FACET_BASE_LOOKUP_H
#define FACET_BASE_LOOKUP_H

#include <stddef.h>

#include "lib/base/err.h"

/* Where a kind of file lies. */
struct lookup {
    const char *what;            /* "model" */
    const char *const *here;     /* the first of these is searched first */
    const char *env;             /* then its folders, split by ':' */
    const char *const *relative; /* after the rest of `here`: against the folder
                                    of a program of ours; NULL ends each */
    const char *installed;       /* the last one, or NULL */
    const char *const *suffix;   /* of the files; at most 4 */
};
/* Weights: FACET_MODELS; models/ two or three above the program (stages of the
 * build tree, tests), ../models (facet itself), share/facet/models. */
extern const struct lookup lookup_models;
/* Pipelines: the working folder; FACET_PIPELINES; pipelines/; those of the
 * source tree; share/facet/pipelines. */
extern const struct lookup lookup_pipelines;

/* The folders that are there, in the order in which they are searched, each
 * once, ending in NULL. program: a path of the program whose folder counts;
 * NULL: the running one. NULL with e set if there is no memory. */
char **lookup_folders(const struct lookup *l, const char *program,
                      struct err *e) MUST_USE;
void lookup_folders_free(char ***folders);

/* The path (mem_free) of the file `name` in the first folder that has it.
 * ERR_NOTFOUND: "no model 'x' in models (did you mean 'y'?)", or what there
 * is; folders as short as they can be said. */
enum err_code lookup_find(const struct lookup *l, const char *const *folders,
                          const char *name, char **path,
                          struct err *e) MUST_USE;

/* The file of a model (new memory): name is one of lookup_models', or the path of
 * a .safetensors file (with a '/' or that ending), which need not be there. */
enum err_code lookup_model(const char *program, const char *name, char **path,
                           struct err *e) MUST_USE;

/* Every file there, sorted by name, each name once (the first folder that has
 * it counts). */
struct lookup_list {
    char **names, **paths; /* names without their suffix */
    size_t n;
};
enum err_code lookup_list(const struct lookup *l, const char *const *folders,
                          struct lookup_list *out, struct err *e) MUST_USE;
void lookup_list_free(struct lookup_list *list);

/* Is there such a file (folder: such a folder), and may it be read?
 * ERR_NOTFOUND: "no folder 'clps' (did you mean 'clips'?)", "'x' is a file, not
 * a folder", "no folder 'a/b': there is no 'a'". */
enum err_code lookup_path(const char *path, int folder, struct err *e) MUST_USE;

#endif
