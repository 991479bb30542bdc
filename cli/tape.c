/* `facet tape`: make, join, show and compare files of items. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/tape_verbs.h"
#include "lib/base/std.h"
#include "lib/base/text.h"
#include "lib/data/tape.h"

#define DIFF_TROUBLE 2 /* as diff(1) and cmp(1) have it */

static const char cat_help[] =
    "usage: facet tape cat [-o OUT] [-n N] [--skip N] [TAPE]...\n"
    "\n"
    "Writes the items of the tapes (standard input if none; `-` names it),\n"
    "one after the other, as one tape. Every item is checked on its way.\n"
    "\n"
    "  -o, --out OUT   where to; `-` (the default) is standard output\n"
    "  --skip N        leave out the first N items\n"
    "  -n N            no more than N items\n";

static const char diff_help[] =
    "usage: facet tape diff [--tol X] [--ids] [--max N] A B\n"
    "\n"
    "Compares two tapes item by item, in order; `-` is standard input.\n"
    "Numbers may differ by X, or by X times the larger magnitude; all else\n"
    "must be the same. Prints the first differences.\n"
    "\n"
    "  --tol X   default 0\n"
    "  --ids     ids must be the same too\n"
    "  --max N   print at most N differences (default 10)\n"
    "\n"
    "Exit status: 0 the same, 1 different, 2 trouble, 3 what it found\n"
    "could not be written.\n";

struct cat {
    struct tape *out;
    int64_t skip, limit; /* limit -1: none */
};

static enum err_code cat_one(struct cat *c, const char *path, struct err *e)
{
    struct tape *in = tape_open_read(path, e);
    if (!in)
        return e->code;
    enum err_code code = OK;
    while (code == OK && c->limit != 0) {
        struct item *it;
        code = tape_next(in, &it, e);
        if (code || !it)
            break;
        if (c->skip > 0) {
            c->skip--;
        } else {
            code = tape_put(c->out, it, e);
            c->limit -= c->limit > 0;
        }
        item_free(&it);
    }
    tape_abort(&in);
    return code;
}

static int cat_run(int argc, char **argv)
{
    static const char *const options[] = {"--out", "--skip", "-n", NULL};
    struct cat c = {.limit = -1};
    struct err e = {0};
    const char *out = "-", *v;
    int missing = 0, n = 0;
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if ((v = cli_value(argc, argv, &i, "-o", &missing)) ||
            (v = cli_value(argc, argv, &i, "--out", &missing))) {
            out = v;
        } else if ((v = cli_value(argc, argv, &i, "--skip", &missing))) {
            if (!missing && (!text_to_i64(v, &c.skip) || c.skip < 0))
                return cli_usage("tape", "--skip '%s' is not a count", v);
        } else if ((v = cli_value(argc, argv, &i, "-n", &missing))) {
            if (!missing && (!text_to_i64(v, &c.limit) || c.limit < 0))
                return cli_usage("tape", "-n '%s' is not a count", v);
        } else if (argv[i][0] == '-' && argv[i][1]) {
            return cli_unknown("tape", option, options);
        } else {
            argv[n++] = argv[i]; /* the tapes, to the front */
        }
        if (missing)
            return cli_usage("tape", "%s needs a value", option);
    }
    if (!tape_out_ok(out))
        return CLI_USAGE;
    c.out = tape_open_write(out, &e);
    if (!c.out)
        return cli_fail("tape", &e, CLI_BROKEN);
    enum err_code code = n ? OK : cat_one(&c, "-", &e);
    for (int i = 0; i < n && code == OK; i++)
        code = cat_one(&c, argv[i], &e);
    if (code == OK)
        code = tape_close(&c.out, &e);
    tape_abort(&c.out);
    return code ? cli_fail("tape", &e, CLI_BROKEN) : CLI_OK;
}

struct diff {
    double tol;
    bool ids;
    int64_t max, found; /* differences printed at most, and found */
};

static void differ(struct diff *d, uint64_t nr, const char *why)
{
    if (d->found++ < d->max)
        printf("item %" PRIu64 ": %s\n", nr, why);
}

/* Item by item until both end. */
static enum err_code compare(struct diff *d, struct tape *a, struct tape *b,
                             struct err *e)
{
    char why[512];
    enum err_code code = OK;
    uint64_t na = 0, nb = 0;
    struct item *x = NULL, *y = NULL;
    do {
        item_free(&x);
        item_free(&y);
        if ((code = tape_next(a, &x, e)) || (code = tape_next(b, &y, e)))
            break;
        na += x != NULL;
        nb += y != NULL;
        if (!x || !y)
            continue;
        if (strcmp(x->kind, y->kind) != 0) {
            snprintf(why, sizeof why, "kind %s against %s", x->kind, y->kind);
            differ(d, na - 1, why);
        } else if (!item_equal(x, y, d->tol, d->ids, why, sizeof why)) {
            differ(d, na - 1, why);
        }
    } while (x || y);
    item_free(&x);
    item_free(&y);
    if (code == OK && na != nb) {
        printf("%" PRIu64 " items against %" PRIu64 "\n", na, nb);
        d->found++;
    }
    return code;
}

