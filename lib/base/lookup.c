/* Files of facet that are named without a path, and paths that are not there.
 */
#include "lib/base/lookup.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

#define MAX_FOLDERS 64
#define MAX_NAMES 4096
#define SAID 300 /* of a list in a message */

static const char *const none[] = {NULL};

#ifdef FACET_DATADIR /* installed elsewhere than beside bin */
#define INSTALLED(folder) FACET_DATADIR "/" folder
#else
#define INSTALLED(folder) NULL
#endif

const struct lookup lookup_models = {
    .what = "model",
    .env = "FACET_MODELS",
    .here = none,
    .relative =
        (const char *const[]){"../models", "../../models", "../../../models",
                              "../share/facet/models",
                              "../../share/facet/models", NULL},
    .installed = INSTALLED("models"),
    .suffix = (const char *const[]){".safetensors", NULL},
};

const struct lookup lookup_pipelines = {
    .what = "pipeline",
    .env = "FACET_PIPELINES",
    .here = (const char *const[]){".", "pipelines", NULL},
    .relative =
        (const char *const[]){"../pipelines", "../share/facet/pipelines", NULL},
    .installed = INSTALLED("pipelines"),
    .suffix = (const char *const[]){".yaml", ".yml", ".YAML", ".YML", NULL},
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for a path");
}

/* Append the folder (taken over, may be NULL: no memory) if it is there and
 * not yet listed. */
static enum err_code add_folder(char **list, size_t *n, char *folder,
                                struct err *e)
{
    if (!folder)
        return no_memory(e);
    char real[PATH_MAX];
    bool use =
        *n + 1 < MAX_FOLDERS && file_is_dir(folder) && realpath(folder, real);
    for (size_t i = 0; i < *n && use; i++) {
        char other[PATH_MAX];
        use = !realpath(list[i], other) || strcmp(other, real) != 0;
    }
    if (use)
        list[(*n)++] = folder;
    else
        mem_free(folder);
    return OK;
}

/* The folder of a program, links followed; the running one if NULL. */
static bool program_folder(const char *program, char out[PATH_MAX])
{
    if (!realpath(program ? program : "/proc/self/exe", out))
        return false;
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    return slash != NULL;
}

char **lookup_folders(const struct lookup *l, const char *program,
                      struct err *e)
{
    char self[PATH_MAX];
    size_t n = 0;
    enum err_code rc = OK;
    char **list = mem_calloc(MAX_FOLDERS, sizeof *list);
    if (!list) {
        (void)no_memory(e);
        return NULL;
    }
    if (l->here[0])
        rc = add_folder(list, &n, mem_strdup(l->here[0]), e);
    for (const char *s = getenv(l->env); s && *s && !rc;) {
        size_t len = strcspn(s, ":");
        if (len)
            rc = add_folder(list, &n, mem_strndup(s, len), e);
        s += len + (s[len] == ':');
    }
    for (size_t i = 1; l->here[0] && l->here[i] && !rc; i++)
        rc = add_folder(list, &n, mem_strdup(l->here[i]), e);
    if (program_folder(program, self))
        for (size_t i = 0; l->relative[i] && !rc; i++)
            rc = add_folder(list, &n, path_join(self, l->relative[i]), e);
    if (!rc && l->installed)
        rc = add_folder(list, &n, mem_strdup(l->installed), e);
    if (rc)
        lookup_folders_free(&list);
    return list;
}

void lookup_folders_free(char ***folders)
{
    for (char **f = *folders; f && *f; f++)
        mem_free(*f);
    mem_free(*folders);
    *folders = NULL;
}

/* Without its dots and links, against the working folder or the home folder
 * where it lies below. */
static const char *short_path(const char *path, char out[PATH_MAX])
{
    char real[PATH_MAX], here[PATH_MAX];
    if (!realpath(path, real))
        (void)snprintf(real, sizeof real, "%s", path);
    size_t n = getcwd(here, sizeof here) ? strlen(here) : 0;
    if (n > 1 && strcmp(real, here) == 0)
        return memcpy(out, "this folder", 12);
    if (n > 1 && strncmp(real, here, n) == 0 && real[n] == '/')
        return memcpy(out, real + n + 1, strlen(real + n + 1) + 1);
    return memcpy(out, real, strlen(real) + 1);
}

