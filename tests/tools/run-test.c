/* Runs one test in a session of its own and passes its exit status on. No limit
 * here depends on how busy the machine is: a test is ended only when it has
 * hung (its processes neither ran nor wanted to) or run away (used far too much
 * CPU time). It then names all processes that were alive, and kills them.
 * Processes that outlive their test are named, killed, and make it fail. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Exit statuses of our own, beside the test's. */
enum { LEFT_BEHIND = 123, GAVE_UP = 124, USAGE = 125, NOT_STARTED = 127 };

/* The kernel's flag (stat, field 9) of a process that is on its way out. */
#define PF_EXITING 0x4
/* A second of which its processes used less than this was an idle one. Stages
 * that wait look at their sockets now and then, shells look whether a file is
 * there: 1 to 3 % seen. */
#define IDLE_CPU_S 0.05
/* Of the looks at a hung test no more than this share find it at work. */
#define HUNG_SHARE 0.05
/* So many looks in a row, 20 ms apart, must find what outlived its test asleep;
 * if it spins it is given up after so many seconds. */
#define ASLEEP_LOOKS 25
#define GOING_S 10.0

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 10
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWER 10
#endif
#endif
#ifndef SLOWER
#define SLOWER 1
#endif

struct proc {
    pid_t pid, parent;
    char state;
    bool ours, dying;
    double cpu_s;
};
struct table {
    struct proc *p;
    size_t n, cap;
};

static volatile sig_atomic_t asked; /* the signal that tells us to end */

static void on_signal(int sig)
{
    if (sig != SIGCHLD)
        asked = sig;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A small file of /proc, as a string; false if it has gone. */
static bool slurp(char *buf, size_t size, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t have = 0;
    ssize_t got;
    while (have + 1 < size && (got = read(fd, buf + have, size - 1 - have)) > 0)
        have += (size_t)got;
    close(fd);
    buf[have] = '\0';
    return have > 0;
}

/* State, parent, flags and CPU time from a stat file of /proc. */
static bool stat_of(const char *path, struct proc *p)
{
    char buf[1024];
    unsigned long flags, t[4];
    int parent;
    if (!slurp(buf, sizeof buf, path))
        return false;
    const char *s = strrchr(buf, ')'); /* a name may hold anything */
    if (!s ||
        sscanf(s + 1,
               " %c %d %*d %*d %*d %*d %lu %*u %*u %*u %*u %lu %lu %lu "
               "%lu",
               &p->state, &parent, &flags, &t[0], &t[1], &t[2], &t[3]) != 7)
        return false;
    p->parent = parent;
    p->dying = p->state == 'Z' || p->state == 'X' || (flags & PF_EXITING);
    p->cpu_s =
        (double)(t[0] + t[1] + t[2] + t[3]) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

/* Whether SIGKILL is on its way to the process but not yet taken. */
static bool kill_pending(pid_t pid)
{
    char path[64], buf[4096];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    if (!slurp(buf, sizeof buf, path))
        return true;
    const char *names[] = {"\nSigPnd:", "\nShdPnd:"};
    for (size_t i = 0; i < 2; i++) {
        const char *s = strstr(buf, names[i]);
        if (s && (strtoull(s + 8, NULL, 16) & (1ULL << (SIGKILL - 1))))
            return true;
    }
    return false;
}

static const struct proc *find(const struct table *t, pid_t pid)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->p[i].pid == pid)
            return &t->p[i];
    return NULL;
}

/* All living descendants of ours. Orphans come to us (we are a subreaper), in
 * whatever session they are. */
static void look(struct table *t)
{
    DIR *d = opendir("/proc");
    if (!d) {
        perror("run-test: /proc");
        exit(USAGE);
    }
    t->n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        char path[300];
        struct proc p = {.pid = (pid_t)strtol(e->d_name, NULL, 10)};
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        if (!stat_of(path, &p))
            continue;
        if (t->n == t->cap) {
            t->cap = t->cap ? 2 * t->cap : 256;
            t->p = realloc(t->p, t->cap * sizeof *t->p);
            if (!t->p) {
                perror("run-test");
                exit(USAGE);
            }
        }
        t->p[t->n++] = p;
    }
    closedir(d);
    /* Generation by generation; a pid's parent may stand behind it. */
    pid_t self = getpid();
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < t->n; i++) {
            struct proc *p = &t->p[i];
            const struct proc *up = find(t, p->parent);
            if (!p->ours && (p->parent == self || (up && up->ours)))
                p->ours = more = true;
        }
    }
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->p[i].ours)
            t->p[n++] = t->p[i];
    t->n = n;
}

