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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "facet-"
#define LOCK "lock"
#define MAX_BASE 48
#define YOUNG_S 30 /* a folder without a lock may be being made just now */

/* Where run folders go: short enough, a folder, and ours. */
static const char *base_dir(void)
{
    const char *s = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    if (s && s[0] == '/' && strlen(s) <= MAX_BASE && stat(s, &st) == 0 &&
        S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
        access(s, W_OK | X_OK) == 0)
        return s;
    return "/tmp";
}

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
        int lock = openat(fd, LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        bool old = time(NULL) - st.st_mtime > YOUNG_S;
        if (lock >= 0) /* young and free: its runner may be about to lock it */
            stale = flock(lock, LOCK_EX | LOCK_NB) == 0 &&
                    (old || fstat(lock, &st) != 0 || st.st_size > 0);
        else
            stale = errno == ENOENT && old;
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

enum err_code rundir_new(struct rundir *d, struct err *e)
{
    const char *base = base_dir();
    char path[96];
    sweep(base);
    snprintf(d->path, sizeof d->path, "%s/" PREFIX "XXXXXX", base);
    if (!mkdtemp(d->path)) /* mode 0700 */
        return err_errno(e, ERR_IO, errno, "cannot make a folder in '%s'",
                         base);
    snprintf(path, sizeof path, "%s/" LOCK, d->path);
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    /* The size says that the lock was taken once: from then on a free lock
     * means a dead runner. */
    if (d->lock_fd < 0 || flock(d->lock_fd, LOCK_EX | LOCK_NB) ||
        write(d->lock_fd, "1", 1) != 1) {
        enum err_code rc =
            err_errno(e, ERR_IO, errno, "cannot lock '%s'", path);
        rundir_free(d);
        return rc;
    }
    return OK;
}

void rundir_free(struct rundir *d)
{
    if (!d->path[0])
        return;
    int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        remove_folder(AT_FDCWD, d->path, fd);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    d->path[0] = 0;
}
