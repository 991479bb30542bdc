/* facet graph: a picture of a pipeline. */
#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/plan.h"
#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static const char help[] =
    "usage: facet graph PIPELINE [--set NAME=VALUE]... [-o OUT]\n"
    "\n"
    "Draws a pipeline (a file, or a name): its stages with their replicas, its "
    "links with\n"
    "the fields that travel on them.\n"
    "\n"
    "  -o, --out OUT  x.dot or x.gv: Graphviz source; x.svg, x.png or x.pdf:\n"
    "                 a picture, through Graphviz's `dot`, which must be\n"
    "                 installed. Without it the source goes to standard\n"
    "                 output.\n"
    "  --set ...      as in `facet check`\n";

#define MAX_DOT ((size_t)16 << 20)
#define MAX_PICTURE ((size_t)256 << 20)

extern char **environ;

/* Run `dot -Tformat -o to from`. */
static enum err_code run_dot(const char *format, char *from, char *to,
                             struct err *e)
{
    char dot[] = "dot", out[] = "-o", type[24];
    char *argv[] = {dot, type, out, to, from, NULL};
    pid_t pid;
    int status = 0;
    (void)snprintf(type, sizeof type, "-T%s", format);
    int rc = posix_spawnp(&pid, dot, NULL, NULL, argv, environ);
    if (rc == ENOENT)
        return err_set(e, ERR_UNSUPPORTED,
                       "no program 'dot' here to draw a .%s: install graphviz, "
                       "or write a .dot file",
                       format);
    if (rc)
        return err_errno(e, ERR_IO, rc, "cannot run 'dot'");
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        return err_set(e, ERR_IO, "'dot' failed");
    return OK;
}

/* The source through dot, by two temporary files, to path. */
static enum err_code draw(const struct buf *source, const char *format,
                          const char *path, struct err *e)
{
    const char *tmp = getenv("TMPDIR");
    tmp = tmp && *tmp ? tmp : "/tmp";
    char *from = mem_printf("%s/facet-graph-XXXXXX", tmp);
    char *to = mem_printf("%s/facet-graph-XXXXXX", tmp);
    struct buf picture;
    enum err_code rc = OK;
    int in = from ? mkstemp(from) : -1, out = to ? mkstemp(to) : -1;
    buf_init(&picture, MAX_PICTURE);
    if (in < 0 || out < 0)
        rc = err_errno(e, ERR_IO, errno,
                       "cannot make a file in '%s' (TMPDIR chooses another "
                       "folder)",
                       tmp);
    if (!rc && write(in, source->data, source->len) != (ssize_t)source->len)
        rc = err_errno(e, ERR_IO, errno, "cannot write '%s'", from);
    if (!rc)
        rc = run_dot(format, from, to, e);
    if (!rc)
        rc = file_read(to, MAX_PICTURE, &picture, e);
    if (!rc)
        rc = file_write_atomic(path, picture.data, picture.len, e);
    if (in >= 0) {
        (void)close(in);
        (void)unlink(from);
    }
    if (out >= 0) {
        (void)close(out);
        (void)unlink(to);
    }
    mem_free(from);
    mem_free(to);
    buf_free(&picture);
    return rc;
}

static enum err_code write_graph(const struct pipeline *p, const char *path,
                                 struct err *e)
{
    static const char *const pictures[] = {"svg", "png", "pdf"};
    char ext[16];
    struct buf b;
    buf_init(&b, MAX_DOT);
    enum err_code rc = pipeline_dot(p, &b, e);
    if (!rc && !path) {
        if (fputs(buf_str(&b), stdout) == EOF || fflush(stdout) != 0)
            rc = err_set(e, ERR_IO, "cannot write to standard output");
    } else if (!rc) {
        bool drawn = false;
        path_ext(path, ext);
        for (size_t i = 0; i < 3 && !drawn; i++)
            if (strcmp(ext, pictures[i]) == 0) {
                rc = draw(&b, ext, path, e);
                drawn = true;
            }
        if (!drawn && strcmp(ext, "dot") != 0 && strcmp(ext, "gv") != 0)
            rc = err_set(e, ERR_ARG,
                         "'%s': the name must end in .dot, .gv, .svg, .png or "
                         ".pdf",
                         path);
        else if (!drawn)
            rc = file_write_atomic(path, b.data, b.len, e);
    }
    buf_free(&b);
    return rc;
}

static int graph_run(int argc, char **argv)
{
    static const char *const options[] = {"--set", "--out", "-o", NULL};
    struct plan_args a = {0};
    struct pipeline *p;
    struct err e = {0};
    const char *out = NULL, *v;
    for (int i = 1; i < argc; i++) {
        int missing;
        if ((v = cli_value(argc, argv, &i, "-o", &missing)) ||
            (v = cli_value(argc, argv, &i, "--out", &missing))) {
            if (missing)
                return cli_usage("graph", "-o needs a file name");
            out = v;
            continue;
        }
        int took = plan_arg(&a, "graph", argc, argv, &i);
        if (took < 0)
            return CLI_USAGE;
        if (!took)
            return cli_unknown("graph", argv[i], options);
    }
    int status =
        a.help ? plan_help(&a, 0, "graph") : plan_load(&a, 0, "graph", &p);
    if (status != CLI_OK || a.help)
        return status;
    enum err_code rc = write_graph(p, out, &e);
    pipeline_free(&p);
    if (rc)
        return cli_fail("graph", &e, rc == ERR_ARG ? CLI_USAGE : CLI_BROKEN);
    return CLI_OK;
}

static const struct cli_verb verb_graph = {
    .name = "graph",
    .summary = "draw a pipeline",
    .help = help,
    .run = graph_run,
};
CLI_VERB(verb_graph)
