/* What the verbs that take a pipeline share. */
#include "cli/plan.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/base/lookup.h"
#include "lib/base/mem.h"
#include "lib/flow/dirs.h"

int plan_arg(struct plan_args *a, const char *verb, int argc, char **argv,
             int *i)
{
    int missing;
    const char *v = cli_value(argc, argv, i, "--set", &missing);
    if (v && (missing || !strchr(v, '='))) {
        (void)cli_usage(verb, "--set needs NAME=VALUE%s%s%s",
                        missing ? "" : ", not '", missing ? "" : v,
                        missing ? "" : "'");
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
    if (strcmp(argv[*i], "--help") == 0 || strcmp(argv[*i], "-h") == 0) {
        a->help = true;
        return 1;
    }
    if (argv[*i][0] == '-' && argv[*i][1])
        return 0;
    if (a->n_files && !a->many) {
        (void)cli_usage(verb, "one pipeline, please: '%s', and then '%s'",
                        a->files[0], argv[*i]);
        return -1;
    }
    if (a->n_files == PLAN_MAX_FILES) {
        (void)cli_usage(verb, "more than %d files", PLAN_MAX_FILES);
        return -1;
    }
    a->files[a->n_files++] = argv[*i];
    return 1;
}

enum err_code plan_find(const char *name, char **path, struct err *e)
{
    static const char *const endings[] = {".yaml", ".yml"};
    struct stat st;
    if (strchr(name, '/') || (stat(name, &st) == 0 && !S_ISDIR(st.st_mode))) {
        enum err_code rc = lookup_path(name, 0, e);
        if (rc)
            return rc;
        *path = mem_strdup(name);
        return *path ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    }
    char **folders = lookup_folders(&lookup_pipelines, NULL, e);
    if (!folders)
        return ERR_NOMEM;
    size_t n = strlen(name);
    for (size_t i = 0; i < 2; i++) {
        size_t m = strlen(endings[i]);
        if (n > m && strcasecmp(name + n - m, endings[i]) == 0) {
            n -= m;
            break;
        }
    }
    char *stem = mem_strndup(name, n);
    enum err_code rc =
        stem ? lookup_find(&lookup_pipelines, (const char *const *)folders,
                           stem, path, e)
             : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc && strncmp(*path, "./", 2) == 0) /* as people would say it */
        memmove(*path, *path + 2, strlen(*path + 2) + 1);
    mem_free(stem);
    lookup_folders_free(&folders);
    return rc;
}

int plan_load(const struct plan_args *a, size_t n, const char *verb,
              struct pipeline **out)
{
    struct err e = {0};
    struct buf report;
    char *path = NULL;
    *out = NULL;
    if (n >= a->n_files)
        return cli_usage(verb, "which pipeline? `facet pipelines` lists them");
    enum err_code rc = plan_find(a->files[n], &path, &e);
    if (rc)
        return cli_fail(verb, &e, rc == ERR_NOMEM ? CLI_BROKEN : CLI_USAGE);
    char **dirs = stage_dirs(&e);
    if (!dirs) {
        mem_free(path);
        return cli_fail(verb, &e, CLI_BROKEN);
    }
    struct pipe_options o = {
        .stage_dirs = (const char *const *)dirs,
        .sets = a->sets,
        .look = a->look,
    };
    buf_init(&report, 1 << 20);
    rc = pipeline_load(path, &o, out, &report, &e);
    (void)fputs(buf_str(&report), stderr);
    buf_free(&report);
    stage_dirs_free(&dirs);
    mem_free(path);
    if (rc == OK)
        return CLI_OK;
    if (rc == ERR_NOMEM)
        return cli_fail(verb, &e, CLI_BROKEN);
    return CLI_USAGE;
}
