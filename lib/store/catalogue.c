/* Listing clips and pictures. */
#include "lib/store/catalogue.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/store/catalogue_list.h"
#include "lib/store/row.h"
#include "lib/store/store.h"

#define MAX_FILES ((size_t)50000000)
#define MOST_ENDINGS 12 /* named one by one */

/* A pattern decides alone; without one the extension does. */
static bool wanted(const struct catalogue_options *o, const char *path)
{
    if (*o->pattern)
        return fnmatch(o->pattern, path, 0) == 0;
    const char *kind = catalogue_kind(path);
    char ext[16];
    path_ext(path, ext);
    if (!kind || o->media == MEDIA_ANY)
        return kind != NULL;
    if (strcmp(ext, "gif") == 0)
        return true; /* one or many frames: welcome as either */
    return (strcmp(kind, "clip") == 0) == (o->media == MEDIA_CLIPS);
}

const char *catalogue_split(const char *identity, double fraction,
                            uint64_t seed)
{
    uint64_t h = store_hash(seed, identity, strlen(identity));
    double unit = (double)(h >> 11) / 9007199254740992.0; /* 2^53 */
    return unit < fraction ? "train" : "test";
}

/* What cannot be taken goes out as texts only. */
static enum err_code names_to_texts(struct catalogue_entry *en, struct err *e)
{
    char **names[] = {&en->path,     &en->name, &en->snippet,
                      &en->identity, &en->set,  &en->bad};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *text = text_escaped(*names[i]);
        if (!text)
            return err_set(e, ERR_NOMEM, "no memory for a listing");
        mem_free(*names[i]);
        *names[i] = text;
    }
    return OK;
}

/* Note why an entry cannot be taken; the first reason is the one to tell. */
static enum err_code spoil(struct catalogue_entry *en, const struct err *why,
                           struct err *e)
{
    if (en->bad)
        return OK;
    en->code = why->code;
    en->bad = mem_strdup(why->text);
    return en->bad ? OK : err_set(e, ERR_NOMEM, "no memory for a listing");
}

/* Fill in what the list did not say. root_name: the name of files in root. */
static enum err_code complete(const struct catalogue_options *o,
                              const char *root_name, struct catalogue_entry *en,
                              struct err *e)
{
    const char *base = path_base(en->path);
    size_t dir = base > en->path ? (size_t)(base - en->path - 1) : 0;
    if (!en->name)
        en->name = dir ? mem_strndup(en->path, dir) : mem_strdup(root_name);
    if (!en->snippet)
        en->snippet = mem_strdup(base);
    if (!en->identity && dir && o->identity != IDENTITY_NONE) {
        size_t first = 0;
        if (o->identity == IDENTITY_PARENT)
            for (size_t i = 0; i < dir; i++)
                if (en->path[i] == '/')
                    first = i + 1;
        const char *id = en->path + first;
        en->identity = mem_strndup(id, strcspn(id, "/"));
    } else if (!en->identity) {
        en->identity = mem_strdup("");
    }
    if (!en->name || !en->snippet || !en->identity)
        return err_set(e, ERR_NOMEM, "no memory for a listing");
    if (!en->set)
        en->set =
            mem_strdup(catalogue_split(*en->identity ? en->identity : en->name,
                                       o->train_fraction, o->seed));
    const char *kind = catalogue_kind(en->path);
    if (kind && o->media == MEDIA_PICTURES && text_ends(en->path, "gif"))
        kind = "picture";
    en->media = kind ? kind : "unknown";
    return en->set ? OK : err_set(e, ERR_NOMEM, "no memory for a listing");
}

void catalogue_entry_free(struct catalogue_entry *en)
{
    mem_free(en->path);
    mem_free(en->name);
    mem_free(en->snippet);
    mem_free(en->identity);
    mem_free(en->set);
    mem_free(en->bad);
    *en = (struct catalogue_entry){0};
}

void catalogue_free(struct catalogue *c)
{
    for (size_t i = 0; i < c->n; i++)
        catalogue_entry_free(&c->entries[i]);
    mem_free(c->entries);
    mem_free(c->others);
    *c = (struct catalogue){0};
}

