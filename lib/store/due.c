/* What of a listing is to be done. */
#include "lib/store/due.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/data/recipe.h"
#include "lib/store/done.h"
#include "lib/store/group.h"
#include "lib/store/keys.h"
#include "lib/store/sheet.h"
#include "lib/store/sources.h"

/* Where results lie, and the sinks of this run that write there. */
struct place {
    char *root;
    char (*recipes)[RECIPE_HASH];
    size_t n;
    bool keep;
};

struct due {
    enum due_retry retry;
    struct place store, sheets;
    struct store_sinks writers; /* of the store's rows */
    struct store_done *table;   /* NULL: no store */
    struct sources *sources;
    char hash[33];
    struct due_counts counts;
};

static enum err_code find_place(struct place *p, const char *root,
                                const char *sinks, struct err *e)
{
    struct recipe_sink k;
    p->root = mem_strdup(root);
    while (p->root && recipe_sink_next(&sinks, &k)) {
        if (!recipe_same_root(k.root, root))
            continue;
        char(*grown)[RECIPE_HASH] =
            mem_resize(p->recipes, p->n + 1, sizeof *grown);
        if (!grown)
            return err_set(e, ERR_NOMEM, "no memory for the settings");
        p->recipes = grown;
        snprintf(grown[p->n++], sizeof *grown, "%s", k.recipe);
        p->keep = p->keep || strcmp(k.other, "keep") == 0;
        if (strcmp(k.other, "apart") == 0) {
            mem_free(p->root);
            p->root = path_join(k.root, k.apart);
        }
    }
    return p->root ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
}

/* Is one sheet of finished views missing, in pieces, or of other settings? A
 * kill can come between the store's commit and the sheet's. */
static bool sheet_due(const struct place *p, const struct store_row *r)
{
    const char *const *v = r->v;
    int64_t face = store_row_i64(r, COL_FACE, -1);
    char part[64] = "";
    snprintf(part, sizeof part, "%lld",
             (long long)store_row_i64(r, COL_SAMPLE, 0));
    size_t n = strlen(part);
    if (face > 0)
        snprintf(part + n, sizeof part - n, "_f%lld", (long long)face);
    char *rel =
        mem_printf("%s/%s/sheet_%s.png", v[COL_NAME], v[COL_SNIPPET], part);
    char *sheet = rel ? path_join(p->root, rel) : NULL;
    char *cells = mem_printf("%s/.sheets/%s/%s/%s", p->root, v[COL_NAME],
                             v[COL_SNIPPET], part);
    bool is_due = sheet && cells && (!file_exists(sheet) || file_exists(cells));
    if (sheet && !is_due && p->n && !p->keep)
        is_due = !keys_known(p->root, SHEET_KEYS, rel,
                             (const char(*)[33])p->recipes, p->n);
    mem_free(rel);
    mem_free(sheet);
    mem_free(cells);
    return is_due;
}

/* Is any sheet of a finished snippet due? Of views each sample, and each face,
 * has its own; other sheets are those that have been made. */
static bool sheets_due(void *arg, const struct store_group *g)
{
    const struct place *p = arg;
    const struct store_row *last = NULL;
    const char *const *v = g->rows[0].v;
    bool is_due = false;
    for (size_t i = 0; i < g->n && !is_due; i++) {
        const struct store_row *r = &g->rows[i];
        if (!store_row_ok(r) || store_row_i64(r, COL_VIEW, -1) < 0)
            continue;
        bool same = last && !strcmp(last->v[COL_SAMPLE], r->v[COL_SAMPLE]) &&
                    !strcmp(last->v[COL_FACE], r->v[COL_FACE]);
        is_due = !same && sheet_due(p, r);
        last = r;
    }
    char *folder = mem_printf("%s/%s", v[COL_NAME], v[COL_SNIPPET]);
    if (folder && !is_due)
        is_due = keys_lost(p->root, SHEET_KEYS, folder, v[COL_SOURCE_HASH],
                           (const char(*)[33])p->recipes, p->n);
    mem_free(folder);
    return is_due;
}

enum err_code due_open(const struct due_options *o, struct due **out,
                       struct err *e)
{
    *out = NULL;
    struct due *d = mem_calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory to look at a store");
    d->retry = o->retry;
    const struct store_look look = {true, *o->sheets ? sheets_due : NULL,
                                    &d->sheets};
    enum err_code rc = find_place(&d->store, o->done, o->sinks, e);
    if (!rc)
        rc = find_place(&d->sheets, o->sheets, o->sinks, e);
    if (!rc)
        rc = store_sinks_read(&d->writers, o->sinks, o->done, e);
    if (!rc && *o->done)
        rc = store_done_load(d->store.root, o->retry == DUE_NEW ? &look : NULL,
                             &d->writers, &d->table, e);
    if (!rc)
        rc = sources_open(d->store.root, o->bytes, &d->sources, e);
    if (rc)
        due_close(&d);
    *out = d;
    return rc;
}

const char *due_hash(struct due *d, const char *path)
{
    struct err ignored;
    if (sources_hash(d->sources, path, d->hash, &ignored))
        d->hash[0] = 0;
    return d->hash;
}

static enum store_match match(struct due *d, const struct due_source *s,
                              const struct store_done_entry *en)
{
    uint64_t about[2] = {0, 0};
    if (!d->writers.n)
        return STORE_MATCH;     /* outside a pipeline: by name alone */
    if (en->ours && !en->mixed) /* else the source need not be read */
        store_about(due_hash(d, s->path), s->set, s->identity, about);
    return store_done_match(en, about);
}

bool due_ask(struct due *d, const struct due_source *s)
{
    struct store_done_entry en;
    bool known =
        d->table && store_done_find(d->table, s->name, s->snippet, &en);
    switch (d->retry) {
    case DUE_ALL:
        return true;
    case DUE_FAILED:
        return known && en.failed;
    case DUE_NEW:
        break;
    }
    if (!known || !en.finished)
        return true;
    enum store_match m = match(d, s, &en);
    if (m == STORE_MATCH) {
        d->counts.lost += en.lost;
        return en.lost || en.lacking;
    }
    if (d->store.keep) {
        d->counts.kept++;
        return false;
    }
    d->counts.recipe += m == STORE_OTHER_RECIPE;
    d->counts.source += m == STORE_OTHER_SOURCE;
    return true;
}

struct due_counts due_counts(const struct due *d)
{
    return d->counts;
}

void due_close(struct due **dp)
{
    struct due *d = *dp;
    if (!d)
        return;
    *dp = NULL;
    store_done_free(&d->table);
    sources_close(&d->sources);
    store_sinks_free(&d->writers);
    mem_free(d->store.root);
    mem_free(d->store.recipes);
    mem_free(d->sheets.root);
    mem_free(d->sheets.recipes);
    mem_free(d);
}
