/* Runs a pipeline: one loop over the control link, the processes' lines,
 * their ends, and signals. */
#include "lib/flow/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/inhand.h"
#include "lib/flow/supervisor_internal.h"

#define HELLO_S 60
#define EXIT_S 20
#define STOP_WITHIN (2000 * SUPERVISOR_MS)
/* ... for what says where it stands: training saves its state first. */
#define SAVE_WITHIN (30000 * SUPERVISOR_MS)
/* An end may be seen before the last message that the process sent. */
#define LAST_WORDS (500 * SUPERVISOR_MS)
#define LOOP_MS 100

/* Stopping */

static void begin_stop(struct supervisor *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    s->kill_at = clock_ns() + STOP_WITHIN;
    supervisor_tell_all(s, "stop");
    /* Those that never said hello cannot be told. */
    for (size_t i = 0; i < s->n_proc; i++)
        if (s->proc[i].state == PROC_STARTED && s->proc[i].run.pid > 0 &&
            !s->proc[i].ended)
            s->o.launcher->kill(s->proc[i].run.pid);
}

static void kill_all(struct supervisor *s)
{
    s->killed = true;
    for (size_t i = 0; i < s->n_proc; i++)
        if (s->proc[i].run.pid > 0 && !s->proc[i].ended)
            s->o.launcher->kill(s->proc[i].run.pid);
}

/* Those that have had their time: 2 s, more for one with a status, which has
 * something to save. */
static void kill_late(struct supervisor *s, int64_t now)
{
    bool left = false;
    for (size_t i = 0; i < s->n_proc; i++) {
        struct proc *p = &s->proc[i];
        if (p->run.pid <= 0 || p->ended)
            continue;
        if (!*p->status || now > s->kill_at + SAVE_WITHIN - STOP_WITHIN)
            s->o.launcher->kill(p->run.pid);
        else
            left = true;
    }
    s->killed = !left;
}

/* The run is broken; the first reason is the one to tell. */
static void break_run(struct supervisor *s, const char *why)
{
    if (!s->broken && !s->signal)
        supervisor_say(s, SUPERVISOR_ERROR, "%s", why);
    s->broken = true;
    begin_stop(s);
}

/* Messages */

static struct proc *proc_of(struct supervisor *s, const char *peer)
{
    char name[LINK_NAME];
    for (size_t i = 0; i < s->n_proc; i++) {
        snprintf(name, sizeof name, "%d.%u", s->proc[i].index,
                 (unsigned)s->proc[i].epoch);
        if (strcmp(name, peer) == 0)
            return &s->proc[i];
    }
    return NULL;
}

static void take_hello(struct supervisor *s, struct proc *p,
                       const struct item *it)
{
    char boot[64];
    control_boot_id(boot);
    if (strcmp(item_str(it, "key", ""), s->key) != 0 ||
        strlen(item_str(it, "endpoint", "")) >= sizeof p->endpoint ||
        strcmp(item_str(it, "boot_id", ""), boot) != 0 ||
        p->state != PROC_STARTED)
        return; /* not one of ours */
    snprintf(p->endpoint, sizeof p->endpoint, "%s",
             item_str(it, "endpoint", ""));
    p->state = PROC_HERE;
    if (s->stopping)
        s->o.launcher->kill(p->run.pid);
}

/* A process says that it cannot go on. */
static void break_by(struct supervisor *s, struct proc *p)
{
    char name[128], why[SUPERVISOR_LINE];
    supervisor_read_log(s, p); /* what it printed comes first */
    snprintf(why, sizeof why, "stage '%s': %s",
             supervisor_name(s, p, name, sizeof name), p->fatal);
    break_run(s, why);
}

/* When every sink has enough, the sources need not go on. */
static void end_sources(struct supervisor *s)
{
    for (size_t i = 0; i < s->n_proc; i++)
        if (supervisor_is(s, s->proc[i].stage, "sink") && !s->proc[i].enough)
            return;
    for (size_t i = 0; i < s->n_proc && !s->finishing; i++)
        if (supervisor_is(s, s->proc[i].stage, "source") && !s->proc[i].ended)
            supervisor_tell(s, &s->proc[i], "finish");
    s->finishing = true;
}

