/* Walking a folder: nothing that is met is lost without a word. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

/* A folder that was opened, and the one it was found in: a chain of these is
 * what tells a link back up. */
struct place {
    dev_t dev;
    ino_t ino;
    size_t above; /* index of the folder it stands in */
};

/* A folder that is to be opened. */
struct unread {
    char *rel;
    size_t above;
};

#define NONE SIZE_MAX

struct walk {
    const char *root;
    size_t max;
    struct file_list *out;
    struct place *place;
    size_t n_places;
    struct unread *unread; /* a stack */
    size_t n_unread, unread_room;
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for a listing");
}

/* Room for one more in a list that has n and grows at each power of two. */
static void *room(void *list, size_t n, size_t size)
{
    return n & (n - 1) ? list : mem_resize(list, n ? 2 * n : 1, size);
}

static enum err_code check_max(const struct walk *w, struct err *e)
{
    if (w->out->n + w->out->n_bad < w->max)
        return OK;
    return err_set(e, ERR_DATA, "more than %zu files below '%s'", w->max,
                   w->root);
}

/* rel is taken over, also on failure. */
static enum err_code add_file(struct walk *w, char *rel, struct err *e)
{
    enum err_code rc = check_max(w, e);
    char **grown = rc ? NULL : room(w->out->names, w->out->n, sizeof *grown);
    if (!grown) {
        mem_free(rel);
        return rc ? rc : no_memory(e);
    }
    w->out->names = grown;
    grown[w->out->n++] = rel;
    return OK;
}

/* rel is taken over, also on failure. */
static enum err_code add_bad(struct walk *w, char *rel, enum file_bad_kind k,
                             const struct err *why, struct err *e)
{
    enum err_code rc = check_max(w, e);
    struct file_bad *grown = NULL;
    char *text = rc ? NULL : mem_strdup(why->text);
    if (text)
        grown = room(w->out->bad, w->out->n_bad, sizeof *grown);
    if (!grown) {
        mem_free(text);
        mem_free(rel);
        return rc ? rc : no_memory(e);
    }
    w->out->bad = grown;
    grown[w->out->n_bad++] = (struct file_bad){rel, text, why->code, k};
    return OK;
}

/* rel is taken over, also on failure. */
static enum err_code add_unread(struct walk *w, char *rel, size_t above,
                                struct err *e)
{
    if (w->n_unread == w->unread_room) {
        size_t more = w->unread_room ? 2 * w->unread_room : 16;
        struct unread *grown = mem_resize(w->unread, more, sizeof *grown);
        if (!grown) {
            mem_free(rel);
            return no_memory(e);
        }
        w->unread = grown;
        w->unread_room = more;
    }
    w->unread[w->n_unread++] = (struct unread){rel, above};
    return OK;
}

/* What is neither file nor folder, in words. */
static const char *kind_of(mode_t mode)
{
    if (S_ISFIFO(mode))
        return "a pipe (FIFO)";
    if (S_ISSOCK(mode))
        return "a socket";
    if (S_ISCHR(mode) || S_ISBLK(mode))
        return "a device";
    return "of an unknown kind";
}

/* stat of an entry failed. Gone since: nothing is missed. */
static enum err_code add_unseen(struct walk *w, char *rel, int dir,
                                const struct dirent *entry, int why,
                                struct err *e)
{
    struct stat st;
    struct err text;
    if (why == ENOENT &&
        fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 &&
        errno == ENOENT) {
        mem_free(rel);
        return OK;
    }
    bool link = entry->d_type == DT_LNK;
    enum file_bad_kind kind = link || entry->d_type == DT_UNKNOWN
                                  ? FILE_BAD_UNKNOWN
                              : entry->d_type == DT_DIR ? FILE_BAD_FOLDER
                                                        : FILE_BAD_FILE;
    if (link && (why == ENOENT || why == ENOTDIR))
        err_set(&text, ERR_NOTFOUND, "a link to nothing");
    else
        err_errno(&text, ERR_IO, why, "cannot look at '%s/%s'", w->root, rel);
    return add_bad(w, rel, kind, &text, e);
}

static enum err_code take_entry(struct walk *w, const char *folder,
                                size_t place, int dir,
                                const struct dirent *entry, struct err *e)
{
    struct stat st;
    struct err why;
    char *rel = path_join(folder, entry->d_name);
    if (!rel)
        return no_memory(e);
    if (fstatat(dir, entry->d_name, &st, 0) != 0)
        return add_unseen(w, rel, dir, entry, errno, e);
    if (S_ISDIR(st.st_mode))
        return add_unread(w, rel, place, e);
    if (!S_ISREG(st.st_mode)) {
        err_set(&why, ERR_UNSUPPORTED, "%s, not a file", kind_of(st.st_mode));
        return add_bad(w, rel, FILE_BAD_FILE, &why, e);
    }
    if (strlen(w->root) + 1 + strlen(rel) >= PATH_MAX) {
        err_set(&why, ERR_UNSUPPORTED,
                "its path has more than %d bytes: no program can open it",
                PATH_MAX - 1);
        return add_bad(w, rel, FILE_BAD_FILE, &why, e);
    }
    return add_file(w, rel, e);
}

