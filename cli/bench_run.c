/* Runs one stage over pipes and times its answers. */
#include "cli/bench_run.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/data/tape.h"

extern char **environ;

struct sent {
    struct item_id id;
    int64_t at_ns;
    bool used;
};

struct bench_child {
    pid_t pid;
    clockid_t cpu; /* its CPU time, all threads */
    FILE *to, *from;
    struct tape *answers; /* over from; opened with the first answer */
    double timeout;
    size_t peak; /* bytes */
    /* The thread that feeds it. */
    pthread_t feeder, watchdog;
    bool feeding, watching;
    struct item *const *items;
    size_t n_items;
    sem_t credit; /* one for each item that may be sent */
    pthread_mutex_t lock;
    struct sent sent[BENCH_MAX_IN_FLIGHT];
    _Atomic bool stop;        /* for the feeder */
    _Atomic bool over;        /* for the watchdog */
    _Atomic bool hung;        /* the watchdog has ended the stage */
    bool broken;              /* an answer could not be had */
    _Atomic int64_t heard_ns; /* when it last answered */
    _Atomic bool waiting;     /* is an answer due? */
    char failure[256];
};

/* Processes and pipes */

static enum err_code spawn(struct bench_child *c, char *const *argv, bool input,
                           struct err *e)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t defaults;
    if (pipe2(out, O_CLOEXEC) != 0 || (input && pipe2(in, O_CLOEXEC) != 0)) {
        enum err_code code = err_errno(e, ERR_IO, errno, "cannot make a pipe");
        if (out[0] >= 0) {
            close(out[0]);
            close(out[1]);
        }
        return code;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    if (input)
        posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    else
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                         O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawnp(&c->pid, argv[0], &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    close(out[1]);
    if (input)
        close(in[0]);
    c->from = fdopen(out[0], "rb");
    c->to = input ? fdopen(in[1], "wb") : NULL;
    if (rc == 0 && c->from && (c->to || !input))
        return OK;
    if (rc == 0)
        return err_set(e, ERR_IO, "cannot open a pipe");
    c->pid = 0;
    return err_errno(e, ERR_IO, rc, "cannot run '%s'", argv[0]);
}

/* The most memory it had so far: its own count, which unlike getrusage's has
 * nothing of ours in it. */
static void note_peak(struct bench_child *c)
{
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/%ld/status", (long)c->pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            size_t kib = (size_t)strtoull(line + 6, NULL, 10);
            if (kib * 1024 > c->peak)
                c->peak = kib * 1024;
        }
    }
    if (f)
        fclose(f);
}

static double cpu_seconds(const struct bench_child *c)
{
    struct timespec t;
    if (clock_gettime(c->cpu, &t) != 0)
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds_since(int64_t ns)
{
    return (double)(clock_ns() - ns) * 1e-9;
}

/* Feeding */

static void remember(struct bench_child *c, const struct item_id *id)
{
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < BENCH_MAX_IN_FLIGHT; i++)
        if (!c->sent[i].used) {
            c->sent[i] = (struct sent){*id, clock_ns(), true};
            break;
        }
    pthread_mutex_unlock(&c->lock);
}

/* When the item of that id was sent; false if it was not. */
static bool recall(struct bench_child *c, const struct item_id *id,
                   int64_t *at_ns)
{
    bool found = false;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < BENCH_MAX_IN_FLIGHT && !found; i++)
        if (c->sent[i].used && item_id_equal(&c->sent[i].id, id)) {
            *at_ns = c->sent[i].at_ns;
            c->sent[i].used = false;
            found = true;
        }
    pthread_mutex_unlock(&c->lock);
    return found;
}

/* Sends an item for each credit. It alone touches the items meanwhile. A
 * failure here shows as the end of the answers. */
static void *feed(void *arg)
{
    struct bench_child *c = arg;
    struct err e;
    struct tape *t = tape_write_stream(c->to, "the stage", &e);
    enum err_code code = t ? OK : e.code;
    for (uint64_t seq = 0; code == OK; seq++) {
        while (sem_wait(&c->credit) != 0 && errno == EINTR)
            ;
        if (atomic_load(&c->stop))
            break;
        struct item *it = c->items[seq % c->n_items];
        struct item_id own = it->id;
        it->id = item_make_id(&own, "bench", "out", seq, "");
        remember(c, &it->id);
        code = tape_put(t, it, &e);
        if (code == OK)
            code = tape_flush(t, &e);
        it->id = own;
    }
    tape_abort(&t);
    fclose(c->to);
    return NULL;
}

/* Ends a stage that does not answer. */
static void *watch(void *arg)
{
    struct bench_child *c = arg;
    const struct timespec nap = {.tv_nsec = 20000000};
    while (!atomic_load(&c->over)) {
        (void)nanosleep(&nap, NULL);
        if (atomic_load(&c->waiting) &&
            seconds_since(atomic_load(&c->heard_ns)) > c->timeout) {
            atomic_store(&c->hung, true);
            (void)kill(c->pid, SIGKILL);
            break;
        }
    }
    return NULL;
}

