/* facet store: looking after sample stores. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/base/text.h"
#include "lib/store/store.h"

static const char help[] =
    "usage: facet store verify DIR [--mend]\n"
    "\n"
    "Compares every file of a sample store with the size and hash that its "
    "row\n"
    "in index.csv gives, and names those that are missing or were changed.\n"
    "\n"
    "  --mend   take their rows away (and what is left of their samples), so\n"
    "           that the next run makes these samples again\n"
    "\n"
    "Exit status: 0 all files are what they were; 1 some are not.\n";

static void say_bad(void *arg, const char *path)
{
    char text[4096];
    (void)arg;
    (void)snprintf(text, sizeof text, "%s", path);
    text_plain(text, strlen(text));
    (void)printf("missing or changed: %s\n", text);
}

static int store_run(int argc, char **argv)
{
    static const char *const options[] = {"--mend", NULL};
    struct store_verified v;
    struct err e = {0};
    const char *dir = NULL;
    bool mend = false;
    if (argc < 2 || strcmp(argv[1], "verify") != 0)
        return cli_usage("store", "say what to do: verify");
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--mend") == 0)
            mend = true;
        else if (argv[i][0] == '-')
            return cli_unknown("store", argv[i], options);
        else if (dir)
            return cli_usage("store", "one DIR, please: '%s', and then '%s'",
                             dir, argv[i]);
        else
            dir = argv[i];
    }
    if (!dir)
        return cli_usage("store", "no DIR given");
    enum err_code rc = store_verify(dir, mend, say_bad, NULL, &v, &e);
    if (rc)
        return cli_fail("store", &e,
                        rc == ERR_NOTFOUND ? CLI_USAGE : CLI_BROKEN);
    (void)printf("%zu rows, %zu files, %zu missing or changed", v.rows, v.files,
                 v.bad);
    if (v.unknown)
        (void)printf(", %zu without a hash", v.unknown);
    (void)printf("%s\n", v.bad && mend ? "; their rows were taken away" : "");
    if (fflush(stdout) != 0)
        return CLI_BROKEN;
    return v.bad ? CLI_FAILED_ITEMS : CLI_OK;
}

static const struct cli_verb verb_store = {
    .name = "store",
    .summary = "compare the files of a sample store with its index",
    .help = help,
    .run = store_run,
};
CLI_VERB(verb_store)
