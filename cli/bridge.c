/* facet bridge: used by the runner for stages in other languages. */
#include <string.h>

#include "cli/cli.h"
#include "lib/base/text.h"
#include "lib/flow/bridge.h"

/* --NAME=NUMBER at *i into out, and past it. */
static bool take_number(char **argv, int *i, const char *name, int64_t *out)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0 || argv[*i][n] != '=')
        return false;
    return text_to_i64(argv[(*i)++] + n + 1, out);
}

static int run_bridge(int argc, char **argv)
{
    int64_t words, restart = -1;
    struct bridge_options o = {0};
    int i = 1;
    while (i < argc && (take_number(argv, &i, "--restart", &restart) ||
                        take_number(argv, &i, "--item-ms", &o.item_ms) ||
                        take_number(argv, &i, "--open-ms", &o.open_ms)))
        ;
    o.restart = (int)restart;
    if (argc - i < 3 || strcmp(argv[i + 1], "--") != 0 ||
        !text_to_i64(argv[i], &words) || words < 1 || words > argc - i - 2)
        return cli_usage("bridge", "started by `facet run` only");
    return bridge_main(argv + i + 2, (size_t)words, &o);
}

static const struct cli_verb verb_bridge = {
    .name = "bridge",
    .summary = "run a stage under watch (used by run)",
    .help =
        "usage: facet bridge [OPTION]... WORDS -- COMMAND [PARAMETER]...\n"
        "\n"
        "The runner starts this for stages in other languages, and for those\n"
        "of ours that have a time limit or restarts; the first WORDS words "
        "are\n"
        "the program, the rest its parameters. How such a stage talks is in\n"
        "docs/flow.md.\n"
        "\n"
        "  --item-ms=N   most milliseconds for the answer to one item\n"
        "  --open-ms=N   ... for a start until it is ready\n"
        "  --restart=N   how often it is started anew after its death\n",
    .run = run_bridge,
};
CLI_VERB(verb_bridge)
