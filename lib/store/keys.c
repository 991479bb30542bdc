/* Keys of single files: what each came from. */
#include "lib/store/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/item.h"
#include "lib/data/recipe.h"
#include "lib/store/sources.h"

#define KEY_MAX 4096
#define SUFFIX ".key"
#define FILES_MAX ((size_t)50000000)

struct keys {
    char *root, *dir; /* dir: of the keys */
    enum policy policy;
    char recipe[RECIPE_HASH];
    int hold; /* shared lock: says that we are at work */
};

/* One key file: recipe, source ("-" for none), sum. */
struct key {
    char recipe[RECIPE_HASH], source[33], sum[STORE_SUM];
};

static bool read_key(const char *dir, const char *rel, struct key *out)
{
    struct buf b = {0};
    struct err why;
    *out = (struct key){0};
    char *path = mem_printf("%s/%s" SUFFIX, dir, rel);
    bool there = path && file_exists(path) &&
                 file_read(path, KEY_MAX, &b, &why) == OK &&
                 buf_puts(&b, "", &why) == OK;
    bool ok = there && sscanf(buf_str(&b), "%32s %32s %55s", out->recipe,
                              out->source, out->sum) == 3;
    if (strcmp(out->source, "-") == 0)
        out->source[0] = 0;
    buf_free(&b);
    mem_free(path);
    return ok;
}

static bool file_is(const char *root, const char *rel, const char *sum)
{
    char *path = path_join(root, rel);
    bool is = path && store_sum_matches(path, sum);
    mem_free(path);
    return is;
}

/* Take a shared lock together with all runs of our settings; the guard is held,
 * so that what the lock's owner has to say is whole. */
static enum err_code hold_guarded(struct keys *k, const struct keys_options *o,
                                  struct err *e)
{
    char *path = path_join(k->dir, ".settings");
    struct buf b = {0};
    struct err why = {0};
    char recipe[RECIPE_HASH] = "", run[33] = "";
    int pid = 0;
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    k->hold = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    enum err_code rc =
        k->hold < 0 ? err_errno(e, ERR_IO, errno, "cannot make '%s'", path)
                    : OK;
    bool alone = !rc && file_flock(k->hold, LOCK_EX | LOCK_NB) == 0;
    if (!rc && alone) {
        int n = dprintf(k->hold, "%s %s %ld\n", k->recipe,
                        *o->run_key ? o->run_key : "-", (long)getpid());
        if (n < 0 || ftruncate(k->hold, n) != 0 ||
            file_flock(k->hold, LOCK_SH) != 0)
            rc = err_errno(e, ERR_IO, errno, "cannot write '%s'", path);
    } else if (!rc) {
        if (file_read(path, KEY_MAX, &b, &why) == OK &&
            buf_puts(&b, "", &why) == OK)
            (void)sscanf(buf_str(&b), "%32s %32s %d", recipe, run, &pid);
        bool ours = strcmp(recipe, k->recipe) == 0 ||
                    strcmp(run, *o->run_key ? o->run_key : "-") == 0;
        if (!ours)
            rc = err_set(e, ERR_STATE,
                         "another run with other settings is writing to '%s' "
                         "(process %d): wait for it, choose another folder, or "
                         "keep the results apart with other=apart",
                         k->root, pid);
        else if (file_flock(k->hold, LOCK_SH) != 0)
            rc = err_errno(e, ERR_IO, errno, "cannot lock '%s'", path);
    }
    buf_free(&b);
    mem_free(path);
    return rc;
}

static enum err_code hold(struct keys *k, const struct keys_options *o,
                          struct err *e)
{
    char *guard = path_join(k->dir, ".guard");
    int fd = -1;
    enum err_code rc = guard ? file_lock(guard, &fd, e)
                             : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc)
        rc = hold_guarded(k, o, e);
    if (fd >= 0)
        close(fd);
    mem_free(guard);
    return rc;
}

enum err_code keys_others(const struct keys *k, size_t *n, struct err *e)
{
    struct file_list l;
    *n = 0;
    if (!*k->recipe)
        return OK;
    enum err_code rc = file_walk(k->dir, FILES_MAX, &l, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < l.n; i++) {
        struct key key;
        if (!text_ends(l.names[i], SUFFIX))
            continue;
        l.names[i][strlen(l.names[i]) - strlen(SUFFIX)] = 0;
        *n += !read_key(k->dir, l.names[i], &key) ||
              strcmp(key.recipe, k->recipe) != 0;
    }
    file_list_free(&l);
    return OK;
}

/* Under the policy refuse: is anything there of other settings? */
static enum err_code refuse(const struct keys *k, struct err *e)
{
    size_t others;
    enum err_code rc = keys_others(k, &others, e);
    return rc || !others
               ? rc
               : err_set(e, ERR_ARG,
                         "'%s' holds %zu results from other settings, which "
                         "other=refuse does not touch: choose another folder, "
                         "or other=remake, keep or apart",
                         k->root, others);
}

