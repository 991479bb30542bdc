/* `facet bench`: one stage alone, measured until the figures agree. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench_run.h"
#include "cli/cli.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/tape.h"
#include "lib/flow/dirs.h"
#include "lib/flow/pipeline.h"

#define MAX_ITEMS 65536
#define MAX_TAPE ((size_t)2 << 30) /* bytes of items kept in memory */

struct bench {
    const char *stage, *tape;
    bool json;
    int64_t in_flight, threads, windows, most, warm;
    struct bench_limits limits;
    char **argv; /* of the stage: argv[0] a path (owned), NULL at the end */
    struct stage_info *info;
    struct item **items;
    size_t n_items;
};

/* What is printed of one way of running: medians over the agreeing windows. */
struct figures {
    double rate, p50, p99, cpu, cores, outputs;
    uint64_t items, failed;
};

static double median(double *v, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && v[k] < v[k - 1]; k--) {
            double t = v[k];
            v[k] = v[k - 1];
            v[k - 1] = t;
        }
    return n % 2 ? v[n / 2] : (v[n / 2] + v[n / 2 - 1]) / 2;
}

/* The value below which a share q of the sorted latencies lies. */
static double quantile(const struct bench_window *w, double q)
{
    if (w->n_latency == 0)
        return 0;
    size_t i = (size_t)(q * (double)w->n_latency);
    return w->latency[i < w->n_latency ? i : w->n_latency - 1];
}

static struct figures figures_of(const struct bench_phase *p, int agree)
{
    double rate[BENCH_MAX_WINDOWS], p50[BENCH_MAX_WINDOWS];
    double p99[BENCH_MAX_WINDOWS], cpu = 0, time = 0;
    struct figures f = {0};
    int n = p->n < agree ? p->n : agree;
    uint64_t items = 0;
    for (int i = 0; i < n; i++) {
        const struct bench_window *w = &p->window[p->n - n + i];
        rate[i] = (double)w->items / w->seconds;
        p50[i] = quantile(w, 0.5);
        p99[i] = quantile(w, 0.99);
        cpu += w->cpu_seconds;
        time += w->seconds;
        items += w->items;
    }
    for (int i = 0; i < p->n; i++) {
        f.items += p->window[i].items;
        f.failed += p->window[i].failed;
    }
    if (n == 0 || items == 0)
        return f;
    f.rate = median(rate, n);
    f.p50 = median(p50, n);
    f.p99 = median(p99, n);
    f.cpu = cpu / (double)items;
    f.cores = cpu / time;
    if (p->items)
        f.outputs = (double)p->outputs / (double)p->items;
    return f;
}

/* Printing */

static void json_phase(const char *name, const struct bench_phase *p,
                       const struct figures *f)
{
    printf("\"%s\":{\"items_per_s\":%.6g,\"p50_ms\":%.6g,\"p99_ms\":%.6g,"
           "\"cpu_ms_per_item\":%.6g,\"cores\":%.4g,\"items\":%" PRIu64
           ",\"failed\":%" PRIu64 ",\"settled\":%s,\"windows\":[",
           name, f->rate, f->p50 * 1e3, f->p99 * 1e3, f->cpu * 1e3, f->cores,
           f->items, f->failed, p->settled ? "true" : "false");
    for (int i = 0; i < p->n; i++)
        printf("%s%.6g", i ? "," : "",
               (double)p->window[i].items / p->window[i].seconds);
    printf("]}");
}

static void show_windows(const struct bench *b, const char *what,
                         const struct bench_phase *p)
{
    int n = p->n < (int)b->windows ? p->n : (int)b->windows;
    printf("  %-12s", what);
    if (p->settled)
        printf("the last %d of %d agree within 10 %%:", n, p->n);
    else
        printf("NOT SETTLED: no %d of %d in a row agree within 10 %%:",
               (int)b->windows, p->n);
    for (int i = p->n - n; i < p->n; i++)
        printf(" %.4g", (double)p->window[i].items / p->window[i].seconds);
    printf(" items/s\n");
}

