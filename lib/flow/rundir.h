/* The private folder of a run: sockets and pages of the processes. Mode 0700,
 * in $XDG_RUNTIME_DIR, else $TMPDIR, else /tmp: the first where it can be made.
 * A socket's path may have 107 bytes; a folder whose name is too long for that
 * goes by a short one, /proc/<runner>/fd/<n>, as long as the runner lives. The
 * runner holds a lock in it; a folder with a lock that was taken once and is
 * free was left by a runner that was killed, and the next run removes it. */
#ifndef FACET_FLOW_RUNDIR_H
#define FACET_FLOW_RUNDIR_H

#include "lib/base/err.h"

struct rundir {
    char path[64]; /* what processes use */
    char *real;    /* where it is; the same, if that is short enough */
    int lock_fd;
    int dir_fd; /* -1, or what the short name goes by */
};

/* Removes what dead runners left, then makes a new folder with room for a few
 * pages and sockets. ERR_IO says for each place why it could not be there. */
enum err_code rundir_new(struct rundir *d, struct err *e) MUST_USE;
/* Removes the folder and all in it. */
void rundir_free(struct rundir *d);

#endif
