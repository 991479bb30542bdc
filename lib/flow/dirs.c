/* Where stage executables are. */
#include "lib/flow/dirs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

#define MAX_DIRS 64
#define MAX_STAGES 4096

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for the list of stage folders");
}

/* Append dir (taken over, may be NULL) if it is a folder not listed yet. */
static enum err_code add_dir(char **list, size_t *n, char *dir, struct err *e)
{
    if (!dir)
        return no_memory(e);
    bool use = *n + 1 < MAX_DIRS && file_is_dir(dir);
    for (size_t i = 0; i < *n && use; i++)
        use = strcmp(list[i], dir) != 0;
    if (use)
        list[(*n)++] = dir;
    else
        mem_free(dir);
    return OK;
}

static enum err_code add_env(char **list, size_t *n, struct err *e)
{
    const char *s = getenv("FACET_STAGES");
    while (s && *s) {
        size_t len = strcspn(s, ":");
        if (len) {
            enum err_code rc = add_dir(list, n, mem_strndup(s, len), e);
            if (rc)
                return rc;
        }
        s += len + (s[len] == ':');
    }
    return OK;
}

static enum err_code add_beside(char **list, size_t *n, struct err *e)
{
    char exe[4096];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len <= 0)
        return OK;
    exe[len] = '\0';
    char *slash = strrchr(exe, '/');
    if (!slash)
        return OK;
    *slash = '\0';
    char *stages = path_join(exe, "stages");
    bool build_tree = stages && file_is_dir(stages);
    enum err_code rc = add_dir(list, n, stages, e);
    /* a stage program that asks: its own folder */
    if (!rc && strcmp(path_base(exe), "stages") == 0)
        rc = add_dir(list, n, mem_strdup(exe), e);
    slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0'; /* the folder above */
    if (!rc && build_tree)
        rc = add_dir(list, n, path_join(exe, "examples"), e);
    if (!rc)
        rc = add_dir(list, n, path_join(exe, "libexec/facet"), e);
    if (!rc)
        rc = add_dir(list, n, path_join(exe, "share/facet/examples"), e);
#ifdef FACET_LIBEXECDIR /* installed elsewhere than beside bin */
    if (!rc)
        rc = add_dir(list, n, mem_strdup(FACET_LIBEXECDIR), e);
    if (!rc)
        rc = add_dir(list, n, mem_strdup(FACET_DATADIR "/examples"), e);
#endif
    return rc;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           access(path, X_OK) == 0;
}

enum err_code python_path(char **out, struct err *e)
{
    static const char *const beside[] = {"/../python", "/../share/facet/python",
                                         "/../../python",
                                         "/../../share/facet/python"};
    char exe[4096], real[PATH_MAX];
    const char *old = getenv("PYTHONPATH");
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(exe, '/');
    *out = NULL;
    if (slash)
        *slash = '\0';
    for (size_t i = 0; slash && i < sizeof beside / sizeof *beside; i++) {
        char *file = mem_printf("%s%s/facet.py", exe, beside[i]);
        if (!file)
            return no_memory(e);
        bool there = access(file, R_OK) == 0 && realpath(file, real) != NULL;
        mem_free(file);
        if (!there)
            continue;
        *strrchr(real, '/') = '\0';
        *out = mem_printf("PYTHONPATH=%s%s%s", old ? old : "",
                          old && *old ? ":" : "", real);
        return *out ? OK : no_memory(e);
    }
    return OK;
}

char **stage_dirs(struct err *e)
{
    size_t n = 0;
    char **list = mem_calloc(MAX_DIRS, sizeof *list);
    if (!list) {
        no_memory(e);
        return NULL;
    }
    enum err_code rc = add_env(list, &n, e);
    if (!rc)
        rc = add_beside(list, &n, e);
    if (rc)
        stage_dirs_free(&list);
    return list;
}

void stage_dirs_free(char ***dirs)
{
    if (!dirs || !*dirs)
        return;
    for (char **d = *dirs; *d; d++)
        mem_free(*d);
    mem_free(*dirs);
    *dirs = NULL;
}

/* Is there something of that name which cannot be run? *why: 0, it is no
 * program, or errno. New memory; NULL if there is nothing. */
static char *near_miss(const char *const *dirs, const char *name, int *why)
{
    for (size_t i = 0; dirs && dirs[i]; i++) {
        struct stat st;
        char *p = path_join(dirs[i], name);
        *why = 0;
        if (p && stat(p, &st) == 0) {
            if (S_ISREG(st.st_mode) && access(p, X_OK) != 0)
                *why = errno;
            return p;
        }
        *why = errno;
        if (p && *why != ENOENT && *why != ENOTDIR)
            return p;
        mem_free(p);
    }
    return NULL;
}

