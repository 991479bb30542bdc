/* What a person sees of a run. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/supervisor_internal.h"

#define BAR_EVERY (100 * SUPERVISOR_MS)
#define READS_AT_ONCE 16
#define LIVE_FOR (10000 * SUPERVISOR_MS) /* a process's own bar, on ours */
#define TABLE_MAX (1u << 20)

/* One or several lines, each without what could play with a terminal; text[n]
 * is 0. */
static void say_clean(struct supervisor *s, enum supervisor_text kind,
                      char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t k = strcspn(text + i, "\n");
        text_plain(text + i, k);
        i += k + 1;
    }
    s->o.text(s->o.arg, kind, text);
}

void supervisor_say(struct supervisor *s, enum supervisor_text kind,
                    const char *fmt, ...)
{
    char text[SUPERVISOR_LINE + 256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    say_clean(s, kind, text, strlen(text));
}

static bool blank(const char *s)
{
    return s[strspn(s, " ")] == 0;
}

/* Pass on what is complete, without what could play with the terminal. */
static void say_line(struct supervisor *s, struct proc *p)
{
    char name[128];
    p->line[text_shown(p->line, p->n_line)] = 0;
    if (!p->overwritten || !blank(p->line)) /* not a bar that was wiped out */
        supervisor_say(s, SUPERVISOR_LOG, "%s: %s",
                       supervisor_name(s, p, name, sizeof name), p->line);
    p->n_line = 0;
    p->returned = p->overwritten = p->live_new = false;
    p->live[0] = 0;
}

/* A progress bar: each of its states stands until the next one. */
static void take_state(struct proc *p)
{
    char state[sizeof p->live];
    size_t n = p->n_line < sizeof state ? p->n_line : sizeof state - 1;
    memcpy(state, p->line, n);
    state[text_shown(state, n)] = 0;
    if (blank(state))
        return;
    snprintf(p->live, sizeof p->live, "%s", state);
    p->live_ns = clock_ns();
    p->live_new = true;
}

static void take_bytes(struct supervisor *s, struct proc *p, const char *b,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (b[i] == '\r') {
            if (!p->returned)
                take_state(p);
            p->returned = true;
            continue;
        }
        if (b[i] == '\n' || p->n_line + 1 == sizeof p->line)
            say_line(s, p);
        if (b[i] == '\n')
            continue;
        if (p->returned) { /* what stood there is written over */
            p->n_line = 0;
            p->overwritten = true;
        }
        p->returned = false;
        p->line[p->n_line++] = b[i];
    }
    /* "\r 30 %", and the next return only when there is more to tell */
    if (p->overwritten && !p->returned && p->n_line)
        take_state(p);
}

void supervisor_read_log(struct supervisor *s, struct proc *p)
{
    char b[4096];
    /* Not for ever: a process that prints without end must not keep the
     * supervisor from its other work. */
    for (int i = 0; p->run.log_fd >= 0 && i < READS_AT_ONCE; i++) {
        ssize_t n = read(p->run.log_fd, b, sizeof b);
        if (n > 0) {
            take_bytes(s, p, b, (size_t)n);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && !p->ended)
            return;
        if (p->n_line)
            say_line(s, p);
        close(p->run.log_fd);
        p->run.log_fd = -1;
    }
}

int64_t supervisor_failed(const struct supervisor *s)
{
    int64_t failed = 0;
    for (size_t i = 0; i < s->n_proc; i++)
        failed += s->proc[i].stats.failed;
    return failed;
}

bool supervisor_is(const struct supervisor *s, size_t stage, const char *kind)
{
    const struct stage_info *info = s->p->stages[stage].info;
    return info && info->kind && strcmp(info->kind, kind) == 0;
}

/* Items of all sources that are DONE, and how many there will be. */
static void sum_sources(const struct supervisor *s, int64_t *done,
                        int64_t *total)
{
    *done = *total = 0;
    for (size_t i = 0; i < s->n_proc; i++) {
        const struct proc *p = &s->proc[i];
        if (!supervisor_is(s, p->stage, "source"))
            continue;
        *done += p->stats.roots;
        if (p->state == PROC_BYE && !s->stopping)
            *total += *total < 0 ? 0 : p->stats.roots;
        else if (p->stats.expect < 0)
            *total = -1;
        else if (*total >= 0)
            *total += p->stats.expect;
    }
}

/* Items that have come through: of the sink that has most. */
static int64_t most_ends(const struct supervisor *s)
{
    int64_t most = 0;
    for (size_t k = 0; k < s->p->n_stages; k++) {
        int64_t ends = 0;
        for (size_t i = 0; i < s->n_proc; i++)
            if (s->proc[i].stage == k && supervisor_is(s, k, "sink"))
                ends += s->proc[i].stats.done;
        most = ends > most ? ends : most;
    }
    return most;
}

/* The terminal may have another width by now. */
static void look_at_width(struct supervisor *s)
{
    int columns = s->o.columns > 0 && s->o.width ? s->o.width() : 0;
    if (columns > 0)
        s->o.columns = columns;
}

/* Before the start: whom are we waiting for? */
static void waiting_text(const struct supervisor *s, char *out, size_t n)
{
    char name[128];
    for (size_t i = 0; i < s->n_proc; i++)
        if (s->proc[i].state < PROC_READY && !s->proc[i].ended) {
            snprintf(out, n, "starting: waiting for %s",
                     supervisor_name(s, &s->proc[i], name, sizeof name));
            return;
        }
    snprintf(out, n, "starting");
}

