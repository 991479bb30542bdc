/* Finding and reading the landmarker's model file. */
#include "stages/landmarker/model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    return NULL;
}

static enum err_code find_model(const char *name, char **path, struct err *e)
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

/* One of `words` (NULL-terminated) in the metadata; `fallback` if absent. */
static enum err_code meta_word(const struct safetensors *w, const char *key,
                               const char *const *words, int fallback, int *out,
                               struct err *e)
{
    const char *v = safetensors_meta(w, key);
    *out = fallback;
    for (int i = 0; v && words[i]; i++) {
        if (strcmp(v, words[i]) == 0) {
            *out = i;
            return OK;
        }
    }
    if (v)
        return err_set(e, ERR_UNSUPPORTED, "'%s': metadata %s: '%.40s'",
                       safetensors_origin(w), key, v);
    return OK;
}

static enum err_code meta_number(const struct safetensors *w, const char *key,
                                 double fallback, double *out, struct err *e)
{
    const char *v = safetensors_meta(w, key);
    *out = fallback;
    if (v && (!text_to_f64(v, out) || *out < 0 || *out > 1))
        return err_set(e, ERR_DATA,
                       "'%s': metadata %s: '%.40s' is not a "
                       "number 0..1",
                       safetensors_origin(w), key, v);
    return OK;
}

static enum err_code read_use(const struct safetensors *w,
                              struct model_use *use, struct err *e)
{
    static const char *const crops[] = {"facet", "fan", NULL};
    static const char *const decodes[] = {"centroid", "quarter", "softmax",
                                          NULL};
    int crop, decode;
    enum err_code r = meta_word(w, "crop", crops, CROP_FAN, &crop, e);
    if (!r)
        r = meta_word(w, "decode", decodes, FAN_QUARTER, &decode, e);
    if (!r)
        r = meta_number(w, "min_score", 0.2, &use->min_score, e);
    if (!r)
        r = meta_number(w, "good_score", 0.4, &use->good_score, e);
    if (r)
        return r;
    use->crop = (enum crop_rule)crop;
    use->decode = (enum fan_decode)decode;
    return OK;
}

enum err_code model_load(const char *name, const struct fan_options *o,
                         struct fan **out, struct model_use *use, struct err *e)
{
    char *path = NULL;
    struct safetensors *w = NULL;
    *out = NULL;
    enum err_code r = find_model(name, &path, e);
    if (!r)
        r = safetensors_read(path, &w, e);
    if (!r)
        r = read_use(w, use, e);
    if (!r)
        r = fan_new(w, o, out, e);
    safetensors_free(&w);
    mem_free(path);
    return r;
}
