/* Pipeline files: YAML to a checked plan that the supervisor can start. */
#ifndef FACET_FLOW_PIPELINE_H
#define FACET_FLOW_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* What a stage says of itself (its --describe, read back). All owned. */
struct info_field {
    char *name, *type; /* type as in stage.h: "u8[H,W,3]", "str" */
    bool optional;
};
struct info_port {
    char *name, *help;
    struct info_field *fields;
    size_t n;
    bool open; /* the list ends with "...": other fields may come too */
};
struct info_param {
    char *name, *type, *def, *choices, *unit, *help; /* NULL where absent */
    double min, max;
    bool aside; /* `result: false`: does not shape the results */
};
struct stage_info {
    char *name, *help, *kind; /* "source" | "transform" | "sink" */
    struct info_port *in, *out;
    struct info_param *params;
    size_t n_in, n_out, n_params;
    int64_t batch;
    bool ours; /* `runtime: facet`: the program speaks the link itself */
    bool rows; /* it writes rows into a sample store, its parameter `root` */
    char text_hash[33]; /* XXH3-128 of its --describe; "" if parsed only */
};

struct pipe_param {
    char *name, *value; /* after ${var} substitution; lists joined by ',' */
    int line, column;   /* of the value; 0 if it comes from --set */
};
struct pipe_stage {
    char *name;  /* instance */
    char *run;   /* as written */
    char **argv; /* the command without parameters; NULL-terminated */
    size_t argc;
    bool ours; /* speaks the link itself; else it runs under the bridge */
    struct stage_info *info;
    struct pipe_param *params;
    size_t n_params;
    int replicas; /* 0: auto */
    int threads;  /* cores per process; 0: default */
    int retries;  /* times an item is tried again after failing; default 0 */
    int64_t item_ms, open_ms; /* time limits; 0: none */
    int restart; /* times a dead process is started anew; -1: not said */
    int line, column;
};
struct pipe_edge {
    size_t from, to; /* indices of stages */
    char *from_port, *to_port;
    int line, column;
};
struct pipe_var {
    char *name, *value, *help; /* value NULL: required and not set */
    bool required;             /* no default, must be --set */
};
struct pipeline {
    char *path; /* of the file, as given */
    char *help;
    char *dead; /* dead-letter folder: key `dead:`, else "${out}/dead" if there
                   is a var `out`, else "dead" */
    struct pipe_var *vars;
    struct pipe_stage *stages; /* in file order */
    struct pipe_edge *edges;
    size_t n_vars, n_stages, n_edges;
};

/* How pipeline_load finds stages: `dirs` (NULL-terminated) are searched for
 * the name in `run:`; our own stages are executables there. */
struct pipe_options {
    const char *const *stage_dirs;
    const char *const *sets; /* "name=value", NULL-terminated; vars, or
                                stage.param=value to override one parameter */
    bool look; /* must folders, files and models that parameters name as to be
                  read (type folder, file, model) be there? */
};

/* Read, substitute, describe every stage, resolve edges, check fields and
 * parameters. On failure NULL, and `report` (initialised by the caller) holds
 * one line per problem: "file:line:column: error: text (did you mean 'x'?)"
 * ("--set NAME=VALUE: error: text" for a --set); several problems are reported
 * in one go where possible, and e says how many. On success report may hold
 * warnings in the same form. Nothing is started but `--describe`. */
enum err_code pipeline_load(const char *path, const struct pipe_options *o,
                            struct pipeline **out, struct buf *report,
                            struct err *e) MUST_USE;
void pipeline_free(struct pipeline **p);
/* Does the bridge run it: a command, or one of ours with limits? */
bool pipe_stage_bridged(const struct pipe_stage *st);

/* Several at once, at most 8 running at a time; each job's rc, e and info
 * (owned by the caller afterwards) are filled in. */
struct info_job {
    char *const *argv;
    struct stage_info *info;
    enum err_code rc;
    struct err e;
};
void stage_info_jobs(struct info_job *jobs, size_t n);

/* Run `argv --describe` (60 s limit, 1 MiB cap) and read its YAML. */
enum err_code stage_info_from_command(char *const *argv,
                                      struct stage_info **out,
                                      struct err *e) MUST_USE;
enum err_code stage_info_parse(const char *yaml, size_t n, const char *origin,
                               struct stage_info **out, struct err *e) MUST_USE;
void stage_info_free(struct stage_info **i);

/* Graphviz source: stages with replicas, edges labelled with their fields. */
enum err_code pipeline_dot(const struct pipeline *p, struct buf *out,
                           struct err *e) MUST_USE;

#endif
