/* Running programs with --describe, several at once, under a time limit. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/hash.h"
#include "lib/flow/dirs.h"
#include "lib/flow/missing.h"
#include "lib/flow/pipeline.h"
#include "lib/flow/yaml.h"

#define AT_ONCE 8
/* Unless FACET_START_TIMEOUT says otherwise; a busy machine takes long to
 * import a large package. */
#define LIMIT_S 60
#define MAX_OUT YAML_MAX_BYTES
#define MAX_ERR 4096
#define MAX_ARGS 256

extern char **environ;

static int64_t limit_s(void)
{
    int64_t n;
    const char *s = getenv("FACET_START_TIMEOUT");
    return s && text_to_i64(s, &n) && n >= 1 && n <= 86400 ? n : LIMIT_S;
}

/* One program being asked. fd[0] is its stdout, fd[1] its stderr; -1 closed. */
struct child {
    struct info_job *job;
    pid_t pid;
    int fd[2];
    struct buf text[2];
    int64_t deadline_ns;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* posix_spawn of argv + --describe: its own process group, so that all of it
 * can be ended; nothing on stdin; signals as a fresh program expects. */
static int spawn(char *const *argv, char *const *env, const int out[2],
                 const int err[2], pid_t *pid)
{
    static char flag[] = "--describe";
    char *args[MAX_ARGS + 2];
    posix_spawn_file_actions_t act;
    posix_spawnattr_t attr;
    sigset_t none;
    size_t n = 0;
    for (; argv[n] && n < MAX_ARGS; n++)
        args[n] = argv[n];
    args[n++] = flag;
    args[n] = NULL;
    int rc = posix_spawn_file_actions_init(&act);
    if (rc)
        return rc;
    rc = posix_spawnattr_init(&attr);
    if (rc) {
        posix_spawn_file_actions_destroy(&act);
        return rc;
    }
    (void)sigemptyset(&none);
    rc = posix_spawn_file_actions_addopen(&act, 0, "/dev/null", O_RDONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&act, out[1], 1);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&act, err[1], 2);
    if (!rc)
        rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
                                                 POSIX_SPAWN_SETSIGMASK);
    if (!rc)
        rc = posix_spawnattr_setpgroup(&attr, 0);
    if (!rc)
        rc = posix_spawnattr_setsigmask(&attr, &none);
    if (!rc)
        rc = posix_spawnp(pid, args[0], &act, &attr, args, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&act);
    return rc;
}

/* environ with one entry replaced or added; its strings are shared. */
static char **with_entry(char *entry)
{
    size_t n = 0, len = strcspn(entry, "=") + 1, k = 0;
    while (environ[n])
        n++;
    char **env = mem_array(n + 2, sizeof *env);
    if (!env)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], entry, len) != 0)
            env[k++] = environ[i];
    env[k++] = entry;
    env[k] = NULL;
    return env;
}

static bool start(struct child *c, struct info_job *job, char *const *env)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, rc = 0;
    memset(c, 0, sizeof *c);
    c->job = job;
    job->info = NULL;
    job->rc = OK;
    buf_init(&c->text[0], MAX_OUT);
    buf_init(&c->text[1], MAX_ERR);
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        rc = errno;
    if (!rc)
        rc = spawn(job->argv, env, out, err, &c->pid);
    close_fd(&out[1]);
    close_fd(&err[1]);
    if (rc) {
        close_fd(&out[0]);
        close_fd(&err[0]);
        char why[400];
        missing_program(job->argv[0], rc, why, sizeof why);
        job->rc =
            err_set(&job->e, rc == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s", why);
        return false;
    }
    c->fd[0] = out[0];
    c->fd[1] = err[0];
    c->deadline_ns = clock_ns() + limit_s() * INT64_C(1000000000);
    return true;
}

/* Read what is there of stream k. Too much on stdout ends the program; of
 * stderr only the beginning is kept. */
static void take(struct child *c, int k)
{
    char part[4096];
    ssize_t n = read(c->fd[k], part, sizeof part);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close_fd(&c->fd[k]);
        return;
    }
    size_t room = c->text[k].max - c->text[k].len, len = (size_t)n;
    struct err e;
    if (k == 1 && len > room)
        len = room;
    enum err_code rc = OK;
    if (len > room)
        rc = err_set(&c->job->e, ERR_DATA,
                     "'%s --describe' wrote more than 1 MiB (it prints its "
                     "description, and nothing else)",
                     c->job->argv[0]);
    else if (buf_put(&c->text[k], part, len, &e) != OK)
        rc = err_set(&c->job->e, ERR_NOMEM, "no memory for a description");
    if (rc) {
        c->job->rc = rc;
        close_fd(&c->fd[0]);
        close_fd(&c->fd[1]);
    }
}

