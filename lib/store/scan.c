/* Reading a sample store: the sorted base is streamed and merged with the
 * journals' rows, sorted in memory. */
#include "lib/store/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/store/kin.h"

#define JOURNAL_MAX ((size_t)1 << 30)
#define INDEX_MAX ((size_t)2 << 30)

struct entry {
    struct store_row row;
    size_t order; /* of writing: later rows win */
    size_t age;   /* 0: as old as a base (an imported index) */
};

struct store_scan {
    FILE *base;
    char *root;
    char *line; /* the base's current line */
    struct store_row base_row;
    bool base_have;    /* base_row is the next one of the base */
    struct buf *texts; /* the journals' bytes, which entries point into */
    size_t n_texts;
    char ***csv; /* records of an imported index.csv */
    size_t n_csv, csv_cap;
    struct entry *entries;
    size_t n, cap, next;
    size_t damaged;
    struct store_group group;
    struct store_kin *kin;
};

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum err_code store_writers(const char *root, int64_t **out, size_t *n,
                            struct err *e)
{
    *out = NULL;
    *n = 0;
    char *dir = path_join(root, STORE_DIR);
    if (!dir)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code rc = OK;
    DIR *d = opendir(dir);
    if (!d && errno != ENOENT)
        rc = err_errno(e, ERR_IO, errno, "cannot open folder '%s'", dir);
    while (!rc && d) {
        int64_t number;
        errno = 0; /* a journal that is not seen would be rows lost */
        struct dirent *entry = readdir(d);
        if (!entry && errno)
            rc = err_errno(e, ERR_IO, errno, "cannot read folder '%s'", dir);
        if (!entry)
            break;
        if (!text_starts(entry->d_name, STORE_WRITER) ||
            !text_to_i64(entry->d_name + strlen(STORE_WRITER), &number))
            continue;
        int64_t *grown = mem_resize(*out, *n + 1, sizeof **out);
        if (!grown) {
            rc = err_set(e, ERR_NOMEM, "no memory for a listing");
            break;
        }
        *out = grown;
        grown[(*n)++] = number;
    }
    if (d)
        closedir(d);
    mem_free(dir);
    if (*n)
        qsort(*out, *n, sizeof **out, by_number);
    if (rc) {
        mem_free(*out);
        *out = NULL;
        *n = 0;
    }
    return rc;
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int d = store_row_compare(&x->row, &y->row);
    return d ? d : (x->order > y->order) - (x->order < y->order);
}

static enum err_code add_entry(struct store_scan *s,
                               const struct store_row *row, bool old,
                               struct err *e)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        struct entry *grown = mem_resize(s->entries, cap, sizeof *grown);
        if (!grown)
            return err_set(e, ERR_NOMEM, "no memory for a store's rows");
        s->entries = grown;
        s->cap = cap;
    }
    s->entries[s->n] = (struct entry){*row, s->n, old ? 0 : s->n + 1};
    s->n++;
    return OK;
}

/* All whole rows of one journal. What stands after its last newline was being
 * written when its writer was killed: that sample was never reported done. */
static enum err_code load_journal(struct store_scan *s, const char *path,
                                  struct err *e)
{
    struct buf *grown = mem_resize(s->texts, s->n_texts + 1, sizeof *grown);
    if (!grown)
        return err_set(e, ERR_NOMEM, "no memory for a journal");
    s->texts = grown;
    struct buf *b = &s->texts[s->n_texts];
    struct err why;
    enum err_code rc = file_read(path, JOURNAL_MAX, b, &why);
    if (rc == ERR_NOTFOUND)
        return OK; /* a writer killed between making folder and file */
    if (rc)
        return err_set(e, rc, "%s", why.text);
    s->n_texts++;
    char *p = (char *)b->data;
    char *end = p + b->len;
    while (!rc && p < end) {
        char *nl = memchr(p, '\n', (size_t)(end - p));
        if (!nl)
            break;
        *nl = 0;
        struct store_row row;
        if (store_row_decode(p, (size_t)(nl - p), &row))
            rc = add_entry(s, &row, false, e);
        else
            s->damaged++;
        p = nl + 1;
    }
    return rc;
}

