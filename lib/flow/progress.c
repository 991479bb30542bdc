/* Texts of a running pipeline. */
#include "lib/flow/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

#define WINDOW_NS (INT64_C(10) * 1000000000)

void progress_init(struct progress *p, int64_t now_ns)
{
    *p = (struct progress){.start_ns = now_ns, .total = -1};
    p->at_ns[0] = now_ns;
    p->n = 1;
}

void progress_update(struct progress *p, int64_t now_ns, int64_t done,
                     int64_t ends, int64_t total, int64_t failed)
{
    if (done > p->done)
        p->ends_then = ends;
    p->done = done;
    p->ends = ends;
    p->total = total;
    p->failed = failed;
    int64_t step = WINDOW_NS / (PROGRESS_SAMPLES - 2);
    if (p->n && now_ns - p->at_ns[p->n - 1] < step && p->n > 1) {
        p->at_ns[p->n - 1] = now_ns; /* the newest sample moves along */
        p->at_done[p->n - 1] = done;
        p->at_ends[p->n - 1] = ends;
        /* ... unless it would lie a full step after the one before it. */
        if (now_ns - p->at_ns[p->n - 2] < step)
            return;
    }
    if (p->n == PROGRESS_SAMPLES) {
        memmove(p->at_ns, p->at_ns + 1, sizeof p->at_ns - sizeof *p->at_ns);
        memmove(p->at_done, p->at_done + 1,
                sizeof p->at_done - sizeof *p->at_done);
        memmove(p->at_ends, p->at_ends + 1,
                sizeof p->at_ends - sizeof *p->at_ends);
        p->n--;
    }
    p->at_ns[p->n] = now_ns;
    p->at_done[p->n] = done;
    p->at_ends[p->n] = ends;
    p->n++;
}

bool progress_fans_out(const struct progress *p)
{
    /* Sinks are a little ahead of what is known to be done everywhere. */
    return p->ends > 2 * p->done + 8;
}

double progress_rate(const struct progress *p)
{
    bool fans = progress_fans_out(p);
    const int64_t *at = fans ? p->at_ends : p->at_done;
    if (p->n < 2)
        return 0;
    int64_t ns = p->at_ns[p->n - 1] - p->at_ns[0];
    int64_t items = at[p->n - 1] - at[0];
    if (items == 0) { /* slow items: what the whole run gives */
        ns = p->at_ns[p->n - 1] - p->start_ns;
        items = fans ? p->ends : p->done;
    }
    return ns > 0 ? (double)items * 1e9 / (double)ns : 0;
}

/* How many ends there will be, from how many came of each item that is done;
 * < 0 while nothing is known. */
static double all_ends(const struct progress *p)
{
    if (p->total < 0 || p->done == 0)
        return -1;
    double all = (double)p->ends_then / (double)p->done * (double)p->total;
    return all > (double)p->ends || p->done >= p->total ? all
                                                        : (double)p->ends + 1;
}

