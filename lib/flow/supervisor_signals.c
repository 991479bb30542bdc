/* The signals that the supervisor takes. */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "lib/base/clock.h"
#include "lib/flow/supervisor_internal.h"

/* Does whoever started us want it ignored (nohup)? */
static bool ignored(int sig)
{
    struct sigaction now;
    return sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

enum err_code supervisor_take_signals(struct supervisor *s, sigset_t *old,
                                      struct err *e)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    if (!ignored(SIGHUP))
        sigaddset(&set, SIGHUP);
    if (!ignored(SIGTSTP))
        sigaddset(&set, SIGTSTP);
    if (sigprocmask(SIG_BLOCK, &set, old))
        return err_errno(e, ERR_IO, errno, "cannot block signals");
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signal_fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot read signals");
    return OK;
}

static void halt_all(struct supervisor *s, bool stop)
{
    for (size_t i = 0; i < s->n_proc; i++)
        if (s->proc[i].run.pid > 0 && !s->proc[i].ended)
            s->o.launcher->halt(s->proc[i].run.pid, stop);
}

void supervisor_halt(struct supervisor *s)
{
    sigset_t set;
    int64_t from = clock_ns();
    supervisor_say(s, SUPERVISOR_BAR, "%s", "");
    halt_all(s, true);
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    /* The kernel decides: where nobody could continue us (no shell with jobs)
     * it does not stop us. */
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    halt_all(s, false);
    /* The time that we stood still is nobody's. */
    int64_t still = clock_ns() - from;
    s->hello_until += still;
    s->kill_at += still;
    s->moved_ns += still;
    s->next_stall += still;
    for (size_t i = 0; i < s->n_proc; i++)
        s->proc[i].released_ns += still;
}
