/* Starting and ending processes: one interface, one implementation for each
 * kind of place. Failure is seen by the runner through sockets and exits; a
 * launcher only starts, kills, and says what has ended. */
#ifndef FACET_FLOW_LAUNCHER_H
#define FACET_FLOW_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/err.h"

struct launch_spec {
    char *const *argv;      /* NULL-terminated; argv[0] is looked up in PATH */
    const char *const *env; /* "NAME=value" to add or replace, NULL ends */
};

struct launched {
    pid_t pid;
    int log_fd; /* its stderr and stdout to be read; -1 once closed */
};

struct exit_info {
    pid_t pid;
    int status; /* exit status, or */
    int signal; /* the signal that killed it (0: none) */
    bool core;
};

struct launcher_ops {
    const char *name;
    /* Start a process; log_fd of *out is the caller's to close. */
    enum err_code (*start)(const struct launch_spec *s, struct launched *out,
                           struct err *e);
    /* Kill a process and all that it started. No error if it is gone. */
    void (*kill)(pid_t pid);
    /* Stop (as ^Z does) a process and all that it started, or continue it. */
    void (*halt)(pid_t pid, bool stop);
    /* The next process that has ended; false if none. Never waits. */
    bool (*ended)(struct exit_info *out);
};

/* fork and exec on this machine. Each process leads a group of its own (so
 * that a terminal's ^C reaches only the runner), reads /dev/null, and is
 * killed by the kernel when the runner dies, however that dies. */
extern const struct launcher_ops launcher_local;

/* "was killed by signal 11 (Segmentation fault)", "exited with status 1". */
char *launcher_describe_exit(const struct exit_info *x, char *out, size_t n);

/* For the child side of any fork: ask the kernel to kill us when `parent`
 * dies, and check that it has not died already. false: it has. */
bool launcher_die_with(pid_t parent);

#endif
