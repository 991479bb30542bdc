/* What a sink does with results from other settings or sources. */
#include "lib/store/policy.h"

#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/data/recipe.h"

enum store_other policy_of_store(enum policy p)
{
    return p == POLICY_KEEP     ? STORE_KEEP
           : p == POLICY_REFUSE ? STORE_REFUSE
                                : STORE_REMAKE;
}

enum err_code policy_root(enum policy p, const char *sinks, const char *name,
                          const char *root, char **out, struct err *e)
{
    struct recipe_sink k;
    *out = NULL;
    if (p != POLICY_APART) {
        *out = mem_strdup(root);
    } else {
        while (!*out && recipe_sink_next(&sinks, &k))
            if (strcmp(k.name, name) == 0)
                *out = path_join(root, k.apart);
        if (!*out)
            return err_set(e, ERR_ARG,
                           "other=apart needs a pipeline, which says what the "
                           "settings are");
    }
    return *out ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
}
