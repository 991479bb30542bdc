/* Files that appear whole or not at all, folders, reading with a cap. */
#ifndef FACET_BASE_FILE_H
#define FACET_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Read a whole file into b (initialised by the callee with cap max). */
enum err_code file_read(const char *path, size_t max, struct buf *b,
                        struct err *e) MUST_USE;
/* Write through a temporary in the same folder (name starting with ".tmp-"),
 * fsync, rename, fsync the folder: afterwards path holds the new bytes, and
 * at no moment part of them. Missing parent folders are made. */
enum err_code file_write_atomic(const char *path, const void *data, size_t n,
                                struct err *e) MUST_USE;
/* The same piece by piece, for what is too large to stand in memory twice:
 * open, any number of puts, close, which publishes the file where so_far is OK
 * and else removes what was written. A failed open needs no close. close
 * returns so_far or its own failure. */
struct file_atomic {
    int fd;
    const char *path; /* the caller's, until close */
    char *tmp;
};
enum err_code file_atomic_open(struct file_atomic *f, const char *path,
                               struct err *e) MUST_USE;
enum err_code file_atomic_put(struct file_atomic *f, const void *data, size_t n,
                              struct err *e) MUST_USE;
enum err_code file_atomic_close(struct file_atomic *f, enum err_code so_far,
                                struct err *e) MUST_USE;
/* "<folder>/.tmp-<name>-": how names of files begin that will be renamed to
 * path, new memory. A long name is stood for by its hash, so that any name that
 * a file may have (255 bytes) can be written this way. NULL: no memory. */
char *file_temporary_stem(const char *path) MUST_USE;
/* Remove what killed writers of this path have left behind; there may be no
 * such writer at work. */
enum err_code file_remove_temporaries(const char *path, struct err *e) MUST_USE;
/* Write all of data to fd and fdatasync it; path is for the error's text. */
enum err_code file_write_synced(int fd, const char *path, const void *data,
                                size_t n, struct err *e) MUST_USE;
/* fsync a file, or a folder (so that names in it last). */
enum err_code file_sync(const char *path, struct err *e) MUST_USE;
/* Rename tmp (already synced) to path and sync path's folder. */
enum err_code file_publish(const char *tmp, const char *path,
                           struct err *e) MUST_USE;
/* Open (making it if need be) and lock a file against other processes,
 * waiting for them; *fd is the caller's, close() gives the lock back. -1 on
 * failure. */
enum err_code file_lock(const char *path, int *fd, struct err *e) MUST_USE;
/* flock(fd, op), or where the file system knows no flock, an fcntl lock of the
 * open file, which has the same meaning (LOCK_EX then needs a file open for
 * writing). errno on failure: EWOULDBLOCK with LOCK_NB where another holds it.
 */
int file_flock(int fd, int op) MUST_USE;
/* The error of a lock that failed with `why`, for errno: says what to do where
 * the file system has no locks. */
enum err_code file_lock_error(const char *path, int why,
                              struct err *e) MUST_USE;
/* mkdir -p. */
enum err_code file_mkdirs(const char *path, struct err *e) MUST_USE;
bool file_exists(const char *path);
bool file_is_dir(const char *path);
/* a + "/" + b in new memory (no doubled slash; b alone if a is ""). */
char *path_join(const char *a, const char *b) MUST_USE;
/* The path with a "~" or "~/" at its beginning replaced by HOME, as a shell
 * would; new memory. ERR_ARG: HOME is not set. */
enum err_code path_expand(const char *path, char **out, struct err *e) MUST_USE;
/* The part after the last '/', inside path. */
const char *path_base(const char *path);
/* Lower-case extension without the dot, "" if none; at most 15 chars. */
void path_ext(const char *path, char out[16]);

/* What a walk met and could not take: a folder that cannot be opened or read, a
 * file that cannot be looked at, a link to nothing or in a circle, a pipe, a
 * socket, a device, a path too long for the system (PATH_MAX). */
enum file_bad_kind {
    FILE_BAD_FILE,    /* all that is missed is what its name says */
    FILE_BAD_UNKNOWN, /* a link to nothing, say: it may have been a folder */
    FILE_BAD_FOLDER   /* any number of files */
};
struct file_bad {
    char *path;         /* below root; "." for root itself. Any bytes but NUL */
    char *why;          /* "cannot open folder 'x': Permission denied" */
    enum err_code code; /* ERR_IO, ERR_NOTFOUND: a link to nothing,
                           ERR_UNSUPPORTED: no file */
    enum file_bad_kind kind;
};

/* file_walk: every regular file below root, at any depth, links followed. */
struct file_list {
    char **names; /* paths below root, sorted by their bytes */
    size_t n;
    struct file_bad *bad; /* sorted in the same way */
    size_t n_bad;
    size_t hidden; /* files and folders whose name begins with '.', but .facet:
                      not met */
    size_t loops;  /* links to a folder that they stand in: not followed */
};

/* What cannot be taken is noted in `bad`, and the walk goes on; an error means
 * that there is no list: no root (ERR_NOTFOUND), root cannot be opened
 * (ERR_IO), more than max_files (ERR_DATA), no memory. One folder is open at a
 * time, and nothing recurses. */
enum err_code file_walk(const char *root, size_t max_files,
                        struct file_list *out, struct err *e) MUST_USE;
void file_list_free(struct file_list *l);
/* For a list that must be whole: the first of `bad` as an error. */
enum err_code file_list_whole(const struct file_list *l,
                              struct err *e) MUST_USE;

#endif
