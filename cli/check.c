/* facet check: is a pipeline file sound? */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/plan.h"

static const char help[] =
    "usage: facet check FILE [--set NAME=VALUE]... [--verbose]\n"
    "\n"
    "Reads a pipeline file, asks its stages for their descriptions and checks\n"
    "everything that can be checked before a run: keys, variables, stages,\n"
    "parameters, links, cycles, and the fields of every link. Nothing is\n"
    "started but `STAGE --describe`. Every problem is printed as\n"
    "FILE:LINE:COLUMN: error: TEXT.\n"
    "\n"
    "  --set NAME=VALUE         set a variable of the file\n"
    "  --set STAGE.PARAM=VALUE  set one parameter of one stage\n"
    "  -v, --verbose            print the plan: commands, parameters, links\n"
    "\n"
    "Exit status: 0 sound (there may be warnings), 2 errors.\n";

static void print_stage(const struct pipe_stage *s)
{
    printf("%s:", s->name);
    for (size_t i = 0; i < s->argc; i++)
        printf(strpbrk(s->argv[i], " \t'\"") ? " \"%s\"" : " %s", s->argv[i]);
    printf("  (%s%s", s->info->kind, s->ours ? "" : ", external");
    if (s->replicas == 0)
        printf(", replicas auto");
    else if (s->replicas > 1)
        printf(", %d replicas", s->replicas);
    if (s->threads)
        printf(", %d threads each", s->threads);
    if (s->retries)
        printf(", %d retries", s->retries);
    printf(")\n");
    for (size_t i = 0; i < s->n_params; i++)
        printf("    %s = %s\n", s->params[i].name, s->params[i].value);
}

static void print_plan(const struct pipeline *p)
{
    for (size_t i = 0; i < p->n_vars; i++)
        printf("${%s} = %s\n", p->vars[i].name, p->vars[i].value);
    printf("dead letters: %s\n", p->dead);
    for (size_t i = 0; i < p->n_stages; i++) {
        print_stage(&p->stages[i]);
        for (size_t k = 0; k < p->n_edges; k++)
            if (p->edges[k].to == i)
                printf("    %s <- %s.%s\n", p->edges[k].to_port,
                       p->stages[p->edges[k].from].name, p->edges[k].from_port);
    }
}

static int check_run(int argc, char **argv)
{
    static const char *const options[] = {"--set", "--verbose", NULL};
    struct plan_args a = {0};
    struct pipeline *p;
    bool verbose = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0 || strcmp(argv[i], "-v") == 0) {
            verbose = true;
            continue;
        }
        int took = plan_arg(&a, "check", argc, argv, &i);
        if (took < 0)
            return CLI_USAGE;
        if (!took)
            return cli_unknown("check", argv[i], options);
    }
    int status = plan_load(&a, "check", &p);
    if (status != CLI_OK)
        return status;
    if (verbose)
        print_plan(p);
    else
        printf("%s: %zu stages, %zu links: sound\n", p->path, p->n_stages,
               p->n_edges);
    pipeline_free(&p);
    return CLI_OK;
}

static const struct cli_verb verb_check = {
    .name = "check",
    .summary = "is a pipeline file sound?",
    .help = help,
    .run = check_run,
};
CLI_VERB(verb_check)
