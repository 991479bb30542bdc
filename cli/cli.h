/* The verbs of the `facet` command. Adding a verb is adding one file:
 *
 *     static const struct cli_verb verb_tape = {
 *         .name = "tape", .summary = "make, show and compare tapes",
 *         .help = "usage: facet tape make|cat|show|diff ...\n",
 *         .run = tape_run,
 *     };
 *     CLI_VERB(verb_tape)
 */
#ifndef FACET_CLI_CLI_H
#define FACET_CLI_CLI_H

#include "lib/base/err.h"

#define FACET_VERSION "0.1.0"

/* What the program exits with. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED_ITEMS = 1, /* the work was done, but some items failed; tapes
                             that differ */
    CLI_USAGE = 2,        /* wrong arguments, or a pipeline with errors */
    CLI_BROKEN = 3        /* the work could not be done */
};

struct cli_verb {
    const char *name;
    const char *summary; /* one line, no full stop */
    const char *help;    /* all of `facet VERB --help`; starts with "usage:" */
    /* argv[0] is the verb. --help (or -h) as the first argument never gets
     * here. Returns the exit status. */
    int (*run)(int argc, char **argv);
};

struct cli_node { /* made by CLI_VERB */
    const struct cli_verb *verb;
    struct cli_node *next;
};
void cli_register(struct cli_node *node);

/* Registers the verb before main() runs. */
#define CLI_VERB(v)                                                            \
    static struct cli_node cli_node_##v = {&(v), 0};                           \
    __attribute__((constructor)) static void cli_register_##v(void)            \
    {                                                                          \
        cli_register(&cli_node_##v);                                           \
    }

/* The registered verb of that name, or NULL. */
const struct cli_verb *cli_find(const char *name);

/* Print "facet VERB: <text of e>" on stderr; returns status. */
int cli_fail(const char *verb, const struct err *e, int status);
/* Print "facet VERB: <text>" and where to find the help; returns CLI_USAGE. */
int cli_usage(const char *verb, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* An option that does not exist: cli_usage with the nearest of the
 * NULL-terminated options. */
int cli_unknown(const char *verb, const char *arg, const char *const *options);
/* If argv[*i] is "--name=value" or "--name" followed by a value (name with its
 * dashes, "--tol" or "-o"), the value, and *i stands on the last argument
 * taken. NULL if argv[*i] is another option; "" with *missing = 1 if the value
 * is not there. */
const char *cli_value(int argc, char **argv, int *i, const char *name,
                      int *missing);
/* Write all of s to stdout; CLI_OK, or CLI_BROKEN with a message. */
int cli_print(const char *verb, const char *s);
/* status, or CLI_BROKEN with a message if something that was printed on stdout
 * is lost. main() calls it after each verb: verbs need not look themselves. */
int cli_end(const char *verb, int status);
/* Columns that a text may have: the terminal's on stdout, from 20 to 100; 80
 * where it is none. */
int cli_columns(void);
/* The same for lists of one entry a line, which programs read too: no limit
 * where stdout is no terminal. */
int cli_list_columns(void);
/* Bytes of the first sentence of a help text, without its full stop. */
int cli_summary(const char *help);

#endif
