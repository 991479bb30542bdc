/* What the verbs that take a pipeline share: its name, --set, loading, and
 * what it says of itself. */
#ifndef FACET_CLI_PLAN_H
#define FACET_CLI_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/flow/pipeline.h"

#define PLAN_MAX_SETS 256
#define PLAN_MAX_FILES 1024

struct plan_args {
    const char *files[PLAN_MAX_FILES];
    size_t n_files;
    const char *sets[PLAN_MAX_SETS + 1];
    size_t n_sets;
    bool many; /* may there be several files? */
    bool look; /* must what is to be read be there? */
    bool help; /* --help was given: see plan_help */
};

/* Take argv[*i] if it is a pipeline, --set NAME=VALUE or --help; *i stands on
 * the last argument taken. 1 taken, 0 it is another option, -1 usage error
 * (said). */
int plan_arg(struct plan_args *a, const char *verb, int argc, char **argv,
             int *i);
/* Read and check file n; problems and warnings go to stderr. CLI_OK with the
 * plan in *out (pipeline_free), CLI_USAGE or CLI_BROKEN. */
int plan_load(const struct plan_args *a, size_t n, const char *verb,
              struct pipeline **out);
/* The path (mem_free) of a pipeline: a file, or its name with or without
 * .yaml, in the working folder and then where lookup_pipelines says. */
enum err_code plan_find(const char *name, char **path, struct err *e) MUST_USE;
/* Print what file n does: its help, variables, stages. */
int plan_help(const struct plan_args *a, size_t n, const char *verb);

#endif
