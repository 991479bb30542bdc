/* Shared by the files of the supervisor. */
#ifndef FACET_FLOW_SUPERVISOR_INTERNAL_H
#define FACET_FLOW_SUPERVISOR_INTERNAL_H

#include <signal.h>

#include "lib/flow/control.h"
#include "lib/flow/link.h"
#include "lib/flow/progress.h"
#include "lib/flow/recipes.h"
#include "lib/flow/rundir.h"
#include "lib/flow/supervisor.h"

#define SUPERVISOR_LINE 4096  /* longer lines of a process are split */
#define SUPERVISOR_STAGES 256 /* PIPE_MAX_STAGES */
#define SUPERVISOR_MS ((int64_t)1000000)
#define SUPERVISOR_LINE_EVERY (10000 * SUPERVISOR_MS) /* off a terminal */

enum proc_state { PROC_STARTED, PROC_HERE, PROC_READY, PROC_BYE };

struct proc {
    size_t stage; /* in the pipeline */
    int index, replica;
    uint32_t epoch;
    enum proc_state state;
    struct launched run;
    bool released; /* told that it may leave; at released_ns */
    bool late;     /* killed because it did not */
    bool ended, judged;
    struct exit_info exit;
    int64_t released_ns, ended_ns;
    char endpoint[LINK_MAX_ENDPOINT + 8];
    char *fatal; /* what it said was its end */
    struct control_stats stats;
    bool enough;      /* a sink that needs no more */
    char status[256]; /* what it says of where it stands, "" if nothing */
    char line[SUPERVISOR_LINE];
    size_t n_line;
    bool returned;    /* a carriage return was the last byte */
    bool overwritten; /* ... or has been before in this line */
    char live[256];   /* a line that the process keeps writing anew */
    bool live_new;    /* not shown off a terminal yet */
    int64_t live_ns;
};

struct supervisor {
    const struct pipeline *p;
    struct supervisor_options o;
    struct rundir dir;
    char key[CONTROL_KEY];
    char control_endpoint[LINK_MAX_ENDPOINT + 8];
    struct link_hub *hub;
    struct link *control;
    struct proc *proc;
    size_t n_proc;
    int signal_fd;
    int *replicas, *threads; /* of each stage */
    struct recipes *recipes;
    bool started, gone;      /* `start` sent to all; `go` sent */
    bool broken, stopping, killed;
    bool finishing; /* all sinks have enough: sources were told */
    bool unclean;   /* a process that was through did not exit as it should */
    int signal;
    int64_t start_ns, go_ns, end_ns, hello_until, kill_at, next_text;
    struct progress progress;
    int64_t moved, moved_ns; /* all counters together; when they changed */
    int64_t look_at, next_stall, stall_step;
    char stall[600]; /* whom the run waits for, "" if for nobody */
    struct link_fd *fds;
};

/* supervisor_start.c: plan, launch, wire. */
enum err_code supervisor_make_procs(struct supervisor *s,
                                    struct err *e) MUST_USE;
enum err_code supervisor_launch(struct supervisor *s, struct proc *p,
                                struct err *e) MUST_USE;
enum err_code supervisor_send_start(struct supervisor *s,
                                    struct err *e) MUST_USE;
/* A message without fields to a process; to every one that is there. */
void supervisor_tell(struct supervisor *s, const struct proc *p,
                     const char *kind);
void supervisor_tell_all(struct supervisor *s, const char *kind);
/* "points.1" (just "points" if it has one replica) into out. */
char *supervisor_name(const struct supervisor *s, const struct proc *p,
                      char *out, size_t n);

/* supervisor_stall.c: s->stall, from what each process has in work. Off a
 * terminal it also says so. */
void supervisor_watch(struct supervisor *s, int64_t now);

/* supervisor_signals.c: signals to us. */
enum err_code supervisor_take_signals(struct supervisor *s, sigset_t *old,
                                      struct err *e) MUST_USE;
/* ^Z: stop all processes and ourselves; continue them when we are. */
void supervisor_halt(struct supervisor *s);

/* supervisor_show.c: what a person sees. */
void supervisor_say(struct supervisor *s, enum supervisor_text kind,
                    const char *fmt, ...) PRINTF_LIKE(3, 4);
void supervisor_read_log(struct supervisor *s, struct proc *p);
void supervisor_show_progress(struct supervisor *s, bool last);
void supervisor_show_table(struct supervisor *s);
/* A row for each stage, new memory; NULL if there is none. */
struct progress_row *supervisor_rows(const struct supervisor *s);
/* Is this stage a "source", "transform", "sink"? */
bool supervisor_is(const struct supervisor *s, size_t stage, const char *kind);
int64_t supervisor_failed(const struct supervisor *s);

#endif