enum err_code keys_open(const struct keys_options *o, struct keys **out,
                        struct err *e)
{
    *out = NULL;
    struct keys *k = mem_calloc(1, sizeof *k);
    if (!k)
        return err_set(e, ERR_NOMEM, "no memory for the settings");
    k->hold = -1;
    k->policy = o->policy;
    recipe_hash(o->recipe, k->recipe);
    enum err_code rc =
        policy_root(o->policy, o->sinks, o->instance, o->root, &k->root, e);
    if (!rc && !(k->dir = path_join(k->root, o->keys)))
        rc = err_set(e, ERR_NOMEM, "no memory for a path");
    bool known = *k->recipe != 0; /* else there is nothing to note */
    if (!rc)
        rc = file_mkdirs(known ? k->dir : k->root, e);
    if (!rc && known)
        rc = hold(k, o, e);
    if (!rc && o->policy == POLICY_REFUSE)
        rc = refuse(k, e);
    if (rc)
        keys_close(&k);
    *out = k;
    return rc;
}

const char *keys_root(const struct keys *k)
{
    return k->root;
}

const char *keys_recipe(const struct keys *k)
{
    return k->recipe;
}

enum keys_state keys_look(const struct keys *k, const char *rel,
                          const char *source)
{
    struct key key;
    char *path = path_join(k->root, rel);
    bool there = path && file_exists(path);
    mem_free(path);
    if (!there)
        return KEYS_NONE;
    if (!*k->recipe)
        return KEYS_OURS; /* nothing is known: as it is */
    if (read_key(k->dir, rel, &key) && strcmp(key.recipe, k->recipe) == 0 &&
        strcmp(key.source, source) == 0 && file_is(k->root, rel, key.sum))
        return KEYS_OURS;
    return k->policy == POLICY_KEEP ? KEYS_KEPT : KEYS_OTHER;
}

enum err_code keys_note(const struct keys *k, const char *rel,
                        const char *source, struct err *e)
{
    char sum[STORE_SUM];
    if (!*k->recipe)
        return OK;
    char *path = path_join(k->root, rel);
    char *at = mem_printf("%s/%s" SUFFIX, k->dir, rel);
    char *text = NULL;
    enum err_code rc =
        path && at ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc)
        rc = store_sum_file(path, sum, e);
    if (!rc) {
        text = mem_printf("%s %s %s\n", k->recipe, *source ? source : "-", sum);
        rc = text ? file_write_atomic(at, text, strlen(text), e)
                  : err_set(e, ERR_NOMEM, "no memory for a key");
    }
    mem_free(text);
    mem_free(at);
    mem_free(path);
    return rc;
}

enum err_code keys_sweep(const struct keys *k, const char *rel, size_t *n,
                         struct err *e)
{
    *n = 0;
    if (k->policy == POLICY_KEEP || !*k->recipe)
        return OK;
    char *dir = path_join(k->dir, rel);
    if (!dir)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        struct key key;
        char *name = text_ends(entry->d_name, SUFFIX)
                         ? mem_strndup(entry->d_name,
                                       strlen(entry->d_name) - strlen(SUFFIX))
                         : NULL;
        bool other = name && read_key(dir, name, &key) &&
                     strcmp(key.recipe, k->recipe) != 0;
        char *file = other ? mem_printf("%s/%s/%s", k->root, rel, name) : NULL;
        *n += file && unlink(file) == 0;
        if (file)
            (void)unlinkat(dirfd(d), entry->d_name, 0);
        mem_free(name);
        mem_free(file);
    }
    if (d)
        closedir(d);
    mem_free(dir);
    return OK;
}

bool keys_known(const char *root, const char *keys, const char *rel,
                const char (*recipes)[33], size_t n)
{
    struct key key;
    char *dir = path_join(root, keys);
    bool ours = false;
    if (dir && read_key(dir, rel, &key) && file_is(root, rel, key.sum))
        for (size_t i = 0; i < n && !ours; i++)
            ours = strcmp(recipes[i], key.recipe) == 0;
    mem_free(dir);
    return ours;
}

bool keys_lost(const char *root, const char *keys, const char *rel,
               const char *source, const char (*recipes)[33], size_t n)
{
    char *dir = mem_printf("%s/%s/%s", root, keys, rel);
    DIR *d = dir ? opendir(dir) : NULL;
    struct dirent *entry;
    bool lost = false;
    while (d && !lost && (entry = readdir(d))) {
        struct key key;
        bool ours = false;
        if (!text_ends(entry->d_name, SUFFIX))
            continue;
        size_t len = strlen(entry->d_name) - strlen(SUFFIX);
        char *name = mem_strndup(entry->d_name, len);
        char *path = name ? mem_printf("%s/%s/%s", root, rel, name) : NULL;
        if (path && !file_exists(path) && read_key(dir, name, &key) &&
            strcmp(key.source, source) == 0)
            for (size_t i = 0; i < n && !ours; i++)
                ours = strcmp(recipes[i], key.recipe) == 0;
        lost = ours;
        mem_free(name);
        mem_free(path);
    }
    if (d)
        closedir(d);
    mem_free(dir);
    return lost;
}

void keys_close(struct keys **kp)
{
    struct keys *k = *kp;
    if (!k)
        return;
    *kp = NULL;
    if (k->hold >= 0)
        close(k->hold);
    mem_free(k->root);
    mem_free(k->dir);
    mem_free(k);
}

void keys_source(struct sources *s, const struct item *it, char hex[33])
{
    struct err ignored;
    const char *path = item_str(it, "path", "");
    const char *said = item_str(it, "source_hash", NULL);
    if (said)
        snprintf(hex, 33, "%.32s", said);
    else if (!*path || sources_hash(s, path, hex, &ignored))
        hex[0] = 0;
}