static enum err_code not_found(const char *const *dirs, const char *name,
                               struct err *e)
{
    int why;
    char *there = *name && *name != '.' ? near_miss(dirs, name, &why) : NULL;
    if (there) {
        if (why)
            err_errno(e, ERR_NOTFOUND, why, "cannot run '%s'", there);
        else
            err_set(e, ERR_NOTFOUND, "cannot run '%s': not an executable file",
                    there);
        mem_free(there);
        return ERR_NOTFOUND;
    }
    struct stage_list all;
    char searched[300] = "";
    size_t used = 0;
    for (size_t i = 0; dirs && dirs[i] && used < sizeof searched; i++)
        used += (size_t)snprintf(searched + used, sizeof searched - used,
                                 "%s%s", i ? ", " : "", dirs[i]);
    if (stage_list(dirs, &all, e) != OK)
        return no_memory(e);
    const char *near =
        text_nearest(name, (const char *const *)all.names, all.n);
    size_t like = 0;
    char list[300] = "";
    for (size_t i = 0; i < all.n && strlen(name) > 2 && like < sizeof list; i++)
        if (strstr(all.names[i], name))
            like += (size_t)snprintf(list + like, sizeof list - like, "%s%s",
                                     like ? ", " : "", all.names[i]);
    struct stat st;
    if (stat(name, &st) == 0 && S_ISREG(st.st_mode))
        err_set(e, ERR_NOTFOUND, "no stage '%.60s' (did you mean './%s'?)",
                name, name);
    else if (near)
        err_set(e, ERR_NOTFOUND, "no stage '%.60s' (did you mean '%s'?)", name,
                near);
    else if (like)
        err_set(e, ERR_NOTFOUND, "no stage '%.60s' (did you mean %s?)", name,
                list);
    else
        err_set(e, ERR_NOTFOUND, "no stage '%.60s' in %s", name,
                used ? searched : "any folder (set FACET_STAGES)");
    stage_list_free(&all);
    return ERR_NOTFOUND;
}

enum err_code stage_find(const char *const *dirs, const char *name, char **path,
                         struct err *e)
{
    *path = NULL;
    if (strchr(name, '/')) {
        struct stat st;
        if (stat(name, &st) != 0)
            return err_errno(e, ERR_NOTFOUND, errno, "cannot run '%s'", name);
        if (!is_program(name))
            return err_set(e, ERR_NOTFOUND,
                           "cannot run '%s': not an executable file%s", name,
                           S_ISREG(st.st_mode) ? " (chmod +x?)" : "");
        *path = mem_strdup(name);
        return *path ? OK : no_memory(e);
    }
    for (size_t i = 0; *name && *name != '.' && dirs && dirs[i]; i++) {
        char *p = path_join(dirs[i], name);
        if (!p)
            return no_memory(e);
        if (is_program(p)) {
            *path = p;
            return OK;
        }
        mem_free(p);
    }
    return not_found(dirs, name, e);
}

static bool listed(const struct stage_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->names[i], name) == 0)
            return true;
    return false;
}

static enum err_code list_dir(const char *dir, struct stage_list *l,
                              struct err *e)
{
    struct dirent *d;
    enum err_code rc = OK;
    DIR *h = opendir(dir);
    if (!h) { /* ENOENT: gone meanwhile */
        if (errno != ENOENT)
            log_warn("stages in '%s' are not found: %s", dir, strerror(errno));
        return OK;
    }
    while (rc == OK && l->n < MAX_STAGES) {
        errno = 0;
        d = readdir(h);
        if (!d && errno)
            log_warn("cannot read folder '%s': %s", dir, strerror(errno));
        if (!d)
            break;
        if (d->d_name[0] == '.' || listed(l, d->d_name))
            continue;
        char *path = path_join(dir, d->d_name);
        if (path && !is_program(path)) {
            mem_free(path);
            continue;
        }
        char *name = mem_strdup(d->d_name);
        if (!path || !name) {
            mem_free(path);
            mem_free(name);
            rc = no_memory(e);
            break;
        }
        l->names[l->n] = name;
        l->paths[l->n++] = path;
    }
    closedir(h);
    return rc;
}

static void sort_list(struct stage_list *l)
{
    for (size_t i = 1; i < l->n; i++)
        for (size_t j = i; j && strcmp(l->names[j - 1], l->names[j]) > 0; j--) {
            char *name = l->names[j], *path = l->paths[j];
            l->names[j] = l->names[j - 1];
            l->paths[j] = l->paths[j - 1];
            l->names[j - 1] = name;
            l->paths[j - 1] = path;
        }
}

enum err_code stage_list(const char *const *dirs, struct stage_list *out,
                         struct err *e)
{
    enum err_code rc = OK;
    out->n = 0;
    out->names = mem_calloc(MAX_STAGES, sizeof *out->names);
    out->paths = mem_calloc(MAX_STAGES, sizeof *out->paths);
    if (!out->names || !out->paths)
        rc = no_memory(e);
    for (size_t i = 0; rc == OK && dirs && dirs[i]; i++)
        rc = list_dir(dirs[i], out, e);
    if (rc)
        stage_list_free(out);
    else
        sort_list(out);
    return rc;
}

void stage_list_free(struct stage_list *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++) {
        mem_free(l->names[i]);
        mem_free(l->paths[i]);
    }
    mem_free(l->names);
    mem_free(l->paths);
    *l = (struct stage_list){0};
}