/* "a, b, c" of at most SAID bytes. */
static void say_list(char out[SAID], const char *const *names, size_t n)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && used < SAID; i++)
        used += (size_t)snprintf(out + used, SAID - used, "%s%s", i ? ", " : "",
                                 names[i]);
    if (used >= SAID)
        memcpy(out + SAID - 4, "...", 4);
}

static enum err_code not_found(const struct lookup *l,
                               const char *const *folders, const char *name,
                               struct err *e)
{
    struct lookup_list all;
    char where[SAID] = "", there[SAID], path[PATH_MAX];
    size_t used = 0;
    enum err_code rc = lookup_list(l, folders, &all, e);
    if (rc)
        return rc;
    for (size_t i = 0; folders[i] && used < SAID; i++)
        used +=
            (size_t)snprintf(where + used, SAID - used, "%s%s",
                             i ? ", " : " in ", short_path(folders[i], path));
    const char *near =
        text_nearest(name, (const char *const *)all.names, all.n);
    size_t like = 0; /* `land` of landmark-error */
    for (size_t i = 0; i < all.n && !near && strlen(name) > 2; i++)
        if (strstr(all.names[i], name)) {
            char *swap = all.names[like];
            all.names[like++] = all.names[i];
            all.names[i] = swap;
        }
    say_list(there, (const char *const *)all.names, like ? like : all.n);
    if (near)
        err_set(e, ERR_NOTFOUND, "no %s '%.80s'%s (did you mean '%s'?)",
                l->what, name, where, near);
    else if (like)
        err_set(e, ERR_NOTFOUND, "no %s '%.80s'%s (did you mean %s?)", l->what,
                name, where, there);
    else if (all.n)
        err_set(e, ERR_NOTFOUND,
                "no %s '%.80s'%s (there are %s; or give a file's path)",
                l->what, name, where, there);
    else
        err_set(e, ERR_NOTFOUND,
                "no %s '%.80s'%s (set %s, or give a file's path)", l->what,
                name, where, l->env);
    lookup_list_free(&all);
    return ERR_NOTFOUND;
}

enum err_code lookup_find(const struct lookup *l, const char *const *folders,
                          const char *name, char **path, struct err *e)
{
    *path = NULL;
    for (size_t i = 0; folders[i]; i++)
        for (size_t k = 0; l->suffix[k]; k++) {
            char *p = mem_printf("%s/%s%s", folders[i], name, l->suffix[k]);
            if (!p)
                return no_memory(e);
            if (file_exists(p)) {
                *path = p;
                return OK;
            }
            mem_free(p);
        }
    return not_found(l, folders, name, e);
}

static bool listed(const struct lookup_list *list, const char *name, size_t n)
{
    for (size_t i = 0; i < list->n; i++)
        if (strlen(list->names[i]) == n && !strncmp(list->names[i], name, n))
            return true;
    return false;
}

/* Bytes of the name without the suffix; 0 if it is none of l's. */
static size_t stem(const struct lookup *l, const char *name)
{
    for (size_t k = 0; l->suffix[k]; k++) {
        size_t n = strlen(name), m = strlen(l->suffix[k]);
        if (n > m && text_ends(name, l->suffix[k]))
            return n - m;
    }
    return 0;
}

static enum err_code list_folder(const struct lookup *l, const char *folder,
                                 struct lookup_list *out, struct err *e)
{
    DIR *d = opendir(folder);
    struct dirent *x;
    enum err_code rc = OK;
    while (d && !rc && out->n < MAX_NAMES && (x = readdir(d))) {
        size_t n = x->d_name[0] == '.' ? 0 : stem(l, x->d_name);
        if (!n || listed(out, x->d_name, n))
            continue;
        char *name = mem_strndup(x->d_name, n);
        char *path = path_join(folder, x->d_name);
        size_t at = out->n;
        if (!name || !path) {
            mem_free(name);
            mem_free(path);
            rc = no_memory(e);
            break;
        }
        for (; at && strcmp(out->names[at - 1], name) > 0; at--) {
            out->names[at] = out->names[at - 1];
            out->paths[at] = out->paths[at - 1];
        }
        out->names[at] = name;
        out->paths[at] = path;
        out->n++;
    }
    if (d)
        closedir(d);
    return rc;
}

