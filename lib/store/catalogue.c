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

static const char *const clip_exts[] = {
    "mp4", "m4v", "mov",  "qt",  "avi", "mkv", "webm",  "mpg",  "mpeg", "m2v",
    "mpv", "ts",  "m2ts", "mts", "flv", "f4v", "wmv",   "asf",  "3gp",  "3g2",
    "ogv", "ogg", "vob",  "mxf", "y4m", "gif", "mjpeg", "mjpg", "dv",   NULL};
static const char *const picture_exts[] = {
    "jpg", "jpeg", "jpe", "jfif", "png", "pgm", "ppm",  "pnm", "pbm",
    "bmp", "webp", "tif", "tiff", "jp2", "tga", "avif", NULL};

static bool in_list(const char *ext, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(ext, *list) == 0)
            return true;
    return false;
}

const char *catalogue_kind(const char *path)
{
    char ext[16];
    path_ext(path, ext);
    if (in_list(ext, clip_exts))
        return "clip";
    return in_list(ext, picture_exts) ? "picture" : NULL;
}

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

/* A name that is safe to print: what is not plain ASCII as \xNN. */
static void printable(const char *s, char *out, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t k = 0;
    for (; *s && k + 5 < n; s++) {
        uint8_t c = (uint8_t)*s;
        if (c >= 0x20 && c < 0x7f && c != '\\') {
            out[k++] = (char)c;
        } else {
            out[k++] = '\\';
            out[k++] = 'x';
            out[k++] = hex[c >> 4];
            out[k++] = hex[c & 15];
        }
    }
    out[k] = 0;
}

static void warn_name(struct catalogue *c, const char *path,
                      const struct err *why)
{
    char shown[512];
    printable(path, shown, sizeof shown);
    /* The reason may quote the raw bytes: only what is safe is repeated. */
    log_warn("left out '%s': %s", shown,
             text_is_utf8(path, strlen(path)) ? why->text
                                              : "the name is not UTF-8");
    c->bad_names++;
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
    *en = (struct catalogue_entry){0};
}

void catalogue_free(struct catalogue *c)
{
    for (size_t i = 0; i < c->n; i++)
        catalogue_entry_free(&c->entries[i]);
    mem_free(c->entries);
    for (size_t i = 0; i < c->n_unreadable; i++)
        mem_free(c->unreadable[i]);
    mem_free(c->unreadable);
    *c = (struct catalogue){0};
}

/* Names become folders of a store, so they are checked here, once. */
static enum err_code check_entry(const struct catalogue_entry *en,
                                 struct err *e)
{
    enum err_code rc = store_check_path(en->path, "path", 32, e);
    if (!rc)
        rc = store_check_path(en->name, "name", 31, e);
    if (!rc)
        rc = store_check_path(en->snippet, "snippet", 1, e);
    if (!rc && !text_is_utf8(en->identity, strlen(en->identity)))
        rc = err_set(e, ERR_DATA, "the identity is not UTF-8");
    if (!rc && !text_is_utf8(en->set, strlen(en->set)))
        rc = err_set(e, ERR_DATA, "the set is not UTF-8");
    return rc;
}

static int by_path(const void *a, const void *b)
{
    const struct catalogue_entry *x = a, *y = b;
    return strcmp(x->path, y->path);
}

/* Complete, check, filter: entries shrinks in place. */
static enum err_code refine(const struct catalogue_options *o,
                            const char *root_name, struct catalogue *c,
                            struct err *e)
{
    size_t kept = 0, in_set = 0;
    enum err_code rc = OK;
    for (size_t i = 0; i < c->n; i++) {
        struct catalogue_entry *en = &c->entries[i];
        struct err why = {0};
        bool keep = !rc;
        if (keep && kept && strcmp(c->entries[kept - 1].path, en->path) == 0) {
            log_warn("'%s' is listed twice", en->path);
            c->duplicates++;
            keep = false;
        }
        if (keep) {
            rc = complete(o, root_name, en, e);
            keep = !rc;
        }
        if (keep && check_entry(en, &why) != OK) {
            warn_name(c, en->path, &why);
            keep = false;
        }
        if (keep && *o->set && strcmp(o->set, en->set) != 0)
            keep = false;
        if (keep)
            c->found++;
        if (keep && o->shards > 1)
            keep = (int64_t)(in_set++ % (size_t)o->shards) == o->shard;
        if (keep && o->limit > 0 && kept >= (size_t)o->limit)
            keep = false;
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

static enum err_code list_tree(const struct catalogue_options *o,
                               struct catalogue *c, struct err *e)
{
    struct file_list l;
    enum err_code rc = file_walk(o->root, MAX_FILES, &l, e);
    if (rc)
        return rc;
    c->entries = l.n ? mem_array(l.n, sizeof *c->entries) : NULL;
    if (l.n && !c->entries)
        rc = err_set(e, ERR_NOMEM, "no memory for %zu files", l.n);
    for (size_t i = 0; !rc && i < l.n; i++) {
        if (!wanted(o, l.names[i])) {
            c->left_out++;
            continue;
        }
        c->entries[c->n++] = (struct catalogue_entry){.path = l.names[i]};
        l.names[i] = NULL;
    }
    c->unreadable = l.unreadable;
    c->n_unreadable = l.n_unreadable;
    l.unreadable = NULL;
    l.n_unreadable = 0;
    file_list_free(&l);
    return rc;
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
    mem_free(name);
    if (!rc && !out->found)
        rc = err_set(e, ERR_DATA,
                     "no %s in '%s'%s%s (%zu other files, %zu unusable names)",
                     *o->pattern ? "file of this pattern"
                                 : media_words[o->media],
                     *o->list ? o->list : o->root, *o->set ? " in set " : "",
                     o->set, out->left_out, out->bad_names);
    if (rc)
        catalogue_free(out);
    return rc;
}
