/* facet run: run a pipeline file. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/plan.h"
#include "cli/report.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/std.h"
#include "lib/base/text.h"
#include "lib/flow/dirs.h"
#include "lib/flow/pipeline.h"
#include "lib/flow/supervisor.h"

#define RESULTS_MAX ((size_t)1 << 20) /* kept for the report */

struct run_args {
    struct plan_args plan;
    const char *log, *report;
    int64_t start_timeout, exit_timeout;
    bool dry_run, quiet;
};

/* Where texts go: results to stdout, all else to stderr; a copy of
 * everything but the bar to the log. */
struct screen {
    bool quiet;
    size_t bar; /* bytes of the bar that is shown, 0: none */
    FILE *log;
    bool log_failed, results_lost;
    struct buf results; /* for the report */
    char error[1024];   /* the first */
};

/* A result line. Where it cannot be written the run goes on, since its files
 * are worth having; the line is shown elsewhere, and the status tells. */
static void show_result(struct screen *s, const char *text)
{
    struct err e = {0};
    (void)!buf_printf(&s->results, &e, "%s\n", text);
    e.code = OK;
    if (printf("%s\n", text) >= 0 && !s->results_lost && std_flush(&e) == OK)
        return;
    if (!s->results_lost)
        fprintf(stderr, "facet run: %s; results follow here\n",
                e.code ? e.text : "cannot write to standard output");
    s->results_lost = true;
    fprintf(stderr, "%s\n", text);
}

static int columns_of_terminal(void)
{
    struct winsize w;
    const char *term = getenv("TERM");
    if (!isatty(STDERR_FILENO) || !term || strcmp(term, "dumb") == 0)
        return 0;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
        return w.ws_col;
    return 80;
}

/* On a terminal that has become narrower, the bar has broken into lines. */
static void erase_bar(struct screen *s)
{
    int columns = columns_of_terminal();
    if (!s->bar)
        return;
    fputs("\r\033[K", stderr);
    for (size_t over = columns > 0 ? (s->bar - 1) / (size_t)columns : 0; over;
         over--)
        fputs("\033[A\033[K", stderr);
    s->bar = 0;
}

static void show(void *arg, enum supervisor_text kind, const char *text)
{
    struct screen *s = arg;
    erase_bar(s);
    if (kind == SUPERVISOR_BAR) {
        if (text[0] && !s->quiet) {
            fputs(text, stderr);
            s->bar = strlen(text);
        }
        fflush(stderr);
        return;
    }
    bool hidden =
        s->quiet && (kind == SUPERVISOR_INFO || kind == SUPERVISOR_TABLE);
    if (kind == SUPERVISOR_REPORT) {
        show_result(s, text);
    } else if (kind == SUPERVISOR_ERROR) {
        if (!*s->error)
            snprintf(s->error, sizeof s->error, "%s", text);
        fprintf(stderr, "facet run: %s\n", text);
    } else if (!hidden) {
        fprintf(stderr, "%s\n", text);
    }
    if (s->log && (fprintf(s->log, "%s\n", text) < 0 || fflush(s->log)) &&
        !s->log_failed) {
        s->log_failed = true;
        fprintf(stderr, "facet run: cannot write the log: %s\n",
                strerror(errno));
    }
}

static bool is_limit(const char *text, int64_t *seconds)
{
    return text_to_i64(text, seconds) && *seconds >= 1 && *seconds <= 86400;
}

/* A limit in seconds from the environment, for machines so busy that what we
 * take for a fault is only slow. */
static int limit_from(const char *name, int64_t *seconds)
{
    const char *s = getenv(name);
    return !s || !*s || is_limit(s, seconds)
               ? CLI_OK
               : cli_usage("run", "%s: '%s' is no number of seconds", name, s);
}

