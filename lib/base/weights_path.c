/* Finding weight files by name. */
#include "lib/base/weights_path.h"

#include <stdlib.h>
#include <string.h>

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

static char *search(const char *program, const char *name, struct buf *tried)
{
    const char *env = getenv("FACET_MODELS");
    while (env && *env) {
        size_t n = strcspn(env, ":");
        char *path = n ? try_folder(env, n, name, tried) : NULL;
        if (path)
            return path;
        env += n + (env[n] == ':');
    }
    static const char *const relative[] = {"../../models", "../../../models",
                                           "../../share/facet/models"};
    for (size_t i = 0; *program && i < sizeof relative / sizeof *relative;
         i++) {
        char *folder = path_join(program, relative[i]);
        char *path =
            folder ? try_folder(folder, strlen(folder), name, tried) : NULL;
        mem_free(folder);
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

enum err_code weights_path(const char *program, const char *name, char **path,
                           struct err *e)
{
    *path = NULL;
    if (strchr(name, '/') || text_ends(name, ".safetensors")) {
        *path = mem_strdup(name);
        return *path ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    }
    struct buf tried;
    buf_init(&tried, 4096);
    *path = search(program, name, &tried);
    if (!*path)
        err_set(e, ERR_NOTFOUND,
                "no model '%s' in %.300s (set FACET_MODELS, "
                "or give the file's path)",
                name, buf_str(&tried));
    buf_free(&tried);
    return *path ? OK : ERR_NOTFOUND;
}
