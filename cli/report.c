/* A run as one JSON object. */
#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/tape_text.h"
#include "lib/base/file.h"

#define MAX_REPORT ((size_t)16 << 20)

/* `before`, then "key":"text". */
static enum err_code put_text(struct buf *b, const char *before,
                              const char *key, const char *text, struct err *e)
{
    enum err_code rc = buf_puts(b, before, e);
    if (!rc)
        rc = text_quote(key, b, e);
    if (!rc)
        rc = buf_puts(b, ": ", e);
    return rc ? rc : text_quote(text, b, e);
}

static enum err_code put_vars(struct buf *b, const struct pipeline *p,
                              struct err *e)
{
    enum err_code rc = buf_puts(b, ",\n  \"variables\": {", e);
    for (size_t i = 0; i < p->n_vars && !rc; i++)
        rc = put_text(b, i ? ", " : "", p->vars[i].name, p->vars[i].value, e);
    return rc ? rc : buf_puts(b, "}", e);
}

/* Every parameter: what was given, else the default. */
static enum err_code put_params(struct buf *b, const struct pipe_stage *s,
                                struct err *e)
{
    enum err_code rc = buf_puts(b, ",\n     \"parameters\": {", e);
    for (size_t i = 0; i < s->info->n_params && !rc; i++) {
        const struct info_param *in = &s->info->params[i];
        const char *value = in->def;
        for (size_t k = 0; k < s->n_params; k++)
            if (strcmp(s->params[k].name, in->name) == 0)
                value = s->params[k].value;
        rc = put_text(b, i ? ", " : "", in->name, value ? value : "", e);
    }
    return rc ? rc : buf_puts(b, "}", e);
}

static enum err_code put_stage(struct buf *b, const struct pipe_stage *s,
                               const struct progress_row *row, double seconds,
                               struct err *e)
{
    int64_t items = row->source ? row->out : row->in;
    double all = seconds * (row->replicas > 0 ? row->replicas : 1);
    enum err_code rc = put_text(b, "{", "name", s->name, e);
    if (!rc)
        rc = put_text(b, ", ", "run", s->run, e);
    if (!rc)
        rc = put_text(b, ", ", "program", s->argv[0], e);
    if (!rc)
        rc = put_text(b, ", ", "kind", s->info->kind, e);
    if (!rc)
        rc = buf_printf(b, e,
                        ",\n     \"replicas\": %d, \"in\": %" PRId64
                        ", \"out\": %" PRId64 ", \"failed\": %" PRId64
                        ", \"items_per_second\": %.6g, \"busy\": %.4g",
                        row->replicas, row->in, row->out, row->failed,
                        seconds > 0 ? (double)items / seconds : 0.0,
                        all > 0 ? (double)row->busy_ns / 1e9 / all : 0.0);
    if (!rc)
        rc = put_params(b, s, e);
    return rc ? rc : buf_puts(b, "}", e);
}

static enum err_code put_results(struct buf *b, const struct buf *lines,
                                 struct err *e)
{
    enum err_code rc = buf_puts(b, ",\n  \"results\": [", e);
    const char *s = buf_str(lines), *end;
    for (bool first = true; !rc && (end = strchr(s, '\n')); first = false) {
        char line[2048];
        (void)snprintf(line, sizeof line, "%.*s", (int)(end - s), s);
        rc = buf_puts(b, first ? "" : ", ", e);
        if (!rc)
            rc = text_quote(line, b, e);
        s = end + 1;
    }
    return rc ? rc : buf_puts(b, "]", e);
}

static enum err_code compose(const struct report *r, struct buf *b,
                             struct err *e)
{
    static const char *const ends[] = {[RUN_OK] = "ok",
                                       [RUN_FAILED_ITEMS] = "failed items",
                                       [RUN_BROKEN] = "broken",
                                       [RUN_STOPPED] = "stopped"};
    char started[40] = "";
    time_t at = (time_t)r->started_s;
    struct tm tm;
    double seconds = (double)r->run->wall_ns / 1e9;
    if (gmtime_r(&at, &tm))
        (void)strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &tm);
    enum err_code rc = put_text(b, "{\n  ", "facet", FACET_VERSION, e);
    if (!rc)
        rc = put_text(b, ",\n  ", "command", r->command, e);
    if (!rc)
        rc = put_text(b, ",\n  ", "pipeline", r->p->path, e);
    if (!rc)
        rc = put_text(b, ",\n  ", "status", ends[r->run->end], e);
    if (!rc)
        rc = buf_printf(b, e, ",\n  \"exit_status\": %d", r->exit_status);
    if (!rc && r->error)
        rc = put_text(b, ",\n  ", "error", r->error, e);
    if (!rc)
        rc = put_text(b, ",\n  ", "started", started, e);
    if (!rc)
        rc = buf_printf(b, e, ",\n  \"seconds\": %.3f, \"failed\": %" PRId64,
                        seconds, r->run->failed);
    if (!rc)
        rc = put_text(b, ",\n  ", "dead_letters", r->p->dead, e);
    if (!rc)
        rc = put_vars(b, r->p, e);
    if (!rc)
        rc = put_results(b, r->results, e);
    if (!rc)
        rc = buf_puts(b, ",\n  \"stages\": [", e);
    for (size_t i = 0; i < r->run->n_rows && !rc; i++) {
        rc = buf_puts(b, i ? ",\n    " : "\n    ", e);
        if (!rc)
            rc = put_stage(b, &r->p->stages[i], &r->run->rows[i], seconds, e);
    }
    return rc ? rc : buf_puts(b, "\n  ]\n}\n", e);
}

enum err_code report_write(const struct report *r, const char *path,
                           struct err *e)
{
    struct buf b;
    buf_init(&b, MAX_REPORT);
    enum err_code rc = compose(r, &b, e);
    if (!rc)
        rc = file_write_atomic(path, b.data, b.len, e);
    buf_free(&b);
    return rc;
}