static int read_args(int argc, char **argv, struct run_args *a)
{
    static const char *const options[] = {
        "--set",    "--dry-run",       "--quiet",        "--log",
        "--report", "--start-timeout", "--exit-timeout", NULL};
    a->start_timeout = 60;
    a->exit_timeout = 20;
    int status = limit_from("FACET_START_TIMEOUT", &a->start_timeout);
    if (!status)
        status = limit_from("FACET_EXIT_TIMEOUT", &a->exit_timeout);
    if (status)
        return status;
    for (int i = 1; i < argc; i++) {
        int missing = 0;
        const char *name = "--log";
        const char *v = cli_value(argc, argv, &i, name, &missing);
        if (v && !missing) {
            a->log = v;
            continue;
        }
        if (!v)
            v = cli_value(argc, argv, &i, name = "--report", &missing);
        if (v && !missing) {
            a->report = v;
            continue;
        }
        int64_t *seconds = &a->start_timeout;
        if (!v)
            v = cli_value(argc, argv, &i, name = "--start-timeout", &missing);
        if (!v && !missing) {
            v = cli_value(argc, argv, &i, name = "--exit-timeout", &missing);
            seconds = &a->exit_timeout;
        }
        if (v && !missing) {
            if (!is_limit(v, seconds))
                return cli_usage("run", "'%s' is no number of seconds", v);
            continue;
        }
        if (missing)
            return cli_usage("run", "%s needs a value", name);
        if (strcmp(argv[i], "--dry-run") == 0)
            a->dry_run = true;
        else if (strcmp(argv[i], "--quiet") == 0 || strcmp(argv[i], "-q") == 0)
            a->quiet = true;
        else {
            int took = plan_arg(&a->plan, "run", argc, argv, &i);
            if (took < 0)
                return CLI_USAGE;
            if (!took)
                return cli_unknown("run", argv[i], options);
        }
    }
    return CLI_OK;
}

/* What would be started, for --dry-run. */
static int show_plan(const struct pipeline *p)
{
    int cores = supervisor_cores(), all = 0;
    for (size_t i = 0; i < p->n_stages; i++) {
        const struct pipe_stage *st = &p->stages[i];
        int replicas, threads;
        supervisor_plan(p, i, cores, &replicas, &threads);
        all += replicas;
        printf("%s: %d x", st->name, replicas);
        for (size_t k = 0; k < st->argc; k++)
            printf(" %s", st->argv[k]);
        for (size_t k = 0; k < st->n_params; k++)
            printf(" --%s=%s", st->params[k].name, st->params[k].value);
        printf(" (%d core%s each%s)\n", threads, threads == 1 ? "" : "s",
               pipe_stage_bridged(st) ? ", through the bridge" : "");
    }
    for (size_t i = 0; i < p->n_edges; i++)
        printf("%s.%s -> %s.%s\n", p->stages[p->edges[i].from].name,
               p->edges[i].from_port, p->stages[p->edges[i].to].name,
               p->edges[i].to_port);
    printf("%d processes on %d cores; failed items go to %s\n", all, cores,
           p->dead);
    return CLI_OK;
}

static int exit_status(const struct supervisor_result *r,
                       const struct screen *screen)
{
    if (r->end == RUN_STOPPED)
        return 128 + r->signal;
    if (r->end == RUN_BROKEN || screen->results_lost || screen->log_failed)
        return CLI_BROKEN;
    return r->end == RUN_FAILED_ITEMS ? CLI_FAILED_ITEMS : CLI_OK;
}

