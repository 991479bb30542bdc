/* Contact sheets: cells on disk, composed when whole. */
#include "lib/store/sheet.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/store/keys.h"
#include "lib/store/layout.h"
#include "lib/store/sheet_compose.h"
#include "lib/store/store.h"

#define CELLS ".sheets"
#define ORIGIN ".key" /* beside the cells: recipe and source, "-" for none */
#define PENDING_MAX ((size_t)10000000)

/* Everything below happens under this lock; -1 on failure. */
static int lock_sheets(const char *root, struct err *e)
{
    char *dir = path_join(root, CELLS);
    char *path = dir ? path_join(dir, ".lock") : NULL;
    int fd = -1;
    if (!path) {
        err_set(e, ERR_NOMEM, "no memory for a path");
    } else if (file_mkdirs(dir, e) == OK) {
        if (file_lock(path, &fd, e))
            fd = -1;
    }
    mem_free(path);
    mem_free(dir);
    return fd;
}

static void remove_files(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && (entry = readdir(d)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(d), entry->d_name, 0);
    if (d)
        closedir(d);
    rmdir(dir);
}

/* Take a sheet's cells away at one stroke, then its empty parents. rel: the
 * cells' folder below <root>/.sheets. */
static enum err_code drop_cells(const char *root, const char *rel,
                                struct err *e)
{
    char *dir = mem_printf("%s/" CELLS "/%s", root, rel);
    char *trash = path_join(root, CELLS "/.trash");
    enum err_code rc = OK;
    if (!dir || !trash) {
        rc = err_set(e, ERR_NOMEM, "no memory for a path");
    } else {
        remove_files(trash); /* of a killed process */
        if (rename(dir, trash) != 0)
            rc = err_errno(e, ERR_IO, errno, "cannot move '%s'", dir);
    }
    if (!rc) {
        remove_files(trash);
        char *first = dir + strlen(root) + sizeof "/" CELLS;
        for (char *slash = strrchr(dir, '/'); slash && slash > first;
             slash = strrchr(dir, '/')) {
            *slash = 0;
            if (rmdir(dir) != 0)
                break; /* others are at work there */
        }
    }
    mem_free(trash);
    mem_free(dir);
    return rc;
}

/* What the cells in dir come from, as text. */
static void read_origin(const char *dir, char out[80])
{
    struct buf b = {0};
    struct err why;
    char *path = path_join(dir, ORIGIN);
    snprintf(out, 80, "- -");
    if (path && file_exists(path) && file_read(path, 79, &b, &why) == OK &&
        buf_puts(&b, "", &why) == OK)
        snprintf(out, 80, "%s", buf_str(&b));
    buf_free(&b);
    mem_free(path);
}

static void origin_of(const struct sheet_options *o, const char *source,
                      char out[80])
{
    const char *recipe = o->keys ? keys_recipe(o->keys) : "";
    snprintf(out, 80, "%s %s", *recipe ? recipe : "-", *source ? source : "-");
}

/* The sheet of the cells in dir is in its place. */
static enum err_code note_key(const struct sheet_options *o, const char *dir,
                              const char *what, const char *group,
                              struct err *e)
{
    char origin[80];
    if (!o->keys)
        return OK;
    read_origin(dir, origin);
    const char *source = strchr(origin, ' ');
    source = source ? source + 1 : "";
    char *rel = mem_printf("%s/sheet_%s.png", what, group);
    if (!rel)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code rc =
        keys_note(o->keys, rel, strcmp(source, "-") == 0 ? "" : source, e);
    mem_free(rel);
    return rc;
}

/* Compose the cells of rel ("<name>/<snippet>/<group>") and write the sheet.
 * With all cells there they are dropped, unless `keep`. */
