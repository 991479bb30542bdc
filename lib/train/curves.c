/* Curves of a run, drawn by gnuplot. */
#include "lib/train/curves.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

#define LIMIT_NS (20 * INT64_C(1000000000))

extern char **environ;

/* Columns: steps.csv step,epoch,samples,loss,...; epochs.csv
 * epoch,step,samples,loss,metric,best,lr,seconds. Names come as arguments, so
 * that no text of the user's is read as gnuplot. */
static const char script[] =
    "set terminal pngcairo size 1000,760 font 'Sans,11'\n"
    "set output ARG1.'/curves.png'\n"
    "set datafile separator ','\n"
    "set multiplot layout 2,1 title ARG2 noenhanced\n"
    "set grid lc rgb '#dddddd'\n"
    "set key noenhanced\n"
    "set logscale y\n"
    "set format y '%g'\n"
    "set xlabel 'epoch'\n"
    "set ylabel 'loss'\n"
    "set y2range [0:*]\n"
    "set y2tics\n"
    "set format y2 '%g'\n"
    "set ylabel 'loss'\n"
    "set y2label 'learning rate'\n"
    "plot ARG1.'/steps.csv' skip 1 using 2:4 with lines lc rgb '#a6cee3' "
    "title 'loss', \\\n"
    "  ARG1.'/epochs.csv' skip 1 using 1:4 with linespoints pt 7 ps 0.5 lw 2 "
    "lc rgb '#1f78b4' title 'loss, mean of an epoch', \\\n"
    "  ARG1.'/epochs.csv' skip 1 using 1:7 axes x1y2 with lines "
    "lc rgb '#999999' dt 2 title 'learning rate'\n"
    "unset logscale\n"
    "unset y2tics\n"
    "unset y2label\n"
    "set ylabel ARG3 noenhanced\n"
    "plot ARG1.'/epochs.csv' skip 1 using 1:5 with linespoints pt 7 ps 0.5 "
    "lw 2 lc rgb '#e31a1c' title ARG3.', held-back samples', \\\n"
    "  ARG1.'/epochs.csv' skip 1 using 1:6 with lines lc rgb '#fb9a99' "
    "title 'best'\n"
    "unset multiplot\n";

/* The last line of text without its end. */
static void last_line(char *text)
{
    size_t n = strlen(text);
    while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
        text[--n] = 0;
    char *p = strrchr(text, '\n');
    if (p)
        memmove(text, p + 1, strlen(p + 1) + 1);
}

static enum err_code start(char *const *argv, int err_fd, pid_t *pid,
                           struct err *e)
{
    posix_spawn_file_actions_t act;
    int rc = posix_spawn_file_actions_init(&act);
    if (rc)
        return err_errno(e, ERR_NOMEM, rc, "cannot start gnuplot");
    rc = posix_spawn_file_actions_addopen(&act, 0, "/dev/null", O_RDONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&act, err_fd, 1);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&act, err_fd, 2);
    if (!rc)
        rc = posix_spawnp(pid, argv[0], &act, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&act);
    if (rc == ENOENT)
        return err_set(e, ERR_UNSUPPORTED,
                       "there is no gnuplot to draw curves (package "
                       "gnuplot-nox)");
    return rc ? err_errno(e, ERR_IO, rc, "cannot start gnuplot") : OK;
}

static enum err_code run(char *const *argv, struct err *e)
{
    int fd[2], status = 0;
    pid_t pid = 0;
    char said[2048];
    size_t n = 0;
    bool late = false;
    if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_errno(e, ERR_IO, errno, "no pipe");
    enum err_code r = start(argv, fd[1], &pid, e);
    close(fd[1]);
    int64_t until = clock_ns() + LIMIT_NS;
    while (!r && waitpid(pid, &status, WNOHANG) == 0) {
        ssize_t k = read(fd[0], said + n, sizeof said - 1 - n);
        if (k > 0)
            n += (size_t)k;
        else
            usleep(2000);
        late = clock_ns() > until;
        if (late)
            kill(pid, SIGKILL);
    }
    ssize_t k = r ? 0 : read(fd[0], said + n, sizeof said - 1 - n);
    n += k > 0 ? (size_t)k : 0;
    said[n] = 0;
    close(fd[0]);
    last_line(said);
    if (!r && late)
        r = err_set(e, ERR_IO, "gnuplot did not end within 20 s");
    else if (!r && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        r = err_set(e, ERR_IO, "gnuplot failed: %.300s", said);
    return r;
}

enum err_code train_curves(const char *folder, const char *title,
                           const char *metric, const char *unit, struct err *e)
{
    char gnuplot[] = "gnuplot", c_flag[] = "-c";
    char *path = path_join(folder, "curves.gp"), *where = mem_strdup(folder);
    char *head = mem_strdup(title);
    char *what = mem_printf(*unit ? "%s, %s" : "%s%s", metric, unit);
    enum err_code r = path && where && head && what
                          ? OK
                          : err_set(e, ERR_NOMEM, "no memory for curves");
    if (!r)
        r = file_write_atomic(path, script, sizeof script - 1, e);
    char *const argv[] = {gnuplot, c_flag, path, where, head, what, NULL};
    if (!r)
        r = run(argv, e);
    mem_free(path);
    mem_free(where);
    mem_free(head);
    mem_free(what);
    return r;
}
