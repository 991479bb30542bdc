/* What is common to all launchers. */
#include "lib/flow/launcher.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

char *launcher_describe_exit(const struct exit_info *x, char *out, size_t n)
{
    if (x->signal)
        snprintf(out, n, "was killed by signal %d (%s%s)%s", x->signal,
                 strsignal(x->signal),
                 x->signal == SIGKILL ? ": by hand, or for want of memory" : "",
                 x->core ? ", core dumped" : "");
    else if (x->status == 127)
        snprintf(out, n, "exited with status 127 (it could not be started)");
    else
        snprintf(out, n, "exited with status %d", x->status);
    return out;
}

bool launcher_die_with(pid_t parent)
{
    /* The parent may have died between fork and here: then the signal was
     * missed, but we have another parent already. */
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}
