/* The private folder of a run: sockets and pages of the processes. Mode 0700,
 * under $XDG_RUNTIME_DIR or /tmp, with a short name because a socket's path
 * may have 107 bytes. The runner holds a lock in it; a folder whose lock is
 * free was left by a runner that was killed, and the next run removes it. */
#ifndef FACET_FLOW_RUNDIR_H
#define FACET_FLOW_RUNDIR_H

#include "lib/base/err.h"

struct rundir {
    char path[64];
    int lock_fd;
};

/* Removes what dead runners left, then makes a new folder. */
enum err_code rundir_new(struct rundir *d, struct err *e) MUST_USE;
/* Removes the folder and all in it. */
void rundir_free(struct rundir *d);

#endif
