/* facet bridge: used by the runner for stages in other languages. */
#include <string.h>

#include "cli/cli.h"
#include "lib/base/text.h"
#include "lib/flow/bridge.h"

static int run_bridge(int argc, char **argv)
{
    int64_t words;
    if (argc < 4 || strcmp(argv[2], "--") != 0 ||
        !text_to_i64(argv[1], &words) || words < 1 || words > argc - 3)
        return cli_usage("bridge", "started by `facet run` only");
    return bridge_main(argv + 3, (size_t)words);
}

static const struct cli_verb verb_bridge = {
    .name = "bridge",
    .summary = "run a stage in another language (used by run)",
    .help = "usage: facet bridge WORDS -- COMMAND [PARAMETER]...\n"
            "\n"
            "The runner starts this for stages in other languages; the first\n"
            "WORDS words are the program, the rest its parameters. How such a\n"
            "stage talks is in docs/flow.md.\n",
    .run = run_bridge,
};
CLI_VERB(verb_bridge)
