/* What of a listing is to be done. */
#include "lib/store/due.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/data/recipe.h"
#include "lib/store/done.h"
#include "lib/store/sources.h"

struct due {
    enum due_retry retry;
    struct store_done *table; /* NULL: no store */
    struct sources *sources;
    char (*recipes)[RECIPE_HASH]; /* of the sinks that write there */
    size_t n_recipes;
    bool keep;
    char hash[33];
    struct due_counts counts;
};

/* The sinks that write to the store; *root: where, new memory. */
static enum err_code read_sinks(struct due *d, const struct due_options *o,
                                char **root, struct err *e)
{
    struct recipe_sink k;
    const char *text = o->sinks;
    *root = mem_strdup(o->done);
    while (*root && recipe_sink_next(&text, &k)) {
        if (!recipe_same_root(k.root, o->done))
            continue;
        char(*grown)[RECIPE_HASH] =
            mem_resize(d->recipes, d->n_recipes + 1, sizeof *grown);
        if (!grown)
            return err_set(e, ERR_NOMEM, "no memory for the settings");
        d->recipes = grown;
        snprintf(grown[d->n_recipes++], sizeof *grown, "%s", k.recipe);
        d->keep = d->keep || strcmp(k.other, "keep") == 0;
        if (strcmp(k.other, "apart") == 0) {
            mem_free(*root);
            *root = path_join(k.root, k.apart);
        }
    }
    return *root ? OK : err_set(e, ERR_NOMEM, "no memory for a path");
}

enum err_code due_open(const struct due_options *o, struct due **out,
                       struct err *e)
{
    char *root = NULL;
    *out = NULL;
    struct due *d = mem_calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory to look at a store");
    d->retry = o->retry;
    enum err_code rc = read_sinks(d, o, &root, e);
    if (!rc && *root)
        rc = store_done_load(root, &d->table, e);
    if (!rc)
        rc = sources_open(root, o->bytes, &d->sources, e);
    mem_free(root);
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
    uint64_t about[2];
    bool ours = !d->n_recipes;
    for (size_t i = 0; i < d->n_recipes && !ours; i++)
        ours = strcmp(d->recipes[i], en->recipe) == 0;
    if (!d->n_recipes)
        return STORE_MATCH; /* outside a pipeline: by name alone */
    if (!ours || en->mixed)
        return STORE_OTHER_RECIPE;
    store_about(due_hash(d, s->path), s->set, s->identity, about);
    return store_done_match(en, en->recipe, about);
}

bool due_ask(struct due *d, const struct due_source *s, bool *views)
{
    struct store_done_entry en;
    *views = false;
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
    *views = en.views;
    enum store_match m = match(d, s, &en);
    if (m == STORE_MATCH)
        return false;
    if (d->keep) {
        d->counts.kept++;
        return false;
    }
    d->counts.recipe += m == STORE_OTHER_RECIPE;
    d->counts.source += m == STORE_OTHER_SOURCE;
    return true;
}

bool due_knows(const struct due *d)
{
    return d->table != NULL;
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
    mem_free(d->recipes);
    mem_free(d);
}