/* CPU time of all that the test has run so far. */
static double cpu_of(const struct table *t)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    double s = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    for (size_t i = 0; i < t->n; i++)
        s += t->p[i].cpu_s;
    return s;
}

/* Calls fn for each thread of a process, until it says true. */
static bool any_thread(pid_t pid, bool (*fn)(pid_t, const char *))
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    bool yes = false;
    for (struct dirent *e; d && !yes && (e = readdir(d));)
        if (isdigit((unsigned char)e->d_name[0]))
            yes = fn(pid, e->d_name);
    if (d)
        closedir(d);
    return yes;
}

static bool runnable(pid_t pid, const char *tid)
{
    char path[300];
    struct proc p;
    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)pid, tid);
    /* D: it waits for a disk. */
    return stat_of(path, &p) && (p.state == 'R' || p.state == 'D');
}

static bool print_thread(pid_t pid, const char *tid)
{
    char path[300], name[64] = "?", wchan[128] = "";
    struct proc p = {.state = '?'};
    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)pid, tid);
    (void)stat_of(path, &p);
    snprintf(path, sizeof path, "/proc/%d/task/%s/comm", (int)pid, tid);
    (void)slurp(name, sizeof name, path);
    name[strcspn(name, "\n")] = '\0';
    snprintf(path, sizeof path, "/proc/%d/task/%s/wchan", (int)pid, tid);
    if (!slurp(wchan, sizeof wchan, path) || strcmp(wchan, "0") == 0)
        snprintf(wchan, sizeof wchan, "-");
    printf("    thread %s '%s'  state %c  wchan %s\n", tid, name, p.state,
           wchan);
    return false;
}

/* Name those of the test's processes that are not on their way out. */
static size_t print_alive(const struct table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct proc *p = &t->p[i];
        char path[64], line[400];
        if (p->dying)
            continue;
        n++;
        snprintf(path, sizeof path, "/proc/%d/cmdline", (int)p->pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
        if (fd >= 0)
            close(fd);
        while (got > 0 && line[got - 1] == '\0')
            got--;
        for (ssize_t k = 0; k < got; k++)
            if ((unsigned char)line[k] < ' ')
                line[k] = ' ';
        line[got > 0 ? got : 0] = '\0';
        printf("  pid %d  parent %d  state %c  cpu %.2f s  %s\n", (int)p->pid,
               (int)p->parent, p->state, p->cpu_s, got > 0 ? line : "?");
        any_thread(p->pid, print_thread);
    }
    fflush(stdout);
    return n;
}

/* Take the exit statuses that are there; true once the test's own is. */
static bool reap(pid_t test, int *status)
{
    bool done = false;
    int s;
    for (pid_t p; (p = waitpid(-1, &s, WNOHANG)) > 0;)
        if (p == test) {
            *status = s;
            done = true;
        }
    return done;
}

static void pause_s(double s)
{
    struct timespec t = {.tv_sec = (time_t)s,
                         .tv_nsec = (long)(1e9 * (s - (double)(time_t)s))};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    int sig = sigtimedwait(&set, NULL, &t);
    if (sig > 0)
        on_signal(sig);
}

/* Until nothing of the test is left; each round meets what the last one
 * orphaned. */
static void kill_all(struct table *t)
{
    int status;
    for (;;) {
        look(t);
        for (size_t i = 0; i < t->n; i++)
            if (t->p[i].state != 'Z')
                kill(t->p[i].pid, SIGKILL);
        reap(0, &status);
        look(t);
        if (t->n == 0)
            return;
        pause_s(0.02);
    }
}

/* What still lives when the test has ended. Killed with its parent, or hearing
 * of its end by a closed pipe, it may need a moment to go, the longer the
 * busier the machine is; left behind are those that neither run nor die.
 * Returns how many they are. */
static size_t left_behind(struct table *t)
{
    double end = now_s() + GOING_S;
    int status;
    for (int asleep = 0;;) {
        size_t stay = 0, active = 0;
        reap(0, &status);
        look(t);
        for (size_t i = 0; i < t->n; i++) {
            struct proc *p = &t->p[i];
            p->dying = p->dying || kill_pending(p->pid);
            stay += !p->dying;
            active += p->dying ? p->state != 'Z' : any_thread(p->pid, runnable);
        }
        if (!t->n)
            return 0;
        asleep = active ? 0 : asleep + 1;
        if (asleep == ASLEEP_LOOKS || (stay && now_s() > end))
            return stay;
        pause_s(0.02);
    }
}

