/* Finding weight files by name, for the running program. */
#include "lib/models/weights.h"

#include <string.h>

#include "lib/base/lookup.h"

enum err_code weights_find(const char *name, char **path, struct err *e)
{
    return lookup_model(NULL, name, path, e);
}