/* What a stage says of where it stands; of several the last in the file. */
static const char *status_of(const struct supervisor *s)
{
    for (size_t i = s->n_proc; i-- > 0;)
        if (*s->proc[i].status)
            return s->proc[i].status;
    return "";
}

/* The newest line that a process keeps writing anew (a progress bar), in
 * front of it how far the run is; "" if there is none. */
static const char *live_text(struct supervisor *s, int64_t now, int64_t done,
                             int64_t total, char *out, size_t n)
{
    const struct proc *p = NULL;
    char name[128], of[32] = "";
    for (size_t i = 0; i < s->n_proc; i++)
        if (s->proc[i].live[0] && now - s->proc[i].live_ns < LIVE_FOR &&
            (!p || s->proc[i].live_ns > p->live_ns))
            p = &s->proc[i];
    out[0] = 0;
    if (total >= 0)
        snprintf(of, sizeof of, "/%" PRId64, total);
    if (p)
        snprintf(out, n, "%" PRId64 "%s  %s: %s", done, of,
                 supervisor_name(s, p, name, sizeof name), p->live);
    return out;
}

/* Off a terminal: the states of such lines, now and then. */
static void say_live(struct supervisor *s)
{
    char name[128];
    for (size_t i = 0; i < s->n_proc; i++) {
        struct proc *p = &s->proc[i];
        if (p->live_new)
            supervisor_say(s, SUPERVISOR_LOG, "%s: %s",
                           supervisor_name(s, p, name, sizeof name), p->live);
        p->live_new = false;
    }
}

/* A terminal's line must not wrap; failures are worth knowing anywhere. */
static void status_text(const struct supervisor *s, const char *status,
                        char *out, size_t n)
{
    char failed[32] = "";
    int64_t f = supervisor_failed(s);
    if (f)
        snprintf(failed, sizeof failed, "  %" PRId64 " failed", f);
    int room = s->o.columns > 0 ? s->o.columns - 1 - (int)strlen(failed) : 400;
    snprintf(out, n, "%.*s%s", room > 0 ? room : 0, status, failed);
}

void supervisor_show_progress(struct supervisor *s, bool last)
{
    char text[512], live[512];
    int64_t now = clock_ns(), done = 0, total = -1;
    if (s->gone) {
        sum_sources(s, &done, &total);
        progress_update(&s->progress, now, done, most_ends(s), total,
                        supervisor_failed(s));
    }
    if (!last && now < s->next_text)
        return;
    s->next_text = now + (s->o.columns > 0 ? BAR_EVERY : SUPERVISOR_LINE_EVERY);
    const char *status = status_of(s);
    look_at_width(s);
    if (!s->gone && s->stopping && !last)
        return; /* why was said; nobody is waited for */
    if (s->gone && !last && s->o.columns > 0 && s->stall[0])
        status = s->stall;
    else if (s->gone && !last && s->o.columns > 0 && !*status)
        status = live_text(s, now, done, total, live, sizeof live);
    if (s->o.columns <= 0 && !last)
        say_live(s);
    if (!s->gone)
        waiting_text(s, text, sizeof text);
    else if (*status && !last)
        status_text(s, status, text, sizeof text);
    else if (s->o.columns > 0 && !last)
        progress_bar(&s->progress, s->o.columns, text, sizeof text);
    else
        progress_line(&s->progress, text, sizeof text);
    if (s->o.columns > 0 && last)
        supervisor_say(s, SUPERVISOR_BAR, "%s", "");
    else if (!last || s->gone)
        supervisor_say(s, s->o.columns > 0 ? SUPERVISOR_BAR : SUPERVISOR_INFO,
                       "%s", text);
}

struct progress_row *supervisor_rows(const struct supervisor *s)
{
    struct progress_row *rows = mem_calloc(s->p->n_stages + 1, sizeof *rows);
    for (size_t i = 0; rows && i < s->p->n_stages; i++)
        rows[i] = (struct progress_row){
            .name = s->p->stages[i].name,
            .replicas = s->replicas[i],
            .source = supervisor_is(s, i, "source"),
            .sink = supervisor_is(s, i, "sink"),
        };
    for (size_t i = 0; rows && i < s->n_proc; i++) {
        struct progress_row *r = &rows[s->proc[i].stage];
        r->in += s->proc[i].stats.in;
        r->out += s->proc[i].stats.out;
        r->failed += s->proc[i].stats.failed;
        r->busy_ns += s->proc[i].stats.busy_ns;
    }
    return rows;
}

void supervisor_show_table(struct supervisor *s)
{
    struct buf b;
    struct err e = {0};
    char wall[32];
    double wall_s;
    buf_init(&b, TABLE_MAX);
    int64_t ns = s->end_ns - s->go_ns, failed = supervisor_failed(s);
    wall_s = (double)ns / 1e9;
    if (wall_s < 100)
        snprintf(wall, sizeof wall, "%.1f s", wall_s);
    else
        progress_time(wall_s, wall, sizeof wall);
    struct progress_row *rows = supervisor_rows(s);
    if (rows &&
        progress_table(rows, s->p->n_stages, ns, s->o.columns, &b, &e) == OK &&
        buf_printf(&b, &e, "%s in all", wall) == OK &&
        (failed == 0 ||
         buf_printf(&b, &e,
                    "; %" PRId64 " item%s failed: inputs and reasons are in %s",
                    failed, failed == 1 ? "" : "s", s->p->dead) == OK)) {
        (void)buf_str(&b); /* closes it */
        say_clean(s, SUPERVISOR_TABLE, (char *)b.data, b.len);
    }
    mem_free(rows);
    buf_free(&b);
}
