/* facet stages: which stages there are, and what each can do. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/flow/describe.h"
#include "lib/flow/dirs.h"
#include "lib/flow/params.h"
#include "lib/flow/pipeline.h"

static const char help[] =
    "usage: facet stages [NAME | PATH]\n"
    "\n"
    "Lists the stages that are found: name, kind, summary. With NAME (or the\n"
    "PATH of a program), what it says of itself: ports and parameters.\n"
    "\n"
    "Stages are looked for in the folders of FACET_STAGES (split by ':'), in\n"
    "stages/ beside this program, and in ../libexec/facet and\n"
    "../share/facet/examples.\n";

static int print_all(const struct stage_list *l, struct info_job *jobs)
{
    int width = 4;
    for (size_t i = 0; i < l->n; i++)
        if ((int)strlen(l->names[i]) > width)
            width = (int)strlen(l->names[i]);
    for (size_t i = 0; i < l->n; i++) {
        const struct stage_info *info = jobs[i].info;
        if (!info)
            continue;
        const char *text = info->help ? info->help : "";
        int column = width + 13; /* "NAME  transform  " */
        struct buf line, first;
        struct err e;
        buf_init(&first, 1 << 20);
        buf_init(&line, 1 << 20);
        if (buf_printf(&first, &e, "%.*s", cli_summary(text), text) == OK &&
            describe_wrap(&line, buf_str(&first), column, cli_list_columns(),
                          column, &e) == OK)
            printf("%-*s  %-9s  %s", width, l->names[i], info->kind,
                   buf_str(&line));
        buf_free(&first);
        buf_free(&line);
    }
    (void)fflush(stdout);
    for (size_t i = 0; i < l->n; i++)
        if (jobs[i].rc)
            (void)fprintf(stderr, "facet stages: %s is no stage: %s\n",
                          l->names[i], jobs[i].e.text);
    return CLI_OK;
}

static int list_stages(const char *const *dirs)
{
    struct stage_list l;
    struct err e = {0};
    int status = CLI_BROKEN;
    if (stage_list(dirs, &l, &e) != OK)
        return cli_fail("stages", &e, CLI_BROKEN);
    struct info_job *jobs = mem_calloc(l.n + 1, sizeof *jobs);
    char **argv = mem_calloc(2 * l.n + 1, sizeof *argv);
    if (jobs && argv) {
        for (size_t i = 0; i < l.n; i++) {
            argv[2 * i] = l.paths[i];
            jobs[i].argv = &argv[2 * i];
        }
        stage_info_jobs(jobs, l.n);
        status = print_all(&l, jobs);
        for (size_t i = 0; i < l.n; i++)
            stage_info_free(&jobs[i].info);
        if (!l.n)
            (void)fprintf(stderr, "facet stages: none found; is FACET_STAGES "
                                  "set?\n");
    }
    mem_free(jobs);
    mem_free(argv);
    stage_list_free(&l);
    return status;
}

static enum err_code put_ports(struct buf *b, const char *title,
                               const struct info_port *p, size_t n,
                               struct err *e)
{
    enum err_code rc = OK;
    if (n)
        rc = buf_printf(b, e, "\n%s:\n", title);
    for (size_t i = 0; i < n && !rc; i++) {
        rc = buf_printf(b, e, "  %-9s ", p[i].name);
        for (size_t k = 0; k < p[i].n && !rc; k++)
            rc = buf_printf(b, e, "%s%s %s%s", k ? ", " : "",
                            p[i].fields[k].name, p[i].fields[k].type,
                            p[i].fields[k].optional ? "?" : "");
        if (!rc)
            rc = buf_puts(b, p[i].n ? "\n" : "any item\n", e);
        if (!rc && p[i].help)
            rc = describe_wrap(b, p[i].help, 14, 80, 0, e);
    }
    return rc;
}

/* A program of other people's: from its description. */
static enum err_code put_info(struct buf *b, const struct stage_info *s,
                              struct err *e)
{
    enum err_code rc = buf_printf(b, e, "%s (%s): ", s->name, s->kind);
    if (!rc)
        rc = describe_wrap(b, s->help ? s->help : "", 0, 80,
                           (int)(strlen(s->name) + strlen(s->kind) + 5), e);
    if (!rc)
        rc = put_ports(b, "Input", s->in, s->n_in, e);
    if (!rc)
        rc = put_ports(b, "Output", s->out, s->n_out, e);
    if (!rc && s->n_params)
        rc = buf_puts(b, "\nParameters:\n", e);
    for (size_t i = 0; i < s->n_params && !rc; i++) {
        const struct info_param *p = &s->params[i];
        enum param_type type = PARAM_STR;
        bool flag = param_type_from_name(p->type, &type) && type == PARAM_BOOL;
        rc = buf_printf(b, e, "  --%s%s%s%s", flag ? "[no-]" : "", p->name,
                        flag ? "" : " ",
                        flag         ? ""
                        : p->choices ? p->choices
                                     : p->type);
        if (!rc && p->def)
            rc = buf_printf(b, e, "  [default %s]\n",
                            param_default_text(type, p->def));
        else if (!rc)
            rc = buf_puts(b, "  [required]\n", e);
        if (!rc && p->help)
            rc = describe_wrap(b, p->help, 14, 80, 0, e);
    }
    return rc;
}

static int show_stage(const char *const *dirs, const char *name)
{
    static char flag[] = "--help";
    struct stage_info *info = NULL;
    struct err e = {0};
    struct buf b;
    char *path;
    buf_init(&b, 1 << 20);
    enum err_code rc = stage_find(dirs, name, &path, &e);
    if (rc)
        return cli_fail("stages", &e, CLI_USAGE);
    char *argv[] = {path, NULL};
    rc = stage_info_from_command(argv, &info, &e);
    if (!rc && info->ours) { /* it says it best itself */
        char *args[] = {path, flag, NULL};
        (void)execv(path, args);
        rc = err_errno(&e, ERR_IO, errno, "cannot run '%s'", path);
    } else if (!rc) {
        rc = put_info(&b, info, &e);
    }
    int status = rc ? cli_fail("stages", &e, CLI_BROKEN)
                    : cli_print("stages", buf_str(&b));
    buf_free(&b);
    stage_info_free(&info);
    mem_free(path);
    return status;
}

static int stages_run(int argc, char **argv)
{
    static const char *const options[] = {"--help", NULL};
    struct err e = {0};
    if (argc > 1 && argv[1][0] == '-')
        return cli_unknown("stages", argv[1], options);
    if (argc > 2)
        return cli_usage("stages", "one NAME at most");
    char **dirs = stage_dirs(&e);
    if (!dirs)
        return cli_fail("stages", &e, CLI_BROKEN);
    int status = argc > 1 ? show_stage((const char *const *)dirs, argv[1])
                          : list_stages((const char *const *)dirs);
    stage_dirs_free(&dirs);
    return status;
}

static const struct cli_verb verb_stages = {
    .name = "stages",
    .summary = "list the stages, or say what one does",
    .help = help,
    .run = stages_run,
};
CLI_VERB(verb_stages)