/* Is this folder one of those that it was found in? */
static bool is_above(const struct walk *w, size_t above, const struct stat *st)
{
    for (; above != NONE; above = w->place[above].above)
        if (w->place[above].dev == st->st_dev &&
            w->place[above].ino == st->st_ino)
            return true;
    return false;
}

static enum err_code add_place(struct walk *w, const struct stat *st,
                               size_t above, struct err *e)
{
    struct place *grown = room(w->place, w->n_places, sizeof *grown);
    if (!grown)
        return no_memory(e);
    w->place = grown;
    grown[w->n_places++] = (struct place){st->st_dev, st->st_ino, above};
    return OK;
}

/* A folder that fails is noted; root has to open. */
static enum err_code folder_fails(struct walk *w, const char *rel,
                                  const char *what, const char *full, int why,
                                  struct err *e)
{
    struct err text;
    char *path = mem_strdup(*rel ? rel : ".");
    err_errno(&text, ERR_IO, why, "cannot %s folder '%s'", what, full);
    return path ? add_bad(w, path, FILE_BAD_FOLDER, &text, e) : no_memory(e);
}

static enum err_code read_folder(struct walk *w, const char *rel, size_t above,
                                 struct err *e)
{
    enum err_code rc = OK;
    struct stat st;
    char *full = *rel ? path_join(w->root, rel) : mem_strdup(w->root);
    if (!full)
        return no_memory(e);
    DIR *d = opendir(full);
    if ((!d || fstat(dirfd(d), &st) != 0)) {
        rc = above != NONE
                 ? folder_fails(w, rel, "open", full, errno, e)
                 : err_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
                             "cannot open folder '%s'", full);
        goto out;
    }
    if (is_above(w, above, &st)) {
        w->out->loops++;
        goto out;
    }
    rc = add_place(w, &st, above, e);
    size_t place = w->n_places - 1;
    while (!rc) {
        errno = 0; /* the only way to tell an error from the end */
        struct dirent *entry = readdir(d);
        if (!entry && errno)
            rc = folder_fails(w, rel, "read the whole of", full, errno, e);
        if (!entry)
            break;
        const char *name = entry->d_name;
        if (name[0] != '.')
            rc = take_entry(w, rel, place, dirfd(d), entry, e);
        else
            w->out->hidden += strcmp(name, ".") != 0 &&
                              strcmp(name, "..") != 0 &&
                              strcmp(name, ".facet") != 0; /* our own */
    }
out:
    if (d)
        closedir(d);
    mem_free(full);
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int bad_by_bytes(const void *a, const void *b)
{
    const struct file_bad *x = a, *y = b;
    return strcmp(x->path, y->path);
}

enum err_code file_walk(const char *root, size_t max_files,
                        struct file_list *out, struct err *e)
{
    *out = (struct file_list){0};
    struct walk w = {.root = root, .max = max_files, .out = out};
    enum err_code rc = read_folder(&w, "", NONE, e);
    while (!rc && w.n_unread) {
        struct unread next = w.unread[--w.n_unread];
        rc = read_folder(&w, next.rel, next.above, e);
        mem_free(next.rel);
    }
    while (w.n_unread)
        mem_free(w.unread[--w.n_unread].rel);
    mem_free(w.unread);
    mem_free(w.place);
    if (rc) {
        file_list_free(out);
        return rc;
    }
    if (out->n)
        qsort(out->names, out->n, sizeof *out->names, by_bytes);
    if (out->n_bad)
        qsort(out->bad, out->n_bad, sizeof *out->bad, bad_by_bytes);
    return OK;
}

enum err_code file_list_whole(const struct file_list *l, struct err *e)
{
    if (!l->n_bad)
        return OK;
    return err_set(e, l->bad->code, "'%s': %s", l->bad->path, l->bad->why);
}

void file_list_free(struct file_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        mem_free(l->names[i]);
    mem_free(l->names);
    for (size_t i = 0; i < l->n_bad; i++) {
        mem_free(l->bad[i].path);
        mem_free(l->bad[i].why);
    }
    mem_free(l->bad);
    *l = (struct file_list){0};
}
