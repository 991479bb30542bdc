/* Finding weight files by name, for the running program. */
#include "lib/models/weights.h"

#include <string.h>
#include <unistd.h>

#include "lib/base/weights_path.h"

/* The folder of the running program, without the last '/'. "" if unknown. */
static void program_folder(char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
}

enum err_code weights_find(const char *name, char **path, struct err *e)
{
    char exe[4096];
    program_folder(exe, sizeof exe);
    return weights_path(exe, name, path, e);
}
