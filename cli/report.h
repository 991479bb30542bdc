/* `facet run --report FILE.json`: what a program wants to know of a run. */
#ifndef FACET_CLI_REPORT_H
#define FACET_CLI_REPORT_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/flow/supervisor.h"

struct report {
    const char *command;       /* "facet run x.yaml ..." */
    const struct pipeline *p;  /* what was run */
    const char *error;         /* why it broke, or NULL */
    const struct buf *results; /* the stages' result lines, '\n' after each */
    int64_t started_s;         /* Unix time */
    int exit_status;
    const struct supervisor_result *run;
};
/* Write it as one JSON object; docs/flow.md says what is in it. */
enum err_code report_write(const struct report *r, const char *path,
                           struct err *e) MUST_USE;

#endif