static void show(const struct bench *b, const struct bench_phase *latency,
                 const struct bench_phase *rate, size_t peak)
{
    struct figures l = figures_of(latency, (int)b->windows);
    struct figures r = figures_of(rate, (int)b->windows);
    if (b->json) {
        printf("{\"stage\":\"%s\",\"in_flight\":%d,\"outputs_per_item\":%.4g,"
               "\"peak_rss_bytes\":%zu,",
               b->info->name, (int)b->in_flight, r.outputs, peak);
        json_phase("latency", latency, &l);
        printf(",");
        json_phase("throughput", rate, &r);
        printf("}\n");
        return;
    }
    printf("%s, %zu item%s of %s over and over, %.4g out for each\n",
           b->info->name, b->n_items, b->n_items == 1 ? "" : "s", b->tape,
           r.outputs);
    printf("  throughput  %.4g items/s with %d in flight\n", r.rate,
           (int)b->in_flight);
    printf("  latency     p50 %.4g ms, p99 %.4g ms, one in flight "
           "(p50 %.4g ms, p99 %.4g ms with %d)\n",
           l.p50 * 1e3, l.p99 * 1e3, r.p50 * 1e3, r.p99 * 1e3,
           (int)b->in_flight);
    printf("  CPU         %.4g ms an item, %.3g cores busy\n", r.cpu * 1e3,
           r.cores);
    printf("  memory      %.1f MiB at most\n", (double)peak / (1 << 20));
    show_windows(b, "windows", rate);
    show_windows(b, "  (latency)", latency);
}

static void show_source(const struct bench *b, const struct bench_phase *p,
                        double first, size_t peak)
{
    struct figures f = figures_of(p, (int)b->windows);
    if (b->json) {
        printf("{\"stage\":\"%s\",\"first_item_ms\":%.6g,"
               "\"peak_rss_bytes\":%zu,",
               b->info->name, first * 1e3, peak);
        json_phase("throughput", p, &f);
        printf("}\n");
        return;
    }
    printf("%s, a source, run to its end %d times: %" PRIu64
           " items each time\n",
           b->info->name, p->n, p->window[0].items);
    printf("  throughput  %.4g items/s with starting and ending\n", f.rate);
    printf("  latency     %.4g ms to the first item; between items p50 %.4g "
           "ms, p99 %.4g ms\n",
           first * 1e3, f.p50 * 1e3, f.p99 * 1e3);
    printf("  CPU         %.4g ms an item, %.3g cores busy\n", f.cpu * 1e3,
           f.cores);
    printf("  memory      %.1f MiB at most\n", (double)peak / (1 << 20));
    show_windows(b, "runs", p);
}

/* Measuring */

static enum err_code load_tape(struct bench *b, struct err *e)
{
    struct tape *t = tape_open_read(b->tape, e);
    size_t bytes = 0;
    enum err_code code = t ? OK : e->code;
    b->items = mem_calloc(MAX_ITEMS, sizeof(struct item *));
    if (code == OK && !b->items)
        code = err_set(e, ERR_NOMEM, "no memory for the items");
    while (code == OK) {
        struct item *it;
        code = tape_next(t, &it, e);
        if (code || !it)
            break;
        bytes += item_bytes(it);
        if (b->n_items == MAX_ITEMS || bytes > MAX_TAPE) {
            item_free(&it);
            code = err_set(e, ERR_DATA,
                           "'%s' has more than %d items or %zu MiB; "
                           "`facet tape cat -n` makes it shorter",
                           b->tape, MAX_ITEMS, MAX_TAPE >> 20);
            break;
        }
        b->items[b->n_items++] = it;
    }
    if (code == OK && b->n_items == 0)
        code = err_set(e, ERR_DATA, "'%s' has no items", b->tape);
    tape_abort(&t);
    return code;
}

