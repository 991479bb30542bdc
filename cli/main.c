/* The `facet` command: finds the verb and runs it. */
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/base/cores.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/std.h"
#include "lib/base/text.h"

#define MAX_VERBS 64

static struct cli_node *verbs; /* sorted by name */

void cli_register(struct cli_node *node)
{
    struct cli_node **at = &verbs;
    while (*at && strcmp((*at)->verb->name, node->verb->name) < 0)
        at = &(*at)->next;
    node->next = *at;
    *at = node;
}

const struct cli_verb *cli_find(const char *name)
{
    for (const struct cli_node *n = verbs; n; n = n->next)
        if (strcmp(n->verb->name, name) == 0)
            return n->verb;
    return NULL;
}

int cli_fail(const char *verb, const struct err *e, int status)
{
    struct err shown = *e; /* it may quote names from a hostile file */
    text_plain(shown.text, strlen(shown.text));
    (void)fprintf(stderr, "facet %s: %s\n", verb, shown.text);
    return status;
}

int cli_usage(const char *verb, const char *fmt, ...)
{
    va_list ap;
    (void)fprintf(stderr, "facet %s: ", verb);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "\n`facet %s --help` says how it is used\n", verb);
    return CLI_USAGE;
}

int cli_unknown(const char *verb, const char *arg, const char *const *options)
{
    char word[64];
    size_t n = 0, len = strcspn(arg, "=");
    while (options[n])
        n++;
    if (len >= sizeof word)
        len = sizeof word - 1;
    memcpy(word, arg, len);
    word[len] = '\0';
    const char *near = text_nearest(word, options, n);
    if (near)
        return cli_usage(verb, "unknown option '%s' (did you mean '%s'?)", word,
                         near);
    return cli_usage(verb, "unknown option '%s'", word);
}

const char *cli_value(int argc, char **argv, int *i, const char *name,
                      int *missing)
{
    const char *arg = argv[*i];
    size_t n = strlen(name);
    *missing = 0;
    if (strncmp(arg, name, n) != 0)
        return NULL;
    if (arg[n] == '=' && text_starts(name, "--"))
        return arg + n + 1;
    if (arg[n] != '\0')
        return NULL;
    if (*i + 1 >= argc) {
        *missing = 1;
        return "";
    }
    return argv[++*i];
}

int cli_print(const char *verb, const char *s)
{
    (void)fputs(s, stdout);
    return cli_end(verb, CLI_OK);
}

int cli_end(const char *verb, int status)
{
    struct err e = {0};
    if (std_flush(&e) == OK || status == CLI_BROKEN)
        return status;
    return cli_fail(verb, &e, CLI_BROKEN);
}

int cli_columns(void)
{
    struct winsize w;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 ||
        w.ws_col == 0)
        return 80;
    return w.ws_col < 20 ? 20 : w.ws_col > 100 ? 100 : w.ws_col;
}

int cli_list_columns(void)
{
    return std_is_terminal() ? cli_columns() : INT_MAX;
}

int cli_summary(const char *help)
{
    const char *stop = strstr(help, ". ");
    size_t n = stop ? (size_t)(stop - help) : strcspn(help, "\n");
    if (n && help[n - 1] == '.')
        n--;
    return (int)(n > 400 ? 400 : n);
}

static int usage(FILE *to)
{
    int width = 0;
    for (const struct cli_node *n = verbs; n; n = n->next)
        if ((int)strlen(n->verb->name) > width)
            width = (int)strlen(n->verb->name);
    (void)fprintf(to, "usage: facet VERB [ARGUMENT]...\n"
                      "       facet VERB --help\n"
                      "       facet --version\n"
                      "\n"
                      "facet runs flows of chained stage programs.\n"
                      "\n"
                      "Verbs:\n");
    for (const struct cli_node *n = verbs; n; n = n->next)
        (void)fprintf(to, "  %-*s  %s\n", width, n->verb->name,
                      n->verb->summary);
    (void)fprintf(to, "\n"
                      "Exit status: 0 all went well, 1 some items failed, "
                      "2 wrong arguments or a\n"
                      "pipeline with errors, 3 the work could not be done.\n");
    return to == stderr ? CLI_USAGE : cli_end("--help", CLI_OK);
}

static int unknown_verb(const char *word)
{
    const char *names[MAX_VERBS];
    size_t n = 0;
    for (const struct cli_node *v = verbs; v && n < MAX_VERBS; v = v->next)
        names[n++] = v->verb->name;
    const char *near = text_nearest(word, names, n);
    (void)fprintf(stderr, "facet: no verb '%s'", word);
    if (near)
        (void)fprintf(stderr, " (did you mean '%s'?)", near);
    (void)fprintf(stderr, "\n`facet --help` lists the verbs\n");
    return CLI_USAGE;
}

static bool asks_help(const char *s)
{
    return strcmp(s, "--help") == 0 || strcmp(s, "-h") == 0;
}

int main(int argc, char **argv)
{
    struct err e;
    std_guard();
    log_setup("facet", log_level_from_env());
    if (limits_memory(cores_masked(), &e)) {
        log_error("%s", e.text);
        _exit(3); /* exit would wait for OpenBLAS's threads, which wait */
    }
    if (argc < 2)
        return usage(stderr);
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0)
        return cli_print("--version", "facet " FACET_VERSION "\n");
    if (strcmp(word, "help") == 0 && argc > 2)
        word = argv[2];
    else if (asks_help(word) || strcmp(word, "help") == 0)
        return usage(stdout);
    const struct cli_verb *verb = cli_find(word);
    if (!verb)
        return unknown_verb(word);
    if (word == argv[2] || (argc > 2 && asks_help(argv[2])))
        return cli_print(verb->name, verb->help);
    return cli_end(verb->name, verb->run(argc - 1, argv + 1));
}