static int diff_run(int argc, char **argv)
{
    static const char *const options[] = {"--tol", "--ids", "--max", NULL};
    struct diff d = {.max = 10};
    struct err e = {0};
    const char *path[2], *v;
    int missing = 0, n = 0;
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--ids") == 0) {
            d.ids = true;
        } else if ((v = cli_value(argc, argv, &i, "--tol", &missing))) {
            if (!missing && (!text_to_f64(v, &d.tol) || d.tol < 0))
                return cli_usage("tape", "--tol '%s' is not 0 or more", v);
        } else if ((v = cli_value(argc, argv, &i, "--max", &missing))) {
            if (!missing && (!text_to_i64(v, &d.max) || d.max < 0))
                return cli_usage("tape", "--max '%s' is not a count", v);
        } else if (option[0] == '-' && option[1]) {
            return cli_unknown("tape", option, options);
        } else if (n == 2) {
            return cli_usage("tape", "diff takes two tapes");
        } else {
            path[n++] = option;
        }
        if (missing)
            return cli_usage("tape", "%s needs a value", option);
    }
    if (n != 2)
        return cli_usage("tape", "diff takes two tapes");
    if (strcmp(path[0], "-") == 0 && strcmp(path[1], "-") == 0)
        return cli_usage("tape", "only one of the tapes can be `-`");
    struct tape *a = tape_open_read(path[0], &e), *b = NULL;
    if (a)
        b = tape_open_read(path[1], &e);
    enum err_code code = a && b ? compare(&d, a, b, &e) : e.code;
    tape_abort(&a);
    tape_abort(&b);
    if (d.found > d.max)
        printf("%" PRId64 " differences in all\n", d.found);
    if (code)
        return cli_fail("tape", &e, DIFF_TROUBLE);
    return d.found ? 1 : CLI_OK;
}

bool tape_out_ok(const char *out)
{
    if (strcmp(out, "-") != 0 || !std_is_terminal())
        return true;
    (void)cli_usage("tape", "a tape is no text, and standard output is a "
                            "terminal: name a file (-o x.tape, > x.tape), or "
                            "show it (| facet tape show -)");
    return false;
}

static int tape_run(int argc, char **argv)
{
    static const struct {
        const char *name, *help;
        int (*run)(int argc, char **argv);
    } parts[] = {{"make", tape_make_help, tape_make_run},
                 {"cat", cat_help, cat_run},
                 {"show", tape_show_help, tape_show_run},
                 {"get", tape_get_help, tape_get_run},
                 {"diff", diff_help, diff_run}};
    static const char *const names[] = {"make", "cat", "show", "get", "diff"};
    if (argc < 2)
        return cli_usage("tape", "say make, cat, show, get or diff");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(argv[1], parts[i].name) != 0)
            continue;
        for (int k = 2; k < argc && strcmp(argv[k], "--") != 0; k++)
            if (strcmp(argv[k], "--help") == 0 || strcmp(argv[k], "-h") == 0)
                return cli_print("tape", parts[i].help);
        return parts[i].run(argc - 1, argv + 1);
    }
    const char *near = text_nearest(argv[1], names, 5);
    if (near)
        return cli_usage("tape", "unknown '%s' (did you mean '%s'?)", argv[1],
                         near);
    return cli_usage("tape", "unknown '%s'; say make, cat, show, get or diff",
                     argv[1]);
}

static const struct cli_verb verb_tape = {
    .name = "tape",
    .summary =
        "make, join, show, take apart and compare tapes (files of items)",
    .help =
        "usage: facet tape make [-o OUT] NAME=VALUE... | --text FILE\n"
        "       facet tape cat [-o OUT] [--skip N] [-n N] [TAPE]...\n"
        "       facet tape show [--full] [--json] [-n N] [TAPE]\n"
        "       facet tape get [-o OUT] [-n N] TAPE FIELD\n"
        "       facet tape diff [--tol X] [--ids] [--max N] A B\n"
        "\n"
        "A tape is a file, or a pipe, of items; `-` is standard input or\n"
        "output. `facet tape make --help`, and so on, say more.\n"
        "\n"
        "  facet tape cat faces.tape | build/stages/pose-rotator --stdio |\n"
        "      facet tape diff --tol 1e-5 - turned.tape\n",
    .run = tape_run,
};
CLI_VERB(verb_tape)