static enum err_code load_journals(struct store_scan *s, struct err *e)
{
    int64_t *numbers;
    size_t n;
    enum err_code rc = store_writers(s->root, &numbers, &n, e);
    for (size_t i = 0; !rc && i < n; i++) {
        char *path =
            mem_printf("%s/" STORE_DIR "/" STORE_WRITER "%lld/" STORE_JOURNAL,
                       s->root, (long long)numbers[i]);
        rc = path ? load_journal(s, path, e)
                  : err_set(e, ERR_NOMEM, "no memory for a path");
        mem_free(path);
    }
    mem_free(numbers);
    return rc;
}

/* Without a base (the dot folder was not copied along) the rows come from
 * index.csv, columns by their header. */
static enum err_code import_index(struct store_scan *s, struct err *e)
{
    char *path = path_join(s->root, "index.csv");
    struct buf b = {0};
    enum err_code rc = path ? OK : err_set(e, ERR_NOMEM, "no memory");
    int map[STORE_COLS];
    for (int c = 0; c < STORE_COLS; c++)
        map[c] = -1;
    if (rc || !file_exists(path))
        goto out;
    rc = file_read(path, INDEX_MAX, &b, e);
    size_t pos = 0;
    for (size_t line = 0; !rc; line++) {
        char **f;
        size_t n;
        rc = csv_record((const char *)b.data, b.len, &pos, &f, &n, e);
        if (rc || n == 0)
            break;
        if (s->n_csv == s->csv_cap) {
            size_t cap = s->csv_cap ? 2 * s->csv_cap : 64;
            char ***grown = mem_resize(s->csv, cap, sizeof *grown);
            if (!grown) {
                csv_record_free(f, n);
                rc = err_set(e, ERR_NOMEM, "no memory for '%s'", path);
                break;
            }
            s->csv = grown;
            s->csv_cap = cap;
        }
        if (line == 0) {
            for (size_t i = 0; i < n; i++)
                for (int c = 0; c < STORE_COLS; c++)
                    if (strcmp(f[i], store_columns[c]) == 0)
                        map[c] = (int)i;
            csv_record_free(f, n);
            if (map[COL_NAME] < 0 || map[COL_SNIPPET] < 0 ||
                map[COL_STATUS] < 0)
                break; /* not an index of ours */
            continue;
        }
        struct store_row row;
        store_row_clear(&row);
        for (int c = 0; c < STORE_COLS; c++)
            if (map[c] >= 0 && (size_t)map[c] < n)
                row.v[c] = f[map[c]];
        /* Edited by hand, or cut: it names no sample. */
        if (!*row.v[COL_NAME] || !*row.v[COL_SNIPPET] || !*row.v[COL_STATUS]) {
            s->damaged++;
            csv_record_free(f, n);
            continue;
        }
        /* Keep the record: a NULL closes what csv_record_free counts. */
        char **kept = mem_resize(f, n + 1, sizeof *f);
        if (!kept) {
            csv_record_free(f, n);
            rc = err_set(e, ERR_NOMEM, "no memory for '%s'", path);
            break;
        }
        kept[n] = NULL;
        s->csv[s->n_csv++] = kept;
        rc = add_entry(s, &row, true, e);
    }
out:
    buf_free(&b);
    mem_free(path);
    return rc ? err_wrap(e, "index.csv of '%s'", s->root) : OK;
}

/* Read the base's next row into base_row. */
static enum err_code base_step(struct store_scan *s, struct err *e)
{
    s->base_have = false;
    while (s->base && fgets(s->line, STORE_LINE_MAX, s->base)) {
        size_t n = strlen(s->line);
        if (n && s->line[n - 1] == '\n')
            s->line[--n] = 0;
        if (store_row_decode(s->line, n, &s->base_row)) {
            s->base_have = true;
            return OK;
        }
        s->damaged++;
    }
    if (s->base && ferror(s->base))
        return err_errno(e, ERR_IO, errno, "cannot read '%s/" STORE_BASE "'",
                         s->root);
    return OK;
}

