/* A sample's files on their way: written in the writer's folder, in their
 * places once their row is committed. */
#include "lib/store/store_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/data/hash.h"

/* Make the folder of rel below root; each new one is synced into its parent,
 * else a power cut could take a whole committed snippet. */
static enum err_code make_folders(const struct store_files *s, char *rel,
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
        } else if (errno != EEXIST || !file_is_dir(dir))
            rc = err_errno(e, ERR_IO, errno == EEXIST ? ENOTDIR : errno,
                           "cannot make folder '%s'", dir);
        mem_free(dir);
        *slash = '/';
    }
    return rc;
}

void store_pending_name(const char *rel, const char *sum, char name[33])
{
    char both[2][33];
    hash_bytes(rel, strlen(rel), both[0]);
    hash_bytes(sum, strlen(sum), both[1]);
    hash_bytes(both, sizeof both, name);
}

/* Write path, durable when it returns. */
static enum err_code write_synced(const char *path, const char *rel,
                                  const void *data, size_t n, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot write '%s'", rel);
    enum err_code rc = file_write_synced(fd, rel, data, n, e);
    if (close(fd) != 0 && !rc)
        rc = err_errno(e, ERR_IO, errno, "cannot close '%s'", rel);
    if (rc)
        unlink(path);
    return rc;
}

static enum err_code put_new(struct store_files *s, const char *rel,
                             const char *sum, const void *data, size_t n,
                             struct err *e)
{
    struct store_pending *p = &s->pending[s->n];
    char name[33];
    if (s->n == STORE_FILES)
        return err_set(e, ERR_ARG, "more than %d files of a sample",
                       STORE_FILES);
    p->rel = mem_strdup(rel);
    p->to = path_join(s->root, rel);
    store_pending_name(rel, sum, name);
    p->from = path_join(s->dir, name);
    enum err_code rc = p->rel && p->to && p->from
                           ? OK
                           : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc)
        rc = make_folders(s, p->rel, e);
    /* The rename comes after the commit: what would keep it is seen now. */
    if (!rc && file_is_dir(p->to))
        rc = err_errno(e, ERR_IO, EISDIR, "cannot write '%s'", p->to);
    if (!rc)
        rc = write_synced(p->from, rel, data, n, e);
    if (rc) {
        mem_free(p->rel);
        mem_free(p->to);
        mem_free(p->from);
        *p = (struct store_pending){0};
        return rc;
    }
    s->n++;
    return OK;
}

enum err_code store_files_put(struct store_files *s, const char *rel,
                              const void *data, size_t n, bool again,
                              char sum[STORE_SUM], enum store_put_how *how,
                              struct err *e)
{
    enum err_code rc = store_check_path(rel, "stored file", STORE_PARTS, e);
    if (!rc && s->committed)
        rc = store_files_publish(s, e);
    if (rc)
        return rc;
    store_sum(data, n, sum);
    char *path = path_join(s->root, rel);
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    *how = !file_exists(path)                       ? STORE_NEW
           : !again && store_sum_matches(path, sum) ? STORE_SAME
                                                    : STORE_CHANGED;
    mem_free(path);
    return *how == STORE_SAME ? OK : put_new(s, rel, sum, data, n, e);
}

enum err_code store_files_ready(struct store_files *s, struct err *e)
{
    enum err_code rc = s->committed ? store_files_publish(s, e) : OK;
    return rc || !s->n ? rc : file_sync(s->dir, e);
}

static void forget(struct store_files *s)
{
    for (size_t i = 0; i < s->n; i++) {
        mem_free(s->pending[i].rel);
        mem_free(s->pending[i].to);
        mem_free(s->pending[i].from);
    }
    s->n = 0;
    s->committed = false;
}

void store_files_drop(struct store_files *s)
{
    if (s->committed)
        return; /* they belong to a row */
    for (size_t i = 0; i < s->n; i++)
        unlink(s->pending[i].from);
    forget(s);
}

/* The folder of file i, if no file before it has the same one. */
static char *folder_once(const struct store_files *s, size_t i)
{
    const char *to = s->pending[i].to;
    size_t n = (size_t)(path_base(to) - to);
    for (size_t k = 0; k < i; k++) {
        const char *other = s->pending[k].to;
        if ((size_t)(path_base(other) - other) == n &&
            memcmp(other, to, n) == 0)
            return NULL;
    }
    return mem_strndup(to, n);
}

enum err_code store_files_publish(struct store_files *s, struct err *e)
{
    enum err_code rc = OK;
    s->committed = true;
    for (size_t i = 0; i < s->n && !rc; i++)
        if (rename(s->pending[i].from, s->pending[i].to) != 0 &&
            (errno != ENOENT || !file_exists(s->pending[i].to)))
            rc = err_errno(e, ERR_IO, errno, "cannot rename to '%s'",
                           s->pending[i].to);
    for (size_t i = 0; i < s->n && !rc; i++) {
        char *folder = folder_once(s, i);
        if (folder)
            rc = file_sync(folder, e);
        mem_free(folder);
    }
    if (!rc)
        forget(s);
    return rc;
}

enum err_code store_files_settle(struct store_files *s, struct err *e)
{
    store_files_drop(s);
    return s->committed ? store_files_publish(s, e) : OK;
}

void store_files_free(struct store_files *s)
{
    store_files_drop(s);
    forget(s);
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