static void expect_answer(struct bench_child *c, bool due)
{
    atomic_store(&c->heard_ns, clock_ns());
    atomic_store(&c->waiting, due);
}

static struct bench_child *child_new(double timeout, struct err *e)
{
    struct bench_child *c = mem_calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_NOMEM, "no memory for a process");
        return NULL;
    }
    c->timeout = timeout;
    (void)sem_init(&c->credit, 0, 0);
    (void)pthread_mutex_init(&c->lock, NULL);
    return c;
}

enum err_code bench_start(char *const *argv, struct item *const *items,
                          size_t n, double timeout, struct bench_child **out,
                          struct err *e)
{
    struct bench_child *c = child_new(timeout, e);
    *out = c;
    if (!c)
        return ERR_NOMEM;
    c->items = items;
    c->n_items = n;
    (void)signal(SIGPIPE, SIG_IGN);
    enum err_code code = spawn(c, argv, true, e);
    if (code)
        return code;
    if (clock_getcpuclockid(c->pid, &c->cpu) != 0)
        return err_set(e, ERR_IO, "cannot read the CPU time of '%s'", argv[0]);
    c->feeding = pthread_create(&c->feeder, NULL, feed, c) == 0;
    c->watching = pthread_create(&c->watchdog, NULL, watch, c) == 0;
    if (!c->feeding || !c->watching)
        return err_set(e, ERR_NOMEM, "cannot start a thread");
    return OK;
}

/* The next item from the stage; ERR_IO if it ended or does not answer. */
static enum err_code answer(struct bench_child *c, struct item **it,
                            struct err *e)
{
    enum err_code code = OK;
    *it = NULL;
    c->broken = true;
    if (!c->answers &&
        !(c->answers = tape_read_stream(c->from, "the stage's output", e)))
        code = err_set(e, ERR_IO, "it ended before its first answer");
    if (code == OK)
        code = tape_next(c->answers, it, e);
    if (atomic_load(&c->hung))
        return err_set(e, ERR_IO, "no answer for %g s", c->timeout);
    if (code == OK && !*it)
        return err_set(e, ERR_IO, "it ended before its input did");
    c->broken = code != OK;
    return code;
}

/* Measuring */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void bench_window_sort(struct bench_window *w)
{
    if (w->n_latency)
        qsort(w->latency, w->n_latency, sizeof *w->latency, by_value);
}

static enum err_code add_latency(struct bench_window *w, double seconds,
                                 struct err *e)
{
    if (w->n_latency == w->cap_latency) {
        size_t cap = w->cap_latency ? 2 * w->cap_latency : 1024;
        double *grown = mem_resize(w->latency, cap, sizeof *grown);
        if (!grown)
            return err_set(e, ERR_NOMEM, "no memory for the latencies");
        w->latency = grown;
        w->cap_latency = cap;
    }
    w->latency[w->n_latency++] = seconds;
    return OK;
}

/* Read until one input is settled, counting into w. */
static enum err_code settle_one(struct bench_child *c, struct bench_window *w,
                                struct err *e)
{
    for (;;) {
        struct item *it;
        int64_t sent_ns = 0;
        enum err_code code = answer(c, &it, e);
        if (code)
            return code;
        bool failed = strcmp(it->kind, "fail") == 0;
        if (!failed && strcmp(it->kind, "ack") != 0) {
            w->outputs++;
            item_free(&it);
            continue;
        }
        expect_answer(c, true);
        if (!recall(c, &it->id, &sent_ns))
            code = err_set(e, ERR_DATA,
                           "it acknowledges an item that it was "
                           "not given");
        else
            code = add_latency(w, seconds_since(sent_ns), e);
        w->items++;
        w->failed += failed;
        if (failed && !c->failure[0])
            snprintf(c->failure, sizeof c->failure, "%.40s: %.200s",
                     item_str(it, "error_code", "?"),
                     item_str(it, "error_text", ""));
        item_free(&it);
        return code;
    }
}

bool bench_agree(const struct bench_phase *p, int agree)
{
    double lo = 0, hi = 0;
    if (p->n < agree)
        return false;
    for (int i = p->n - agree; i < p->n; i++) {
        const struct bench_window *w = &p->window[i];
        double rate = (double)w->items / w->seconds;
        lo = i == p->n - agree || rate < lo ? rate : lo;
        hi = rate > hi ? rate : hi;
    }
    return hi - lo <= 0.1 * hi;
}

static void give_credit(struct bench_child *c)
{
    (void)sem_post(&c->credit);
}

enum err_code bench_warm(struct bench_child *c, uint64_t count, struct err *e)
{
    struct bench_window w = {0};
    enum err_code code = OK;
    expect_answer(c, true);
    for (uint64_t i = 0; i < count && code == OK; i++) {
        give_credit(c);
        code = settle_one(c, &w, e);
    }
    expect_answer(c, false);
    mem_free(w.latency);
    return code;
}

