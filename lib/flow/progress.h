/* Texts of a running pipeline: the bar, the plain line, the closing table.
 * Only composes; printing is the caller's. */
#ifndef FACET_FLOW_PROGRESS_H
#define FACET_FLOW_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* The rate is that of the last 10 s or so; of the whole run if nothing was done
 * in them. */
#define PROGRESS_SAMPLES 32
struct progress {
    int64_t start_ns;
    int64_t total; /* -1: unknown */
    int64_t done, failed;
    int64_t at_ns[PROGRESS_SAMPLES], at_done[PROGRESS_SAMPLES];
    size_t n;
};

void progress_init(struct progress *p, int64_t now_ns);
void progress_update(struct progress *p, int64_t now_ns, int64_t done,
                     int64_t total, int64_t failed);
/* Items a second lately; 0 while unknown. */
double progress_rate(const struct progress *p);
/* Seconds left, < 0 while unknown. */
double progress_left_s(const struct progress *p);

/* "[=========>          ]  412/1000  41 %  86.3/s  0:07 left  3 failed", at
 * most `columns` wide, into out. Without a total: "412 done  86.3/s". */
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
/* stage, replicas, in, out, failed, rate, busy share of wall_ns. */
enum err_code progress_table(const struct progress_row *rows, size_t n,
                             int64_t wall_ns, struct buf *out,
                             struct err *e) MUST_USE;

#endif
