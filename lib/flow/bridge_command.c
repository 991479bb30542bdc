/* The process that a bridge drives. */
#include "lib/flow/bridge_command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/launcher.h"

#define KEPT 8192         /* bytes of what it printed */
#define LAST_WORDS_MS 500 /* for its output to arrive after its end */
#define GONE_MS 10000     /* what was killed takes to be gone */
#define FAMILY 256        /* processes of a command that we look at */
#define MS INT64_C(1000000)

struct command {
    char *const *argv;
    const char *name;
    pid_t pid; /* 0: not running */
    int status;
    /* What it prints: the thread fills the ring. */
    pthread_t reader;
    bool reading;
    int fd, stop_fd; /* its output; an eventfd that ends the thread */
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool eof;
    char ring[KEPT];
    size_t total, mark; /* bytes ever; at the mark */
    /* For command_asleep. */
    unsigned long long runs;
};

struct command *command_new(char *const *argv, const char *name, struct err *e)
{
    struct command *c = mem_calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_NOMEM, "no memory for a command");
        return NULL;
    }
    c->argv = argv;
    c->name = name;
    c->fd = -1;
    c->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (c->stop_fd < 0) {
        err_errno(e, ERR_IO, errno, "cannot make an eventfd");
        mem_free(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->change, NULL);
    /* What the command leaves behind becomes ours to end. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return c;
}

/* Its output */

static void pass_on(const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(STDERR_FILENO, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return; /* nobody is left who reads */
        p += w;
        n -= (size_t)w;
    }
}

static void *read_output(void *arg)
{
    struct command *c = arg;
    char part[4096];
    for (;;) {
        struct pollfd p[2] = {{.fd = c->fd, .events = POLLIN},
                              {.fd = c->stop_fd, .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno == EINTR)
            continue;
        if (!p[0].revents && p[1].revents)
            return NULL;
        ssize_t n = read(c->fd, part, sizeof part);
        if (n < 0 && errno == EINTR)
            continue;
        pthread_mutex_lock(&c->lock);
        for (ssize_t i = 0; i < n; i++)
            c->ring[c->total++ % KEPT] = part[i];
        c->eof = n <= 0;
        pthread_cond_broadcast(&c->change);
        pthread_mutex_unlock(&c->lock);
        if (n <= 0)
            return NULL;
        pass_on(part, (size_t)n);
    }
}

static void end_reader(struct command *c)
{
    if (!c->reading)
        return;
    /* A grandchild that got away may hold the other end open. */
    uint64_t one = 1;
    (void)!write(c->stop_fd, &one, sizeof one);
    pthread_join(c->reader, NULL);
    (void)!read(c->stop_fd, &one, sizeof one);
    close(c->fd);
    c->fd = -1;
    c->reading = false;
}

static void wait_for_words(struct command *c)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LAST_WORDS_MS * MS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&c->lock);
    while (!c->eof && pthread_cond_timedwait(&c->change, &c->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&c->lock);
}

void command_mark(struct command *c)
{
    pthread_mutex_lock(&c->lock);
    c->mark = c->total;
    pthread_mutex_unlock(&c->lock);
}

/* Each line as it would stand on a terminal. */
static void resolve_lines(char *s)
{
    char *to = s;
    for (char *line = s; *line;) {
        size_t n = strcspn(line, "\n");
        char *next = line[n] ? line + n + 1 : line + n;
        n = text_shown(line, n);
        memmove(to, line, n);
        to += n;
        if (to < next)
            *to++ = '\n';
        line = next;
    }
    *to = 0;
}

char *command_words(struct command *c)
{
    if (command_ended(c) && c->reading)
        wait_for_words(c);
    pthread_mutex_lock(&c->lock);
    size_t n = c->total - c->mark;
    bool cut = n > KEPT;
    n = cut ? KEPT : n;
    char *s = mem_alloc(n + 2);
    for (size_t i = 0; s && i < n; i++)
        s[i] = c->ring[(c->total - n + i) % KEPT];
    pthread_mutex_unlock(&c->lock);
    if (!s)
        return NULL;
    s[n] = 0;
    if (strlen(s) < n) /* NULs would hide the rest */
        for (size_t i = 0; i < n; i++)
            s[i] = s[i] ? s[i] : '?';
    char *whole = cut ? strchr(s, '\n') : NULL; /* begin with a whole line */
    if (whole)
        memmove(s, whole + 1, strlen(whole + 1) + 1);
    resolve_lines(s);
    return s;
}

char *command_last_line(const char *words, char *out, size_t n)
{
    const char *best = "";
    size_t len = 0;
    for (const char *p = words; *p;) {
        size_t k = strcspn(p, "\n");
        if (strspn(p, " \t") < k) {
            best = p;
            len = k;
        }
        p += k + (p[k] == '\n');
    }
    snprintf(out, n, "%.*s", len < n ? (int)len : (int)n - 1, best);
    return out;
}

/* Its life */

static enum err_code open_pipe(int fd[2], struct err *e)
{
    if (pipe2(fd, O_CLOEXEC) == 0)
        return OK;
    return err_errno(e, ERR_IO, errno, "cannot make a pipe");
}

enum err_code command_start(struct command *c, const char *endpoint,
                            struct err *e)
{
    pid_t parent = getpid();
    int fd[2];
    end_reader(c);
    if (setenv("FACET_ENDPOINT", endpoint, 1))
        return err_set(e, ERR_NOMEM, "no memory to start '%s'", c->argv[0]);
    enum err_code rc = open_pipe(fd, e);
    if (rc)
        return rc;
    c->pid = fork();
    if (c->pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        if (!launcher_die_with(parent) || dup2(fd[1], STDOUT_FILENO) < 0 ||
            dup2(fd[1], STDERR_FILENO) < 0)
            _exit(127);
        execvp(c->argv[0], c->argv);
        log_error("cannot start '%s': %s", c->argv[0], strerror(errno));
        _exit(127);
    }
    close(fd[1]);
    if (c->pid < 0) {
        int why = errno;
        close(fd[0]);
        c->pid = 0;
        return err_errno(e, ERR_IO, why, "cannot start '%s'", c->name);
    }
    c->fd = fd[0];
    c->eof = false;
    c->mark = c->total;
    c->reading = pthread_create(&c->reader, NULL, read_output, c) == 0;
    if (!c->reading) {
        close(c->fd);
        c->fd = -1;
        command_stop(c, 0);
        return err_set(e, ERR_NOMEM, "no thread to read what '%s' prints",
                       c->name);
    }
    return OK;
}

/* Also reaps what the command left to us. */
bool command_ended(struct command *c)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == c->pid) {
            c->status = status;
            c->pid = 0;
        }
    return c->pid == 0;
}

