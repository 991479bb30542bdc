/* Texts of a running pipeline: the bar, the plain line, the closing table.
 * Only composes; printing is the caller's. */
#ifndef FACET_FLOW_PROGRESS_H
#define FACET_FLOW_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* What is counted: items of the sources that are done everywhere (`done` of
 * `total`), and items that have come through to the sinks (`ends`). Where many
 * come of one (views of a picture), the latter tell of the work: rate and time
 * left are then theirs, and the share is an estimate from how many came of each
 * source item so far, marked '~'. The rate is that of the last 10 s or so; of
 * the whole run if nothing was done in them. */
#define PROGRESS_SAMPLES 32
struct progress {
    int64_t start_ns;
    int64_t total; /* -1: unknown */
    int64_t done, ends, failed;
    int64_t ends_then; /* when `done` last grew */
    int64_t at_ns[PROGRESS_SAMPLES];
    int64_t at_done[PROGRESS_SAMPLES], at_ends[PROGRESS_SAMPLES];
    size_t n;
};

void progress_init(struct progress *p, int64_t now_ns);
void progress_update(struct progress *p, int64_t now_ns, int64_t done,
                     int64_t ends, int64_t total, int64_t failed);
/* Do many come of one? Then `ends` are what is shown. */
bool progress_fans_out(const struct progress *p);
/* Items (or ends) a second lately; 0 while unknown. */
double progress_rate(const struct progress *p);
/* Seconds left, < 0 while unknown. */
double progress_left_s(const struct progress *p);

/* "[=========>          ]  412/1000  41 %  86.3/s  0:07 left  3 failed", at
 * most `columns` wide, into out. Without a total: "412 done  86.3/s". Where
 * many come of one: "1/3  ~41 %  31 out  2.1/s  0:20 left". */
char *progress_bar(const struct progress *p, int columns, char *out, size_t n);
/* The same without a bar, for logs. */
char *progress_line(const struct progress *p, char *out, size_t n);
/* "0:07", "12:40", "3:05:09". */
char *progress_time(double seconds, char *out, size_t n);

/* One stage of the closing table. */
struct progress_row {
    const char *name;
    int replicas;
    bool source, sink; /* in or out is then shown as '-' */
    int64_t in, out, failed;
    int64_t busy_ns; /* over all replicas */
};
/* stage, replicas, in, out, failed, rate, busy share of wall_ns. At most
 * `columns` wide (0: no limit) down to 50 or so; names are cut if need be. */
enum err_code progress_table(const struct progress_row *rows, size_t n,
                             int64_t wall_ns, int columns, struct buf *out,
                             struct err *e) MUST_USE;

#endif
