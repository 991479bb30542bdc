/* Finding weight files by name. */
#include "lib/models/weights.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

/* "<folder>/NAME.safetensors" if that file exists, else NULL, and the folder
 * is added to `tried`. */
static char *try_folder(const char *folder, size_t n, const char *name,
                        struct buf *tried)
{
    char *path = mem_printf("%.*s/%s.safetensors", (int)n, folder, name);
    if (path && file_exists(path))
        return path;
    mem_free(path);
    struct err ignored; /* a list that is cut is still a help */
    if (buf_printf(tried, &ignored, "%s%.*s", tried->len ? ", " : "", (int)n,
                   folder))
        return NULL;
    return NULL;
}

/* The folder of the running program, without the last '/'. 0 if unknown. */
static size_t program_folder(char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    if (n <= 0)
        return 0;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (!slash)
        return 0;
    *slash = '\0';
    return (size_t)(slash - out);
}

static char *search(const char *name, struct buf *tried)
{
    const char *env = getenv("FACET_MODELS");
    while (env && *env) {
        size_t n = strcspn(env, ":");
        char *path = n ? try_folder(env, n, name, tried) : NULL;
        if (path)
            return path;
        env += n + (env[n] == ':');
    }
    static const char *const relative[] = {"/../../models", "/../../../models",
                                           "/../../share/facet/models"};
    char exe[4096];
    size_t n = program_folder(exe, sizeof exe - 64);
    for (size_t i = 0; n && i < sizeof relative / sizeof *relative; i++) {
        memcpy(exe + n, relative[i], strlen(relative[i]) + 1);
        char *path = try_folder(exe, strlen(exe), name, tried);
        if (path)
            return path;
    }
#ifdef FACET_DATADIR /* installed elsewhere than beside bin */
    return try_folder(FACET_DATADIR "/models", strlen(FACET_DATADIR "/models"),
                      name, tried);
#else
    return NULL;
#endif
}

enum err_code weights_find(const char *name, char **path, struct err *e)
{
    *path = NULL;
    if (strchr(name, '/') || text_ends(name, ".safetensors")) {
        *path = mem_strdup(name);
        return *path ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    }
    struct buf tried;
    buf_init(&tried, 4096);
    *path = search(name, &tried);
    if (!*path)
        err_set(e, ERR_NOTFOUND,
                "no model '%s' in %.300s (set FACET_MODELS, "
                "or give the file's path)",
                name, buf_str(&tried));
    buf_free(&tried);
    return *path ? OK : ERR_NOTFOUND;
}
