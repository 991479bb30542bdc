/* What a pipeline says of itself: its help, variables and stages. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/plan.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/describe.h"
#include "lib/flow/dirs.h"
#include "lib/flow/yaml.h"

#define MAX_TEXT ((size_t)1 << 20)
#define COLUMN_MOST 24 /* of names; longer ones have a line of their own */

/* A value as it stands in the file; lists with commas, nothing for maps. */
static enum err_code put_value(struct buf *b, const struct yaml_node *v,
                               struct err *e)
{
    enum err_code rc = OK;
    if (v->kind == YAML_SCALAR)
        return buf_puts(b, *v->text ? v->text : "\"\"", e);
    for (size_t i = 0; i < v->n && v->kind == YAML_LIST && !rc; i++) {
        rc = buf_puts(b, i ? "," : "", e);
        if (!rc)
            rc = put_value(b, v->items[i], e);
    }
    return rc;
}

/* "  NAME  TEXT", the text wrapped behind the column. */
static enum err_code put_entry(struct buf *b, const char *name, int column,
                               const char *text, struct err *e)
{
    int width = cli_columns(), n = (int)strlen(name) + 2;
    enum err_code rc = buf_printf(b, e, "  %s", name);
    if (!rc && !*text)
        return buf_puts(b, "\n", e);
    if (!rc && n + 2 > column) {
        rc = buf_puts(b, "\n", e);
        n = 0;
    } else if (!rc) {
        rc = buf_printf(b, e, "%*s", column - n, "");
        n = column;
    }
    return rc ? rc : describe_wrap(b, text, column, width, n, e);
}

/* Where texts begin beside names of a map. */
static int column_of(const struct yaml_node *map)
{
    int column = 8;
    for (size_t i = 0; i < map->n; i++) {
        int n = (int)strlen(map->keys[i]->text) + 4;
        if (n > column && n <= COLUMN_MOST)
            column = n;
    }
    return column;
}

static enum err_code put_vars(struct buf *b, const struct yaml_node *vars,
                              struct err *e)
{
    enum err_code rc = buf_puts(b, "\nVariables (--set NAME=VALUE):\n", e);
    for (size_t i = 0; i < vars->n && !rc; i++) {
        const struct yaml_node *v = vars->items[i], *def = v, *help = NULL;
        struct buf text;
        if (v->kind == YAML_MAP) {
            def = yaml_get(v, "default");
            help = yaml_get(v, "help");
        }
        buf_init(&text, MAX_TEXT);
        if (help && help->kind == YAML_SCALAR)
            rc = buf_printf(&text, e, "%s ", help->text);
        if (!rc && yaml_is_null(def)) {
            rc = buf_puts(&text, "[required]", e);
        } else if (!rc) {
            rc = buf_puts(&text, "[", e);
            if (!rc)
                rc = put_value(&text, def, e);
            if (!rc)
                rc = buf_puts(&text, "]", e);
        }
        if (!rc)
            rc = put_entry(b, vars->keys[i]->text, column_of(vars),
                           buf_str(&text), e);
        buf_free(&text);
    }
    return rc;
}

/* The summaries of the stages' programs where they can be had. */
static void ask_stages(const struct yaml_node *stages, struct info_job *jobs,
                       char **argv)
{
    struct err e;
    size_t n = 0;
    char **dirs = stage_dirs(&e);
    struct info_job *some = mem_calloc(stages->n + 1, sizeof *some);
    size_t *index = mem_calloc(stages->n + 1, sizeof *index);
    for (size_t i = 0; dirs && some && index && i < stages->n; i++) {
        const struct yaml_node *run = yaml_get(stages->items[i], "run");
        if (run && run->kind == YAML_SCALAR && !strpbrk(run->text, " $") &&
            stage_find((const char *const *)dirs, run->text, &argv[2 * i],
                       &e) == OK) {
            some[n].argv = &argv[2 * i];
            index[n++] = i;
        }
    }
    stage_info_jobs(some, n);
    for (size_t k = 0; k < n; k++)
        jobs[index[k]] = some[k];
    stage_dirs_free(&dirs);
    mem_free(some);
    mem_free(index);
}

