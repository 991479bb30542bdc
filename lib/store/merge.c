/* Merging a store: base and journals become a new base, index.csv and
 * metadata.csv, each appearing whole. */
#include "lib/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/store/scan.h"
#include "lib/store/writers.h"

#define FLUSH_BYTES ((size_t)1 << 16)
#define DROPS_MAX ((size_t)1 << 30)

/* A file written beside its place and renamed when all of them are whole. */
struct output {
    char *tmp, *path;
    FILE *f;
    bool made; /* tmp is there */
    struct buf b;
    char *set; /* identity layout: whose metadata.csv */
};

/* Rows of one recipe. */
struct tally {
    char recipe[33];
    size_t rows;
};

struct merge {
    const char *root;
    enum store_layout layout;
    enum store_check verify;
    struct output base, index, meta, drop;
    struct output *sets; /* sorted; open only while they are written to: there
                            may be more than files can be open */
    size_t n_sets, cap_sets;
    struct tally *tally;
    size_t n_tally, removed;
    struct file_list before; /* drops that a killed merge left undone, sorted */
    bool *spared;            /* of each: a row names it again */
};

static enum err_code output_open(struct merge *m, struct output *o,
                                 const char *name, const char *tmp,
                                 struct err *e)
{
    buf_init(&o->b, 64 * FLUSH_BYTES);
    o->path = path_join(m->root, name);
    o->tmp = mem_printf("%s/" STORE_DIR "/%s", m->root, tmp);
    if (!o->path || !o->tmp)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    o->f = fopen(o->tmp, "we");
    if (!o->f)
        return err_errno(e, ERR_IO, errno, "cannot make '%s'", o->tmp);
    o->made = true;
    return OK;
}

static enum err_code output_flush(struct output *o, size_t above, struct err *e)
{
    if (o->b.len <= above)
        return OK;
    if (!o->f && !(o->f = fopen(o->tmp, "ae")))
        return err_errno(e, ERR_IO, errno, "cannot open '%s'", o->tmp);
    if (fwrite(o->b.data, 1, o->b.len, o->f) != o->b.len)
        return err_errno(e, ERR_IO, errno, "cannot write '%s'", o->path);
    o->b.len = 0;
    return OK;
}

static enum err_code output_shut(struct output *o, struct err *e)
{
    FILE *f = o->f;
    o->f = NULL;
    return !f || fclose(f) == 0
               ? OK
               : err_errno(e, ERR_IO, errno, "cannot write '%s'", o->path);
}

/* Make it durable under its temporary name. */
static enum err_code output_sync(struct output *o, struct err *e)
{
    enum err_code rc = output_flush(o, 0, e);
    if (!rc && !o->f && !(o->f = fopen(o->tmp, "ae")))
        rc = err_errno(e, ERR_IO, errno, "cannot open '%s'", o->tmp);
    if (!rc && (fflush(o->f) != 0 || fsync(fileno(o->f)) != 0))
        rc = err_errno(e, ERR_IO, errno, "cannot write '%s'", o->path);
    return rc ? rc : output_shut(o, e);
}

static enum err_code output_publish(struct output *o, struct err *e)
{
    if (rename(o->tmp, o->path) != 0)
        return err_errno(e, ERR_IO, errno, "cannot rename to '%s'", o->path);
    mem_free(o->tmp);
    o->tmp = NULL;
    return OK;
}

static void output_free(struct output *o)
{
    if (o->f)
        fclose(o->f);
    if (o->tmp && o->made)
        unlink(o->tmp);
    buf_free(&o->b);
    mem_free(o->tmp);
    mem_free(o->path);
    mem_free(o->set);
}

