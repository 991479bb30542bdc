/* Writing a sample store: lock, writer's folder, files, journal. */
#include "lib/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/store/scan.h"

#define FORMAT_MAX 4096
#define JOURNAL_ROLL ((off_t)16 << 20) /* merged at this size */
#define RESERVE ((off_t)256 << 10)     /* of a journal, for a full disk */
#define PART_MAX 255                   /* NAME_MAX of usual file systems */

struct store {
    char *root;
    enum store_layout layout;
    int64_t number; /* of this writer */
    char *dir;      /* its folder */
    char *journal_path;
    int journal;        /* fd, locked: says that we live */
    off_t journal_size; /* bytes of whole rows */
    uint64_t tmp;
};

static const char *const layouts[] = {"pairs", "views", "identity"};

const char *store_layout_name(enum store_layout l)
{
    return layouts[l];
}

enum err_code store_check_path(const char *s, const char *what, int depth,
                               struct err *e)
{
    const char *why = NULL;
    int parts = 1;
    if (!*s)
        return err_set(e, ERR_DATA, "the %s is empty", what);
    if (!text_is_utf8(s, strlen(s)))
        return err_set(e, ERR_DATA, "the %s is not UTF-8", what);
    for (const char *p = s; !why; parts++) {
        size_t n = strcspn(p, "/");
        if (n == 0)
            why = p == s ? "is absolute" : "has an empty part";
        else if (n > PART_MAX)
            why = "has a part of more than 255 bytes";
        else if (p[0] == '.')
            why = "has a part that begins with '.'";
        for (size_t i = 0; i < n && !why; i++)
            if ((uint8_t)p[i] < 0x20 || p[i] == 0x7f)
                why = "holds a control character";
        if (!p[n])
            break;
        p += n + 1;
    }
    if (!why && parts > depth)
        why = "has too many parts";
    if (!why)
        return OK;
    return err_set(e, ERR_DATA, "the %s '%.200s' %s", what, s, why);
}

/* Take the store's lock; -1 on failure. Closing gives it back. */
static int lock_store(const char *root, struct err *e)
{
    char *path = path_join(root, STORE_LOCK);
    if (!path) {
        err_set(e, ERR_NOMEM, "no memory for a path");
        return -1;
    }
    int fd;
    if (file_lock(path, &fd, e))
        fd = -1;
    mem_free(path);
    return fd;
}

/* Check the format file against layout, or write it. out: what it says. */
static enum err_code check_format(const char *root, const char *layout,
                                  enum store_layout *out, struct err *e)
{
    char *path = path_join(root, STORE_DIR "/format");
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    struct buf b = {0};
    enum err_code rc;
    if (!file_exists(path)) {
        rc = !layout ? err_set(e, ERR_NOTFOUND, "'%s' is no store", root) : OK;
        char *text = rc ? NULL : mem_printf("facet-store 1\n%s\n", layout);
        if (!rc)
            rc = text ? file_write_atomic(path, text, strlen(text), e)
                      : err_set(e, ERR_NOMEM, "no memory");
        mem_free(text);
    }
    rc = file_read(path, FORMAT_MAX, &b, e);
    const char *said = NULL;
    if (!rc) {
        const char *text = buf_puts(&b, "", e) ? "" : buf_str(&b);
        for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
            char want[64];
            snprintf(want, sizeof want, "facet-store 1\n%s\n", layouts[i]);
            if (strcmp(text, want) == 0) {
                said = layouts[i];
                *out = (enum store_layout)i;
            }
        }
        if (!said)
            rc = err_set(e, ERR_DATA,
                         "'%s' is of an unknown version or "
                         "damaged",
                         path);
        else if (layout && strcmp(said, layout) != 0)
            rc = err_set(e, ERR_ARG,
                         "'%s' holds a store of layout '%s', not "
                         "'%s': choose another folder",
                         root, said, layout);
    }
    buf_free(&b);
    mem_free(path);
    return rc;
}

/* Remove a writer's folder with its files (no folders stand in it). */
static void remove_writer(const char *dir)
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

static char *writer_dir(const char *root, int64_t number)
{
    return mem_printf("%s/" STORE_DIR "/" STORE_WRITER "%lld", root,
                      (long long)number);
}

/* Does its process live? It holds its journal's lock while it does. */
static bool writer_lives(const char *dir)
{
    char *path = path_join(dir, STORE_JOURNAL);
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
        char *dir = writer_dir(root, number);
        if (!dir)
            return err_set(e, ERR_NOMEM, "no memory for a path");
        if (!writer_lives(dir))
            (*dead)[(*n)++] = number;
        *highest = number > *highest ? number : *highest;
        mem_free(dir);
    }
    return rc;
}

