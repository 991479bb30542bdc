/* Runs a checked pipeline: starts the processes, wires them, watches them,
 * stops them. What it wants a person to read goes through a callback. See
 * docs/flow.md for the rules (replicas, cores, ends, signals). */
#ifndef FACET_FLOW_SUPERVISOR_H
#define FACET_FLOW_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/flow/launcher.h"
#include "lib/flow/pipeline.h"
#include "lib/flow/progress.h"

enum supervisor_text {
    SUPERVISOR_REPORT, /* a result line of a stage */
    SUPERVISOR_LOG,    /* a line that a process printed, with its name */
    SUPERVISOR_ERROR,  /* why the run is broken */
    SUPERVISOR_INFO,   /* plain progress lines, "stopping" */
    SUPERVISOR_BAR,    /* replaces the bar on a terminal; "" removes it */
    SUPERVISOR_TABLE   /* the closing table, several lines */
};

struct supervisor_options {
    const struct launcher_ops *launcher; /* NULL: launcher_local */
    const char *facet;   /* this program: `facet bridge` runs external stages */
    int columns;         /* of the terminal; 0: no terminal, plain lines */
    int (*width)(void);  /* its columns now, or NULL: they do not change */
    int hello_timeout_s; /* for a started process to answer; 0: 60 */
    int exit_timeout_s;  /* for one that is through to exit; 0: 20 */
    void (*text)(void *arg, enum supervisor_text kind, const char *text);
    void *arg;
};

enum supervisor_end {
    RUN_OK,
    RUN_FAILED_ITEMS, /* all done, but some items are dead letters */
    RUN_BROKEN,       /* a process died, or something could not be had */
    RUN_STOPPED       /* by a signal */
};

struct supervisor_result {
    enum supervisor_end end;
    int signal; /* RUN_STOPPED */
    int64_t failed;
    int64_t wall_ns; /* from the first item on; 0 if it never came so far */
    /* What each stage did, in the order of the pipeline; the caller's
     * (mem_free), NULL if there is no memory. Names are the pipeline's. */
    struct progress_row *rows;
    size_t n_rows;
};

/* Replicas and cores each that stage i of p gets on `cores` cores. auto: an
 * even share of the cores among all transforms that say auto; 1 for sources
 * and sinks. threads: what it says, else cores / replicas. At least 1. */
void supervisor_plan(const struct pipeline *p, size_t i, int cores,
                     int *replicas, int *threads);
/* Cores that this process may use. */
int supervisor_cores(void);

/* Run it to its end. Takes SIGINT, SIGTERM and SIGCHLD meanwhile: the first of
 * the former two stops the run within about 2 s, a second one kills. No
 * process is left when it returns. An error (result is RUN_BROKEN then too)
 * only if nothing could be started; it was not shown. */
enum err_code supervisor_run(const struct pipeline *p,
                             const struct supervisor_options *o,
                             struct supervisor_result *result,
                             struct err *e) MUST_USE;

#endif