/* metadata.csv of one set in the identity layout; made when first met. */
static enum err_code output_of_set(struct merge *m, const char *set,
                                   struct output **out, struct err *e)
{
    size_t at = 0;
    for (size_t end = m->n_sets; at < end;) {
        size_t mid = at + (end - at) / 2;
        int order = strcmp(m->sets[mid].set, set);
        if (order == 0) {
            *out = &m->sets[mid];
            return OK;
        }
        if (order < 0)
            at = mid + 1;
        else
            end = mid;
    }
    char *own = mem_strdup(set);
    if (!own)
        return err_set(e, ERR_NOMEM, "no memory for a set");
    if (m->n_sets == m->cap_sets) {
        size_t cap = m->cap_sets ? 2 * m->cap_sets : 16;
        struct output *grown = mem_resize(m->sets, cap, sizeof *grown);
        if (!grown) {
            mem_free(own);
            return err_set(e, ERR_NOMEM, "no memory for a set");
        }
        m->sets = grown;
        m->cap_sets = cap;
    }
    struct output *o = &m->sets[at];
    memmove(o + 1, o, (m->n_sets - at) * sizeof *o);
    *o = (struct output){.set = own};
    char tmp[40];
    snprintf(tmp, sizeof tmp, "new-set-%zu", m->n_sets++);
    char *name = path_join(set, "metadata.csv");
    enum err_code rc = name ? output_open(m, o, name, tmp, e)
                            : err_set(e, ERR_NOMEM, "no memory for a path");
    mem_free(name);
    if (!rc)
        rc = buf_puts(&o->b,
                      "file_name,label,synthetic,name,snippet,i,view,"
                      "source,method,model,rx_deg,ry_deg,rz_deg\n",
                      e);
    *out = o;
    return rc ? rc : output_shut(o, e);
}

static enum err_code identity_line(struct merge *m, const struct store_row *r,
                                   const char *path, bool synthetic,
                                   struct err *e)
{
    const char *slash = strchr(path, '/');
    if (!*path || !slash)
        return OK;
    char *set = mem_strndup(path, (size_t)(slash - path));
    struct output *o = NULL;
    enum err_code rc =
        set ? output_of_set(m, set, &o, e) : err_set(e, ERR_NOMEM, "no memory");
    mem_free(set);
    const char *f[] = {slash + 1,
                       r->v[COL_IDENTITY],
                       synthetic ? "true" : "false",
                       r->v[COL_NAME],
                       r->v[COL_SNIPPET],
                       r->v[COL_SAMPLE],
                       r->v[COL_VIEW],
                       r->v[COL_SOURCE],
                       synthetic ? r->v[COL_METHOD] : "",
                       synthetic ? r->v[COL_MODEL] : "",
                       synthetic ? r->v[COL_RX_DEG] : "",
                       synthetic ? r->v[COL_RY_DEG] : "",
                       synthetic ? r->v[COL_RZ_DEG] : ""};
    for (size_t i = 0; !rc && i < sizeof f / sizeof *f; i++) {
        if (i)
            rc = buf_put(&o->b, ",", 1, e);
        if (!rc)
            rc = csv_put(&o->b, f[i], e);
    }
    if (!rc)
        rc = buf_put(&o->b, "\n", 1, e);
    if (!rc)
        rc = output_flush(o, FLUSH_BYTES, e);
    return rc ? rc : output_shut(o, e);
}

/* The seed's list: only snippets whose samples are all there, because its
 * reader opens frames 0 .. n_frames-1 without looking. */
static enum err_code seed_line(struct merge *m, const struct store_group *g,
                               const struct store_outcome *o, struct err *e)
{
    if (!o->finished || o->mixed || o->failed || !o->ok)
        return OK;
    struct buf *b = &m->meta.b;
    enum err_code rc = csv_put(b, g->rows[0].v[COL_NAME], e);
    if (!rc)
        rc = buf_put(b, ",", 1, e);
    if (!rc)
        rc = csv_put(b, g->rows[0].v[COL_SNIPPET], e);
    if (!rc)
        rc = buf_printf(b, e, ",%lld,", (long long)o->n_frames);
    if (!rc)
        rc = csv_put(b, g->rows[0].v[COL_SET], e);
    return rc ? rc : buf_put(b, "\n", 1, e);
}