static int run_stage(struct bench *b)
{
    struct bench_phase *latency = mem_calloc(2, sizeof *latency);
    struct bench_phase *rate = latency ? latency + 1 : NULL;
    struct bench_child *c = NULL;
    struct err e = {0}, end = {0};
    char failure[300] = "";
    size_t peak = 0;
    int status = 0;
    enum err_code code =
        latency ? load_tape(b, &e) : err_set(&e, ERR_NOMEM, "no memory");
    if (code == OK)
        code = bench_start(b->argv, b->items, b->n_items, b->limits.timeout, &c,
                           &e);
    if (code == OK)
        code = bench_warm(c, (uint64_t)b->warm, &e);
    if (code == OK)
        code = bench_measure(c, 1, &b->limits, latency, &e);
    if (code == OK)
        code = bench_measure(c, (int)b->in_flight, &b->limits, rate, &e);
    if (c)
        snprintf(failure, sizeof failure, "%s", bench_failure(c));
    enum err_code stopped = bench_stop(&c, &status, &peak, &end);
    if (code) {
        if (status != 0 && status != 128 + 9)
            (void)fprintf(stderr, "facet bench: %s ended with status %d\n",
                          b->info->name, status);
    } else if (stopped || status > 1) {
        code = stopped ? err_set(&e, stopped, "%s", end.text)
                       : err_set(&e, ERR_IO, "it ended with status %d", status);
    }
    int result = CLI_OK;
    if (code) {
        err_wrap(&e, "%s", b->info->name);
        result = cli_fail("bench", &e, CLI_BROKEN);
    } else {
        show(b, latency, rate, peak);
        if (*failure) {
            (void)fprintf(stderr,
                          "facet bench: items failed, the first "
                          "with %s\n",
                          failure);
            result = CLI_FAILED_ITEMS;
        }
    }
    if (latency) {
        bench_phase_free(latency);
        bench_phase_free(rate);
    }
    mem_free(latency);
    return result;
}

static int run_source(struct bench *b)
{
    struct bench_phase *p = mem_calloc(1, sizeof *p);
    struct err e = {0};
    double first = 0, sum = 0;
    size_t peak = 0, most = 0;
    enum err_code code = p ? OK : err_set(&e, ERR_NOMEM, "no memory");
    while (code == OK && p->n < b->limits.most && !p->settled) {
        code = bench_source(b->argv, b->limits.timeout, &p->window[p->n],
                            &first, &peak, &e);
        if (code == OK && p->window[p->n].items == 0)
            code = err_set(&e, ERR_DATA, "it gave no items");
        p->n++;
        sum += first;
        most = peak > most ? peak : most;
        p->settled = code == OK && bench_agree(p, b->limits.agree);
    }
    if (code == OK)
        show_source(b, p, sum / p->n, most);
    else
        err_wrap(&e, "%s", b->info->name);
    if (p)
        bench_phase_free(p);
    mem_free(p);
    return code ? cli_fail("bench", &e, CLI_BROKEN) : CLI_OK;
}

/* Arguments */

/* Find the stage and ask it what it is. */
static int look_up(struct bench *b)
{
    struct err e = {0};
    char **dirs = stage_dirs(&e), *path = NULL;
    enum err_code code = dirs ? OK : e.code;
    if (code == OK)
        code = stage_find((const char *const *)dirs, b->stage, &path, &e);
    stage_dirs_free(&dirs);
    if (code)
        return cli_fail("bench", &e, CLI_USAGE);
    char *describe[] = {path, NULL};
    b->argv[0] = path;
    code = stage_info_from_command(describe, &b->info, &e);
    if (code)
        return cli_fail("bench", &e, CLI_BROKEN);
    bool source = strcmp(b->info->kind, "source") == 0;
    if (source && b->tape)
        return cli_usage("bench", "'%s' is a source and takes no --tape",
                         b->stage);
    if (!source && !b->tape)
        return cli_usage("bench", "'%s' needs --tape", b->stage);
    if (b->in_flight == 0)
        b->in_flight = 2 * b->info->batch < 8 ? 8 : 2 * b->info->batch;
    if (b->in_flight > BENCH_MAX_IN_FLIGHT)
        b->in_flight = BENCH_MAX_IN_FLIGHT;
    return CLI_OK;
}

/* A number option within a range; false if argv[*i] is not that option. */
static bool number(int argc, char **argv, int *i, const char *name, double lo,
                   double hi, double *out, int *status)
{
    int missing = 0;
    const char *v = cli_value(argc, argv, i, name, &missing);
    if (!v)
        return false;
    if (missing || !text_to_f64(v, out) || *out < lo || *out > hi)
        *status =
            cli_usage("bench", "%s needs a number from %g to %g", name, lo, hi);
    return true;
}