static enum err_code put_stages(struct buf *b, const struct yaml_node *stages,
                                struct err *e)
{
    enum err_code rc =
        buf_puts(b, "\nStages (--set STAGE.PARAMETER=VALUE):\n", e);
    struct info_job *jobs = mem_calloc(stages->n + 1, sizeof *jobs);
    char **argv = mem_calloc(2 * stages->n + 2, sizeof *argv);
    if (!jobs || !argv)
        rc = err_set(e, ERR_NOMEM, "no memory for the stages");
    else
        ask_stages(stages, jobs, argv);
    for (size_t i = 0; i < stages->n && !rc; i++) {
        const struct yaml_node *run = yaml_get(stages->items[i], "run");
        const struct stage_info *info = jobs[i].info;
        struct buf text;
        buf_init(&text, MAX_TEXT);
        if (run && run->kind == YAML_SCALAR)
            rc = buf_puts(&text, run->text, e);
        if (!rc && info && info->help)
            rc = buf_printf(&text, e, ": %.*s", cli_summary(info->help),
                            info->help);
        if (!rc)
            rc = put_entry(b, stages->keys[i]->text, column_of(stages),
                           buf_str(&text), e);
        buf_free(&text);
    }
    for (size_t i = 0; jobs && argv && i < stages->n; i++) {
        stage_info_free(&jobs[i].info);
        mem_free(argv[2 * i]);
    }
    mem_free(jobs);
    mem_free(argv);
    return rc;
}

static enum err_code put_all(struct buf *b, const char *name, const char *verb,
                             const struct yaml_node *top, struct err *e)
{
    const struct yaml_node *help = yaml_get(top, "help"),
                           *vars = yaml_get(top, "vars"),
                           *stages = yaml_get(top, "stages");
    if (strcmp(verb, "pipelines") == 0)
        verb = "run";
    enum err_code rc = buf_printf(
        b, e, "usage: facet %s %s [--set NAME=VALUE]...\n", verb, name);
    if (!rc && help && help->kind == YAML_SCALAR && *help->text) {
        rc = buf_puts(b, "\n", e);
        if (!rc)
            rc = describe_wrap(b, help->text, 0, cli_columns(), 0, e);
    }
    if (!rc && vars && vars->kind == YAML_MAP && vars->n)
        rc = put_vars(b, vars, e);
    if (!rc && stages && stages->kind == YAML_MAP && stages->n)
        rc = put_stages(b, stages, e);
    if (!rc)
        rc = buf_printf(b, e,
                        "\n`facet %s --help` has the options, `facet "
                        "stages NAME` the parameters of a stage.\n",
                        verb);
    return rc;
}

int plan_help(const struct plan_args *a, size_t n, const char *verb)
{
    struct err e = {0};
    struct buf b;
    struct yaml_node *top = NULL;
    char *path = NULL;
    if (n >= a->n_files)
        return cli_print(verb, cli_find(verb)->help);
    buf_init(&b, MAX_TEXT);
    enum err_code rc = plan_find(a->files[n], &path, &e);
    if (rc) {
        int status = cli_fail(verb, &e, CLI_USAGE);
        buf_free(&b);
        return status;
    }
    rc = yaml_read_file(path, &top, &e);
    if (!rc)
        rc = put_all(&b, a->files[n], verb, top, &e);
    int status = CLI_OK;
    if (rc == ERR_DATA) {
        (void)fprintf(stderr, "%s\n", e.text);
        status = CLI_USAGE;
    } else if (rc) {
        status = cli_fail(verb, &e, CLI_USAGE);
    } else {
        status = cli_print(verb, buf_str(&b));
    }
    yaml_node_free(&top);
    buf_free(&b);
    mem_free(path);
    return status;
}
