/* Writing a sample store: lock, writer's folder, journal, settings. */
#include "lib/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/store/scan.h"
#include "lib/store/settings.h"
#include "lib/store/store_files.h"
#include "lib/store/writers.h"

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
    struct store_files files;
    struct store_settled settled; /* what we come from, what was there */
    struct store_claims claims;
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

/* Write the format file: the version that this program writes. */
static enum err_code write_format(const char *path, const char *layout,
                                  struct err *e)
{
    char *text = mem_printf("facet-store 2\n%s\n", layout);
    enum err_code rc = text ? OK : err_set(e, ERR_NOMEM, "no memory");
    if (!rc) /* of a killed writer; the lock is held */
        rc = file_remove_temporaries(path, e);
    if (!rc)
        rc = file_write_atomic(path, text, strlen(text), e);
    mem_free(text);
    return rc;
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
        rc = !layout ? err_set(e, ERR_NOTFOUND, "'%s' is no store", root)
                     : write_format(path, layout, e);
        if (rc) {
            mem_free(path);
            return rc;
        }
    }
    rc = file_read(path, FORMAT_MAX, &b, e);
    const char *said = NULL;
    bool old = false;
    if (!rc) {
        const char *text = buf_puts(&b, "", e) ? "" : buf_str(&b);
        for (size_t i = 0; i < 2 * (sizeof layouts / sizeof *layouts); i++) {
            char want[64];
            snprintf(want, sizeof want, "facet-store %zu\n%s\n", 1 + i % 2,
                     layouts[i / 2]);
            if (strcmp(text, want) == 0) {
                said = layouts[i / 2];
                *out = (enum store_layout)(i / 2);
                old = i % 2 == 0;
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
    /* Rows get more columns from now on: older programs must not take them
     * for damaged ones. */
    if (!rc && old)
        rc = write_format(path, said, e);
    buf_free(&b);
    mem_free(path);
    return rc;
}

/* Room for the rows of what fails because the disk is full. Where the file
 * system cannot promise it there is none. */
static void reserve_rows(const struct store *s)
{
    (void)!fallocate(s->journal, FALLOC_FL_KEEP_SIZE, 0, RESERVE);
}

/* Annotated pictures have an index.csv of their own. */
static enum err_code check_annotated(const char *root, struct err *e)
{
    char *path = path_join(root, STORE_ANNOTATED);
    enum err_code rc =
        path ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc && file_is_dir(path))
        rc = err_set(e, ERR_ARG,
                     "'%s' holds annotated pictures (annotation-writer), whose "
                     "index.csv a store would replace: choose another folder",
                     root);
    mem_free(path);
    return rc;
}

/* Make this writer's folder and its locked journal; the store's lock is
 * held, so nobody takes the folder for a dead writer's in between. */
static enum err_code start_writer(struct store *s, struct err *e)
{
    s->dir = store_writer_dir(s->root, s->number);
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
    s->files.root = s->root;
    s->files.dir = s->dir;
    return store_settled_sign(&s->settled, s->dir, e);
}

enum err_code store_open(const char *root, enum store_layout layout,
                         const struct store_settings *set, struct store **out,
                         struct err *e)
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
        rc = check_annotated(root, e);
    if (!rc)
        rc = check_format(root, layouts[layout], &said, e);
    if (!rc)
        rc = store_reap(root, layout, &s->number, e);
    if (!rc)
        rc = store_settled_open(&s->settled, root, set, e);
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
        rc = store_reap(root, said, &highest, e);
    close(lock);
    return rc;
}

static bool anybody(void *arg, const struct store_peer *p)
{
    (void)arg;
    (void)p;
    return true;
}

/* Take the rows away whose files do not match; nobody may be writing. */
static enum err_code mend_store(const char *root, struct err *e)
{
    struct err why = {0};
    struct store_peer p;
    bool found = false;
    enum store_layout said = STORE_PAIRS;
    int lock = lock_store(root, &why);
    if (lock < 0)
        return err_set(e, why.code, "%s", why.text);
    enum err_code rc = check_format(root, NULL, &said, e);
    if (!rc)
        rc = store_peers(root, anybody, NULL, &p, &found, e);
    if (!rc && found)
        rc = err_set(e, ERR_STATE, "a run is writing to '%s' (process %s)",
                     root, p.pid);
    if (!rc)
        rc = store_merge(root, said, STORE_CHECK_ALL, NULL, e);
    close(lock);
    return rc;
}

