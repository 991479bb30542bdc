/* Files that appear whole or not at all, folders, reading with a cap. */
#include "lib/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define LONG_NAME 200 /* bytes: with what is added it stays below 255 */

enum err_code file_read(const char *path, size_t max, struct buf *b,
                        struct err *e)
{
    buf_init(b, max);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
                         "cannot open '%s'", path);
    enum err_code rc = OK;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        rc = err_set(e, ERR_IO, "'%s' is a folder", path);
    else if (st.st_size > 0 && (size_t)st.st_size > max)
        rc = err_set(e, ERR_DATA, "'%s' has %lld bytes, more than %zu", path,
                     (long long)st.st_size, max);
    size_t step = st.st_size > 0 ? (size_t)st.st_size : 65536;
    while (!rc) {
        size_t room = max - b->len;
        if (room == 0) { /* full: is there more? */
            char extra;
            if (read(fd, &extra, 1) == 1)
                rc = err_set(e, ERR_DATA, "'%s' has more than %zu bytes", path,
                             max);
            break;
        }
        size_t want = step < room ? step : room;
        void *p = buf_reserve(b, want, e);
        if (!p) {
            rc = e ? err_wrap(e, "'%s'", path) : ERR_NOMEM;
            break;
        }
        ssize_t got = read(fd, p, want);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = err_errno(e, ERR_IO, errno, "cannot read '%s'", path);
        if (got <= 0)
            break;
        b->len += (size_t)got;
        step = 65536;
    }
    close(fd);
    if (rc)
        buf_free(b);
    return rc;
}

enum err_code file_mkdirs(const char *path, struct err *e)
{
    char *p = mem_strdup(path);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code rc = OK;
    for (char *q = p + (*p == '/');; q++) {
        if (*q && *q != '/')
            continue;
        char c = *q;
        *q = 0;
        if (*p && mkdir(p, 0777) != 0 && errno != EEXIST) {
            rc = err_errno(e, ERR_IO, errno, "cannot make folder '%s'", p);
            break;
        }
        *q = c;
        if (!c)
            break;
    }
    mem_free(p);
    if (!rc && *path && !file_is_dir(path))
        rc = err_set(e, ERR_IO, "'%s' is not a folder", path);
    return rc;
}

/* The folder part of path in new memory ("." if there is none). */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_strdup(".");
    return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static enum err_code write_all(int fd, const char *path, const void *data,
                               size_t n, struct err *e)
{
    const char *p = data;
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return err_errno(e, ERR_IO, errno, "cannot write '%s'", path);
        p += w;
        n -= (size_t)w;
    }
    return OK;
}

enum err_code file_write_synced(int fd, const char *path, const void *data,
                                size_t n, struct err *e)
{
    enum err_code rc = write_all(fd, path, data, n, e);
    if (!rc && fdatasync(fd) != 0)
        rc = err_errno(e, ERR_IO, errno, "cannot sync '%s'", path);
    return rc;
}

enum err_code file_sync(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot open '%s'", path);
    enum err_code rc = OK;
    /* Some file systems cannot sync a folder (EINVAL); a rename in it is then
     * as durable as they make it. */
    if (fsync(fd) != 0 && errno != EINVAL)
        rc = err_errno(e, ERR_IO, errno, "cannot sync '%s'", path);
    close(fd);
    return rc;
}

enum err_code file_publish(const char *tmp, const char *path, struct err *e)
{
    char *dir = folder_of(path);
    if (!dir)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code rc = OK;
    if (rename(tmp, path) != 0)
        rc = err_errno(e, ERR_IO, errno, "cannot rename '%s' to '%s'", tmp,
                       path);
    if (!rc)
        rc = file_sync(dir, e);
    mem_free(dir);
    return rc;
}

static bool no_locks(int why)
{
    return why == ENOLCK || why == ENOSYS || why == EOPNOTSUPP;
}

int file_flock(int fd, int op)
{
    int rc = flock(fd, op);
    if (rc == 0 || !no_locks(errno))
        return rc;
    struct flock l = {.l_type = op & LOCK_EX   ? F_WRLCK
                                : op & LOCK_SH ? F_RDLCK
                                               : F_UNLCK,
                      .l_whence = SEEK_SET};
    rc = fcntl(fd, op & LOCK_NB ? F_OFD_SETLK : F_OFD_SETLKW, &l);
    if (rc != 0 && errno == EACCES)
        errno = EWOULDBLOCK;
    return rc;
}

enum err_code file_lock_error(const char *path, int why, struct err *e)
{
    if (!no_locks(why))
        return err_errno(e, ERR_IO, why, "cannot lock '%s'", path);
    return err_set(e, ERR_IO,
                   "cannot lock '%s': this file system has no locks (%s): "
                   "choose a folder on a local disk and copy it there when the "
                   "run is over",
                   path, strerror(why));
}

