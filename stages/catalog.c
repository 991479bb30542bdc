/* catalog: lists clips or pictures below a folder, in a fixed order. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/data/item.h"
#include "lib/flow/stage.h"
#include "lib/store/catalogue.h"
#include "lib/store/done.h"

enum retry { RETRY_NONE, RETRY_FAILED, RETRY_ALL };

#define EMIT_AT_ONCE 16

struct ctx {
    /* parameters */
    const char *root, *list, *pattern, *set, *done, *sheets;
    int media, identity, retry;
    int64_t limit, seed, shard, shards;
    double split;
    /* state */
    struct catalogue cat;
    struct store_done *table;
    size_t next, todo; /* entries[0 .. todo-1] are to be emitted */
    bool reported;
};

/* Is the sheet of a finished picture's views missing or still in pieces? A
 * kill can come between the store's commit and the sheet's. */
static bool sheet_missing(const struct ctx *c, const struct catalogue_entry *en)
{
    char *sheet =
        mem_printf("%s/%s/%s/sheet_0.png", c->sheets, en->name, en->snippet);
    char *cells =
        mem_printf("%s/.sheets/%s/%s/0", c->sheets, en->name, en->snippet);
    bool missing =
        sheet && cells && (!file_exists(sheet) || file_exists(cells));
    mem_free(sheet);
    mem_free(cells);
    return missing;
}

/* Is there something to do for this one? */
static bool due(const struct ctx *c, const struct catalogue_entry *en)
{
    struct store_done_entry d;
    bool known =
        c->table && store_done_find(c->table, en->name, en->snippet, &d);
    switch ((enum retry)c->retry) {
    case RETRY_ALL:
        return true;
    case RETRY_FAILED:
        return known && d.failed;
    case RETRY_NONE:
        break;
    }
    if (!known || !d.finished)
        return true;
    return *c->sheets && d.views && sheet_missing(c, en);
}

/* Move what is due to the front, order kept. */
static void leave_out_done(struct ctx *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->cat.n; i++) {
        struct catalogue_entry en = c->cat.entries[i];
        if (!due(c, &en))
            continue;
        c->cat.entries[i] = c->cat.entries[kept];
        c->cat.entries[kept++] = en;
    }
    c->todo = kept;
}

/* What the person should know, once, when the run has begun. */
static void report(struct ctx *c, struct stage *s)
{
    if (c->reported)
        return;
    c->reported = true;
    if (c->cat.bad_names)
        stage_report(s, "%zu files left out for their names", c->cat.bad_names);
    if (c->table && c->todo < c->cat.n)
        stage_report(s, "%zu listed, %zu left out (%s), %zu to do", c->cat.n,
                     c->cat.n - c->todo,
                     c->retry == RETRY_FAILED ? "not failed"
                                              : "finished before",
                     c->todo);
}

static enum err_code catalog_open(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    struct catalogue_options o = {
        .root = c->root,
        .list = c->list,
        .pattern = c->pattern,
        .media = (enum catalogue_media)c->media,
        .identity = (enum catalogue_identity)c->identity,
        .set = c->set,
        .train_fraction = c->split,
        .seed = (uint64_t)c->seed,
        .shard = c->shard,
        .shards = c->shards,
        .limit = c->limit,
    };
    if (c->retry == RETRY_FAILED && !*c->done)
        return err_set(e, ERR_ARG,
                       "retry=failed needs `done`, the store "
                       "that knows what failed");
    enum err_code rc = catalogue_load(&o, &c->cat, e);
    if (!rc && *c->done)
        rc = store_done_load(c->done, &c->table, e);
    if (rc)
        return rc;
    leave_out_done(c);
    /* Several replicas share the listing by position. */
    int64_t mine = 0, n = stage_replicas(s) > 1 ? stage_replicas(s) : 1;
    for (size_t i = 0; i < c->todo; i++)
        mine += (int64_t)(i % (size_t)n) == stage_replica(s);
    stage_expect(s, mine);
    log_debug("%zu found, %zu of other kinds", c->cat.found, c->cat.left_out);
    return OK;
}

static enum err_code emit(struct ctx *c, struct stage *s,
                          const struct catalogue_entry *en, struct err *e)
{
    struct item *it = item_new(e);
    if (!it)
        return ERR_NOMEM;
    char *path = path_join(c->root, en->path);
    enum err_code rc = path ? item_set_str(it, "path", path, e)
                            : err_set(e, ERR_NOMEM, "no memory for a path");
    if (!rc)
        rc = item_set_str(it, "name", en->name, e);
    if (!rc)
        rc = item_set_str(it, "snippet", en->snippet, e);
    if (!rc)
        rc = item_set_str(it, "identity", en->identity, e);
    if (!rc)
        rc = item_set_str(it, "set", en->set, e);
    if (!rc)
        rc = item_set_str(it, "media", en->media, e);
    mem_free(path);
    if (rc) {
        item_free(&it);
        return rc;
    }
    item_set_key(it, en->path);
    return stage_emit(s, NULL, it, e);
}

