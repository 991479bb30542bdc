/* Runs a fuzz target without libFuzzer, so that gcc and the test suite can:
 * every file given (or all files of a folder), and with --mutate N SEED also N
 * changed copies of them, the same ones for the same seed. Every input must
 * give back all memory it took. The input at hand when the program dies or
 * takes over 10 seconds is written to crash-<program>. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/base/text.h"
#include "tests/fuzz/fuzz.h"

#define MAX_INPUT ((size_t)1 << 20)
#define MAX_FILES 4096

struct input {
    uint8_t *data;
    size_t n;
};

static struct input corpus[MAX_FILES];
static size_t n_corpus;
static struct input now; /* what the target is looking at */
static char crash_name[128];

/* Only calls that are safe in a signal handler. */
static void write_crash(void)
{
    int fd = open(crash_name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        return;
    ssize_t done = write(fd, now.data, now.n);
    (void)close(fd);
    static const char text[] = "the input was written to ";
    done = write(2, text, sizeof text - 1);
    done = write(2, crash_name, strlen(crash_name));
    done = write(2, "\n", 1);
    (void)done;
}

static void died(int sig)
{
    write_crash();
    (void)signal(sig == SIGPROF ? SIGABRT : sig, SIG_DFL);
    (void)raise(sig == SIGPROF ? SIGABRT : sig);
}

/* Sanitizers end the program without a signal. */
void __sanitizer_set_death_callback(void (*callback)(void))
    __attribute__((weak));

/* In CPU time, so that a busy machine does not count. */
static void limit(time_t seconds)
{
    const struct itimerval t = {.it_value = {.tv_sec = seconds}};
    (void)setitimer(ITIMER_PROF, &t, NULL);
}

static bool run_one(const uint8_t *data, size_t n, const char *what)
{
    int64_t live = mem_live();
    /* A block of exactly n bytes: reads past it are seen. */
    uint8_t *p = mem_alloc(n);
    if (!p)
        return false;
    if (n)
        memcpy(p, data, n);
    now = (struct input){p, n};
    limit(10);
    (void)LLVMFuzzerTestOneInput(p, n);
    limit(0);
    bool fine = mem_live() == live + 1;
    if (!fine) {
        (void)fprintf(stderr, "%s: %lld blocks of memory not given back\n",
                      what, (long long)(mem_live() - live - 1));
        write_crash();
    }
    mem_free(p);
    return fine;
}

static bool add(const char *path)
{
    struct buf b;
    struct err e;
    if (n_corpus == MAX_FILES || file_read(path, MAX_INPUT, &b, &e)) {
        (void)fprintf(stderr, "%s\n",
                      n_corpus == MAX_FILES ? "too many files" : e.text);
        return false;
    }
    corpus[n_corpus++] = (struct input){b.data, b.len};
    return true;
}

static bool add_path(const char *path)
{
    struct file_list l;
    struct err e;
    if (!file_is_dir(path))
        return add(path);
    if (file_walk(path, MAX_FILES, &l, &e)) {
        (void)fprintf(stderr, "%s\n", e.text);
        return false;
    }
    bool fine = file_list_whole(&l, &e) == OK;
    for (size_t i = 0; i < l.n && fine; i++) {
        char *full = path_join(path, l.names[i]);
        fine = full && add(full);
        mem_free(full);
    }
    file_list_free(&l);
    return fine;
}

/* One change of the kinds that parsers fall over. buf holds MAX_INPUT. */
static size_t mutate_once(uint8_t *p, size_t n, struct rng *r)
{
    static const uint8_t edge[] = {0, 1, 0x7f, 0x80, 0xff, 0xc1, 0xdd, 0xdf};
    size_t at = n ? (size_t)rng_below(r, n) : 0;
    size_t len = 1 + (size_t)rng_below(r, 8);
    const struct input *other = &corpus[rng_below(r, n_corpus)];
    switch (rng_below(r, 7)) {
    case 0: /* flip a bit */
        if (n)
            p[at] ^= (uint8_t)(1u << rng_below(r, 8));
        return n;
    case 1: /* any byte */
        if (n)
            p[at] = (uint8_t)rng_u64(r);
        return n;
    case 2: /* a run of an edge value: huge or no sizes */
        for (size_t i = 0; i < len && at + i < n; i++)
            p[at + i] = edge[at % sizeof edge];
        return n;
    case 3: /* cut out */
        if (len > n - at)
            len = n - at;
        memmove(p + at, p + at + len, n - at - len);
        return n - len;
    case 4: /* say twice */
        if (len > n - at)
            len = n - at;
        if (n + len > MAX_INPUT)
            return n;
        memmove(p + at + len, p + at, n - at);
        return n + len;
    case 5: /* end here */
        return at;
    default: /* go on as another input does */
        if (other->n == 0)
            return n;
        len = (size_t)rng_below(r, other->n);
        if (at + other->n - len > MAX_INPUT)
            return n;
        memcpy(p + at, other->data + len, other->n - len);
        return at + other->n - len;
    }
}

static bool run_mutations(int64_t count, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    uint8_t *p = mem_alloc(MAX_INPUT);
    bool fine = p && n_corpus;
    for (int64_t i = 0; i < count && fine; i++) {
        const struct input *in = &corpus[rng_below(&r, n_corpus)];
        size_t n = in->n;
        char what[64];
        if (n)
            memcpy(p, in->data, n);
        for (uint64_t k = 1 + rng_below(&r, 4); k > 0; k--)
            n = mutate_once(p, n, &r);
        snprintf(what, sizeof what, "mutation %lld", (long long)i);
        fine = run_one(p, n, what);
    }
    mem_free(p);
    return fine;
}

int main(int argc, char **argv)
{
    int64_t count = 0, seed = 1;
    int i = 1;
    bool fine = true;
    snprintf(crash_name, sizeof crash_name, "crash-%.100s", path_base(argv[0]));
    if (argc > 3 && strcmp(argv[1], "--mutate") == 0) {
        if (!text_to_i64(argv[2], &count) || !text_to_i64(argv[3], &seed))
            count = -1;
        i = 4;
    }
    if (i >= argc || count < 0) {
        (void)fprintf(stderr, "usage: %s [--mutate N SEED] PATH...\n", argv[0]);
        return 2;
    }
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT,
                                  SIGFPE,  SIGILL, SIGPROF};
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(write_crash);
    for (size_t k = 0; k < sizeof signals / sizeof *signals; k++)
        if (!__sanitizer_set_death_callback || signals[k] == SIGPROF ||
            signals[k] == SIGABRT)
            (void)signal(signals[k], died);
    for (; i < argc && fine; i++)
        fine = add_path(argv[i]);
    for (size_t k = 0; k < n_corpus && fine; k++)
        fine = run_one(corpus[k].data, corpus[k].n, "a corpus file");
    if (fine && count)
        fine = run_mutations(count, (uint64_t)seed);
    printf("%zu files, %lld mutations: %s\n", n_corpus, (long long)count,
           fine ? "fine" : "FAILED");
    for (size_t k = 0; k < n_corpus; k++)
        mem_free(corpus[k].data);
    return fine && n_corpus ? 0 : 1;
}