static enum err_code take_message(struct supervisor *s, struct proc *p,
                                  const struct item *it, struct err *e)
{
    /* A new status goes with whatever is told next. */
    const char *status = item_str(it, "status", NULL);
    if (status) {
        snprintf(p->status, sizeof p->status, "%s", status);
        s->moved_ns = clock_ns();
    }
    if (strcmp(it->kind, "hello") == 0) {
        take_hello(s, p, it);
    } else if (strcmp(it->kind, "ready") == 0) {
        p->state = p->state == PROC_HERE ? PROC_READY : p->state;
    } else if (strcmp(it->kind, "stats") == 0) {
        p->stats = control_stats_get(it);
    } else if (strcmp(it->kind, "enough") == 0) {
        p->enough = true;
        end_sources(s);
    } else if (strcmp(it->kind, "report") == 0) {
        supervisor_say(s, SUPERVISOR_REPORT, "%s", item_str(it, "text", ""));
    } else if (strcmp(it->kind, "bye") == 0) {
        p->stats = control_stats_get(it);
        p->state = PROC_BYE;
    } else if (strcmp(it->kind, "fatal") == 0) {
        p->stats = control_stats_get(it);
        mem_free(p->fatal);
        p->fatal = mem_strdup(item_str(it, "text", ""));
        if (!p->fatal)
            return err_set(e, ERR_NOMEM, "no memory for an error's text");
        break_by(s, p);
    }
    return OK;
}

static enum err_code hear(struct supervisor *s, struct err *e)
{
    for (;;) {
        char peer[LINK_NAME];
        struct item *it = NULL;
        struct err why = {0};
        enum err_code rc = link_recv(s->control, peer, &it, &why);
        struct proc *p = proc_of(s, peer);
        if (!rc && !it)
            return OK;
        if (!rc && p)
            rc = take_message(s, p, it, &why);
        item_free(&it);
        if (rc == ERR_IO || rc == ERR_NOMEM || (rc && p))
            return err_set(e, why.code, "control: %s", why.text);
    }
}

/* Ends */

static void note_ends(struct supervisor *s)
{
    struct exit_info x;
    while (s->o.launcher->ended(&x))
        for (size_t i = 0; i < s->n_proc; i++)
            if (s->proc[i].run.pid == x.pid && !s->proc[i].ended) {
                s->proc[i].ended = true;
                s->proc[i].exit = x;
                s->proc[i].ended_ns = clock_ns();
                /* ... and what it may have started. */
                s->o.launcher->kill(x.pid);
                supervisor_read_log(s, &s->proc[i]);
            }
}

/* Its work is done and known to be, but it did not end as it should. The others
 * go on; the run's status tells. */
static void say_unclean(struct supervisor *s, struct proc *p, const char *how)
{
    char name[128];
    s->unclean = true;
    supervisor_say(s, SUPERVISOR_ERROR,
                   "stage '%s' (process %d) had finished its work, then %s",
                   supervisor_name(s, p, name, sizeof name), (int)p->run.pid,
                   how);
}

static void judge(struct supervisor *s, struct proc *p)
{
    char how[128], hand[2048], why[SUPERVISOR_LINE];
    bool well = p->state == PROC_BYE && !p->exit.signal && !p->exit.status;
    bool spoke = p->fatal || p->state == PROC_BYE;
    if (!spoke && !p->exit.signal && clock_ns() - p->ended_ns < LAST_WORDS)
        return;
    p->judged = true;
    if (well || p->fatal || p->late || s->stopping)
        return;
    launcher_describe_exit(&p->exit, how, sizeof how);
    if (p->released) {
        say_unclean(s, p, how);
        return;
    }
    inhand_read(s->dir.path, p->index, hand, sizeof hand);
    snprintf(why, sizeof why, "stage '%s' (replica %d, process %d) %s%s%s",
             s->p->stages[p->stage].name, p->replica, (int)p->run.pid, how,
             hand[0] ? " while working on item " : "", hand);
    break_run(s, why);
}

/* Have all that send to p said that they are through? Until then they may
 * still wait for p's answers. */
static bool senders_through(const struct supervisor *s, const struct proc *p)
{
    for (size_t i = 0; i < s->p->n_edges; i++)
        for (size_t k = 0; s->p->edges[i].to == p->stage && k < s->n_proc; k++)
            if (s->proc[k].stage == s->p->edges[i].from &&
                s->proc[k].state != PROC_BYE)
                return false;
    return true;
}

