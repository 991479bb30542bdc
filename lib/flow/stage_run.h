/* The inside of a running stage: what stage.h hides. Shared by the stage API
 * (stage.c), the two ways to run it (stage_stdio.c, stage_linked.c) and the
 * bridge. Not for files in stages/. */
#ifndef FACET_FLOW_STAGE_RUN_H
#define FACET_FLOW_STAGE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/item.h"
#include "lib/flow/params.h"
#include "lib/flow/ports.h"
#include "lib/flow/stage.h"

#define STAGE_MAX_PORTS 16   /* output ports, with `failed` */
#define STAGE_MAX_BATCH 1024 /* items of one transform call */
#define STAGE_FAILED_PORT "failed"
/* Fields whose names begin so belong to the runtime and do not travel. */
#define STAGE_RESERVED "facet."

/* One input item from its arrival until all that came of it is done. */
struct work {
    struct item *item; /* owned; NULL once the transform has returned */
    struct item_id id;
    struct port_bind bind; /* letters as the input fixed them */
    uint64_t ordinal[STAGE_MAX_PORTS];
    bool failed;
    struct err why;
    char *trace; /* more about why, several lines; NULL if none */
    /* Ids of the children emitted so far, kept only where the item may be
     * tried again: a child that is already out is not sent twice. */
    struct item_id *out;
    size_t n_out, cap_out, cursor;
    /* For the way it runs in: */
    void *sender;   /* NULL: an item of a source, or of finish() */
    size_t bytes;   /* as counted when it came */
    size_t pending; /* children not done yet, +1 while in the transform */
    struct work *prev, *next;
};

/* What a way of running offers to the stage. */
struct stage_io {
    void *arg;
    /* Hand on a checked item with its id made; takes it over. parent is NULL
     * for an item of a source or of finish(). */
    enum err_code (*emit)(void *arg, struct work *parent, size_t port,
                          struct item *it, struct err *e);
    /* w has failed for good. An error here breaks the run. */
    enum err_code (*fail)(void *arg, struct work *w, struct err *e);
    /* The stage is through with w (failed or not); takes it over. */
    enum err_code (*settle)(void *arg, struct work *w, struct err *e);
    void (*report)(void *arg, const char *text);
    void (*expect)(void *arg, int64_t items);
    void (*status)(void *arg, const char *text);
    void (*enough)(void *arg);
    bool (*stopping)(void *arg);
    /* A transform of these items begins (n > 0) or is over (n == 0). */
    void (*hold)(void *arg, struct work *const *w, size_t n);
    /* More about what is in hand, for whoever waits. May be NULL. */
    void (*note)(void *arg, const char *text);
};

struct stage {
    const struct stage_desc *desc;
    void *ctx;
    struct params params;
    char *instance;
    int replica, replicas, threads, retries;
    uint32_t epoch;
    char *recipe, *sinks, *run_key; /* NULL: outside a pipeline */
    struct port_spec *in, *out;     /* out: with `failed` last, unless a sink */
    size_t n_in, n_out;
    struct stage_io io;
    /* The transform that runs now. */
    struct work *const *batch;
    size_t n_batch, in_port;
    bool late; /* stage_emit_late: the emitted item's parent is its own */
    uint64_t root_ordinal[STAGE_MAX_PORTS];
    char *trace; /* of the transform that runs now */
    bool broken; /* an error that no item is to blame for */
    struct err fatal;
    bool opened;
    bool
        bridged; /* whether an item has failed for good is told by the bridge */
};

/* Read the tables of desc, take memory for the context. instance is copied.
 * On failure nothing is left to free. */
enum err_code stage_init(struct stage *s, const struct stage_desc *desc,
                         const char *instance, struct err *e) MUST_USE;
void stage_free(struct stage *s); /* also calls desc->close if opened */

enum err_code stage_open(struct stage *s, struct err *e) MUST_USE;

/* A new work for an input item (taken over, also on failure). */
struct work *work_new(struct item *it, struct err *e) MUST_USE;
void work_free(struct work **w);

/* Run the transform on n works of input port `port`; retries, failures and
 * io.settle included. An error breaks the run (ERR_CANCEL: it is stopping);
 * the works that were not settled then stay the caller's. */
enum err_code stage_process(struct stage *s, struct work *const *w, size_t n,
                            size_t port, struct err *e) MUST_USE;
/* One call of produce / finish. An error breaks the run. */
enum err_code stage_produce(struct stage *s, bool *end, struct err *e) MUST_USE;
enum err_code stage_finish(struct stage *s, struct err *e) MUST_USE;
/* Index of an output / input port; false if there is none. NULL: the first. */
bool stage_out_index(const struct stage *s, const char *name, size_t *out);
bool stage_in_index(const struct stage *s, const char *name, size_t *out);

/* More about why the input of this transform fails (a traceback, the last words
 * of a process): several lines of UTF-8. Taken over, NULL is nothing; it counts
 * if the transform fails. For stages that take one item at a time. */
void stage_trace(struct stage *s, char *text);
/* A copy of the failed input with error_code, error_text, error_stage,
 * error_attempts and, where there is one, error_trace added; its id is the
 * input's. */
struct item *stage_failed_item(const struct stage *s, const struct work *w,
                               struct err *e) MUST_USE;
/* "id 00ab.. (name id00019)": an item as a person recognises it. */
char *stage_label(const struct item *it, char *out, size_t n);

/* The ways of running; each returns the exit status. */
struct stdio_options {
    bool acks;
    const char *in_port, *out_port; /* NULL: the first */
};
int stage_stdio(struct stage *s, const struct stdio_options *o);
int stage_linked(struct stage *s);
int stage_bridged(struct stage *s);

/* stage_bridged.c: the file in the run's folder by which a bridge hands on to a
 * stage of ours its recipe (0) and the run's sinks (1); new memory. */
struct control_env;
#define BRIDGED_CODE STAGE_RESERVED "code" /* of an input that has failed */
#define BRIDGED_TEXT STAGE_RESERVED "text"
char *bridged_file(const struct control_env *env, int which) MUST_USE;

#endif