enum err_code lookup_model(const char *program, const char *name, char **path,
                           struct err *e)
{
    *path = NULL;
    if (strchr(name, '/') || text_ends(name, ".safetensors")) {
        *path = mem_strdup(name);
        return *path ? OK : no_memory(e);
    }
    char **folders = lookup_folders(&lookup_models, program, e);
    if (!folders)
        return ERR_NOMEM;
    enum err_code rc = lookup_find(&lookup_models, (const char *const *)folders,
                                   name, path, e);
    lookup_folders_free(&folders);
    return rc;
}

enum err_code lookup_list(const struct lookup *l, const char *const *folders,
                          struct lookup_list *out, struct err *e)
{
    enum err_code rc = OK;
    *out = (struct lookup_list){
        .names = mem_calloc(MAX_NAMES, sizeof *out->names),
        .paths = mem_calloc(MAX_NAMES, sizeof *out->paths)};
    if (!out->names || !out->paths)
        rc = no_memory(e);
    for (size_t i = 0; folders[i] && !rc; i++)
        rc = list_folder(l, folders[i], out, e);
    if (rc)
        lookup_list_free(out);
    return rc;
}

void lookup_list_free(struct lookup_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        mem_free(list->names[i]);
        mem_free(list->paths[i]);
    }
    mem_free(list->names);
    mem_free(list->paths);
    *list = (struct lookup_list){0};
}

/* The name in the folder that is nearest to `word`, of folders or of files, in
 * new memory; NULL if there is none, or no memory: it is only a hint. */
static char *nearest_in(const char *folder, const char *word, bool folders)
{
    DIR *d = opendir(*folder ? folder : ".");
    struct dirent *x;
    char *best = NULL;
    size_t seen = 0;
    while (d && (x = readdir(d)) && seen++ < MAX_NAMES) {
        char *path = path_join(folder, x->d_name);
        bool fits = path && x->d_name[0] != '.' && file_is_dir(path) == folders;
        const char *pair[] = {best ? best : x->d_name, x->d_name};
        mem_free(path);
        if (!fits || text_nearest(word, pair, 2) != x->d_name)
            continue;
        mem_free(best);
        best = mem_strdup(x->d_name);
    }
    if (d)
        closedir(d);
    return best;
}

static enum err_code say_missing(const char *path, bool folder, struct err *e)
{
    const char *what = folder ? "folder" : "file";
    char *copy = mem_strdup(path);
    if (!copy)
        return no_memory(e);
    for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/';)
        copy[--n] = '\0';
    char *slash = strrchr(copy, '/');
    const char *base = slash ? slash + 1 : copy;
    if (slash && slash != copy)
        *slash = '\0';
    const char *above = !slash ? "" : slash == copy ? "/" : copy;
    if (*above && !file_exists(above)) {
        char *up;
        while ((up = strrchr(copy, '/')) && up != copy) {
            *up = '\0';
            if (file_exists(copy)) {
                *up = '/';
                break;
            }
        }
        err_set(e, ERR_NOTFOUND, "no %s '%.200s': there is no '%.200s'", what,
                path, copy);
    } else {
        char *near = nearest_in(above, base, folder);
        char *all = near ? path_join(above, near) : NULL;
        err_set(e, ERR_NOTFOUND, "no %s '%.200s'%s%.200s%s", what, path,
                all ? " (did you mean '" : "", all ? all : "",
                all ? "'?)" : "");
        mem_free(near);
        mem_free(all);
    }
    mem_free(copy);
    return ERR_NOTFOUND;
}

enum err_code lookup_path(const char *path, int folder, struct err *e)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return say_missing(path, folder != 0, e);
        return err_errno(e, ERR_NOTFOUND, errno, "cannot read '%.200s'", path);
    }
    if (folder && !S_ISDIR(st.st_mode))
        return err_set(e, ERR_NOTFOUND, "'%.200s' is a file, not a folder",
                       path);
    if (!folder && S_ISDIR(st.st_mode))
        return err_set(e, ERR_NOTFOUND, "'%.200s' is a folder, not a file",
                       path);
    if (access(path, folder ? R_OK | X_OK : R_OK) != 0)
        return err_errno(e, ERR_NOTFOUND, errno, "cannot read '%.200s'", path);
    return OK;
}
