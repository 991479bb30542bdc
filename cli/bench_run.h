/* One stage process under measurement, for `facet bench`. */
#ifndef FACET_CLI_BENCH_RUN_H
#define FACET_CLI_BENCH_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/item.h"

#define BENCH_MAX_IN_FLIGHT 1024
#define BENCH_MAX_WINDOWS 100

struct bench_window {
    double seconds, cpu_seconds;
    uint64_t items, failed, outputs;
    double *latency; /* seconds, one for each item; sorted when closed */
    size_t n_latency, cap_latency;
};

/* Windows of one way of running, until `agree` in a row agree. */
struct bench_phase {
    struct bench_window window[BENCH_MAX_WINDOWS];
    int n;
    bool settled;
    /* Over all windows and what was on its way at their end. In a window the
     * two need not belong together: a batch may end outside it. */
    uint64_t items, outputs;
};

struct bench_limits {
    double seconds;  /* of a window, at least */
    int agree, most; /* windows that must agree; most windows */
    double timeout;  /* seconds without an answer */
};

struct bench_child;

/* Start argv (NULL-terminated; with --stdio --acks in it) and a thread that
 * feeds it items[n] over and over, with new ids each time. items stay the
 * caller's and must not be touched until bench_stop. */
enum err_code bench_start(char *const *argv, struct item *const *items,
                          size_t n, double timeout, struct bench_child **out,
                          struct err *e) MUST_USE;
/* Let the stage warm up: `count` items, one at a time. */
enum err_code bench_warm(struct bench_child *c, uint64_t count,
                         struct err *e) MUST_USE;
/* Keep in_flight items on their way until the windows settle; none is on its
 * way afterwards. */
enum err_code bench_measure(struct bench_child *c, int in_flight,
                            const struct bench_limits *limits,
                            struct bench_phase *out, struct err *e) MUST_USE;
/* Close its input, read what is left, wait for its end. *status is its exit
 * status (128 + signal if it died), *peak_bytes the most memory it had. Frees
 * c in any case. c may be NULL. */
enum err_code bench_stop(struct bench_child **c, int *status,
                         size_t *peak_bytes, struct err *e) MUST_USE;
/* Why an item failed ("code: text"), or "" if none did. */
const char *bench_failure(const struct bench_child *c);

/* One run of a source, from start to end, as one window; latencies are the
 * gaps between items. *first is the time to the first item. */
enum err_code bench_source(char *const *argv, double timeout,
                           struct bench_window *out, double *first,
                           size_t *peak_bytes, struct err *e) MUST_USE;

/* Do the last `agree` windows lie within 10 % of each other? */
bool bench_agree(const struct bench_phase *p, int agree);
void bench_window_sort(struct bench_window *w);
void bench_phase_free(struct bench_phase *p);

#endif
