/* facet new: a stage to begin with, and its test. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/new_text.h"
#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static const char help[] =
    "usage: facet new NAME [--kind source|transform|sink] [-C FOLDER]\n"
    "\n"
    "Writes stages/NAME.c, a small stage that compiles and does something\n"
    "sensible on a picture, and tests/sh/50-stage-NAME.sh, its test. `make`\n"
    "builds it with the others, `make check` runs its test, and a pipeline\n"
    "file names it as `run: NAME`. Nothing is overwritten.\n"
    "\n"
    "  NAME         lower-case words joined by '-', at most 47 characters\n"
    "  --kind K     what it is (default transform)\n"
    "  -C FOLDER    the source tree (default: the working folder)\n";

static bool name_ok(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > 47 || s[0] < 'a' || s[0] > 'z' || s[n - 1] == '-' ||
        strstr(s, "--"))
        return false;
    return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* text with every @NAME@ replaced, to a file that is not there yet. */
static enum err_code write_text(const char *path, const char *text,
                                const char *name, struct err *e)
{
    struct buf b;
    enum err_code rc = OK;
    buf_init(&b, 1 << 20);
    while (*text && !rc) {
        const char *mark = strstr(text, "@NAME@");
        size_t n = mark ? (size_t)(mark - text) : strlen(text);
        rc = buf_put(&b, text, n, e);
        if (!rc && mark)
            rc = buf_puts(&b, name, e);
        text += n + (mark ? strlen("@NAME@") : 0);
    }
    if (!rc)
        rc = file_write_atomic(path, b.data, b.len, e);
    buf_free(&b);
    return rc;
}

static enum err_code must_be_new(const char *path, struct err *e)
{
    if (file_exists(path))
        return err_set(e, ERR_STATE, "'%s' is there already", path);
    return OK;
}

static enum err_code make_stage(const char *root, const char *name,
                                const struct new_text *t, struct err *e)
{
    char *header = mem_printf("%s/lib/flow/stage.h", root);
    char *folder = mem_printf("%s/stages/%s", root, name);
    char *stage = mem_printf("%s/stages/%s.c", root, name);
    char *test = mem_printf("%s/tests/sh/50-stage-%s.sh", root, name);
    enum err_code rc = OK;
    if (!header || !folder || !stage || !test)
        rc = err_set(e, ERR_NOMEM, "no memory");
    else if (!file_exists(header))
        rc = err_set(e, ERR_NOTFOUND,
                     "'%s' is not facet's source tree: no lib/flow/stage.h",
                     root);
    if (!rc)
        rc = must_be_new(folder, e);
    if (!rc)
        rc = must_be_new(stage, e);
    if (!rc)
        rc = must_be_new(test, e);
    if (!rc)
        rc = write_text(stage, t->stage, name, e);
    if (!rc)
        rc = write_text(test, t->test, name, e);
    if (!rc)
        printf("%s: the stage\n%s: its test\nnext: `make`, then `ONLY=50-stage-"
               "%s make check`\n",
               stage, test, name);
    mem_free(header);
    mem_free(folder);
    mem_free(stage);
    mem_free(test);
    return rc;
}

static const struct new_text *find_kind(const char *kind)
{
    for (size_t i = 0; i < NEW_KINDS; i++)
        if (strcmp(new_texts[i].kind, kind) == 0)
            return &new_texts[i];
    return NULL;
}

static int new_run(int argc, char **argv)
{
    static const char *const options[] = {"--kind", "-C", NULL};
    const char *name = NULL, *kind = "transform", *root = ".", *v;
    struct err e = {0};
    for (int i = 1; i < argc; i++) {
        int missing = 0;
        if ((v = cli_value(argc, argv, &i, "--kind", &missing)))
            kind = v;
        else if ((v = cli_value(argc, argv, &i, "-C", &missing)))
            root = v;
        else if (argv[i][0] == '-')
            return cli_unknown("new", argv[i], options);
        else if (name)
            return cli_usage("new", "one NAME, please");
        else
            name = argv[i];
        if (missing)
            return cli_usage("new", "%s needs a value", argv[i]);
    }
    if (!name)
        return cli_usage("new", "no NAME given");
    if (!name_ok(name))
        return cli_usage("new",
                         "'%s' is not a stage name: lower-case words joined "
                         "by '-', at most 47 characters",
                         name);
    const struct new_text *t = find_kind(kind);
    if (!t)
        return cli_usage("new", "no kind '%s': source, transform or sink",
                         kind);
    if (make_stage(root, name, t, &e) == OK)
        return CLI_OK;
    return cli_fail("new", &e,
                    e.code == ERR_STATE || e.code == ERR_NOTFOUND ? CLI_USAGE
                                                                  : CLI_BROKEN);
}

static const struct cli_verb verb_new = {
    .name = "new",
    .summary = "write a new stage and its test, to begin with",
    .help = help,
    .run = new_run,
};
CLI_VERB(verb_new)