/* Names become folders of a store, so they are checked here, once. */
static enum err_code check_entry(const struct catalogue_entry *en,
                                 struct err *e)
{
    const char *texts[] = {en->path, en->identity, en->set};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!text_is_utf8(texts[i], strlen(texts[i])))
            return err_set(e, ERR_UNSUPPORTED, "the name is not UTF-8");
    enum err_code rc = store_check_path(en->path, "path", STORE_PARTS, e);
    if (!rc)
        rc = store_check_path(en->name, "name", STORE_PARTS, e);
    if (!rc)
        rc = store_check_path(en->snippet, "snippet", 1, e);
    return rc ? err_set(e, ERR_UNSUPPORTED, "%s", e->text) : OK;
}

static int by_path(const void *a, const void *b)
{
    const struct catalogue_entry *x = a, *y = b;
    return strcmp(x->path, y->path);
}

/* Complete and check all; what is listed twice goes. */
static enum err_code refine(const struct catalogue_options *o,
                            const char *root_name, struct catalogue *c,
                            struct err *e)
{
    size_t kept = 0;
    enum err_code rc = OK;
    for (size_t i = 0; i < c->n; i++) {
        struct catalogue_entry *en = &c->entries[i];
        struct err why = {0};
        if (rc || (kept && strcmp(c->entries[kept - 1].path, en->path) == 0)) {
            if (!rc) {
                log_warn("'%s' is listed twice", en->path);
                c->duplicates++;
            }
            catalogue_entry_free(en);
            continue;
        }
        rc = complete(o, root_name, en, e);
        if (!rc && !en->bad && check_entry(en, &why) != OK) {
            c->bad_names++;
            rc = spoil(en, &why, e);
        }
        struct catalogue_entry tmp = *en;
        *en = (struct catalogue_entry){0};
        c->entries[kept++] = tmp;
    }
    c->n = kept;
    return rc;
}

static int by_place(const void *a, const void *b)
{
    const struct catalogue_entry *x = *(struct catalogue_entry *const *)a;
    const struct catalogue_entry *y = *(struct catalogue_entry *const *)b;
    int d = strcmp(x->name, y->name);
    d = d ? d : strcmp(x->snippet, y->snippet);
    return d ? d : strcmp(x->path, y->path);
}

/* Of files that would stand in one place of a store, the first is taken: a list
 * may give two the same name, and a file in root has the name of root, which a
 * folder in it may have too. */
static enum err_code part_doubles(struct catalogue *c, struct err *e)
{
    struct catalogue_entry **order =
        c->n ? mem_array(c->n, sizeof *order) : NULL;
    if (!order)
        return c->n ? err_set(e, ERR_NOMEM, "no memory for a listing") : OK;
    for (size_t i = 0; i < c->n; i++)
        order[i] = &c->entries[i];
    qsort(order, c->n, sizeof *order, by_place);
    enum err_code rc = OK;
    for (size_t i = 1, first = 0; !rc && i < c->n; i++) {
        struct catalogue_entry *a = order[first], *b = order[i];
        if (strcmp(a->name, b->name) != 0 ||
            strcmp(a->snippet, b->snippet) != 0) {
            first = i;
            continue;
        }
        struct err why;
        err_set(&why, ERR_UNSUPPORTED,
                "it would be stored as '%.150s/%.150s', and so would '%.150s'",
                b->name, b->snippet, a->path);
        char *own = mem_strdup(b->path); /* its row needs a name of its own */
        if (!own) {
            rc = err_set(e, ERR_NOMEM, "no memory for a listing");
            break;
        }
        mem_free(b->snippet);
        b->snippet = own;
        rc = spoil(b, &why, e);
    }
    mem_free(order);
    return rc;
}

