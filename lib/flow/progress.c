/* Texts of a running pipeline. */
#include "lib/flow/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WINDOW_NS (INT64_C(10) * 1000000000)

void progress_init(struct progress *p, int64_t now_ns)
{
    *p = (struct progress){.start_ns = now_ns, .total = -1};
    p->at_ns[0] = now_ns;
    p->n = 1;
}

void progress_update(struct progress *p, int64_t now_ns, int64_t done,
                     int64_t total, int64_t failed)
{
    p->done = done;
    p->total = total;
    p->failed = failed;
    int64_t step = WINDOW_NS / (PROGRESS_SAMPLES - 2);
    if (p->n && now_ns - p->at_ns[p->n - 1] < step && p->n > 1) {
        p->at_ns[p->n - 1] = now_ns; /* the newest sample moves along */
        p->at_done[p->n - 1] = done;
        /* ... unless it would lie a full step after the one before it. */
        if (now_ns - p->at_ns[p->n - 2] < step)
            return;
    }
    if (p->n == PROGRESS_SAMPLES) {
        memmove(p->at_ns, p->at_ns + 1, sizeof p->at_ns - sizeof *p->at_ns);
        memmove(p->at_done, p->at_done + 1,
                sizeof p->at_done - sizeof *p->at_done);
        p->n--;
    }
    p->at_ns[p->n] = now_ns;
    p->at_done[p->n] = done;
    p->n++;
}

double progress_rate(const struct progress *p)
{
    if (p->n < 2)
        return 0;
    int64_t ns = p->at_ns[p->n - 1] - p->at_ns[0];
    int64_t items = p->at_done[p->n - 1] - p->at_done[0];
    if (items == 0) { /* slow items: what the whole run gives */
        ns = p->at_ns[p->n - 1] - p->start_ns;
        items = p->done;
    }
    return ns > 0 ? (double)items * 1e9 / (double)ns : 0;
}

double progress_left_s(const struct progress *p)
{
    double rate = progress_rate(p);
    if (p->total < 0 || rate <= 0)
        return -1;
    return p->total > p->done ? (double)(p->total - p->done) / rate : 0;
}

char *progress_time(double seconds, char *out, size_t n)
{
    int64_t s = (int64_t)(seconds + 0.5);
    if (s < 0)
        s = 0;
    if (s >= 3600)
        snprintf(out, n, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60),
                 (int)(s % 60));
    else
        snprintf(out, n, "%d:%02d", (int)(s / 60), (int)(s % 60));
    return out;
}

static int percent(const struct progress *p)
{
    if (p->total <= 0)
        return p->total == 0 ? 100 : 0;
    int64_t done = p->done < p->total ? p->done : p->total;
    return (int)((double)done * 100 / (double)p->total);
}

static void rate_text(double r, char *out, size_t n)
{
    snprintf(out, n, r >= 100 ? "%.0f/s" : r >= 10 ? "%.1f/s" : "%.2f/s", r);
}

char *progress_line(const struct progress *p, char *out, size_t n)
{
    char number[32], rate[40] = "", left[32], more[64] = "", bad[48] = "";
    double s = progress_left_s(p);
    rate_text(progress_rate(p), number, sizeof number);
    if (progress_rate(p) > 0)
        snprintf(rate, sizeof rate, "  %s", number);
    if (s >= 0)
        snprintf(more, sizeof more, "  %s left",
                 progress_time(s, left, sizeof left));
    if (p->failed)
        snprintf(bad, sizeof bad, "  %" PRId64 " failed", p->failed);
    if (p->total >= 0)
        snprintf(out, n, "%" PRId64 "/%" PRId64 "  %d %%%s%s%s", p->done,
                 p->total, percent(p), rate, more, bad);
    else
        snprintf(out, n, "%" PRId64 " done%s%s", p->done, rate, bad);
    return out;
}

char *progress_bar(const struct progress *p, int columns, char *out, size_t n)
{
    char text[256];
    progress_line(p, text, sizeof text);
    int width = columns - (int)strlen(text) - 4;
    if (width > 40)
        width = 40;
    if (p->total < 0 || width < 8) {
        snprintf(out, n, "%.*s", columns > 1 ? columns - 1 : 1, text);
        return out;
    }
    char bar[64];
    int full = width * percent(p) / 100;
    for (int i = 0; i < width; i++)
        bar[i] = i < full ? '=' : i == full ? '>' : ' ';
    bar[width] = 0;
    snprintf(out, n, "[%s] %s", bar, text);
    return out;
}

static void count(char *out, size_t n, bool known, int64_t v)
{
    if (known)
        snprintf(out, n, "%" PRId64, v);
    else
        snprintf(out, n, "-");
}

enum err_code progress_table(const struct progress_row *rows, size_t n,
                             int64_t wall_ns, struct buf *out, struct err *e)
{
    double wall_s = wall_ns > 0 ? (double)wall_ns / 1e9 : 1e-9;
    int width = 5;
    for (size_t i = 0; i < n; i++)
        if ((int)strlen(rows[i].name) > width)
            width = (int)strlen(rows[i].name);
    enum err_code rc =
        buf_printf(out, e, "%-*s  %8s  %9s  %9s  %7s  %10s  %5s\n", width,
                   "stage", "replicas", "in", "out", "failed", "rate", "busy");
    for (size_t i = 0; !rc && i < n; i++) {
        const struct progress_row *r = &rows[i];
        char in[24], sent[24], rate[32];
        count(in, sizeof in, !r->source, r->in);
        count(sent, sizeof sent, !r->sink, r->out);
        rate_text((double)(r->source ? r->out : r->in) / wall_s, rate,
                  sizeof rate);
        double busy = (double)r->busy_ns / 1e9 / wall_s /
                      (r->replicas > 0 ? r->replicas : 1);
        rc = buf_printf(
            out, e, "%-*s  %8d  %9s  %9s  %7" PRId64 "  %10s  %3.0f %%\n",
            width, r->name, r->replicas, in, sent, r->failed, rate, busy * 100);
    }
    return rc;
}