/* Folders that could not be opened become failed items, so that they are
 * counted and kept with their reason. */
static enum err_code fail_unreadable(struct ctx *c, struct stage *s,
                                     struct err *e)
{
    for (size_t i = 0; i < c->cat.n_unreadable; i++) {
        struct item *it = item_new(e);
        if (!it)
            return ERR_NOMEM;
        enum err_code rc = item_set_str(it, "path", c->root, e);
        if (!rc)
            stage_fail(s, it, ERR_IO, "%s", c->cat.unreadable[i]);
        item_free(&it);
        if (rc)
            return rc;
    }
    return OK;
}

static enum err_code catalog_produce(void *ctx, struct stage *s, bool *end,
                                     struct err *e)
{
    struct ctx *c = ctx;
    int64_t n = stage_replicas(s) > 1 ? stage_replicas(s) : 1;
    if (!c->reported && stage_replica(s) == 0) {
        enum err_code rc = fail_unreadable(c, s, e);
        if (rc)
            return rc;
    }
    report(c, s);
    for (int k = 0; k < EMIT_AT_ONCE; k++) {
        while (c->next < c->todo &&
               (int64_t)(c->next % (size_t)n) != stage_replica(s))
            c->next++;
        if (c->next >= c->todo) {
            *end = true;
            return OK;
        }
        enum err_code rc = emit(c, s, &c->cat.entries[c->next++], e);
        if (rc)
            return rc;
    }
    return OK;
}

static void catalog_close(void *ctx)
{
    struct ctx *c = ctx;
    catalogue_free(&c->cat);
    store_done_free(&c->table);
}

#define AT(m) offsetof(struct ctx, m)
static const struct stage_param params[] = {
    {"root", PARAM_FOLDER, AT(root), NULL, 0, 0, NULL, NULL,
     "folder of clips or pictures, e.g. <identity>/<video>/<clip>.mp4"},
    {"list", PARAM_FILE, AT(list), "", 0, 0, NULL, NULL,
     "CSV that says what to take: columns name and snippet, or path; also "
     "set (or split) and identity; paths are below root"},
    {"media", PARAM_ENUM, AT(media), "clips", 0, 0, "clips|pictures|any", NULL,
     "which files, by extension"},
    {"pattern", PARAM_STR, AT(pattern), "", 0, 0, NULL, NULL,
     "shell pattern on the path below root, instead of the extension: "
     "'id0001*/*'"},
    {"identity", PARAM_ENUM, AT(identity), "first", 0, 0, "first|parent|none",
     NULL, "which folder names the person, where the list does not"},
    {"set", PARAM_STR, AT(set), "", 0, 0, NULL, NULL,
     "take only this set (train, test); empty: all"},
    {"split", PARAM_FLOAT, AT(split), "1", 0, 1, NULL, NULL,
     "share of identities in set train, the others in test, where the list "
     "does not say"},
    {"seed", PARAM_INT, AT(seed), "0", 0, 0, NULL, NULL, "of the split"},
    {"shard", PARAM_INT, AT(shard), "0", 0, 1e9, NULL, NULL,
     "which part to take, 0 .. shards-1"},
    {"shards", PARAM_INT, AT(shards), "1", 1, 1e9, NULL, NULL,
     "parts the listing is dealt into"},
    {"limit", PARAM_INT, AT(limit), "0", 0, 1e15, NULL, NULL,
     "take the first so many; 0: all"},
    {"done", PARAM_PATH, AT(done), "", 0, 0, NULL, NULL,
     "store whose finished snippets are left out"},
    {"sheets", PARAM_PATH, AT(sheets), "", 0, 0, NULL, NULL,
     "folder of sheet-writer: finished views without their sheet are taken "
     "again"},
    {"retry", PARAM_ENUM, AT(retry), "none", 0, 0, "none|failed|all", NULL,
     "none: what has no outcome in `done`; failed: only what failed there; "
     "all: everything"},
    {0}};

static const struct stage_port out[] = {
    {"out", "path str, name str, snippet str, identity str, set str, media str",
     "one item a clip or picture, sorted by bytes of the path"},
    {0}};

static const struct stage_desc desc = {
    .name = "catalog",
    .help = "Lists clips or pictures below a folder, in a fixed order. Leaves "
            "out what a store has finished.",
    .kind = STAGE_SOURCE,
    .out = out,
    .params = params,
    .ctx_size = sizeof(struct ctx),
    .open = catalog_open,
    .produce = catalog_produce,
    .close = catalog_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