/* Only the set, the shard, the first so many: entries shrinks in place. */
static enum err_code choose(const struct catalogue_options *o,
                            struct catalogue *c, struct err *e)
{
    size_t kept = 0, in_set = 0;
    enum err_code rc = OK;
    for (size_t i = 0; i < c->n; i++) {
        struct catalogue_entry *en = &c->entries[i];
        bool keep = !rc && (!*o->set || strcmp(o->set, en->set) == 0);
        c->found += keep;
        if (keep && o->shards > 1)
            keep = (int64_t)(in_set++ % (size_t)o->shards) == o->shard;
        if (keep && o->limit > 0 && kept >= (size_t)o->limit)
            keep = false;
        if (keep && en->bad)
            rc = names_to_texts(en, e);
        if (!keep) {
            catalogue_entry_free(en);
            continue;
        }
        struct catalogue_entry tmp = *en;
        *en = (struct catalogue_entry){0};
        c->entries[kept++] = tmp;
    }
    c->n = kept;
    return rc;
}

/* Count one that is left out, under its ending. */
static enum err_code leave_out(struct catalogue *c, const char *path,
                               struct err *e)
{
    char ext[16];
    path_ext(path, ext);
    for (const char *p = ext; *p; p++)
        if ((uint8_t)*p <= 0x20 || (uint8_t)*p >= 0x7f)
            *ext = 0; /* no ending that a person has given */
    c->left_out++;
    size_t i = 0;
    while (i < c->n_others && strcmp(c->others[i].ext, ext) != 0)
        i++;
    if (i == c->n_others) {
        struct catalogue_other *grown =
            mem_resize(c->others, c->n_others + 1, sizeof *grown);
        if (!grown)
            return err_set(e, ERR_NOMEM, "no memory for a listing");
        c->others = grown;
        memset(&grown[i], 0, sizeof grown[i]);
        memcpy(grown[i].ext, ext, sizeof ext);
        c->n_others++;
    }
    c->others[i].n++;
    return OK;
}

/* The store's path below root with a '/' behind it, new memory; "" if it does
 * not lie there. */
static char *store_below(const struct catalogue_options *o)
{
    char *root = o->store && *o->store ? realpath(o->root, NULL) : NULL;
    char *store = root ? realpath(o->store, NULL) : NULL;
    size_t n = root ? strlen(root) : 0;
    char *out;
    if (store && strncmp(store, root, n) == 0 && store[n] == '/')
        out = mem_printf("%s/", store + n + 1);
    else
        out = mem_strdup("");
    free(root); /* realpath's own memory, not ours */
    free(store);
    return out;
}

static enum err_code list_tree(const struct catalogue_options *o,
                               struct catalogue *c, struct err *e)
{
    struct file_list l;
    enum err_code rc = file_walk(o->root, MAX_FILES, &l, e);
    if (rc)
        return rc;
    size_t all = l.n + l.n_bad;
    char *store = store_below(o);
    c->entries = all ? mem_array(all, sizeof *c->entries) : NULL;
    if (!store || (all && !c->entries))
        rc = err_set(e, ERR_NOMEM, "no memory for %zu files", all);
    for (size_t i = 0; !rc && i < l.n; i++) {
        if (*store && text_starts(l.names[i], store)) {
            c->in_store++;
        } else if (!wanted(o, l.names[i])) {
            rc = leave_out(c, l.names[i], e);
        } else {
            c->entries[c->n++] = (struct catalogue_entry){.path = l.names[i]};
            l.names[i] = NULL;
        }
    }
    for (size_t i = 0; !rc && i < l.n_bad; i++) {
        struct file_bad *b = &l.bad[i];
        char ext[16];
        path_ext(b->path, ext);
        if (*store && text_starts(b->path, store))
            continue;
        /* What has no ending may well be a folder. */
        if (b->kind != FILE_BAD_FOLDER && !wanted(o, b->path) &&
            (b->kind != FILE_BAD_UNKNOWN || *ext)) {
            rc = leave_out(c, b->path, e);
            continue;
        }
        c->entries[c->n++] = (struct catalogue_entry){
            .path = b->path,
            .bad = b->why,
            .code = b->code,
            .folder = b->kind == FILE_BAD_FOLDER ||
                      (b->kind == FILE_BAD_UNKNOWN && !*ext)};
        b->path = b->why = NULL;
    }
    c->hidden = l.hidden;
    c->loops = l.loops;
    c->by_pattern = *o->pattern;
    mem_free(store);
    file_list_free(&l);
    return rc;
}

