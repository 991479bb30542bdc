/* Missing interpreters and Python packages. */
#include "lib/flow/missing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/text.h"

static const struct {
    const char *name, *package;
} packages[] = {
    {"zmq", "python3-zmq"},           {"msgpack", "python3-msgpack"},
    {"numpy", "python3-numpy"},       {"yaml", "python3-yaml"},
    {"PIL", "python3-pil"},           {"cv2", "python3-opencv"},
    {"scipy", "python3-scipy"},       {"torch", "python3-torch"},
    {"skimage", "python3-skimage"},   {"matplotlib", "python3-matplotlib"},
    {"tqdm", "python3-tqdm"},         {"pandas", "python3-pandas"},
    {"requests", "python3-requests"},
};
static const struct {
    const char *name, *package;
} interpreters[] = {
    {"python3", "python3"},     {"python", "python-is-python3"},
    {"bash", "bash"},           {"perl", "perl"},
    {"ruby", "ruby"},           {"node", "nodejs"},
    {"Rscript", "r-base-core"}, {"julia", "julia"},
    {"lua", "lua5.4"},
};

/* The interpreter that the first line of path names, "" if none. */
static void read_interpreter(const char *path, char out[128])
{
    char line[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    line[n > 0 ? n : 0] = 0;
    out[0] = 0;
    if (!text_starts(line, "#!"))
        return;
    char *from = line + 2 + strspn(line + 2, " \t");
    from[strcspn(from, " \t\r\n")] = 0;
    snprintf(out, 128, "%s", from);
    text_plain(out, strlen(out));
}

static const char *package_of(const char *program)
{
    const char *base = strrchr(program, '/');
    base = base ? base + 1 : program;
    for (size_t i = 0; i < sizeof interpreters / sizeof *interpreters; i++)
        if (strcmp(base, interpreters[i].name) == 0)
            return interpreters[i].package;
    return NULL;
}

char *missing_program(const char *path, int why, char *out, size_t n)
{
    char interpreter[128] = "";
    struct stat st;
    if (why == ENOENT && stat(path, &st) == 0)
        read_interpreter(path, interpreter);
    if (interpreter[0] && access(interpreter, X_OK) != 0) {
        const char *package = package_of(interpreter);
        snprintf(out, n,
                 "cannot run '%s': its interpreter '%s' is not there%s%s%s",
                 path, interpreter, package ? " (Debian's package " : "",
                 package ? package : "", package ? ")" : "");
    } else if (why == EACCES) {
        snprintf(out, n, "cannot run '%s': %s (chmod +x?)", path,
                 strerror(why));
    } else if (why == ENOEXEC) {
        snprintf(out, n,
                 "cannot run '%s': it is no program, and its first line names "
                 "no interpreter ('#!/usr/bin/python3', say)",
                 path);
    } else {
        snprintf(out, n, "cannot run '%s': %s", path, strerror(why));
    }
    return out;
}

char *missing_module(const char *line, char *out, size_t n)
{
    static const char start[] = "No module named '";
    const char *at = strstr(line, start);
    char name[64];
    out[0] = 0;
    if (at) {
        snprintf(name, sizeof name, "%s", at + sizeof start - 1);
        name[strcspn(name, "'.")] = 0;
        for (size_t i = 0; i < sizeof packages / sizeof *packages; i++)
            if (strcmp(name, packages[i].name) == 0)
                snprintf(out, n, " (Debian's package %s)", packages[i].package);
        if (strcmp(name, "facet") == 0)
            snprintf(out, n,
                     " (facet.py; the runner adds its folder to "
                     "PYTHONPATH, which this program does not heed)");
        return out;
    }
    at = strstr(line, "env: ");
    if (!at || !strstr(line, "No such file"))
        return out;
    /* env: 'python3': No such file or directory; in other locales quotes
     * differ. */
    for (size_t i = 0; i < sizeof interpreters / sizeof *interpreters; i++)
        if (strstr(at, interpreters[i].name)) {
            snprintf(out, n, " (Debian's package %s)", interpreters[i].package);
            break;
        }
    return out;
}
