/* Processes on this machine. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/flow/launcher.h"

extern char **environ;

/* environ with the additions in front (the first of a name counts). */
static char **merge_env(const char *const *add)
{
    size_t n_add = 0, n_old = 0, n = 0;
    while (add && add[n_add])
        n_add++;
    while (environ[n_old])
        n_old++;
    char **all = mem_array(n_add + n_old + 1, sizeof(char *));
    if (!all)
        return NULL;
    for (size_t i = 0; i < n_add; i++)
        memcpy(&all[n++], &add[i], sizeof add[i]);
    for (size_t i = 0; i < n_old; i++) {
        size_t len = strcspn(environ[i], "="), k = 0;
        while (k < n_add && strncmp(add[k], environ[i], len + 1) != 0)
            k++;
        if (k == n_add)
            all[n++] = environ[i];
    }
    all[n] = NULL;
    return all;
}

/* In the child, between fork and exec: nothing that takes a lock. Writes
 * errno to `report` if the program cannot be run. */
static void child(const struct launch_spec *s, char **env, pid_t parent,
                  int log_fd, int report)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (!launcher_die_with(parent))
        _exit(127);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
        _exit(127);
    if (null > STDERR_FILENO)
        close(null);
    environ = env;
    execvp(s->argv[0], s->argv);
    int why = errno;
    (void)!write(report, &why, sizeof why);
    _exit(127);
}

/* What the child reports: 0 if it runs the program now. */
static int hear_child(int fd)
{
    int why = 0;
    ssize_t n;
    do
        n = read(fd, &why, sizeof why);
    while (n < 0 && errno == EINTR);
    return n == sizeof why ? why : 0;
}

static enum err_code local_start(const struct launch_spec *s,
                                 struct launched *out, struct err *e)
{
    int log[2] = {-1, -1}, report[2] = {-1, -1};
    pid_t parent = getpid(), pid = -1;
    enum err_code rc = OK;
    int why = 0;
    char **env = merge_env(s->env);
    if (!env)
        return err_set(e, ERR_NOMEM, "no memory to start '%s'", s->argv[0]);
    if (pipe2(log, O_CLOEXEC) || pipe2(report, O_CLOEXEC)) {
        rc = err_errno(e, ERR_IO, errno, "cannot make a pipe");
        goto out;
    }
    pid = fork();
    if (pid < 0) {
        rc = err_errno(e, ERR_IO, errno, "cannot start '%s'", s->argv[0]);
        goto out;
    }
    if (pid == 0)
        child(s, env, parent, log[1], report[1]);
    setpgid(pid, pid); /* on both sides: whoever comes first */
    close(report[1]);
    report[1] = -1;
    why = hear_child(report[0]);
    if (why) {
        waitpid(pid, NULL, 0);
        rc = err_errno(e, ERR_IO, why, "cannot start '%s'", s->argv[0]);
        goto out;
    }
    fcntl(log[0], F_SETFL, O_NONBLOCK);
    *out = (struct launched){.pid = pid, .log_fd = log[0]};
    log[0] = -1;
out:
    for (int i = 0; i < 2; i++) {
        if (log[i] >= 0)
            close(log[i]);
        if (report[i] >= 0)
            close(report[i]);
    }
    mem_free(env);
    return rc;
}

static void local_kill(pid_t pid)
{
    if (pid > 1)
        kill(-pid, SIGKILL); /* the group outlives its leader */
}

static void local_halt(pid_t pid, bool stop)
{
    if (pid > 1)
        kill(-pid, stop ? SIGSTOP : SIGCONT);
}

static bool local_ended(struct exit_info *out)
{
    int st;
    pid_t pid = waitpid(-1, &st, WNOHANG);
    if (pid <= 0)
        return false;
    *out = (struct exit_info){.pid = pid};
    if (WIFSIGNALED(st)) {
        out->signal = WTERMSIG(st);
        out->core = WCOREDUMP(st) != 0;
    } else {
        out->status = WEXITSTATUS(st);
    }
    return true;
}

const struct launcher_ops launcher_local = {
    .name = "local",
    .start = local_start,
    .kill = local_kill,
    .halt = local_halt,
    .ended = local_ended,
};