/* Tell those that nobody needs any more to leave, and see that they do. */
static void release(struct supervisor *s)
{
    int64_t now = clock_ns();
    int64_t limit = (int64_t)s->o.exit_timeout_s * 1000 * SUPERVISOR_MS;
    for (size_t i = 0; i < s->n_proc; i++) {
        struct proc *p = &s->proc[i];
        if (p->ended || (p->state != PROC_BYE && !p->fatal))
            continue;
        if (!p->released) {
            if (!p->fatal && !s->stopping && !senders_through(s, p))
                continue;
            supervisor_tell(s, p, "bye");
            p->released = true;
            p->released_ns = now;
        } else if (!p->late && !s->stopping && now - p->released_ns > limit) {
            char how[64];
            snprintf(how, sizeof how, "did not exit within %d s: killed",
                     s->o.exit_timeout_s);
            p->late = true;
            say_unclean(s, p, how);
            s->o.launcher->kill(p->run.pid);
        }
    }
}

static bool all_judged(const struct supervisor *s)
{
    for (size_t i = 0; i < s->n_proc; i++)
        if (!s->proc[i].judged)
            return false;
    return true;
}

/* Has every process come to this state, or gone? */
static bool all_in(const struct supervisor *s, enum proc_state state)
{
    for (size_t i = 0; i < s->n_proc; i++)
        if (s->proc[i].state < state)
            return false;
    return true;
}

static void check_hello(struct supervisor *s)
{
    char why[512], name[128];
    for (size_t i = 0; i < s->n_proc; i++)
        if (s->proc[i].state == PROC_STARTED && !s->proc[i].ended) {
            const struct pipe_stage *st = &s->p->stages[s->proc[i].stage];
            snprintf(why, sizeof why,
                     "stage '%s' (%s) was started but did not answer within "
                     "%d s: does it run, and is it a stage?",
                     supervisor_name(s, &s->proc[i], name, sizeof name),
                     st->run ? st->run : st->name, s->o.hello_timeout_s);
            break_run(s, why);
            return;
        }
}

/* Signals */

static void take_signals(struct supervisor *s)
{
    struct signalfd_siginfo si;
    while (read(s->signal_fd, &si, sizeof si) == sizeof si) {
        if (si.ssi_signo == SIGCHLD)
            continue;
        if (si.ssi_signo == SIGTSTP) {
            supervisor_halt(s);
            continue;
        }
        if (s->signal) {
            kill_all(s);
        } else {
            s->signal = (int)si.ssi_signo;
            supervisor_say(s, SUPERVISOR_INFO, "stopping (%s); once more kills",
                           si.ssi_signo == SIGINT   ? "interrupted"
                           : si.ssi_signo == SIGHUP ? "the terminal is gone"
                                                    : "terminated");
            begin_stop(s);
        }
    }
}

/* What there is to do after each wait. */
static enum err_code step(struct supervisor *s, struct err *e)
{
    enum err_code rc = hear(s, e);
    if (rc)
        return rc;
    release(s);
    note_ends(s);
    for (size_t i = 0; i < s->n_proc; i++)
        if (s->proc[i].ended && !s->proc[i].judged)
            judge(s, &s->proc[i]);
    if (!s->stopping && !s->started && all_in(s, PROC_HERE)) {
        rc = supervisor_send_start(s, e);
        s->started = true;
    }
    if (!rc && !s->stopping && !s->gone && all_in(s, PROC_READY)) {
        supervisor_tell_all(s, "go");
        s->gone = true;
        s->go_ns = clock_ns();
        progress_init(&s->progress, s->go_ns);
        s->next_text = s->o.columns > 0 ? 0 : s->go_ns + SUPERVISOR_LINE_EVERY;
    }
    int64_t now = clock_ns();
    if (!s->stopping && !s->started && now > s->hello_until)
        check_hello(s);
    if (s->stopping && !s->killed && now > s->kill_at)
        kill_late(s, now);
    supervisor_watch(s, now);
    supervisor_show_progress(s, false);
    return rc;
}

static enum err_code loop(struct supervisor *s, struct err *e)
{
    while (!all_judged(s)) {
        size_t n = 1;
        s->fds[0].fd = s->signal_fd;
        for (size_t i = 0; i < s->n_proc; i++)
            if (s->proc[i].run.log_fd >= 0)
                s->fds[n++].fd = s->proc[i].run.log_fd;
        enum err_code rc =
            link_wait(s->hub, &s->control, 1, s->fds, n, LOOP_MS, e);
        if (rc)
            return rc;
        take_signals(s);
        for (size_t i = 0; i < s->n_proc; i++)
            supervisor_read_log(s, &s->proc[i]);
        rc = step(s, e);
        if (rc)
            return rc;
    }
    return OK;
}