/* Merge and remove what dead writers left; the lock is held. Only those found
 * dead before the merge are removed after it. */
static enum err_code reap(const char *root, enum store_layout layout,
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
    if (!rc && (n || !index))
        rc = store_merge(root, layout, NULL, e);
    for (size_t i = 0; !rc && i < n; i++) {
        char *dir = writer_dir(root, dead[i]);
        if (dir)
            remove_writer(dir);
        mem_free(dir);
    }
    mem_free(path);
    mem_free(base);
    mem_free(dead);
    return rc;
}

/* Room for the rows of what fails because the disk is full. Where the file
 * system cannot promise it there is none. */
static void reserve_rows(const struct store *s)
{
    (void)!fallocate(s->journal, FALLOC_FL_KEEP_SIZE, 0, RESERVE);
}

/* Make this writer's folder and its locked journal; the store's lock is
 * held, so nobody takes the folder for a dead writer's in between. */
static enum err_code start_writer(struct store *s, struct err *e)
{
    s->dir = writer_dir(s->root, s->number);
    s->journal_path = s->dir ? path_join(s->dir, STORE_JOURNAL) : NULL;
    if (!s->journal_path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code rc = file_mkdirs(s->dir, e);
    if (rc)
        return rc;
    s->journal =
        open(s->journal_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (s->journal < 0)
        return err_errno(e, ERR_IO, errno, "cannot make '%s'", s->journal_path);
    if (file_flock(s->journal, LOCK_EX | LOCK_NB) != 0)
        return file_lock_error(s->journal_path, errno, e);
    s->journal_size = 0;
    reserve_rows(s);
    return OK;
}

enum err_code store_open(const char *root, enum store_layout layout,
                         struct store **out, struct err *e)
{
    *out = NULL;
    struct store *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a store");
    s->journal = -1;
    s->layout = layout;
    s->root = mem_strdup(root);
    int lock = -1;
    char *dir = path_join(root, STORE_DIR);
    enum err_code rc =
        s->root && dir ? OK : err_set(e, ERR_NOMEM, "no memory for a store");
    if (!rc && !*root)
        rc = err_set(e, ERR_ARG, "the store's root is empty");
    if (!rc)
        rc = file_mkdirs(dir, e);
    if (!rc) {
        struct err why = {0};
        lock = lock_store(root, &why);
        if (lock < 0)
            rc = err_set(e, why.code, "%s", why.text);
    }
    enum store_layout said;
    if (!rc)
        rc = check_format(root, layouts[layout], &said, e);
    if (!rc)
        rc = reap(root, layout, &s->number, e);
    s->number++;
    if (!rc)
        rc = start_writer(s, e);
    if (lock >= 0)
        close(lock);
    mem_free(dir);
    if (rc)
        store_close(&s);
    *out = s;
    return rc;
}

enum err_code store_recover(const char *root, struct err *e)
{
    char *dir = path_join(root, STORE_DIR "/format");
    if (!dir)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    bool there = file_exists(dir);
    mem_free(dir);
    if (!there)
        return OK;
    struct err why = {0};
    int lock = lock_store(root, &why);
    if (lock < 0)
        return err_set(e, why.code, "%s", why.text);
    enum store_layout said = STORE_PAIRS;
    enum err_code rc = check_format(root, NULL, &said, e);
    int64_t highest = 0;
    if (!rc)
        rc = reap(root, said, &highest, e);
    close(lock);
    return rc;
}

/* Make the folder of rel below root; each new one is synced into its parent,
 * else a power cut could take a whole committed snippet. */
static enum err_code make_folders(const struct store *s, char *rel,
                                  struct err *e)
{
    enum err_code rc = OK;
    for (char *slash = strchr(rel, '/'); !rc && slash;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        char *dir = path_join(s->root, rel);
        if (!dir)
            rc = err_set(e, ERR_NOMEM, "no memory for a path");
        else if (mkdir(dir, 0777) == 0) {
            *strrchr(dir, '/') = 0;
            rc = file_sync(dir, e);
        } else if (errno != EEXIST)
            rc = err_errno(e, ERR_IO, errno, "cannot make folder '%s'", dir);
        mem_free(dir);
        *slash = '/';
    }
    return rc;
}

enum err_code store_write_via(const char *tmp, const char *path,
                              const void *data, size_t n, struct err *e)
{
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot write '%s'", path);
    enum err_code rc = file_write_synced(fd, path, data, n, e);
    if (close(fd) != 0 && !rc)
        rc = err_errno(e, ERR_IO, errno, "cannot close '%s'", path);
    if (!rc && rename(tmp, path) != 0)
        rc = err_errno(e, ERR_IO, errno, "cannot rename to '%s'", path);
    if (rc) {
        unlink(tmp);
        return rc;
    }
    const char *base = path_base(path);
    char *dir = base > path ? mem_strndup(path, (size_t)(base - path))
                            : mem_strdup(".");
    rc =
        dir ? file_sync(dir, e) : err_set(e, ERR_NOMEM, "no memory for a path");
    mem_free(dir);
    return rc;
}

enum err_code store_put(struct store *s, const char *rel, const void *data,
                        size_t n, struct err *e)
{
    enum err_code rc = store_check_path(rel, "stored file", STORE_PARTS, e);
    if (rc)
        return rc;
    char *part = mem_strdup(rel);
    char *path = path_join(s->root, rel);
    char *tmp = mem_printf("%s/t%llu", s->dir, (unsigned long long)s->tmp++);
    if (!part || !path || !tmp)
        rc = err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc)
        rc = make_folders(s, part, e);
    if (!rc)
        rc = store_write_via(tmp, path, data, n, e);
    mem_free(tmp);
    mem_free(path);
    mem_free(part);
    return rc;
}

bool store_has(const struct store *s, const char *rel)
{
    char *path = path_join(s->root, rel);
    struct stat st;
    bool has = path && stat(path, &st) == 0 && S_ISREG(st.st_mode);
    mem_free(path);
    return has;
}

/* Merge all rows and drop our own, which are then in the base. */
static enum err_code merge_own(struct store *s, bool more,
                               struct store_totals *totals, struct err *e)
{
    struct err why = {0};
    int lock = lock_store(s->root, &why);
    if (lock < 0)
        return err_set(e, why.code, "%s", why.text);
    enum err_code rc = store_merge(s->root, s->layout, totals, e);
    if (!rc && more) {
        if (ftruncate(s->journal, 0) != 0 || lseek(s->journal, 0, SEEK_SET))
            rc = err_errno(e, ERR_IO, errno, "cannot empty '%s'",
                           s->journal_path);
        else {
            s->journal_size = 0;
            reserve_rows(s);
        }
    } else if (!rc) {
        close(s->journal);
        s->journal = -1;
        remove_writer(s->dir);
    }
    close(lock);
    return rc;
}

enum err_code store_log(struct store *s, const struct store_row *row,
                        struct err *e)
{
    if (s->journal < 0)
        return err_set(e, ERR_STATE, "the store '%s' takes no more rows",
                       s->root);
    struct buf b;
    buf_init(&b, 4 * STORE_LINE_MAX);
    enum err_code rc = store_row_encode(row, &b, e);
    if (!rc) {
        rc = file_write_synced(s->journal, s->journal_path, b.data, b.len, e);
        if (!rc) {
            s->journal_size += (off_t)b.len;
        } else if (ftruncate(s->journal, s->journal_size) != 0 ||
                   lseek(s->journal, s->journal_size, SEEK_SET) < 0) {
            /* Half a row stands there and cannot be taken back: rows behind
             * it would be lost, so nothing more is accepted. */
            close(s->journal);
            s->journal = -1;
        }
    }
    buf_free(&b);
    if (!rc && s->journal_size >= JOURNAL_ROLL) {
        /* The row is committed; if merging fails now, it will be done later. */
        struct err ignored;
        if (merge_own(s, true, NULL, &ignored) != OK && s->journal < 0)
            rc = err_set(e, ignored.code, "%s", ignored.text);
    }
    return rc;
}

enum err_code store_finish(struct store *s, struct store_totals *totals,
                           struct err *e)
{
    if (s->journal < 0)
        return err_set(e, ERR_STATE, "the store '%s' takes no more rows",
                       s->root);
    return merge_own(s, false, totals, e);
}

void store_close(struct store **sp)
{
    struct store *s = *sp;
    if (!s)
        return;
    *sp = NULL;
    if (s->journal >= 0) {
        close(s->journal);
        /* An empty journal holds nothing that a later open should merge. */
        if (s->journal_size == 0)
            remove_writer(s->dir);
    }
    mem_free(s->journal_path);
    mem_free(s->dir);
    mem_free(s->root);
    mem_free(s);
}
