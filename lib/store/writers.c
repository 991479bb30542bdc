/* The writers at work in a store, and what dead ones left. */
#include "lib/store/writers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/store/scan.h"
#include "lib/store/store_files.h"

#define JOURNAL_MAX ((size_t)1 << 30)

/* Remove a writer's folder with its files (no folders stand in it). */
void store_writer_remove(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(d), entry->d_name, 0);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

char *store_writer_dir(const char *root, int64_t number)
{
    return mem_printf("%s/" STORE_DIR "/" STORE_WRITER "%lld", root,
                      (long long)number);
}

/* Does its process live? It holds its journal's lock while it does. */
static bool writer_lives(const char *dir)
{
    char *path = path_join(dir, STORE_JOURNAL);
    /* For writing: where there is no flock, the lock needs it. */
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    bool lives = fd < 0 ? !path || errno != ENOENT
                        : file_flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (fd >= 0)
        close(fd);
    mem_free(path);
    return lives;
}

/* The numbers of writers that are no more, and the highest of all. */
static enum err_code dead_writers(const char *root, int64_t **dead, size_t *n,
                                  int64_t *highest, struct err *e)
{
    size_t all;
    *n = 0;
    enum err_code rc = store_writers(root, dead, &all, e);
    for (size_t i = 0; !rc && i < all; i++) {
        int64_t number = (*dead)[i];
        char *dir = store_writer_dir(root, number);
        if (!dir)
            return err_set(e, ERR_NOMEM, "no memory for a path");
        if (!writer_lives(dir))
            (*dead)[(*n)++] = number;
        *highest = number > *highest ? number : *highest;
        mem_free(dir);
    }
    return rc;
}

/* Move a committed file to its place, if it has not got there. */
static enum err_code redo_file(const char *root, const char *dir,
                               const char *rel, const char *sum, struct err *e)
{
    char name[33];
    if (!*sum || !*rel ||
        store_check_path(rel, "stored file", STORE_PARTS, NULL))
        return OK;
    store_pending_name(rel, sum, name);
    char *from = path_join(dir, name), *to = path_join(root, rel);
    enum err_code rc =
        from && to ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    /* What was being written for a next row may have the same bytes, so the
     * same name, and be torn. */
    if (!rc && store_sum_matches(from, sum)) {
        char *folder = mem_strndup(to, (size_t)(path_base(to) - to));
        rc = folder ? file_mkdirs(folder, e)
                    : err_set(e, ERR_NOMEM, "no memory for a path");
        mem_free(folder);
        if (!rc)
            rc = file_publish(from, to, e);
    }
    mem_free(from);
    mem_free(to);
    return rc;
}

bool store_on_its_way(const char *root, const char *rel, const char *sum)
{
    int64_t *numbers = NULL;
    size_t n = 0;
    struct err why;
    char name[33];
    bool there = false;
    store_pending_name(rel, sum, name);
    if (store_writers(root, &numbers, &n, &why))
        return false;
    for (size_t i = 0; i < n && !there; i++) {
        char *dir = store_writer_dir(root, numbers[i]);
        char *path = dir ? path_join(dir, name) : NULL;
        there = path && file_exists(path) && writer_lives(dir);
        mem_free(path);
        mem_free(dir);
    }
    mem_free(numbers);
    return there;
}

/* The last commit of one dead writer: those before it had got to their places
 * when it was made. */
static enum err_code redo(const char *root, const char *dir, struct err *e)
{
    struct buf b;
    struct err why;
    char *path = path_join(dir, STORE_JOURNAL);
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code rc = file_read(path, JOURNAL_MAX, &b, &why);
    mem_free(path);
    if (rc)
        return rc == ERR_NOTFOUND ? OK : err_set(e, rc, "%s", why.text);
    struct store_row row, last;
    bool any = false;
    char *p = (char *)b.data, *end = p + b.len;
    for (char *nl; p < end && (nl = memchr(p, '\n', (size_t)(end - p)));
         p = nl + 1) {
        *nl = 0;
        if (store_row_decode(p, (size_t)(nl - p), &row)) {
            last = row;
            any = true;
        }
    }
    for (int f = 0; f < STORE_FILES && any && !rc; f++)
        rc = redo_file(root, dir, last.v[store_file_cols[f]],
                       last.v[store_sum_cols[f]], e);
    buf_free(&b);
    return rc;
}

/* Only those found dead before the merge are removed after it. */
enum err_code store_reap(const char *root, enum store_layout layout,
                         int64_t *highest, struct err *e)
{
    int64_t *dead = NULL;
    size_t n;
    enum err_code rc = dead_writers(root, &dead, &n, highest, e);
    bool index = false;
    char *path = path_join(root, "index.csv");
    char *base = path_join(root, STORE_BASE);
    if (!rc && (!path || !base))
        rc = err_set(e, ERR_NOMEM, "no memory for a path");
    else if (!rc)
        index = file_exists(path) && file_exists(base);
    for (size_t i = 0; !rc && i < n; i++) {
        char *dir = store_writer_dir(root, dead[i]);
        rc = dir ? redo(root, dir, e)
                 : err_set(e, ERR_NOMEM, "no memory for a path");
        mem_free(dir);
    }
    if (!rc && (n || !index))
        rc = store_merge(root, layout,
                         n ? STORE_CHECK_JOURNALS : STORE_CHECK_NONE, NULL, e);
    for (size_t i = 0; !rc && i < n; i++) {
        char *dir = store_writer_dir(root, dead[i]);
        if (dir)
            store_writer_remove(dir);
        mem_free(dir);
    }
    mem_free(path);
    mem_free(base);
    mem_free(dead);
    return rc;
}

/* The lines of <dir>/run. Untrusted. */
static void read_peer(const char *dir, struct store_peer *p)
{
    struct buf b;
    struct err why;
    char *path = path_join(dir, STORE_RUN);
    *p = (struct store_peer){0};
    if (path && file_read(path, 4096, &b, &why) == OK &&
        buf_puts(&b, "", &why) == OK) {
        char *into[] = {p->recipe, p->run, p->pid};
        const size_t room[] = {sizeof p->recipe, sizeof p->run, sizeof p->pid};
        const char *t = buf_str(&b);
        for (int i = 0; i < 3; i++) {
            size_t n = strcspn(t, "\n");
            snprintf(into[i], room[i], "%.*s", (int)n, t);
            t += n + (t[n] == '\n');
        }
        buf_free(&b);
    }
    mem_free(path);
}

enum err_code store_peers(const char *root,
                          bool (*other)(void *arg, const struct store_peer *p),
                          void *arg, struct store_peer *out, bool *found,
                          struct err *e)
{
    int64_t *numbers = NULL;
    size_t n;
    *found = false;
    enum err_code rc = store_writers(root, &numbers, &n, e);
    for (size_t i = 0; !rc && !*found && i < n; i++) {
        char *dir = store_writer_dir(root, numbers[i]);
        if (!dir)
            rc = err_set(e, ERR_NOMEM, "no memory for a path");
        if (dir && writer_lives(dir)) {
            read_peer(dir, out);
            *found = other(arg, out);
        }
        mem_free(dir);
    }
    mem_free(numbers);
    return rc;
}
