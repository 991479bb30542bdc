/* Finding weight files by name. */
#include "lib/models/weights.h"

#include <string.h>

#include "lib/base/lookup.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

enum err_code weights_find(const char *name, char **path, struct err *e)
{
    *path = NULL;
    if (strchr(name, '/') || text_ends(name, ".safetensors")) {
        *path = mem_strdup(name);
        return *path ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    }
    char **folders = lookup_folders(&lookup_models, NULL, e);
    if (!folders)
        return ERR_NOMEM;
    enum err_code rc = lookup_find(&lookup_models, (const char *const *)folders,
                                   name, path, e);
    lookup_folders_free(&folders);
    return rc;
}