static int supervise(const struct pipeline *p, const struct run_args *a)
{
    char self[4096];
    struct err e = {0};
    struct screen screen = {.quiet = a->quiet};
    struct supervisor_result r = {.end = RUN_BROKEN};
    time_t started = time(NULL);
    buf_init(&screen.results, RESULTS_MAX);
    (void)signal(SIGPIPE, SIG_IGN); /* `| head`: see show_result */
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    if (a->log && !(screen.log = fopen(a->log, "ae"))) {
        err_errno(&e, ERR_IO, errno, "cannot open '%s'", a->log);
        return cli_fail("run", &e, CLI_BROKEN);
    }
    struct supervisor_options o = {
        .facet = n > 0 ? self : NULL,
        .columns = a->quiet ? 0 : columns_of_terminal(),
        .width = columns_of_terminal,
        .hello_timeout_s = (int)a->start_timeout,
        .exit_timeout_s = (int)a->exit_timeout,
        .text = show,
        .arg = &screen,
    };
    enum err_code rc = supervisor_run(p, &o, &r, &e);
    if (rc)
        show(&screen, SUPERVISOR_ERROR, e.text);
    if (screen.log && fclose(screen.log) && !screen.log_failed) {
        screen.log_failed = true;
        fprintf(stderr, "facet run: cannot write '%s'\n", a->log);
    }
    int status = exit_status(&r, &screen);
    if (a->report) {
        const char *command = getenv("FACET_COMMAND");
        struct report report = {.command = command ? command : "facet run",
                                .p = p,
                                .error = *screen.error ? screen.error : NULL,
                                .results = &screen.results,
                                .started_s = (int64_t)started,
                                .exit_status = status,
                                .run = &r};
        if (report_write(&report, a->report, &e))
            status = cli_fail("run", &e, CLI_BROKEN);
    }
    mem_free(r.rows);
    buf_free(&screen.results);
    return status;
}

/* FACET_COMMAND: what began the run, for stages that note it down (model
 * cards). Arguments with spaces are quoted. */
static void tell_command(int argc, char **argv)
{
    struct buf b;
    struct err e = {0};
    buf_init(&b, 65536);
    enum err_code rc = buf_puts(&b, "facet run", &e);
    for (int i = 1; i < argc && !rc; i++)
        rc =
            buf_printf(&b, &e, strchr(argv[i], ' ') ? " '%s'" : " %s", argv[i]);
    if (rc || setenv("FACET_COMMAND", buf_str(&b), 1) != 0)
        (void)unsetenv("FACET_COMMAND");
    buf_free(&b);
}

static int run_run(int argc, char **argv)
{
    struct run_args a = {.plan.look = true};
    struct pipeline *p = NULL;
    int status = read_args(argc, argv, &a);
    if (!status && a.plan.help)
        return plan_help(&a.plan, 0, "run");
    if (!status)
        status = plan_load(&a.plan, 0, "run", &p);
    if (status)
        return status;
    tell_command(argc, argv);
    status = a.dry_run ? show_plan(p) : supervise(p, &a);
    pipeline_free(&p);
    return status;
}

static const struct cli_verb verb_run = {
    .name = "run",
    .summary = "run a pipeline",
    .help =
        "usage: facet run PIPELINE [--set NAME=VALUE]... [options]\n"
        "       facet run PIPELINE --help\n"
        "\n"
        "Runs a pipeline to its end: a file, or a name as `facet pipelines`\n"
        "lists them. Results go to standard output, progress and a closing\n"
        "table to standard error. With --help after it: what the pipeline\n"
        "does, and what its variables are.\n"
        "\n"
        "  --set NAME=VALUE     set a variable of the file, STAGE.PARAM, or\n"
        "                       STAGE.run, .replicas, .threads, .retries\n"
        "  --dry-run            check everything, show what would be started\n"
        "  --quiet, -q          no progress and no table\n"
        "  --log FILE           append all lines to FILE too\n"
        "  --report FILE        write what was run and how it went to FILE, "
        "as\n"
        "                       JSON\n"
        "  --start-timeout S    seconds for a process to answer (60)\n"
        "  --exit-timeout S     seconds for one that is through to exit (20)\n"
        "                       FACET_START_TIMEOUT and FACET_EXIT_TIMEOUT in "
        "the\n"
        "                       environment set others for a busy machine\n"
        "\n"
        "Exit status: 0 all went well; 1 some items failed (they are in the\n"
        "dead-letter folder, with reasons); 2 the file or the arguments are\n"
        "wrong; 3 the run broke; 129, 130 or 143 stopped by a signal.\n",
    .run = run_run,
};
CLI_VERB(verb_run)