/* Ours into b, the others to the stage. Fills b->argv. */
static int read_args(struct bench *b, int argc, char **argv)
{
    static char stdio[] = "--stdio", acks[] = "--acks";
    double v[6] = {0};
    int status = CLI_OK, n = 1, missing = 0;
    bool rest = false;
    const char *text;
    for (int i = 1; i < argc && status == CLI_OK; i++) {
        if (rest || argv[i][0] != '-') {
            if (!b->stage && !rest)
                b->stage = argv[i];
            else
                b->argv[n++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            rest = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            b->json = true;
        } else if ((text = cli_value(argc, argv, &i, "--tape", &missing))) {
            b->tape = text;
            if (missing)
                status = cli_usage("bench", "--tape needs a path");
        } else if (number(argc, argv, &i, "--windows", 1, BENCH_MAX_WINDOWS,
                          &v[0], &status)) {
            b->windows = (int64_t)v[0];
        } else if (number(argc, argv, &i, "--max-windows", 1, BENCH_MAX_WINDOWS,
                          &v[1], &status)) {
            b->most = (int64_t)v[1];
        } else if (number(argc, argv, &i, "--seconds", 0.001, 3600, &v[2],
                          &status)) {
            b->limits.seconds = v[2];
        } else if (number(argc, argv, &i, "--in-flight", 1, BENCH_MAX_IN_FLIGHT,
                          &v[3], &status)) {
            b->in_flight = (int64_t)v[3];
        } else if (number(argc, argv, &i, "--threads", 1, 4096, &v[4],
                          &status)) {
            b->threads = (int64_t)v[4];
        } else if (number(argc, argv, &i, "--timeout", 0.1, 86400, &v[5],
                          &status)) {
            b->limits.timeout = v[5];
        } else {
            b->argv[n++] = argv[i];
            /* "--yaw 30": the value goes with it */
            if (b->stage && !strchr(argv[i], '=') && i + 1 < argc &&
                strncmp(argv[i + 1], "--", 2) != 0)
                b->argv[n++] = argv[++i];
        }
    }
    b->argv[n++] = stdio;
    b->argv[n++] = acks;
    return status;
}

static int bench_run(int argc, char **argv)
{
    struct bench b = {.windows = 3, .most = 12, .warm = 2};
    b.limits = (struct bench_limits){.seconds = 2, .timeout = 60};
    b.argv = mem_calloc((size_t)argc + 4, sizeof *b.argv);
    if (!b.argv)
        return CLI_BROKEN;
    int status = read_args(&b, argc, argv);
    if (status == CLI_OK && !b.stage)
        status = cli_usage("bench", "which stage?");
    if (b.most < b.windows)
        b.most = b.windows;
    b.limits.agree = (int)b.windows;
    b.limits.most = (int)b.most;
    if (status == CLI_OK)
        status = look_up(&b);
    (void)setenv("FACET_LOG", "error", 0); /* not a line for each failure */
    if (status == CLI_OK && b.threads) {
        char text[24];
        snprintf(text, sizeof text, "%" PRId64, b.threads);
        (void)setenv("FACET_THREADS", text, 1);
    }
    if (status == CLI_OK)
        status = strcmp(b.info->kind, "source") == 0 ? run_source(&b)
                                                     : run_stage(&b);
    for (size_t i = 0; i < b.n_items; i++)
        item_free(&b.items[i]);
    mem_free(b.items);
    stage_info_free(&b.info);
    mem_free(b.argv[0]);
    mem_free(b.argv);
    return status;
}

static const struct cli_verb verb_bench = {
    .name = "bench",
    .summary = "measure one stage alone",
    .help =
        "usage: facet bench STAGE --tape TAPE [OPTION]... [--PARAMETER "
        "VALUE]...\n"
        "       facet bench SOURCE [OPTION]... [--PARAMETER VALUE]...\n"
        "\n"
        "Runs one stage alone (--stdio), gives it the tape's items over and\n"
        "over, and prints items per second, latency (from sending an item to\n"
        "all of its outputs), CPU time and memory. Measures in windows until\n"
        "three in a row agree within 10 %, first with one item in flight, "
        "then\n"
        "with several. A source is run from start to end each time. What is\n"
        "not an option of this list, and all after `--`, goes to the stage.\n"
        "\n"
        "  --tape TAPE      the input; `facet tape make` makes one\n"
        "  --windows N      windows in a row that must agree (3)\n"
        "  --max-windows N  give up then, and say so (12)\n"
        "  --seconds S      length of a window (2)\n"
        "  --in-flight N    items on their way when measuring throughput (8,\n"
        "                   or two batches of the stage)\n"
        "  --threads N      cores the stage may use (all)\n"
        "  --timeout S      without an answer for so long it has failed (60)\n"
        "  --json           one JSON object\n"
        "\n"
        "Exit status: 0 measured, 1 items failed, 2 wrong arguments, 3 the\n"
        "stage could not be measured.\n",
    .run = bench_run,
};
CLI_VERB(verb_bench)
