/* The private folder of a run. */
#include "lib/flow/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"

#define PREFIX "facet-"
#define LOCK "lock"
#define ROOM 65536 /* bytes there must be: a page a process, and sockets */
#define MARK "facet run\n" /* in a lock that was taken */

/* Remove a folder with plain files and sockets in it. dir_fd is taken over. */
static void remove_folder(int base_fd, const char *name, int dir_fd)
{
    DIR *d = fdopendir(dir_fd);
    if (!d) {
        close(dir_fd);
        return;
    }
    for (struct dirent *f; (f = readdir(d));)
        if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
            unlinkat(dir_fd, f->d_name, 0);
    closedir(d);
    unlinkat(base_fd, name, AT_REMOVEDIR);
}

/* Does the lock say that a runner took it once? Only then does a free one mean
 * a dead runner, and the folder is one of a run at all: "facet-photos" may be
 * anybody's. */
static bool is_marked(int lock)
{
    char text[sizeof MARK - 1];
    return pread(lock, text, sizeof text, 0) == sizeof text &&
           memcmp(text, MARK, sizeof text) == 0;
}

/* Locks are of two kinds (file_flock), and a runner may know only one of them:
 * none may be held. */
static bool is_free(int lock)
{
    struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return file_flock(lock, LOCK_EX | LOCK_NB) == 0 &&
           (fcntl(lock, F_OFD_GETLK, &other) != 0 || other.l_type == F_UNLCK);
}

/* Remove the folder if it is ours and its runner is dead. */
static void remove_stale(int base_fd, const char *name)
{
    struct stat st;
    int fd =
        openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    bool stale = false;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid()) {
        int lock =
            openat(fd, LOCK, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        stale = lock >= 0 && is_marked(lock) && is_free(lock);
        if (lock >= 0)
            close(lock);
    }
    if (stale)
        remove_folder(base_fd, name, fd);
    else
        close(fd);
}

static void sweep(const char *base)
{
    DIR *d = opendir(base);
    if (!d)
        return;
    for (struct dirent *f; (f = readdir(d));)
        if (strncmp(f->d_name, PREFIX, strlen(PREFIX)) == 0 &&
            strlen(f->d_name) == strlen(PREFIX) + 6)
            remove_stale(dirfd(d), f->d_name);
    closedir(d);
}

/* Is there room? A full disk shows here rather than in some process later. */
static enum err_code try_room(const struct rundir *d, struct err *e)
{
    static const char zeros[4096];
    char *path = mem_printf("%s/room", d->real);
    int fd =
        path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    enum err_code rc =
        path ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc && fd < 0)
        rc = err_errno(e, ERR_IO, errno, "cannot write in '%s'", d->real);
    for (size_t n = 0; !rc && n < ROOM; n += sizeof zeros)
        if (write(fd, zeros, sizeof zeros) != sizeof zeros)
            rc = err_errno(e, ERR_IO, errno, "cannot write in '%s'", d->real);
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    mem_free(path);
    return rc;
}

/* Can it hold sockets? Some file systems cannot (vfat, network shares). */
static enum err_code try_socket(const struct rundir *d, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum err_code rc = OK;
    snprintf(a.sun_path, sizeof a.sun_path, "%s/s", d->path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0)
        rc = err_errno(e, ERR_IO, errno, "cannot make a socket in '%s'",
                       d->real);
    else
        unlink(a.sun_path);
    if (fd >= 0)
        close(fd);
    return rc;
}

static enum err_code take_lock(struct rundir *d, struct err *e)
{
    char *path = mem_printf("%s/" LOCK, d->real);
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code rc = OK;
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        rc = err_errno(e, ERR_IO, errno, "cannot make '%s'", path);
    else if (file_flock(d->lock_fd, LOCK_EX | LOCK_NB))
        rc = file_lock_error(path, errno, e);
    if (!rc) {
        /* The other kind too, where there is one: see is_free. */
        struct flock both = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        (void)fcntl(d->lock_fd, F_OFD_SETLK, &both);
        if (write(d->lock_fd, MARK, sizeof MARK - 1) != sizeof MARK - 1)
            rc = err_errno(e, ERR_IO, errno, "cannot write '%s'", path);
    }
    mem_free(path);
    return rc;
}

/* A name that leaves room for a socket's behind it. */
static enum err_code name_shortly(struct rundir *d, struct err *e)
{
    if (strlen(d->real) < sizeof d->path) {
        memcpy(d->path, d->real, strlen(d->real) + 1);
        return OK;
    }
    d->dir_fd = open(d->real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dir_fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot open '%s'", d->real);
    snprintf(d->path, sizeof d->path, "/proc/%ld/fd/%d", (long)getpid(),
             d->dir_fd);
    return OK;
}

static enum err_code make_in(const char *base, struct rundir *d, struct err *e)
{
    *d = (struct rundir){.lock_fd = -1, .dir_fd = -1};
    sweep(base);
    d->real = mem_printf("%s/" PREFIX "XXXXXX", base);
    if (!d->real)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    if (!mkdtemp(d->real)) { /* mode 0700 */
        enum err_code rc =
            err_errno(e, ERR_IO, errno, "cannot make a folder in '%s'", base);
        mem_free(d->real);
        d->real = NULL;
        return rc;
    }
    enum err_code rc = take_lock(d, e);
    if (!rc)
        rc = name_shortly(d, e);
    if (!rc)
        rc = try_room(d, e);
    if (!rc)
        rc = try_socket(d, e);
    if (rc)
        rundir_free(d);
    return rc;
}

/* XDG_RUNTIME_DIR has to be ours: after su it often is another's. */
static enum err_code check_owner(const char *base, struct err *e)
{
    struct stat st;
    if (stat(base, &st) != 0)
        return err_errno(e, ERR_IO, errno, "'%s'", base);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_IO, "'%s' is not a folder", base);
    if (st.st_uid != geteuid())
        return err_set(e, ERR_IO, "'%s' belongs to another user", base);
    return OK;
}

enum err_code rundir_new(struct rundir *d, struct err *e)
{
    static const char *const variables[] = {"XDG_RUNTIME_DIR", "TMPDIR", NULL};
    char said[3][160] = {"", "", ""};
    *d = (struct rundir){.lock_fd = -1, .dir_fd = -1};
    for (size_t i = 0; i < 3; i++) {
        const char *base = variables[i] ? getenv(variables[i]) : "/tmp";
        struct err why = {0};
        if (!base || base[0] != '/')
            continue;
        enum err_code rc = i == 0 ? check_owner(base, &why) : OK;
        if (!rc)
            rc = make_in(base, d, &why);
        if (!rc)
            return OK;
        if (rc == ERR_NOMEM)
            return err_set(e, rc, "%s", why.text);
        snprintf(said[i], sizeof said[i], "%.150s; ", why.text);
    }
    return err_set(e, ERR_IO,
                   "no place for the run's own folder: %s%s%sset TMPDIR or "
                   "XDG_RUNTIME_DIR to a folder on a local disk that you can "
                   "write to",
                   said[0], said[1], said[2]);
}

void rundir_free(struct rundir *d)
{
    if (!d->real)
        return;
    int fd = open(d->real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        remove_folder(AT_FDCWD, d->real, fd);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    if (d->dir_fd >= 0)
        close(d->dir_fd);
    mem_free(d->real);
    *d = (struct rundir){.lock_fd = -1, .dir_fd = -1};
}