enum err_code bench_measure(struct bench_child *c, int in_flight,
                            const struct bench_limits *limits,
                            struct bench_phase *out, struct err *e)
{
    enum err_code code = OK;
    struct bench_window rest = {0}; /* what is on its way at the end */
    expect_answer(c, true);
    for (int i = 0; i < in_flight; i++)
        give_credit(c);
    while (code == OK && out->n < limits->most && !out->settled) {
        struct bench_window *w = &out->window[out->n];
        int64_t start = clock_ns();
        double cpu = cpu_seconds(c);
        do {
            code = settle_one(c, w, e);
            if (code == OK)
                give_credit(c);
            w->seconds = seconds_since(start);
        } while (code == OK && w->seconds < limits->seconds);
        w->cpu_seconds = cpu_seconds(c) - cpu;
        bench_window_sort(w);
        note_peak(c);
        out->n++;
        out->settled = code == OK && bench_agree(out, limits->agree);
    }
    for (int i = 0; i < in_flight && code == OK; i++)
        code = settle_one(c, &rest, e);
    expect_answer(c, false);
    out->items = rest.items;
    out->outputs = rest.outputs;
    for (int i = 0; i < out->n; i++) {
        out->items += out->window[i].items;
        out->outputs += out->window[i].outputs;
    }
    mem_free(rest.latency);
    return code;
}

const char *bench_failure(const struct bench_child *c)
{
    return c->failure;
}

/* Wait for the end of the process; its status as a shell has it. */
static int reap(struct bench_child *c, struct rusage *usage)
{
    int status = 0;
    while (wait4(c->pid, &status, 0, usage) < 0 && errno == EINTR)
        ;
    c->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

enum err_code bench_stop(struct bench_child **child, int *status,
                         size_t *peak_bytes, struct err *e)
{
    struct bench_child *c = *child;
    struct rusage usage;
    enum err_code code = OK;
    *child = NULL;
    *status = 0;
    *peak_bytes = 0;
    if (!c)
        return OK;
    if (c->pid && c->broken)
        (void)kill(c->pid, SIGKILL); /* it may not read any more */
    expect_answer(c, true);          /* it should end */
    if (c->feeding) {
        atomic_store(&c->stop, true);
        give_credit(c); /* wakes the feeder, which closes the pipe */
        pthread_join(c->feeder, NULL);
    } else if (c->to) {
        fclose(c->to);
    }
    while (c->answers && !c->broken && code == OK) {
        struct item *it = NULL;
        code = tape_next(c->answers, &it, e);
        if (!it)
            break;
        expect_answer(c, true);
        item_free(&it);
    }
    atomic_store(&c->over, true);
    if (c->watching)
        pthread_join(c->watchdog, NULL);
    if (atomic_load(&c->hung) && !c->broken)
        code = err_set(e, ERR_IO, "it did not end within %g s", c->timeout);
    tape_abort(&c->answers);
    if (c->from)
        fclose(c->from);
    if (c->pid)
        *status = reap(c, &usage);
    *peak_bytes = c->peak;
    sem_destroy(&c->credit);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
    return code;
}

/* Sources */

enum err_code bench_source(char *const *argv, double timeout,
                           struct bench_window *out, double *first,
                           size_t *peak_bytes, struct err *e)
{
    struct rusage usage = {0};
    struct bench_child *c = child_new(timeout, e);
    if (!c)
        return ERR_NOMEM;
    int64_t start = clock_ns(), last = start;
    enum err_code code = spawn(c, argv, false, e);
    if (code == OK) {
        expect_answer(c, true);
        c->watching = pthread_create(&c->watchdog, NULL, watch, c) == 0;
        c->answers = tape_read_stream(c->from, "the stage's output", e);
        code = c->answers ? OK : e->code;
    }
    while (code == OK) {
        struct item *it;
        code = tape_next(c->answers, &it, e);
        if (code || !it)
            break;
        if (out->items++ == 0)
            *first = seconds_since(start);
        else
            code = add_latency(out, seconds_since(last), e);
        last = clock_ns();
        expect_answer(c, true);
        item_free(&it);
    }
    if (atomic_load(&c->hung))
        code = err_set(e, ERR_IO, "no item for %g s", timeout);
    atomic_store(&c->over, true);
    if (c->watching)
        pthread_join(c->watchdog, NULL);
    tape_abort(&c->answers);
    if (c->from)
        fclose(c->from);
    if (c->pid) {
        int status = reap(c, &usage);
        if (code == OK && status != 0)
            code = err_set(e, ERR_IO, "it ended with status %d", status);
    }
    out->seconds = seconds_since(start);
    out->cpu_seconds =
        (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
        1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    *peak_bytes = (size_t)usage.ru_maxrss * 1024;
    bench_window_sort(out);
    sem_destroy(&c->credit);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
    return code;
}

void bench_phase_free(struct bench_phase *p)
{
    for (int i = 0; i < BENCH_MAX_WINDOWS; i++)
        mem_free(p->window[i].latency);
    *p = (struct bench_phase){0};
}