static enum err_code compose(const struct sheet_options *o, const char *rel,
                             bool keep, bool *whole, struct err *e)
{
    const char *group = path_base(rel);
    char *what = mem_strndup(rel, (size_t)(group - rel - 1));
    char *dir = mem_printf("%s/" CELLS "/%s", o->root, rel);
    char *tmp = path_join(o->root, CELLS "/.new");
    char *folder = what ? path_join(o->root, what) : NULL;
    char *sheet = folder ? mem_printf("%s/sheet_%s.png", folder, group) : NULL;
    struct buf b = {0};
    int64_t have = 0, count = 0;
    enum err_code rc = dir && tmp && sheet
                           ? sheet_compose(o, dir, what, &b, &have, &count, e)
                           : err_set(e, ERR_NOMEM, "no memory for a path");
    *whole = count > 0 && have == count;
    if (!rc && count)
        rc = file_mkdirs(folder, e);
    if (!rc && count)
        rc = store_write_via(tmp, sheet, b.data, b.len, e);
    if (!rc && count)
        rc = note_key(o, dir, what, group, e);
    if (!rc && *whole && !keep)
        rc = drop_cells(o->root, rel, e);
    buf_free(&b);
    mem_free(sheet);
    mem_free(folder);
    mem_free(tmp);
    mem_free(dir);
    mem_free(what);
    return rc;
}

static enum err_code put_cell(const struct sheet_options *o, const char *path,
                              const struct tensor *picture, const char *label,
                              int64_t count, struct err *e)
{
    struct buf b;
    enum err_code rc = sheet_encode_cell(o, picture, label, count, &b, e);
    if (!rc)
        rc = file_write_atomic(path, b.data, b.len, e);
    buf_free(&b);
    return rc;
}

/* Are all cells there? Looks for the last ones first: mostly one look. */
static bool all_there(const char *dir, int64_t count)
{
    bool there = true;
    for (int64_t i = count - 1; there && i >= 0; i--) {
        char *path = mem_printf("%s/cell_%04lld.png", dir, (long long)i);
        there = path && file_exists(path);
        mem_free(path);
    }
    return there;
}

/* Make the cells' folder ready for cells of this origin. */
static enum err_code start_cells(const struct sheet_options *o, const char *rel,
                                 const char *dir, const char *origin,
                                 bool *begun, struct err *e)
{
    char had[80];
    enum err_code rc = OK;
    *begun = file_is_dir(dir);
    if (*begun) {
        read_origin(dir, had);
        if (strcmp(had, origin) == 0)
            return OK;
        *begun = false;
        rc = drop_cells(o->root, rel, e); /* of other settings */
    }
    return rc;
}

static enum err_code write_origin(const char *dir, const char *origin,
                                  struct err *e)
{
    char *path = path_join(dir, ORIGIN);
    enum err_code rc = path ? file_write_atomic(path, origin, strlen(origin), e)
                            : err_set(e, ERR_NOMEM, "no memory for a path");
    mem_free(path);
    return rc;
}

static enum err_code put_cells(const struct sheet_options *o,
                               const struct sheet_cell *c, const char *dir,
                               struct err *e)
{
    char *cell = mem_printf("%s/cell_%04lld.png", dir, (long long)c->index);
    char *source = path_join(dir, "source.png");
    enum err_code rc =
        cell && source ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc && c->source && !file_exists(source))
        rc = put_cell(o, source, c->source, "", c->count, e);
    if (!rc)
        rc = put_cell(o, cell, c->picture, c->label, c->count, e);
    mem_free(cell);
    mem_free(source);
    return rc;
}

static enum err_code add_locked(const struct sheet_options *o,
                                const struct sheet_cell *c, enum sheet_how *how,
                                struct err *e)
{
    char face[32] = "", origin[80];
    if (c->face > 0)
        snprintf(face, sizeof face, "_f%lld", (long long)c->face);
    char *rel = mem_printf("%s/%s/%lld%s", c->name, c->snippet,
                           (long long)c->group, face);
    char *dir = rel ? mem_printf("%s/" CELLS "/%s", o->root, rel) : NULL;
    char *sheet = mem_printf("%s/%s/sheet_%lld%s.png", c->name, c->snippet,
                             (long long)c->group, face);
    char *path = sheet ? path_join(o->root, sheet) : NULL;
    const char *source = c->origin ? c->origin : "";
    bool begun = false, whole = false;
    enum err_code rc =
        dir && path ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    enum keys_state state = KEYS_NONE;
    origin_of(o, source, origin);
    if (!rc)
        rc = start_cells(o, rel, dir, origin, &begun, e);
    if (!rc)
        state = o->keys             ? keys_look(o->keys, sheet, source)
                : file_exists(path) ? KEYS_OURS
                                    : KEYS_NONE;
    if (rc)
        goto out;
    if (state == KEYS_KEPT || (state == KEYS_OURS && !o->overwrite && !begun)) {
        *how = state == KEYS_KEPT ? SHEET_KEPT : SHEET_THERE;
        goto out; /* complete before: this is a replay */
    }
    if (!begun)
        rc = write_origin(dir, origin, e);
    if (!rc)
        rc = put_cells(o, c, dir, e);
    if (!rc && all_there(dir, c->count)) {
        rc = compose(o, rel, o->overwrite, &whole, e);
        if (!rc && whole)
            *how = state == KEYS_OTHER ? SHEET_ANEW : SHEET_MADE;
    }
out:
    mem_free(path);
    mem_free(sheet);
    mem_free(dir);
    mem_free(rel);
    return rc;
}