enum err_code file_lock(const char *path, int *fd, struct err *e)
{
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot open '%s'", path);
    while (file_flock(*fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        enum err_code rc = file_lock_error(path, errno, e);
        close(*fd);
        *fd = -1;
        return rc;
    }
    return OK;
}

char *file_temporary_stem(const char *path)
{
    const char *base = path_base(path);
    int folder = (int)(base - path);
    if (strlen(base) <= LONG_NAME)
        return mem_printf("%.*s.tmp-%s-", folder, path, base);
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (const char *p = base; *p; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
    return mem_printf("%.*s.tmp-%016llx-", folder, path, (unsigned long long)h);
}

enum err_code file_atomic_open(struct file_atomic *f, const char *path,
                               struct err *e)
{
    enum err_code rc = OK;
    char *dir = folder_of(path);
    *f = (struct file_atomic){.fd = -1, .path = path};
    char *stem = dir ? file_temporary_stem(path) : NULL;
    if (stem)
        f->tmp = mem_printf("%sXXXXXX", stem);
    mem_free(stem);
    if (!f->tmp)
        rc = err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc)
        rc = file_mkdirs(dir, e);
    if (!rc) {
        f->fd = mkostemp(f->tmp, O_CLOEXEC);
        if (f->fd < 0)
            rc = err_errno(e, ERR_IO, errno, "cannot make a file in '%s'", dir);
    }
    if (f->fd >= 0) { /* mkstemp gives 0600; files get the usual mode */
        mode_t mask = umask(0);
        umask(mask);
        if (fchmod(f->fd, 0666 & ~mask) != 0)
            rc = err_errno(e, ERR_IO, errno, "cannot chmod '%s'", f->tmp);
    }
    mem_free(dir);
    return rc ? file_atomic_close(f, rc, e) : OK;
}

enum err_code file_atomic_put(struct file_atomic *f, const void *data, size_t n,
                              struct err *e)
{
    return write_all(f->fd, f->path, data, n, e);
}

enum err_code file_atomic_close(struct file_atomic *f, enum err_code so_far,
                                struct err *e)
{
    enum err_code rc = so_far;
    if (!rc && fdatasync(f->fd) != 0)
        rc = err_errno(e, ERR_IO, errno, "cannot sync '%s'", f->path);
    if (f->fd >= 0 && close(f->fd) != 0 && !rc)
        rc = err_errno(e, ERR_IO, errno, "cannot close '%s'", f->path);
    if (!rc)
        rc = file_publish(f->tmp, f->path, e);
    if (rc && f->fd >= 0)
        unlink(f->tmp); /* no-op where the rename was done */
    mem_free(f->tmp);
    *f = (struct file_atomic){.fd = -1};
    return rc;
}

enum err_code file_write_atomic(const char *path, const void *data, size_t n,
                                struct err *e)
{
    struct file_atomic f;
    enum err_code rc = file_atomic_open(&f, path, e);
    if (rc)
        return rc;
    rc = file_atomic_put(&f, data, n, e);
    return file_atomic_close(&f, rc, e);
}

/* ".tmp-<name>-" and six more: what file_atomic_open makes. */
static bool is_temporary(const char *name, const char *stem)
{
    size_t n = strlen(stem);
    return strncmp(name, stem, n) == 0 && strlen(name) == n + 6;
}

enum err_code file_remove_temporaries(const char *path, struct err *e)
{
    enum err_code rc = OK;
    DIR *d = NULL;
    char *dir = folder_of(path);
    char *whole = file_temporary_stem(path);
    const char *stem = whole ? path_base(whole) : "";
    if (!dir || !whole) {
        rc = err_set(e, ERR_NOMEM, "no memory for a path");
        goto out;
    }
    d = opendir(dir);
    if (!d && errno != ENOENT)
        rc = err_errno(e, ERR_IO, errno, "cannot open folder '%s'", dir);
    while (d && !rc) {
        errno = 0;
        struct dirent *x = readdir(d);
        if (!x && errno)
            rc = err_errno(e, ERR_IO, errno, "cannot read folder '%s'", dir);
        if (!x)
            break;
        if (is_temporary(x->d_name, stem) &&
            unlinkat(dirfd(d), x->d_name, 0) != 0 && errno != ENOENT)
            rc = err_errno(e, ERR_IO, errno, "cannot remove '%s/%s'", dir,
                           x->d_name);
    }
out:
    if (d)
        closedir(d);
    mem_free(whole);
    mem_free(dir);
    return rc;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum err_code path_expand(const char *path, char **out, struct err *e)
{
    const char *home = "", *rest = path;
    if (path[0] == '~' && (!path[1] || path[1] == '/')) {
        home = getenv("HOME");
        rest = path + 1;
        if (!home || !*home)
            return err_set(e, ERR_ARG, "'%.200s': HOME is not set", path);
    }
    *out = mem_printf("%s%s", home, rest);
    return *out ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
}

char *path_join(const char *a, const char *b)
{
    if (!*a)
        return mem_strdup(b);
    size_t n = strlen(a);
    return mem_printf("%s%s%s", a, a[n - 1] == '/' ? "" : "/", b);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void path_ext(const char *path, char out[16])
{
    const char *base = path_base(path);
    const char *dot = strrchr(base, '.');
    size_t n = 0;
    if (dot && dot != base && strlen(dot + 1) < 16)
        for (const char *p = dot + 1; *p; p++) {
            char c = *p;
            out[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
    out[n] = 0;
}
