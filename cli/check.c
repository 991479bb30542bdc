/* facet check: is a pipeline file sound? */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/plan.h"

static const char help[] =
    "usage: facet check PIPELINE... [--set NAME=VALUE]... [--verbose]\n"
    "\n"
    "Reads pipelines (files, or names as `facet pipelines` lists them), asks\n"
    "their stages for their descriptions and checks everything that can be\n"
    "checked before a run: keys, variables, stages, parameters, links, "
    "cycles,\n"
    "the fields of every link, and that the folders, files and models are\n"
    "there that are to be read. Nothing is started but `STAGE --describe`.\n"
    "Every problem is printed as FILE:LINE:COLUMN: error: TEXT.\n"
    "\n"
    "  --set NAME=VALUE         set a variable of the file\n"
    "  --set STAGE.PARAM=VALUE  set one parameter of one stage, or its run,\n"
    "                           replicas, threads, retries\n"
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
        printf(", %d thread%s each", s->threads, s->threads == 1 ? "" : "s");
    if (s->retries)
        printf(", %d retr%s", s->retries, s->retries == 1 ? "y" : "ies");
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

static int check_one(const struct plan_args *a, size_t n, bool verbose)
{
    struct pipeline *p;
    int status = plan_load(a, n, "check", &p);
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

static int check_run(int argc, char **argv)
{
    static const char *const options[] = {"--set", "--verbose", NULL};
    struct plan_args a = {.look = true, .many = true};
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
    if (a.help)
        return plan_help(&a, 0, "check");
    int worst = check_one(&a, 0, verbose);
    for (size_t i = 1; i < a.n_files; i++) {
        int status = check_one(&a, i, verbose);
        worst = status > worst ? status : worst;
    }
    return worst;
}

static const struct cli_verb verb_check = {
    .name = "check",
    .summary = "are pipelines sound?",
    .help = help,
    .run = check_run,
};
CLI_VERB(verb_check)