static enum err_code count_row(struct merge *m, const char *recipe,
                               struct err *e)
{
    for (size_t i = 0; i < m->n_tally; i++)
        if (strcmp(m->tally[i].recipe, recipe) == 0) {
            m->tally[i].rows++;
            return OK;
        }
    struct tally *grown =
        mem_resize(m->tally, m->n_tally + 1, sizeof *m->tally);
    if (!grown)
        return err_set(e, ERR_NOMEM, "no memory for a store's settings");
    m->tally = grown;
    grown[m->n_tally] = (struct tally){.rows = 1};
    snprintf(grown[m->n_tally++].recipe, sizeof grown->recipe, "%s", recipe);
    return OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A row names a file that a killed merge meant to remove: it stays. */
static void spare(struct merge *m, const struct store_row *r)
{
    for (int f = 0; f < STORE_FILES && m->before.n; f++) {
        const char *path = r->v[store_file_cols[f]];
        char **found = bsearch(&path, m->before.names, m->before.n,
                               sizeof *m->before.names, by_name);
        if (found)
            m->spared[found - m->before.names] = true;
    }
}

/* Take away rows (of journals, or all) whose files are not what they say: their
 * samples are made again. */
/* Is a row's file not what the row says? One that a live writer has committed
 * may be on its way; it may have arrived between the looks. */
static bool file_differs(const struct merge *m, const char *rel,
                         const char *sum)
{
    char *path = *sum ? path_join(m->root, rel) : NULL;
    bool bad = path && !store_sum_matches(path, sum) &&
               !store_on_its_way(m->root, rel, sum) &&
               !store_sum_matches(path, sum);
    mem_free(path);
    return bad;
}

static enum err_code verify_group(struct merge *m, struct store_group *g,
                                  struct store_totals *t, struct err *e)
{
    enum err_code rc = OK;
    for (size_t i = g->n; m->verify && i > 0 && !rc; i--) {
        const struct store_row *r = &g->rows[i - 1];
        bool bad = false;
        bool looked_at = m->verify == STORE_CHECK_ALL || g->age[i - 1];
        for (int f = 0; f < STORE_FILES && looked_at && !bad; f++)
            bad = file_differs(m, r->v[store_file_cols[f]],
                               r->v[store_sum_cols[f]]);
        if (!bad)
            continue;
        t->mismatched++;
        rc = store_group_drop(g, i - 1, e);
    }
    store_group_keep_named(g); /* a frame is that of all its views */
    return rc;
}

static enum err_code put_dropped(struct merge *m, const struct store_group *g,
                                 struct err *e)
{
    enum err_code rc = OK;
    for (size_t i = 0; i < g->n_dropped && !rc; i++)
        if (!store_check_path(g->dropped[i], "stored file", STORE_PARTS, NULL))
            rc = buf_printf(&m->drop.b, e, "%s\n", g->dropped[i]);
    return rc ? rc : output_flush(&m->drop, FLUSH_BYTES, e);
}

static enum err_code put_group(struct merge *m, struct store_group *g,
                               struct store_totals *t, struct err *e)
{
    struct store_outcome o;
    enum err_code bad = verify_group(m, g, t, e);
    if (!bad)
        bad = put_dropped(m, g, e);
    if (bad || !g->n)
        return bad;
    store_group_measure(g, &o);
    t->clashes += g->clashes;
    t->snippets++;
    t->finished += o.finished;
    t->ok += o.ok;
    t->failed += o.failed;
    enum err_code rc = OK;
    for (size_t i = 0; !rc && i < g->n; i++) {
        const struct store_row *r = &g->rows[i];
        spare(m, r);
        rc = count_row(m, r->v[COL_RECIPE], e);
        if (!rc)
            rc = store_row_encode(r, &m->base.b, e);
        if (!rc)
            rc = store_row_csv(r, &m->index.b, e);
        if (!rc)
            rc = output_flush(&m->base, FLUSH_BYTES, e);
        if (!rc)
            rc = output_flush(&m->index, FLUSH_BYTES, e);
        if (rc || m->layout != STORE_IDENTITY || !store_row_ok(r))
            continue;
        /* Views name their source frame as well; it has one line only. */
        if (i == 0 || strcmp(g->rows[i - 1].v[COL_FRAME], r->v[COL_FRAME]))
            rc = identity_line(m, r, r->v[COL_FRAME], false, e);
        if (!rc)
            rc = identity_line(m, r, r->v[COL_GENERATED], true, e);
    }
    if (!rc)
        rc = seed_line(m, g, &o, e);
    return rc ? rc : output_flush(&m->meta, FLUSH_BYTES, e);
}

/* What a killed merge has left to be removed. Untrusted. */
static enum err_code read_drops(struct merge *m, struct err *e)
{
    struct buf b;
    struct err why;
    char *path = path_join(m->root, STORE_DROP);
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    bool there =
        file_exists(path) && file_read(path, DROPS_MAX, &b, &why) == OK;
    mem_free(path);
    if (!there)
        return OK;
    enum err_code rc = buf_puts(&b, "", e);
    size_t lines = 1;
    for (size_t i = 0; i < b.len; i++)
        lines += b.data[i] == '\n';
    m->before.names = rc ? NULL : mem_array(lines, sizeof *m->before.names);
    if (!rc && !m->before.names)
        rc = err_set(e, ERR_NOMEM, "no memory for a store's files");
    for (const char *p = rc ? "" : buf_str(&b); *p && !rc;) {
        size_t n = strcspn(p, "\n");
        char *name = mem_strndup(p, n);
        if (!name)
            rc = err_set(e, ERR_NOMEM, "no memory for a store's files");
        else if (store_check_path(name, "stored file", STORE_PARTS, NULL))
            mem_free(name);
        else
            m->before.names[m->before.n++] = name;
        p += n + (p[n] == '\n');
    }
    buf_free(&b);
    if (!rc && m->before.n)
        qsort(m->before.names, m->before.n, sizeof *m->before.names, by_name);
    size_t kept = 0; /* one of each */
    for (size_t i = 0; i < m->before.n; i++)
        if (kept && !strcmp(m->before.names[kept - 1], m->before.names[i]))
            mem_free(m->before.names[i]);
        else
            m->before.names[kept++] = m->before.names[i];
    m->before.n = kept;
    m->spared = rc ? NULL : mem_calloc(lines, sizeof *m->spared);
    if (!rc && !m->spared)
        rc = err_set(e, ERR_NOMEM, "no memory for a store's files");
    return rc;
}

/* Remove what no row of the published base names. */
static void remove_dropped(struct merge *m)
{
    struct merge again = {.root = m->root};
    char *list = path_join(m->root, STORE_DROP);
    struct err why;
    if (list && read_drops(&again, &why) == OK)
        for (size_t i = 0; i < again.before.n; i++) {
            char *path = path_join(m->root, again.before.names[i]);
            if (path && unlink(path) == 0)
                m->removed++;
            mem_free(path);
        }
    if (list)
        unlink(list);
    file_list_free(&again.before);
    mem_free(again.spared);
    mem_free(list);
}

/* How many rows of which settings: for those who open the store next. */
static enum err_code write_summary(struct merge *m, struct err *e)
{
    struct buf b;
    buf_init(&b, (size_t)1 << 24);
    char *path = path_join(m->root, STORE_SUMMARY);
    char *tmp = path_join(m->root, STORE_DIR "/new-summary");
    enum err_code rc =
        path && tmp ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
    for (size_t i = 0; i < m->n_tally && !rc; i++)
        rc = buf_printf(&b, e, "%s %zu\n",
                        *m->tally[i].recipe ? m->tally[i].recipe : "-",
                        m->tally[i].rows);
    /* One name for all merges (the lock is held): what a kill leaves of it is
     * written over. */
    if (!rc)
        rc = store_write_via(tmp, path, b.data, b.len, e);
    mem_free(tmp);
    mem_free(path);
    buf_free(&b);
    return rc;
}

static enum err_code merge_open(struct merge *m, struct err *e)
{
    enum err_code rc = output_open(m, &m->base, STORE_BASE, "new-base", e);
    if (!rc)
        rc = output_open(m, &m->index, "index.csv", "new-index", e);
    if (!rc)
        rc = output_open(m, &m->meta, "metadata.csv", "new-meta", e);
    if (!rc)
        rc = output_open(m, &m->drop, STORE_DROP, "new-drop", e);
    if (!rc)
        rc = read_drops(m, e);
    if (!rc)
        rc = store_row_csv_header(&m->index.b, e);
    if (!rc)
        rc = buf_puts(&m->meta.b, "name,snippet,n_frames,set\n", e);
    return rc;
}

/* The base goes last: until then the journals still hold the rows. */
static enum err_code merge_publish(struct merge *m, struct err *e)
{
    struct output **all = mem_array(m->n_sets + 4, sizeof *all);
    size_t n = 0;
    if (!all)
        return err_set(e, ERR_NOMEM, "no memory for a store's tables");
    for (size_t i = 0; i < m->n_sets; i++)
        all[n++] = &m->sets[i];
    all[n++] = &m->meta;
    all[n++] = &m->index;
    all[n++] = &m->drop; /* says what goes once the base no longer names it */
    all[n++] = &m->base;
    enum err_code rc = OK;
    for (size_t i = 0; i < m->before.n && !rc; i++)
        if (!m->spared[i])
            rc = buf_printf(&m->drop.b, e, "%s\n", m->before.names[i]);
    char *summary = path_join(m->root, STORE_SUMMARY);
    if (summary)
        unlink(summary); /* until the new one is true */
    mem_free(summary);
    for (size_t i = 0; !rc && i < n; i++)
        rc = output_sync(all[i], e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = output_publish(all[i], e);
    mem_free(all);
    /* Journals are removed next: the base must have arrived. */
    char *dir = rc ? NULL : path_join(m->root, STORE_DIR);
    if (!rc)
        rc = dir ? file_sync(dir, e)
                 : err_set(e, ERR_NOMEM, "no memory for a path");
    mem_free(dir);
    return rc;
}

enum err_code store_merge(const char *root, enum store_layout layout,
                          enum store_check verify, struct store_totals *totals,
                          struct err *e)
{
    struct merge m = {.root = root, .layout = layout, .verify = verify};
    struct store_totals t = {0};
    struct store_scan *scan = NULL;
    enum err_code rc = merge_open(&m, e);
    if (!rc)
        rc = store_scan_open_locked(root, &scan, e);
    while (!rc) {
        struct store_group *g;
        rc = store_scan_next_own(scan, &g, e);
        if (rc || !g)
            break;
        rc = put_group(&m, g, &t, e);
    }
    if (scan)
        t.damaged = store_scan_damaged(scan);
    store_scan_close(&scan);
    if (!rc)
        rc = merge_publish(&m, e);
    if (!rc)
        remove_dropped(&m);
    if (!rc)
        rc = write_summary(&m, e);
    t.removed = m.removed;
    mem_free(m.tally);
    mem_free(m.spared);
    file_list_free(&m.before);
    output_free(&m.drop);
    output_free(&m.base);
    output_free(&m.index);
    output_free(&m.meta);
    for (size_t i = 0; i < m.n_sets; i++)
        output_free(&m.sets[i]);
    mem_free(m.sets);
    if (totals)
        *totals = t;
    return rc ? err_wrap(e, "merging the store '%s'", root) : OK;
}