static pid_t start(char **argv)
{
    fflush(stdout);
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(NOT_STARTED);
    execvp(argv[0], argv);
    fprintf(stderr, "run-test: cannot run '%s': %s\n", argv[0],
            strerror(errno));
    _exit(NOT_STARTED);
}

/* Watch the test until it ends or has to be ended. 0 and its status, or a text
 * that says why it is given up. */
static const char *watch(pid_t test, struct table *t, long hung_looks,
                         double cpu_limit, int *status)
{
    static char why[160];
    double last_cpu = 0, next = now_s() + 1;
    long looks = 0, busy = 0;
    while (!reap(test, status)) {
        if (asked)
            return "told to end";
        double left = next - now_s();
        if (left > 0) {
            pause_s(left);
            continue;
        }
        next = now_s() + 1;
        look(t);
        double cpu = cpu_of(t);
        bool work = cpu - last_cpu > IDLE_CPU_S;
        for (size_t i = 0; i < t->n && !work; i++)
            work = any_thread(t->p[i].pid, runnable);
        last_cpu = cpu;
        if (cpu > cpu_limit) {
            snprintf(why, sizeof why,
                     "it ran away: %.0f s of CPU time, %.0f are its limit", cpu,
                     cpu_limit);
            return why;
        }
        looks++;
        busy += work;
        if (looks < hung_looks)
            continue;
        if ((double)busy <= HUNG_SHARE * (double)looks) {
            snprintf(why, sizeof why,
                     "it hangs: idle in %ld of the last %ld seconds",
                     looks - busy, looks);
            return why;
        }
        looks = busy = 0;
    }
    return NULL;
}

/* 20 minutes on two cores; loops that spin while they wait use all there are.
 * Sanitizers make everything slower. */
static double default_cpu_limit(void)
{
    cpu_set_t set;
    int cores = 2;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > cores)
        cores = CPU_COUNT(&set);
    return 600.0 * cores * SLOWER;
}

static double number(const char *s)
{
    char *end;
    double v = s ? strtod(s, &end) : 0;
    if (!s || *end || !(v >= 1 && v <= 1e9)) {
        fprintf(stderr, "run-test: '%s' is no number of seconds from 1\n",
                s ? s : "");
        exit(USAGE);
    }
    return v;
}

int main(int argc, char **argv)
{
    double hung = 180, cpu = default_cpu_limit();
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--hung") == 0)
            hung = number(argv[++i]);
        else if (strcmp(argv[i], "--cpu") == 0)
            cpu = number(argv[++i]);
        else
            break;
    }
    if (i >= argc || argv[i][0] == '-') {
        fprintf(stderr, "usage: run-test [--hung SECONDS] [--cpu SECONDS] "
                        "COMMAND...\n");
        return USAGE;
    }
    /* Signals wait for us in pause_s(). SIGCHLD must not be ignored, or there
     * is no status to be had. */
    const int signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP};
    sigset_t set;
    sigemptyset(&set);
    for (size_t k = 0; k < sizeof signals / sizeof *signals; k++) {
        signal(signals[k], on_signal);
        sigaddset(&set, signals[k]);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        perror("run-test: PR_SET_CHILD_SUBREAPER");
        return USAGE;
    }
    pid_t test = start(argv + i);
    if (test < 0) {
        perror("run-test: fork");
        return USAGE;
    }
    struct table t = {0};
    int status = 0;
    const char *why = watch(test, &t, (long)hung, cpu, &status);
    int code = GAVE_UP;
    if (asked) {
        code = 128 + asked;
    } else if (why) {
        look(&t);
        printf("run-test: %s; alive were:\n", why);
        print_alive(&t);
    } else {
        code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        size_t n = left_behind(&t);
        if (n > 0) {
            printf("run-test: it ended with status %d and left %zu process%s "
                   "behind:\n",
                   code, n, n == 1 ? "" : "es");
            print_alive(&t);
            if (code == 0 || code == 77) /* 77: skipped */
                code = LEFT_BEHIND;
        }
    }
    kill_all(&t);
    free(t.p);
    return code;
}
