/* catalog: lists clips or pictures below a folder, in a fixed order. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/data/item.h"
#include "lib/flow/stage.h"
#include "lib/store/catalogue.h"
#include "lib/store/due.h"

#define EMIT_AT_ONCE 16
#define FORMAT_MAX 4096

struct ctx {
    /* parameters */
    const char *root, *list, *pattern, *set, *done, *sheets;
    int media, identity, retry, sources;
    int64_t limit, seed, shard, shards;
    double split;
    /* state */
    struct catalogue cat;
    struct due *due;   /* NULL: no store to compare with */
    size_t next, todo; /* entries[0 .. todo-1] are to be emitted */
    bool reported;
};

/* Is there something to do for this one? A folder that cannot be read is told
 * each time: there may be new files in it. */
static bool due(const struct ctx *c, const struct catalogue_entry *en)
{
    bool yes;
    if (!c->due || (en->bad && en->folder))
        return true;
    char *path = path_join(c->root, en->path);
    if (!path)
        return true;
    const struct due_source s = {path, en->name, en->snippet, en->set,
                                 en->identity};
    yes = due_ask(c->due, &s);
    mem_free(path);
    return yes;
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
    if (stage_replica(s) != 0)
        return; /* all replicas list the same */
    char *over = catalogue_passed_over(&c->cat);
    if (over && *over)
        stage_report(s, "left out: %s", over);
    mem_free(over);
    if (!c->due)
        return;
    struct due_counts n = due_counts(c->due);
    char more[80] = "";
    if (n.kept)
        snprintf(more, sizeof more, "; %zu of other settings or sources kept",
                 n.kept);
    if (c->todo < c->cat.n)
        stage_report(s, "%zu listed, %zu left out (%s%s), %zu to do", c->cat.n,
                     c->cat.n - c->todo,
                     c->retry == DUE_FAILED ? "not failed" : "finished before",
                     more, c->todo);
    if (n.source)
        stage_report(s, "%zu of them changed since they were stored: anew",
                     n.source);
    if (n.lost)
        stage_report(s, "of %zu there are files missing or cut in '%s': made again",
                     n.lost, c->done);
}

/* A store of layout identity has pictures like any others: where it is the
 * folder of the sources itself, they would be taken for such. */
static enum err_code check_store(const struct ctx *c, struct err *e)
{
    struct stat root, done;
    struct buf b;
    char *format = path_join(c->done, ".facet/format");
    bool clash = false;
    if (format && !*c->list && stat(c->root, &root) == 0 &&
        stat(c->done, &done) == 0 && root.st_dev == done.st_dev &&
        root.st_ino == done.st_ino &&
        file_read(format, FORMAT_MAX, &b, NULL) == OK) {
        clash = strstr(buf_str(&b), "\nidentity\n") != NULL;
        buf_free(&b);
    }
    mem_free(format);
    if (!clash)
        return OK;
    return err_set(e, ERR_ARG,
                   "'%s' is both the folder of the sources and a store of "
                   "layout identity: its pictures cannot be told from them; "
                   "choose another folder for the store",
                   c->root);
}

static enum err_code catalog_open(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    struct catalogue_options o = {
        .root = c->root,
        .list = c->list,
        .pattern = c->pattern,
        .store = c->done,
        .media = (enum catalogue_media)c->media,
        .identity = (enum catalogue_identity)c->identity,
        .set = c->set,
        .train_fraction = c->split,
        .seed = (uint64_t)c->seed,
        .shard = c->shard,
        .shards = c->shards,
        .limit = c->limit,
    };
    if (c->retry == DUE_FAILED && !*c->done)
        return err_set(e, ERR_ARG,
                       "retry=failed needs `done`, the store "
                       "that knows what failed");
    enum err_code rc = *c->done ? check_store(c, e) : OK;
    if (!rc)
        rc = catalogue_load(&o, &c->cat, e);
    const struct due_options d = {c->done, c->sheets, stage_sinks(s),
                                  (enum due_retry)c->retry, c->sources == 1};
    if (!rc && *c->done)
        rc = due_open(&d, &c->due, e);
    if (rc)
        return rc;
    leave_out_done(c);
    /* Several replicas share the listing by position. */
    int64_t mine = 0, n = stage_replicas(s) > 1 ? stage_replicas(s) : 1;
    for (size_t i = 0; i < c->todo; i++)
        mine += (int64_t)(i % (size_t)n) == stage_replica(s);
    stage_expect(s, mine);
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
    const char *hash = !rc && c->due && !en->bad ? due_hash(c->due, path) : "";
    if (!rc && *hash)
        rc = item_set_str(it, "source_hash", hash, e);
    mem_free(path);
    if (rc) {
        item_free(&it);
        return rc;
    }
    item_set_key(it, en->path);
    if (!en->bad)
        return stage_emit(s, NULL, it, e);
    stage_fail(s, it, en->code, "%s", en->bad);
    item_free(&it);
    return OK;
}

static enum err_code catalog_produce(void *ctx, struct stage *s, bool *end,
                                     struct err *e)
{
    struct ctx *c = ctx;
    int64_t n = stage_replicas(s) > 1 ? stage_replicas(s) : 1;
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
    due_close(&c->due);
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
     "store whose finished snippets are left out, as far as they are of these "
     "settings and files"},
    {"sheets", PARAM_PATH, AT(sheets), "", 0, 0, NULL, NULL,
     "folder of sheet-writer: finished views whose sheet is missing or of "
     "other "
     "settings are taken again"},
    {"retry", PARAM_ENUM, AT(retry), "none", 0, 0, "none|failed|all", NULL,
     "none: what has no outcome in `done`; failed: only what failed there; "
     "all: everything"},
    {"sources", PARAM_ENUM, AT(sources), "stamps", 0, 0, "stamps|bytes", NULL,
     "how a file that `done` has finished is known to be the same: stamps: its "
     "inode, size and times, else its bytes; bytes: every file is read"},
    {0}};

static const struct stage_port out[] = {
    {"out",
     "path str, name str, snippet str, identity str, set str, media str, "
     "source_hash str?",
     "one item a clip or picture, sorted by bytes of the path; the hash of the "
     "file where there is a store to compare with"},
    {0}};

static const struct stage_desc desc = {
    .name = "catalog",
    .help = "Lists clips or pictures below a folder, in a fixed order. Leaves "
            "out what a store has finished.",
    .kind = STAGE_SOURCE,
    .out = out,
    .params = params,
    .aside = "root list pattern identity set split seed shard "
             "shards limit done sheets retry sources",
    .ctx_size = sizeof(struct ctx),
    .open = catalog_open,
    .produce = catalog_produce,
    .close = catalog_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