static int by_count(const void *a, const void *b)
{
    const struct catalogue_other *x = a, *y = b;
    if (x->n != y->n)
        return x->n < y->n ? 1 : -1;
    if (!*x->ext != !*y->ext)
        return *x->ext ? -1 : 1;
    return strcmp(x->ext, y->ext);
}

char *catalogue_passed_over(const struct catalogue *c)
{
    const struct {
        size_t n;
        const char *what;
    } rest[] = {{c->by_pattern ? c->left_out : 0, "not fitting the pattern"},
                {c->hidden, "hidden"},
                {c->loops, "in loops of links"},
                {c->in_store, "in the store"}};
    struct buf b;
    enum err_code rc = OK;
    buf_init(&b, 4096);
    size_t shown = 0;
    for (size_t i = 0; !c->by_pattern && !rc && i < c->n_others; i++) {
        const struct catalogue_other *x = &c->others[i];
        if (shown == MOST_ENDINGS && i + 1 < c->n_others)
            break;
        rc = buf_printf(&b, NULL, *x->ext ? "%s%zu .%s" : "%s%zu %s",
                        shown++ ? ", " : "", x->n,
                        *x->ext ? x->ext : "without an ending");
    }
    size_t more = 0;
    for (size_t i = shown; !c->by_pattern && i < c->n_others; i++)
        more += c->others[i].n;
    if (!rc && more)
        rc = buf_printf(&b, NULL, ", %zu of other kinds", more);
    for (size_t i = 0; !rc && i < sizeof rest / sizeof *rest; i++)
        if (rest[i].n)
            rc = buf_printf(&b, NULL, "%s%zu %s", shown++ ? ", " : "",
                            rest[i].n, rest[i].what);
    char *out = rc ? NULL : mem_strdup(buf_str(&b));
    buf_free(&b);
    return out;
}

/* A name for files that lie in root itself: root's own last part. */
static char *name_of_root(const char *root)
{
    char *real = realpath(root, NULL);
    const char *base = real ? path_base(real) : "";
    char *name = mem_strdup(*base && *base != '.' ? base : "root");
    free(real); /* realpath's own memory, not ours */
    return name;
}

static const char *const media_words[] = {"clips", "pictures",
                                          "clips or pictures"};

enum err_code catalogue_load(const struct catalogue_options *o,
                             struct catalogue *out, struct err *e)
{
    *out = (struct catalogue){0};
    if (o->shards > 0 && (o->shard < 0 || o->shard >= o->shards))
        return err_set(e, ERR_ARG, "shard %lld is not one of 0 .. %lld",
                       (long long)o->shard, (long long)o->shards - 1);
    if (!file_exists(o->root))
        return err_set(e, ERR_NOTFOUND, "there is no folder '%s'", o->root);
    if (!file_is_dir(o->root))
        return err_set(e, ERR_ARG, "'%s' is a file, not a folder", o->root);
    enum err_code rc =
        *o->list ? catalogue_list(o, out, e) : list_tree(o, out, e);
    char *name = rc ? NULL : name_of_root(o->root);
    if (!rc && !name)
        rc = err_set(e, ERR_NOMEM, "no memory for a listing");
    if (!rc && out->n)
        qsort(out->entries, out->n, sizeof *out->entries, by_path);
    if (!rc)
        rc = refine(o, name, out, e);
    if (!rc)
        rc = part_doubles(out, e);
    if (!rc)
        rc = choose(o, out, e);
    if (!rc && out->n_others)
        qsort(out->others, out->n_others, sizeof *out->others, by_count);
    mem_free(name);
    if (!rc && !out->found) {
        char *over = catalogue_passed_over(out);
        rc = err_set(e, ERR_DATA, "no %s in '%s'%s%s%s%s%s",
                     *o->pattern ? "file of this pattern"
                                 : media_words[o->media],
                     *o->list ? o->list : o->root, *o->set ? " in set " : "",
                     o->set, over && *over ? " (left out: " : "",
                     over ? over : "", over && *over ? ")" : "");
        mem_free(over);
    }
    if (rc)
        catalogue_free(out);
    return rc;
}