static enum err_code late(struct child *c)
{
    return err_set(&c->job->e, ERR_DATA,
                   "'%s --describe' did not end within %lld s", c->job->argv[0],
                   (long long)limit_s());
}

/* The last line that the program wrote on stderr, "" if none. */
static const char *last_words(struct child *c)
{
    struct buf *b = &c->text[1];
    while (b->len &&
           (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == '\r' ||
            b->data[b->len - 1] == ' '))
        b->len--;
    if (!b->len)
        return "";
    struct err e;
    size_t at = b->len;
    while (at && b->data[at - 1] != '\n')
        at--;
    if (buf_puts(b, "", &e) != OK) /* for the closing NUL */
        return "";
    return buf_str(b) + at;
}

/* Its exit status, ending it if it has failed us or its time is up (it may
 * have closed its streams and gone on). */
static int wait_end(struct child *c)
{
    struct info_job *job = c->job;
    int status = 0;
    while (!job->rc && waitpid(c->pid, &status, WNOHANG) == 0) {
        (void)poll(NULL, 0, 1);
        if (clock_ns() >= c->deadline_ns)
            job->rc = late(c);
    }
    if (job->rc) {
        (void)kill(-c->pid, SIGKILL);
        while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    return status;
}

static void finish(struct child *c)
{
    struct info_job *job = c->job;
    close_fd(&c->fd[0]);
    close_fd(&c->fd[1]);
    int status = wait_end(c);
    (void)kill(-c->pid, SIGKILL); /* what it may have left behind */
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!job->rc && !ok) {
        char words[512], hint[200];
        snprintf(words, sizeof words, "%s", last_words(c));
        words[text_shown(words, strlen(words))] = 0;
        missing_module(words, hint, sizeof hint);
        job->rc = err_set(
            &job->e, ERR_DATA, "'%s --describe' %s %d%s%.300s%s", job->argv[0],
            WIFEXITED(status) ? "ended with status" : "was ended by signal",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
            *words ? ": " : "", words, hint);
    }
    if (!job->rc) {
        char *origin = mem_printf("%s --describe", job->argv[0]);
        if (origin)
            job->rc =
                stage_info_parse((const char *)c->text[0].data, c->text[0].len,
                                 origin, &job->info, &job->e);
        else
            job->rc = err_set(&job->e, ERR_NOMEM, "no memory");
        mem_free(origin);
    }
    if (!job->rc)
        hash_bytes(c->text[0].data, c->text[0].len, job->info->text_hash);
    buf_free(&c->text[0]);
    buf_free(&c->text[1]);
}

/* Wait for output of any child, and take it; end those that are late. */
static void serve(struct child *c, size_t n)
{
    struct pollfd p[2 * AT_ONCE];
    int64_t now = clock_ns(), next = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < 2; k++)
            p[2 * i + k] = (struct pollfd){.fd = c[i].fd[k], .events = POLLIN};
        if (c[i].deadline_ns < next)
            next = c[i].deadline_ns;
    }
    int64_t wait_ms = (next - now) / 1000000 + 1;
    if (poll(p, (nfds_t)(2 * n), wait_ms < 0 ? 0 : (int)wait_ms) < 0)
        return; /* interrupted: look again */
    now = clock_ns();
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < 2; k++)
            if (c[i].fd[k] >= 0 && p[2 * i + k].revents)
                take(&c[i], (int)k);
        if (now < c[i].deadline_ns || (c[i].fd[0] < 0 && c[i].fd[1] < 0))
            continue;
        c[i].job->rc = late(&c[i]);
        close_fd(&c[i].fd[0]);
        close_fd(&c[i].fd[1]);
    }
}

void stage_info_jobs(struct info_job *jobs, size_t n)
{
    struct child c[AT_ONCE];
    size_t running = 0, next = 0;
    char *path = NULL, **env = NULL;
    struct err e = {0};
    if (python_path(&path, &e) || (path && !(env = with_entry(path)))) {
        for (size_t i = 0; i < n; i++) {
            jobs[i].info = NULL;
            jobs[i].rc = err_set(&jobs[i].e, ERR_NOMEM, "no memory");
        }
        mem_free(path);
        return;
    }
    while (running || next < n) {
        while (running < AT_ONCE && next < n)
            if (start(&c[running], &jobs[next++], env ? env : environ))
                running++;
        if (running)
            serve(c, running);
        for (size_t i = 0; i < running;) {
            if (c[i].fd[0] >= 0 || c[i].fd[1] >= 0) {
                i++;
                continue;
            }
            finish(&c[i]);
            c[i] = c[--running];
        }
    }
    mem_free(env);
    mem_free(path);
}

enum err_code stage_info_from_command(char *const *argv,
                                      struct stage_info **out, struct err *e)
{
    struct info_job job = {.argv = argv};
    stage_info_jobs(&job, 1);
    *out = job.info;
    if (job.rc && e)
        *e = job.e;
    return job.rc;
}