enum err_code sheet_add(const struct sheet_options *o,
                        const struct sheet_cell *c, enum sheet_how *how,
                        struct err *e)
{
    *how = SHEET_CELL;
    struct store_key k = {.name = c->name,
                          .snippet = c->snippet,
                          .sample = c->group,
                          .view = c->index};
    enum err_code rc = store_check_key(STORE_VIEWS, &k, e);
    if (!rc && (c->count < 1 || c->count > SHEET_MAX_CELLS))
        rc = err_set(e, ERR_DATA, "a sheet of %lld cells (1 .. %d)",
                     (long long)c->count, SHEET_MAX_CELLS);
    if (!rc && (c->index < 0 || c->index >= c->count || c->group < 0))
        rc = err_set(e, ERR_DATA, "cell %lld of %lld in sheet %lld",
                     (long long)c->index, (long long)c->count,
                     (long long)c->group);
    if (rc)
        return rc;
    struct err why = {0};
    int lock = lock_sheets(o->root, &why);
    if (lock < 0)
        return err_set(e, why.code, "%s", why.text);
    rc = add_locked(o, c, how, e);
    close(lock);
    return rc;
}

/* Are the cells of rel of our settings? */
static bool of_recipe(const struct sheet_options *o, const char *rel)
{
    char had[80];
    const char *recipe = o->keys ? keys_recipe(o->keys) : "";
    char *dir = mem_printf("%s/" CELLS "/%s", o->root, rel);
    snprintf(had, sizeof had, "- -");
    if (dir)
        read_origin(dir, had);
    mem_free(dir);
    size_t n = strcspn(had, " ");
    return *recipe ? strlen(recipe) == n && memcmp(recipe, had, n) == 0
                   : n == 1 && had[0] == '-';
}

enum err_code sheet_finish(const struct sheet_options *o, size_t *n,
                           struct err *e)
{
    *n = 0;
    char *cells = path_join(o->root, CELLS);
    if (!cells)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    struct file_list l = {0};
    struct err why = {0};
    int lock = -1;
    enum err_code rc = OK;
    if (file_is_dir(cells)) {
        lock = lock_sheets(o->root, &why);
        rc = lock < 0 ? err_set(e, why.code, "%s", why.text)
                      : file_walk(cells, PENDING_MAX, &l, e);
        rc = rc ? rc : file_list_whole(&l, e);
    }
    char *last = NULL; /* the folder before: files come sorted */
    enum err_code bad = OK;
    for (size_t i = 0; !rc && i < l.n; i++) {
        const char *base = path_base(l.names[i]);
        size_t len = base > l.names[i] ? (size_t)(base - l.names[i] - 1) : 0;
        if (!len ||
            (last && strlen(last) == len && memcmp(last, l.names[i], len) == 0))
            continue;
        mem_free(last);
        last = mem_strndup(l.names[i], len);
        bool whole = false;
        if (last && !of_recipe(o, last))
            continue; /* what a run of other settings left unfinished */
        /* One that cannot be written does not keep the others. */
        enum err_code one = last ? compose(o, last, false, &whole, &why)
                                 : err_set(&why, ERR_NOMEM, "no memory");
        if (one && !bad)
            bad = err_set(e, one, "sheet of '%s': %s", last ? last : "",
                          why.text);
        if (one == ERR_NOMEM)
            break;
        *n += !one && !whole;
    }
    rc = rc ? rc : bad;
    mem_free(last);
    file_list_free(&l);
    if (lock >= 0)
        close(lock);
    mem_free(cells);
    return rc;
}
