/* What the parts of the pipeline reader share; nobody else includes it. */
#ifndef FACET_FLOW_PIPELINE_LOAD_H
#define FACET_FLOW_PIPELINE_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/flow/pipeline.h"
#include "lib/flow/yaml.h"

#define PIPE_MAX_STAGES 256
#define PIPE_MAX_REPLICAS 256
#define PIPE_MAX_THREADS 1024
#define PIPE_MAX_RETRIES 100
#define PIPE_MAX_RESTART 1000000
#define PIPE_MAX_LIMIT_MS (7 * 24 * 3600e3)
#define PIPE_MAX_TEXT ((size_t)16 << 20) /* of all texts after ${var} */
#define PIPE_MAX_PROBLEMS 100            /* reported; more are only counted */

struct pipe_problem {
    int line, column; /* 0: no place in the file */
    char *text;       /* the whole line; owned */
};

struct pipe_load {
    const struct pipe_options *o;
    struct pipeline *p; /* being filled */
    struct buf *report;
    struct err *e;
    enum err_code rc; /* ERR_NOMEM once memory has run out, else OK */
    size_t errors, warnings;
    struct pipe_problem *problems; /* sorted by place */
    size_t n_problems;
    size_t text_bytes; /* so far, against PIPE_MAX_TEXT */
    struct yaml_node *root;
    const struct yaml_node **node; /* of each stage: its map */
    bool *var_used;                /* of each var */
    bool unsure; /* some `from` means a stage that could not be described */
};

/* Add "path:line:column: error: ..." (at may be NULL: no position). */
void pipe_error(struct pipe_load *l, const struct yaml_node *at,
                const char *fmt, ...) PRINTF_LIKE(3, 4);
void pipe_error_at(struct pipe_load *l, int line, int column, const char *fmt,
                   ...) PRINTF_LIKE(4, 5);
void pipe_warn(struct pipe_load *l, const struct yaml_node *at, const char *fmt,
               ...) PRINTF_LIKE(3, 4);
/* The same about one --set argument. */
void pipe_error_set(struct pipe_load *l, const char *set, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void pipe_no_memory(struct pipe_load *l);

/* " (did you mean 'x'?)" or "" into out; names may hold NULLs. Returns out. */
#define PIPE_HINT 100
char *pipe_hint(const char *word, const char *const *names, size_t n,
                char out[PIPE_HINT]);
/* The same over the names of the stages / the vars. */
char *pipe_hint_stage(const struct pipe_load *l, const char *word,
                      char out[PIPE_HINT]);
/* Index of the stage of that name (len bytes), or n_stages. */
size_t pipe_stage_index(const struct pipeline *p, const char *name, size_t len);
/* Every key of a map must be one of the NULL-terminated list; others are
 * reported. */
void pipe_check_keys(struct pipe_load *l, const struct yaml_node *map,
                     const char *const *keys, const char *what);
bool pipe_name_ok(const char *s); /* [a-z][a-z0-9_-]*, at most 47 */

/* A scalar with its ${var}s replaced, or a list of such joined by ',', as new
 * memory. NULL if that cannot be (reported; or a required var is not set,
 * which is reported where it is declared). `what` names it in errors. */
char *pipe_text(struct pipe_load *l, const struct yaml_node *node,
                const char *what);

/* The last --set STAGE.NAME=... argument, whole, or NULL. */
const char *pipe_find_set(const struct pipe_load *l, const char *stage,
                          const char *name);
/* May --set name this key of a stage (STAGE.replicas=2)? */
bool pipe_key_set(const char *name);
/* Take those of a stage that is described. A parameter of the same name is
 * meant first. */
void pipe_set_counts(struct pipe_load *l, struct pipe_stage *s);

/* The steps, in this order. Each reports what it finds; later ones leave out
 * what earlier ones could not make sense of. */
void pipe_read_vars(struct pipe_load *l);
void pipe_read_stages(struct pipe_load *l);   /* names, counts */
void pipe_read_commands(struct pipe_load *l); /* argv, info */
void pipe_read_params(struct pipe_load *l);
void pipe_read_edges(struct pipe_load *l); /* and cycles */
void pipe_check_fields(struct pipe_load *l);

/* The port of that name, or NULL; name NULL: the only one or the one called
 * `usual`. */
const struct info_port *pipe_port(const struct info_port *p, size_t n,
                                  const char *name, const char *usual);

#endif
