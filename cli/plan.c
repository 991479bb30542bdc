/* What the verbs that take a pipeline file share. */
#include "cli/plan.h"

#include <stdio.h>

#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/flow/dirs.h"

int plan_arg(struct plan_args *a, const char *verb, int argc, char **argv,
             int *i)
{
    int missing;
    const char *v = cli_value(argc, argv, i, "--set", &missing);
    if (v && missing) {
        (void)cli_usage(verb, "--set needs NAME=VALUE");
        return -1;
    }
    if (v && a->n_sets == PLAN_MAX_SETS) {
        (void)cli_usage(verb, "more than %d --set", PLAN_MAX_SETS);
        return -1;
    }
    if (v) {
        a->sets[a->n_sets++] = v;
        return 1;
    }
    if (argv[*i][0] == '-')
        return 0;
    if (a->file) {
        (void)cli_usage(verb, "one FILE, please: '%s', and then '%s'", a->file,
                        argv[*i]);
        return -1;
    }
    a->file = argv[*i];
    return 1;
}

int plan_load(const struct plan_args *a, const char *verb,
              struct pipeline **out)
{
    struct err e = {0};
    struct buf report;
    *out = NULL;
    if (!a->file)
        return cli_usage(verb, "no pipeline FILE given");
    char **dirs = stage_dirs(&e);
    if (!dirs)
        return cli_fail(verb, &e, CLI_BROKEN);
    struct pipe_options o = {(const char *const *)dirs, a->sets};
    buf_init(&report, 1 << 20);
    enum err_code rc = pipeline_load(a->file, &o, out, &report, &e);
    (void)fputs(buf_str(&report), stderr);
    buf_free(&report);
    stage_dirs_free(&dirs);
    if (rc == OK)
        return CLI_OK;
    if (rc == ERR_NOMEM)
        return cli_fail(verb, &e, CLI_BROKEN);
    return CLI_USAGE;
}
