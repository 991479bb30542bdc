/* What the verbs that take a pipeline file share: FILE, --set, loading. */
#ifndef FACET_CLI_PLAN_H
#define FACET_CLI_PLAN_H

#include <stddef.h>

#include "lib/flow/pipeline.h"

#define PLAN_MAX_SETS 256

struct plan_args {
    const char *file;
    const char *sets[PLAN_MAX_SETS + 1];
    size_t n_sets;
};

/* Take argv[*i] if it is FILE or --set NAME=VALUE; *i stands on the last
 * argument taken. 1 taken, 0 it is another option, -1 usage error (said). */
int plan_arg(struct plan_args *a, const char *verb, int argc, char **argv,
             int *i);
/* Read and check the file; problems and warnings go to stderr. CLI_OK with
 * the plan in *out (pipeline_free), CLI_USAGE or CLI_BROKEN. */
int plan_load(const struct plan_args *a, const char *verb,
              struct pipeline **out);

#endif