int command_status(const struct command *c)
{
    return c->status;
}

void command_how(const struct command *c, char *out, size_t n)
{
    struct exit_info x = {.status = WEXITSTATUS(c->status)};
    char how[128];
    if (WIFSIGNALED(c->status))
        x = (struct exit_info){.signal = WTERMSIG(c->status)};
    snprintf(out, n, "'%s' %s", c->name,
             launcher_describe_exit(&x, how, sizeof how));
}

/* All processes that come of `pid`, it not included, into list. */
static size_t family(pid_t pid, pid_t *list, size_t n)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    struct dirent *t;
    while (d && (t = readdir(d))) {
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid,
                 t->d_name);
        FILE *f = t->d_name[0] == '.' ? NULL : fopen(path, "re");
        int child;
        while (f && n < FAMILY && fscanf(f, "%d", &child) == 1) {
            list[n++] = child;
            n = family(child, list, n);
        }
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return n;
}

static void kill_family(struct command *c, int sig)
{
    pid_t list[FAMILY];
    size_t n = family(getpid(), list, 0);
    for (size_t i = 0; i < n; i++)
        kill(list[i], sig);
    if (c->pid)
        kill(c->pid, sig);
}

void command_stop(struct command *c, int grace_ms)
{
    int64_t until = clock_ns() + grace_ms * MS;
    if (!command_ended(c) && grace_ms > 0) {
        kill(c->pid, SIGTERM);
        while (!command_ended(c) && clock_ns() < until)
            usleep(5000);
    }
    /* Until nobody is left: what is orphaned meanwhile becomes our child. */
    until = clock_ns() + GONE_MS * MS;
    while (clock_ns() < until) {
        int status;
        kill_family(c, SIGKILL);
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == c->pid && pid > 0) {
            c->status = status;
            c->pid = 0;
        }
        if (pid < 0 && errno == ECHILD)
            break;
        if (pid == 0)
            usleep(1000);
    }
}

void command_free(struct command **c)
{
    if (!*c)
        return;
    command_stop(*c, 0);
    end_reader(*c);
    close((*c)->stop_fd);
    pthread_mutex_destroy(&(*c)->lock);
    pthread_cond_destroy(&(*c)->change);
    mem_free(*c);
    *c = NULL;
}

/* Sleep */

/* Adds up how often the threads of pid have been set running; false if one of
 * them runs, or the system does not say. */
static bool add_runs(pid_t pid, pid_t not_this, unsigned long long *runs)
{
    char path[300], line[256];
    bool asleep = true, known = false;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    struct dirent *t;
    while (d && asleep && (t = readdir(d))) {
        unsigned long long k;
        if (t->d_name[0] == '.' ||
            strtol(t->d_name, NULL, 10) == (long)not_this)
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", (int)pid,
                 t->d_name);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof line, f)) {
            if (text_starts(line, "State:"))
                asleep = asleep && line[7] != 'R';
            else if (sscanf(line, "voluntary_ctxt_switches: %llu", &k) == 1 ||
                     sscanf(line, "nonvoluntary_ctxt_switches: %llu", &k) ==
                         1) {
                *runs += k;
                known = true;
            }
        }
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return asleep && (known || not_this);
}

bool command_asleep(struct command *c)
{
    pid_t list[FAMILY];
    unsigned long long runs = 0, ours = 0, before = c->runs;
    list[0] = c->pid;
    size_t n = family(c->pid, list, 1);
    bool asleep = c->pid != 0;
    for (size_t i = 0; i < n && asleep; i++)
        asleep = add_runs(list[i], 0, &runs);
    /* Our own sockets' threads: have they taken in what has come? */
    asleep = asleep && add_runs(getpid(), getpid(), &ours);
    c->runs = asleep ? runs + ours : 0;
    return asleep && c->runs == before;
}