enum err_code store_scan_open_locked(const char *root, struct store_scan **out,
                                     struct err *e)
{
    *out = NULL;
    struct store_scan *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory to read a store");
    enum err_code rc = OK;
    s->root = mem_strdup(root);
    s->line = mem_alloc(STORE_LINE_MAX);
    char *base = s->root ? path_join(root, STORE_BASE) : NULL;
    if (!base || !s->line)
        rc = err_set(e, ERR_NOMEM, "no memory to read a store");
    if (!rc) {
        s->base = fopen(base, "re");
        if (!s->base && errno != ENOENT && errno != ENOTDIR)
            rc = err_errno(e, ERR_IO, errno, "cannot open '%s'", base);
    }
    if (!rc && !s->base)
        rc = import_index(s, e);
    if (!rc)
        rc = load_journals(s, e);
    if (!rc && s->n)
        qsort(s->entries, s->n, sizeof *s->entries, by_key);
    if (!rc)
        rc = store_kin_load(root, &s->kin, e);
    s->group.kin = s->kin;
    if (!rc)
        rc = base_step(s, e);
    mem_free(base);
    if (rc)
        store_scan_close(&s);
    *out = s;
    return rc;
}

enum err_code store_scan_open(const char *root, struct store_scan **out,
                              struct err *e)
{
    /* Shared: a merge in another process must not pull the journals from
     * under us. A read-only or foreign folder has no lock; none is needed. */
    char *lock = path_join(root, STORE_LOCK);
    if (!lock) {
        *out = NULL;
        return err_set(e, ERR_NOMEM, "no memory for a path");
    }
    int fd = open(lock, O_RDONLY | O_CLOEXEC);
    mem_free(lock);
    while (fd >= 0 && file_flock(fd, LOCK_SH) != 0 && errno == EINTR)
        ;
    enum err_code rc = store_scan_open_locked(root, out, e);
    if (fd >= 0)
        close(fd);
    return rc;
}

static void csv_free(struct store_scan *s)
{
    for (size_t i = 0; i < s->n_csv; i++) {
        size_t n = 0;
        while (s->csv[i][n])
            n++;
        csv_record_free(s->csv[i], n);
    }
    mem_free(s->csv);
}

void store_scan_close(struct store_scan **sp)
{
    struct store_scan *s = *sp;
    if (!s)
        return;
    *sp = NULL;
    if (s->base)
        fclose(s->base);
    for (size_t i = 0; i < s->n_texts; i++)
        buf_free(&s->texts[i]);
    csv_free(s);
    mem_free(s->texts);
    mem_free(s->entries);
    store_group_free(&s->group);
    store_kin_free(&s->kin);
    mem_free(s->line);
    mem_free(s->root);
    mem_free(s);
}

size_t store_scan_damaged(const struct store_scan *s)
{
    return s->damaged;
}

enum err_code store_scan_next_own(struct store_scan *s,
                                  struct store_group **out, struct err *e)
{
    struct store_group *g = &s->group;
    store_group_clear(g);
    *out = NULL;
    enum err_code rc = OK;
    while (!rc) {
        struct entry *m = s->next < s->n ? &s->entries[s->next] : NULL;
        const struct store_row *row = NULL;
        /* On a tie the base comes first: its row is the older one. */
        if (s->base_have &&
            (!m || store_row_compare(&s->base_row, &m->row) <= 0))
            row = &s->base_row;
        else if (m)
            row = &m->row;
        if (!row || (g->n && store_row_compare_snippet(&g->rows[0], row)))
            break;
        rc = store_group_add(g, row, row == &s->base_row ? 0 : m->age, e);
        if (rc)
            break;
        if (row == &s->base_row)
            rc = base_step(s, e);
        else
            s->next++;
    }
    if (!rc && g->n)
        rc = store_group_settle(g, e);
    if (!rc && g->n)
        *out = g;
    return rc;
}

enum err_code store_scan_next(struct store_scan *s,
                              const struct store_group **out, struct err *e)
{
    struct store_group *g;
    enum err_code rc = store_scan_next_own(s, &g, e);
    *out = g;
    return rc;
}
