/* Which snippets a store has dealt with: open addressing on a 128-bit hash of
 * name and snippet (a false match is less likely than a broken disk). */
#include "lib/store/done.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/data/recipe.h"
#include "lib/store/scan.h"
#include "lib/store/store.h"

struct slot {
    uint64_t h[2]; /* both 0: free */
    struct store_done_entry entry;
};

struct store_done {
    struct slot *slots;
    size_t n, cap; /* cap: a power of two */
};

static void hash_of(const char *name, const char *snippet, uint64_t h[2])
{
    for (uint64_t i = 0; i < 2; i++)
        h[i] = store_hash(2 * i + 1, name, strlen(name)) * 31 +
               store_hash(2 * i + 2, snippet, strlen(snippet));
    if (!h[0] && !h[1])
        h[0] = 1;
}

static struct slot *slot_of(const struct store_done *d, const uint64_t h[2])
{
    size_t i = (size_t)h[0] & (d->cap - 1);
    while ((d->slots[i].h[0] || d->slots[i].h[1]) &&
           (d->slots[i].h[0] != h[0] || d->slots[i].h[1] != h[1]))
        i = (i + 1) & (d->cap - 1);
    return &d->slots[i];
}

static enum err_code grow(struct store_done *d, struct err *e)
{
    struct store_done bigger = {.n = d->n, .cap = d->cap ? 2 * d->cap : 256};
    bigger.slots = mem_calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return err_set(e, ERR_NOMEM, "no memory for %zu finished snippets",
                       bigger.cap);
    for (size_t i = 0; i < d->cap; i++)
        if (d->slots[i].h[0] || d->slots[i].h[1])
            *slot_of(&bigger, d->slots[i].h) = d->slots[i];
    mem_free(d->slots);
    d->slots = bigger.slots;
    d->cap = bigger.cap;
    return OK;
}

enum err_code store_sinks_read(struct store_sinks *s, const char *sinks,
                               const char *root, struct err *e)
{
    struct recipe_sink k;
    *s = (struct store_sinks){0};
    while (recipe_sink_next(&sinks, &k)) {
        if (!*k.rows || (root && !recipe_same_root(k.root, root)))
            continue;
        char(*recipe)[33] = mem_resize(s->recipe, s->n + 1, sizeof *recipe);
        if (recipe)
            s->recipe = recipe;
        bool *gives =
            recipe ? mem_resize(s->gives, s->n + 1, sizeof *gives) : NULL;
        if (!gives)
            return err_set(e, ERR_NOMEM, "no memory for the settings");
        s->gives = gives;
        snprintf(recipe[s->n], sizeof *recipe, "%s", k.recipe);
        gives[s->n++] = strcmp(k.rows, "samples") == 0;
    }
    return OK;
}

void store_sinks_free(struct store_sinks *s)
{
    mem_free(s->recipe);
    mem_free(s->gives);
    *s = (struct store_sinks){0};
}

void store_about(const char *source_hash, const char *set, const char *identity,
                 uint64_t out[2])
{
    const char *const part[] = {source_hash, set, identity};
    out[0] = out[1] = 0;
    for (uint64_t i = 0; i < 3; i++)
        for (uint64_t k = 0; k < 2; k++)
            out[k] = out[k] * 31 +
                     store_hash(31 + 2 * i + k, part[i], strlen(part[i]));
}

enum store_match store_done_match(const struct store_done_entry *d,
                                  const uint64_t about[2])
{
    if (!d->ours || d->mixed)
        return STORE_OTHER_RECIPE;
    return d->about[0] == about[0] && d->about[1] == about[1]
               ? STORE_MATCH
               : STORE_OTHER_SOURCE;
}

/* Is a file of these rows not there any more, or cut off? */
static bool lost_files(const char *root, const struct store_group *g)
{
    bool lost = false;
    for (size_t i = 0; i < g->n && !lost; i++)
        for (size_t f = 0; f < STORE_FILES && !lost; f++) {
            const char *rel = g->rows[i].v[store_file_cols[f]];
            char *path = *rel ? path_join(root, rel) : NULL;
            lost = path && !store_sum_fits(path, g->rows[i].v[store_sum_cols[f]]);
            mem_free(path);
        }
    return lost;
}

static bool all_ours(const struct store_group *g, const struct store_sinks *of)
{
    bool ours = true;
    for (size_t i = 0; i < g->n && ours; i++) {
        ours = false;
        for (size_t k = 0; k < of->n && !ours; k++)
            ours = strcmp(g->rows[i].v[COL_RECIPE], of->recipe[k]) == 0;
    }
    return ours;
}

static enum err_code add(struct store_done *d, const char *root,
                         const struct store_look *look,
                         const struct store_sinks *of,
                         const struct store_group *g, struct err *e)
{
    if (2 * (d->n + 1) > d->cap) {
        enum err_code rc = grow(d, e);
        if (rc)
            return rc;
    }
    struct store_outcome o;
    store_group_measure(g, &o);
    struct slot s = {
        .entry = {.finished = o.finished,
                  .failed = o.failed > 0,
                  .views = o.views,
                  .mixed = o.mixed,
                  .ours = !of->n || all_ours(g, of),
                  .lost = look && look->files && lost_files(root, g)}};
    /* Where several sinks write it, a run may have ended between them. */
    if (of->n > 1 && s.entry.ours && s.entry.finished && !s.entry.mixed)
        s.entry.finished = store_group_all_gave(
            g, (const char(*)[33])of->recipe, of->gives, of->n);
    s.entry.lacking = look && look->lacks && s.entry.finished && s.entry.ours &&
                      look->lacks(look->arg, g);
    const char *const *v = g->rows[0].v;
    store_about(v[COL_SOURCE_HASH], v[COL_SET], v[COL_IDENTITY], s.entry.about);
    hash_of(g->rows[0].v[COL_NAME], g->rows[0].v[COL_SNIPPET], s.h);
    *slot_of(d, s.h) = s;
    d->n++;
    return OK;
}

enum err_code store_done_load(const char *root, const struct store_look *look,
                              const struct store_sinks *of,
                              struct store_done **out, struct err *e)
{
    *out = NULL;
    /* A store that only can be read is read as it stands. */
    struct err why;
    if (store_recover(root, &why) == ERR_DATA)
        return err_set(e, ERR_DATA, "%s", why.text);
    struct store_done *d = mem_calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory for finished snippets");
    struct store_scan *scan = NULL;
    enum err_code rc = grow(d, e);
    if (!rc)
        rc = store_scan_open(root, &scan, e);
    while (!rc) {
        const struct store_group *g;
        rc = store_scan_next(scan, &g, e);
        if (rc || !g)
            break;
        rc = add(d, root, look, of, g, e);
    }
    if (!rc && store_scan_damaged(scan))
        log_warn("'%s': %zu damaged rows left out; their samples are made "
                 "again",
                 root, store_scan_damaged(scan));
    store_scan_close(&scan);
    if (rc)
        store_done_free(&d);
    *out = d;
    return rc;
}

bool store_done_find(const struct store_done *d, const char *name,
                     const char *snippet, struct store_done_entry *out)
{
    uint64_t h[2];
    hash_of(name, snippet, h);
    const struct slot *s = slot_of(d, h);
    *out = s->entry;
    return s->h[0] || s->h[1];
}

size_t store_done_count(const struct store_done *d)
{
    return d->n;
}

void store_done_free(struct store_done **d)
{
    if (!*d)
        return;
    mem_free((*d)->slots);
    mem_free(*d);
    *d = NULL;
}