static enum err_code verify_row(const char *root, const struct store_row *r,
                                void (*bad)(void *arg, const char *path),
                                void *arg, struct store_verified *out,
                                struct err *e)
{
    out->rows++;
    for (int f = 0; f < STORE_FILES; f++) {
        const char *rel = r->v[store_file_cols[f]];
        const char *sum = r->v[store_sum_cols[f]];
        if (!*rel)
            continue;
        char *path = path_join(root, rel);
        if (!path)
            return err_set(e, ERR_NOMEM, "no memory for a path");
        out->files++;
        out->unknown += !*sum;
        if (*sum && !store_sum_matches(path, sum)) {
            out->bad++;
            bad(arg, path);
        }
        mem_free(path);
    }
    return OK;
}

enum err_code store_verify(const char *root, bool mend,
                           void (*bad)(void *arg, const char *path), void *arg,
                           struct store_verified *out, struct err *e)
{
    struct store_scan *scan = NULL;
    *out = (struct store_verified){0};
    char *dir = path_join(root, STORE_DIR);
    char *index = path_join(root, "index.csv");
    enum err_code rc =
        dir && index ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc && !file_is_dir(dir) && !file_exists(index))
        rc = err_set(e, ERR_NOTFOUND, "'%s' is no store", root);
    if (!rc && mend)
        rc = store_recover(root, e);
    if (!rc)
        rc = store_scan_open(root, &scan, e);
    while (!rc) {
        const struct store_group *g;
        rc = store_scan_next(scan, &g, e);
        if (rc || !g)
            break;
        for (size_t i = 0; i < g->n && !rc; i++)
            rc = verify_row(root, &g->rows[i], bad, arg, out, e);
    }
    store_scan_close(&scan);
    if (!rc && mend && out->bad)
        rc = mend_store(root, e);
    mem_free(dir);
    mem_free(index);
    return rc;
}

const struct store_before *store_before(const struct store *s)
{
    return &s->settled.before;
}

const char *store_recipe(const struct store *s)
{
    return s->settled.recipe;
}

bool store_ours(const struct store *s, const char *recipe)
{
    return store_settled_ours(&s->settled, recipe);
}

enum err_code store_put(struct store *s, const char *rel, const void *data,
                        size_t n, bool again, char sum[STORE_SUM],
                        enum store_put_how *how, struct err *e)
{
    return store_files_put(&s->files, rel, data, n, again, sum, how, e);
}

void store_unput(struct store *s)
{
    store_files_drop(&s->files);
}

enum err_code store_claim(struct store *s, const char *what, const char *owner,
                          bool *again, struct err *e)
{
    return store_claims_add(&s->claims, what, owner, again, e);
}

bool store_has(const struct store *s, const char *rel)
{
    char *path = path_join(s->root, rel);
    struct stat st;
    bool has = path && stat(path, &st) == 0 && S_ISREG(st.st_mode);
    mem_free(path);
    return has;
}

/* Rows of other settings than ours, of the whole store. */
static size_t count_others(struct store *s)
{
    struct store_settled now = s->settled;
    struct err ignored;
    now.before = (struct store_before){0};
    return store_settled_count(&now, s->root, &ignored) ? 0 : now.before.others;
}

/* Merge all rows and drop our own, which are then in the base. */
static enum err_code merge_own(struct store *s, bool more,
                               struct store_totals *totals, struct err *e)
{
    struct err why = {0};
    int lock = lock_store(s->root, &why);
    if (lock < 0)
        return err_set(e, why.code, "%s", why.text);
    enum err_code rc = store_files_settle(&s->files, e);
    if (!rc)
        rc = store_merge(s->root, s->layout, STORE_CHECK_NONE, totals, e);
    if (!rc && totals)
        totals->others = count_others(s);
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
        store_writer_remove(s->dir);
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
    struct store_row r = *row;
    r.v[COL_RECIPE] = s->settled.recipe;
    buf_init(&b, 4 * STORE_LINE_MAX);
    enum err_code rc = store_files_ready(&s->files, e);
    if (!rc)
        rc = store_row_encode(&r, &b, e);
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
    if (rc)
        store_files_drop(&s->files);
    else
        rc = store_files_publish(&s->files, e);
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
        if (s->journal_size == 0 && s->dir)
            store_writer_remove(s->dir);
    }
    store_files_free(&s->files);
    store_settled_free(&s->settled);
    mem_free(s->claims.slots);
    mem_free(s->journal_path);
    mem_free(s->dir);
    mem_free(s->root);
    mem_free(s);
}
