/* facet pipelines: which pipelines there are by name, and what one does. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/plan.h"
#include "lib/base/buf.h"
#include "lib/base/lookup.h"
#include "lib/flow/describe.h"
#include "lib/flow/yaml.h"

static const char help[] =
    "usage: facet pipelines [NAME]\n"
    "\n"
    "Lists the pipelines that `facet run NAME` finds by name. With NAME, what\n"
    "it does, its variables and stages (as `facet run NAME --help`).\n"
    "\n"
    "A name is looked for in the working folder, in the folders of\n"
    "FACET_PIPELINES (split by ':'), in pipelines/, in that of facet's source\n"
    "tree, and in ../share/facet/pipelines beside the program. Those of the\n"
    "working folder itself are not listed.\n";

static int list(void)
{
    struct err e = {0};
    struct lookup_list l = {0};
    struct buf b;
    int width = 4;
    char **folders = lookup_folders(&lookup_pipelines, NULL, &e);
    if (!folders)
        return cli_fail("pipelines", &e, CLI_BROKEN);
    bool here = folders[0] && strcmp(folders[0], ".") == 0;
    enum err_code rc = lookup_list(&lookup_pipelines,
                                   (const char *const *)folders + here, &l, &e);
    buf_init(&b, (size_t)4 << 20);
    for (size_t i = 0; i < l.n; i++)
        if ((int)strlen(l.names[i]) > width)
            width = (int)strlen(l.names[i]);
    for (size_t i = 0; i < l.n && !rc; i++) {
        struct yaml_node *top = NULL;
        struct err why;
        const char *text = "";
        if (yaml_read_file(l.paths[i], &top, &why) != OK) {
            (void)fprintf(stderr, "%s\n", why.text);
            continue;
        }
        const struct yaml_node *h = yaml_get(top, "help");
        if (h && h->kind == YAML_SCALAR)
            text = h->text;
        rc = buf_printf(&b, &e, "%-*s  ", width, l.names[i]);
        struct buf first;
        buf_init(&first, 1 << 20);
        if (!rc)
            rc = buf_printf(&first, &e, "%.*s", cli_summary(text), text);
        if (!rc)
            rc = describe_wrap(&b, buf_str(&first), width + 2,
                               cli_list_columns(), width + 2, &e);
        buf_free(&first);
        yaml_node_free(&top);
    }
    int status = rc ? cli_fail("pipelines", &e, CLI_BROKEN)
                    : cli_print("pipelines", buf_str(&b));
    if (!rc && !l.n)
        (void)fprintf(stderr,
                      "facet pipelines: none found; is FACET_PIPELINES set?\n");
    buf_free(&b);
    lookup_list_free(&l);
    lookup_folders_free(&folders);
    return status;
}

static int pipelines_run(int argc, char **argv)
{
    static const char *const options[] = {"--help", NULL};
    struct plan_args a = {0};
    for (int i = 1; i < argc; i++) {
        int took = plan_arg(&a, "pipelines", argc, argv, &i);
        if (took < 0)
            return CLI_USAGE;
        if (!took)
            return cli_unknown("pipelines", argv[i], options);
    }
    return a.n_files || a.help ? plan_help(&a, 0, "pipelines") : list();
}

static const struct cli_verb verb_pipelines = {
    .name = "pipelines",
    .summary = "list the pipelines, or say what one does",
    .help = help,
    .run = pipelines_run,
};
CLI_VERB(verb_pipelines)