double progress_left_s(const struct progress *p)
{
    double rate = progress_rate(p);
    if (p->total < 0 || rate <= 0)
        return -1;
    if (progress_fans_out(p)) {
        double all = all_ends(p);
        if (all < 0)
            return -1;
        return all > (double)p->ends && p->done < p->total
                   ? (all - (double)p->ends) / rate
                   : 0;
    }
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

/* < 0 while nothing can be said. */
static int percent(const struct progress *p)
{
    if (p->total <= 0)
        return -1;
    double done = (double)(p->done < p->total ? p->done : p->total);
    double share = done / (double)p->total;
    if (progress_fans_out(p) && p->done < p->total) {
        double all = all_ends(p), more = all > 0 ? (double)p->ends / all : 0;
        if (all < 0)
            return -1;
        share = more > share ? more : share;
    }
    return (int)(share * 100);
}

static void rate_text(double r, char *out, size_t n)
{
    snprintf(out, n, r >= 100 ? "%.0f/s" : r >= 10 ? "%.1f/s" : "%.2f/s", r);
}

char *progress_line(const struct progress *p, char *out, size_t n)
{
    char number[32], rate[40] = "", left[32], more[64] = "", bad[48] = "";
    char ends[40] = "", share[16] = "";
    bool fans = progress_fans_out(p);
    double s = progress_left_s(p);
    rate_text(progress_rate(p), number, sizeof number);
    if (fans)
        snprintf(ends, sizeof ends, "  %" PRId64 " out", p->ends);
    if (percent(p) >= 0)
        snprintf(share, sizeof share, "  %s%d %%",
                 fans && p->done < p->total ? "~" : "", percent(p));
    if (progress_rate(p) > 0)
        snprintf(rate, sizeof rate, "  %s", number);
    if (s >= 0)
        snprintf(more, sizeof more, "  %s left",
                 progress_time(s, left, sizeof left));
    if (p->failed)
        snprintf(bad, sizeof bad, "  %" PRId64 " failed", p->failed);
    if (p->total == 0 && p->done == 0)
        snprintf(out, n, "nothing to do%s", bad);
    else if (p->total >= 0)
        snprintf(out, n, "%" PRId64 "/%" PRId64 "%s%s%s%s%s", p->done, p->total,
                 share, ends, rate, more, bad);
    else
        snprintf(out, n, "%" PRId64 " done%s%s%s", p->done, ends, rate, bad);
    return out;
}

char *progress_bar(const struct progress *p, int columns, char *out, size_t n)
{
    char text[256];
    progress_line(p, text, sizeof text);
    int width = columns - (int)strlen(text) - 4;
    if (width > 40)
        width = 40;
    if (p->total <= 0 || width < 8) {
        snprintf(out, n, "%.*s", columns > 1 ? columns - 1 : 1, text);
        return out;
    }
    char bar[64];
    int full = percent(p) > 0 ? width * percent(p) / 100 : 0;
    for (int i = 0; i < width; i++)
        bar[i] = i < full ? '=' : i == full ? '>' : ' ';
    bar[width] = 0;
    snprintf(out, n, "[%s] %s", bar, text);
    return out;
}

#define COLUMNS 7
struct line {
    char cell[COLUMNS][64];
};

static void count(char *out, size_t n, bool known, int64_t v)
{
    if (known)
        snprintf(out, n, "%" PRId64, v);
    else
        snprintf(out, n, "-");
}

static void fill(struct line *l, const struct progress_row *r, double wall_s)
{
    int replicas = r->replicas > 0 ? r->replicas : 1;
    snprintf(l->cell[0], sizeof l->cell[0], "%s", r->name);
    count(l->cell[1], sizeof l->cell[1], true, r->replicas);
    count(l->cell[2], sizeof l->cell[2], !r->source, r->in);
    count(l->cell[3], sizeof l->cell[3], !r->sink, r->out);
    count(l->cell[4], sizeof l->cell[4], true, r->failed);
    rate_text((double)(r->source ? r->out : r->in) / wall_s, l->cell[5],
              sizeof l->cell[5]);
    snprintf(l->cell[6], sizeof l->cell[6], "%.0f %%",
             (double)r->busy_ns / 1e9 / wall_s / replicas * 100);
}

/* Widths of the columns; their sum with two blanks between. */
static int measure(const struct line *l, size_t n, int width[COLUMNS])
{
    int all = 2 * (COLUMNS - 1);
    for (size_t c = 0; c < COLUMNS; c++) {
        width[c] = 0;
        for (size_t i = 0; i < n; i++)
            if ((int)strlen(l[i].cell[c]) > width[c])
                width[c] = (int)strlen(l[i].cell[c]);
        all += width[c];
    }
    return all;
}

enum err_code progress_table(const struct progress_row *rows, size_t n,
                             int64_t wall_ns, int columns, struct buf *out,
                             struct err *e)
{
    static const struct line head = {
        {"stage", "replicas", "in", "out", "failed", "rate", "busy"}};
    double wall_s = wall_ns > 0 ? (double)wall_ns / 1e9 : 1e-9;
    int width[COLUMNS];
    struct line *l = mem_calloc(n + 1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for a table");
    l[0] = head;
    for (size_t i = 0; i < n; i++)
        fill(&l[i + 1], &rows[i], wall_s);
    int all = measure(l, n + 1, width);
    if (columns > 0 && all > columns) {
        snprintf(l[0].cell[1], sizeof l[0].cell[1], "n");
        all = measure(l, n + 1, width);
    }
    if (columns > 0 && all > columns) {
        width[0] -= all - columns;
        if (width[0] < 8)
            width[0] = 8;
    }
    enum err_code rc = OK;
    for (size_t i = 0; i <= n && !rc; i++) {
        rc = buf_printf(out, e, "%-*.*s", width[0], width[0], l[i].cell[0]);
        for (size_t c = 1; c < COLUMNS && !rc; c++)
            rc = buf_printf(out, e, "  %*s", width[c], l[i].cell[c]);
        if (!rc)
            rc = buf_puts(out, "\n", e);
    }
    mem_free(l);
    return rc;
}