/* Beginning and end */

static enum err_code make_key(char out[CONTROL_KEY], struct err *e)
{
    uint8_t b[(CONTROL_KEY - 1) / 2];
    if (getrandom(b, sizeof b, 0) != sizeof b)
        return err_errno(e, ERR_IO, errno, "no random numbers");
    for (size_t i = 0; i < sizeof b; i++)
        snprintf(out + 2 * i, 3, "%02x", b[i]);
    return OK;
}

static enum err_code begin(struct supervisor *s, struct err *e)
{
    enum err_code rc = make_key(s->key, e);
    if (!rc)
        rc = supervisor_make_procs(s, e);
    if (!rc)
        rc = rundir_new(&s->dir, e);
    if (rc)
        return rc;
    snprintf(s->control_endpoint, sizeof s->control_endpoint, "ipc://%s/c",
             s->dir.path);
    s->hub = link_hub_new(e);
    s->control = s->hub ? link_bind(s->hub, s->control_endpoint, e) : NULL;
    if (!s->control)
        return e->code;
    supervisor_say(s, SUPERVISOR_INFO, "%zu stages, %zu processes, %d cores",
                   s->p->n_stages, s->n_proc, supervisor_cores());
    s->start_ns = clock_ns();
    s->hello_until =
        s->start_ns + (int64_t)s->o.hello_timeout_s * 1000 * SUPERVISOR_MS;
    s->next_text = s->start_ns + 2000 * SUPERVISOR_MS;
    for (size_t i = 0; !rc && i < s->n_proc; i++)
        rc = supervisor_launch(s, &s->proc[i], e);
    return rc;
}

/* Nothing may be left: kill what runs and wait until it has ended. */
static void end_processes(struct supervisor *s)
{
    bool left = true;
    for (int i = 0; left && i < 1000; i++) {
        left = false;
        kill_all(s);
        note_ends(s);
        for (size_t k = 0; k < s->n_proc; k++)
            left = left || (s->proc[k].run.pid > 0 && !s->proc[k].ended);
        if (left)
            usleep(5000);
    }
}

static void clean_up(struct supervisor *s)
{
    for (size_t i = 0; i < s->n_proc; i++) {
        if (s->proc[i].run.log_fd >= 0)
            close(s->proc[i].run.log_fd);
        mem_free(s->proc[i].fatal);
    }
    link_close(&s->control, 0);
    link_hub_free(&s->hub);
    rundir_free(&s->dir);
    mem_free(s->proc);
    mem_free(s->fds);
    recipes_free(&s->recipes);
    mem_free(s->replicas);
    mem_free(s->threads);
}

enum err_code supervisor_run(const struct pipeline *p,
                             const struct supervisor_options *o,
                             struct supervisor_result *result, struct err *e)
{
    struct supervisor s = {.p = p, .o = *o, .signal_fd = -1};
    sigset_t old;
    s.dir.lock_fd = s.dir.dir_fd = -1;
    if (!s.o.launcher)
        s.o.launcher = &launcher_local;
    if (s.o.hello_timeout_s <= 0)
        s.o.hello_timeout_s = HELLO_S;
    if (s.o.exit_timeout_s <= 0)
        s.o.exit_timeout_s = EXIT_S;
    sigprocmask(SIG_SETMASK, NULL, &old);
    enum err_code rc = supervisor_take_signals(&s, &old, e);
    if (!rc)
        rc = begin(&s, e);
    if (!rc)
        rc = loop(&s, e);
    s.end_ns = clock_ns();
    end_processes(&s);
    if (s.gone) {
        supervisor_show_progress(&s, true);
        supervisor_show_table(&s);
    } else if (o->columns > 0) {
        supervisor_say(&s, SUPERVISOR_BAR, "%s", "");
    }
    result->failed = supervisor_failed(&s);
    result->wall_ns = s.gone ? s.end_ns - s.go_ns : 0;
    result->rows = s.proc ? supervisor_rows(&s) : NULL;
    result->n_rows = result->rows ? p->n_stages : 0;
    result->signal = s.signal;
    result->end = rc || ((s.broken || s.unclean) && !s.signal) ? RUN_BROKEN
                  : s.signal                                   ? RUN_STOPPED
                  : result->failed ? RUN_FAILED_ITEMS
                                   : RUN_OK;
    clean_up(&s);
    if (s.signal_fd >= 0)
        close(s.signal_fd);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return rc;
}
