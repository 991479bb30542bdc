/* The stage program: its command line, and the calls of stage.h that only
 * look things up. */
#include "lib/flow/stage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cores.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/std.h"
#include "lib/base/text.h"
#include "lib/flow/describe.h"
#include "lib/flow/stage_run.h"

#define TEXT_MAX (4u << 20)

static const struct describe_option options[] = {
    {"--stdio", "Items in on stdin, items out on stdout, both as tapes."},
    {"--in-port PORT", "The input port that stdin feeds (the first)."},
    {"--out-port PORT",
     "The output port that stdout shows (the first; 'failed' "
     "for the failed inputs)."},
    {"--acks", "After each input write an item of kind 'ack' or 'fail' with "
               "its id."},
    {"--instance NAME", "Name in the pipeline, which the items' ids depend on "
                        "(the stage's own name)."},
    {"--help", "This text."},
    {"--describe", "Ports and parameters as YAML."},
    {"--man", "The manual page, in troff."},
    {0}};

struct args {
    bool help, describe, man, stdio, linked, bridged;
    struct stdio_options io;
    const char *instance;
};

/* Our own options. Returns true if argv[*i] was one (and moves *i behind it);
 * a missing value sets e. */
static bool own_option(struct args *a, int argc, char **argv, int *i,
                       struct err *e)
{
    const struct {
        const char *flag;
        bool *set;
        const char **value;
    } table[] = {{"--help", &a->help, NULL},
                 {"-h", &a->help, NULL},
                 {"--describe", &a->describe, NULL},
                 {"--man", &a->man, NULL},
                 {"--stdio", &a->stdio, NULL},
                 {"--linked", &a->linked, NULL},
                 {"--bridged", &a->bridged, NULL},
                 {"--acks", &a->io.acks, NULL},
                 {"--in-port", NULL, &a->io.in_port},
                 {"--out-port", NULL, &a->io.out_port},
                 {"--instance", NULL, &a->instance}};
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        size_t n = strlen(table[k].flag);
        bool same = strcmp(argv[*i], table[k].flag) == 0;
        if (table[k].set && same) {
            *table[k].set = true;
            ++*i;
            return true;
        }
        if (!table[k].value || strncmp(argv[*i], table[k].flag, n) != 0)
            continue;
        if (argv[*i][n] == '=') {
            *table[k].value = argv[(*i)++] + n + 1;
            return true;
        }
        if (!same)
            continue;
        if (*i + 1 >= argc) {
            err_set(e, ERR_ARG, "'%s' needs a value", argv[*i]);
            return true;
        }
        *table[k].value = argv[*i + 1];
        *i += 2;
        return true;
    }
    return false;
}

static int print_text(const struct stage_desc *desc, const struct args *a)
{
    struct err e = {0};
    struct buf b;
    buf_init(&b, TEXT_MAX);
    enum err_code rc = a->help       ? describe_help(desc, options, &b, &e)
                       : a->describe ? describe_yaml(desc, &b, &e)
                                     : describe_man(desc, options, &b, &e);
    if (!rc) {
        (void)fwrite(b.data, 1, b.len, stdout);
        rc = std_flush(&e);
    }
    buf_free(&b);
    if (rc)
        log_error("%s", e.text);
    return rc ? 3 : 0;
}

static int usage(const struct stage_desc *desc, const struct err *e)
{
    log_error("%s (see %s --help)", e->text, desc->name);
    return 2;
}

/* Cores this process may run on, or what the runner allots. */
static int default_threads(void)
{
    int64_t n;
    const char *s = getenv("FACET_THREADS");
    if (s && text_to_i64(s, &n) && n >= 1 && n <= 4096)
        return (int)n;
    return cores_usable("");
}

static enum err_code read_args(struct stage *s, int argc, char **argv,
                               struct err *e)
{
    struct args unused = {0};
    enum err_code rc = OK;
    for (int i = 1; !rc && i < argc;) {
        if (own_option(&unused, argc, argv, &i, e))
            continue;
        rc = params_arg(&s->params, argc, argv, &i, e);
    }
    return rc ? rc : params_done(&s->params, e);
}

int stage_main(const struct stage_desc *desc, int argc, char **argv)
{
    struct err e = {0};
    struct args a = {.instance = desc->name};
    struct stage s = {0};
    std_guard();
    log_setup(desc->name, log_level_from_env());
    if (describe_check(desc, &e)) {
        log_error("%s", e.text);
        return 3;
    }
    for (int i = 1; i < argc;)
        if (!own_option(&a, argc, argv, &i, &e))
            i++;
        else if (e.code)
            return usage(desc, &e);
    if (a.help || a.describe || a.man)
        return print_text(desc, &a);
    if (!a.stdio && !a.linked && !a.bridged) {
        err_set(&e, ERR_ARG,
                "nothing to do: run it in a pipeline (facet run) "
                "or give --stdio");
        return usage(desc, &e);
    }
    if (stage_init(&s, desc, a.instance, &e)) {
        log_error("%s", e.text);
        return 3;
    }
    s.threads = default_threads();
    int status = 2;
    if (read_args(&s, argc, argv, &e))
        (void)usage(desc, &e);
    else
        status = a.linked    ? stage_linked(&s)
                 : a.bridged ? stage_bridged(&s)
                             : stage_stdio(&s, &a.io);
    stage_free(&s);
    return status;
}

void stage_report(struct stage *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->io.report(s->io.arg, text);
}

void stage_expect(struct stage *s, int64_t items)
{
    s->io.expect(s->io.arg, items);
}

void stage_status(struct stage *s, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->io.status(s->io.arg, text);
}

void stage_enough(struct stage *s)
{
    s->io.enough(s->io.arg);
}

void stage_break(struct stage *s, enum err_code code, const char *fmt, ...)
{
    if (s->broken)
        return;
    va_list ap;
    va_start(ap, fmt);
    s->fatal = (struct err){.code = code};
    vsnprintf(s->fatal.text, sizeof s->fatal.text, fmt, ap);
    va_end(ap);
    s->broken = true;
}

enum err_code stage_config(const struct stage *s, struct buf *b, struct err *e)
{
    return params_yaml(&s->params, b, e);
}

const char *stage_recipe(const struct stage *s)
{
    return s->recipe ? s->recipe : "";
}

const char *stage_sinks(const struct stage *s)
{
    return s->sinks ? s->sinks : "";
}

const char *stage_run_key(const struct stage *s)
{
    return s->run_key ? s->run_key : "";
}

const char *stage_instance(const struct stage *s)
{
    return s->instance;
}

int stage_replica(const struct stage *s)
{
    return s->replica;
}

int stage_replicas(const struct stage *s)
{
    return s->replicas;
}

int stage_threads(const struct stage *s)
{
    return s->threads;
}

const char *stage_in_port(const struct stage *s)
{
    return s->in_port < s->n_in ? s->in[s->in_port].name : NULL;
}

bool stage_stopping(const struct stage *s)
{
    return s->broken || s->io.stopping(s->io.arg);
}
