/* Listing clips and pictures: a tree of files or a CSV, in a fixed order. */
#ifndef FACET_STORE_CATALOGUE_H
#define FACET_STORE_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum catalogue_media { MEDIA_CLIPS, MEDIA_PICTURES, MEDIA_ANY };
enum catalogue_identity {
    IDENTITY_FIRST,  /* the first folder below root: VoxCeleb2 */
    IDENTITY_PARENT, /* the folder the file is in */
    IDENTITY_NONE
};

struct catalogue_options {
    const char *root;    /* a folder (or one file) */
    const char *list;    /* CSV, or "" */
    const char *pattern; /* shell pattern on the path below root, or "" */
    const char *store;   /* where results go, or "": what lies in it is none */
    enum catalogue_media media;
    enum catalogue_identity identity;
    const char *set;       /* keep only this one, "" all */
    double train_fraction; /* of identities, where the list gives no set */
    uint64_t seed;         /* of that split */
    int64_t shard, shards; /* every shards-th file, from the shard-th */
    int64_t limit;         /* first so many; 0: all */
};

/* One clip or picture, or what cannot be taken: then `bad` says why, and bytes
 * of its names that could not stand in a text are written \\xNN. Strings owned
 * by the catalogue. */
struct catalogue_entry {
    char *path;     /* below root */
    char *name;     /* folder part: "id00019/WqlypvicTmY"; root's own name for a
                       file that lies in root itself */
    char *snippet;  /* file name */
    char *identity; /* "" if unknown */
    char *set;      /* "train", "test", or what the list says */
    const char *media; /* "clip", "picture", "unknown" */
    char *bad;         /* NULL: it can be taken */
    enum err_code code;
    bool folder; /* bad: may be a folder, with any number of files in it */
};

/* Files of kinds that were not asked for, by ending. */
struct catalogue_other {
    char ext[16]; /* "": none, or a long one */
    size_t n;
};

struct catalogue {
    struct catalogue_entry *entries; /* sorted by bytes of path, unique */
    size_t n;
    size_t found;      /* files met before set, shard and limit */
    size_t left_out;   /* of other kinds, or not fitting the pattern */
    size_t bad_names;  /* not UTF-8, control characters, ... */
    size_t duplicates; /* listed twice (warned of) */
    size_t hidden;     /* names with a leading '.' */
    size_t loops;      /* links to a folder that they stand in */
    size_t in_store;   /* files that lie in o.store, below root */
    struct catalogue_other *others; /* most frequent first */
    size_t n_others;
    bool by_pattern;
};

/* ERR_NOTFOUND: no root, no list. ERR_DATA: nothing to list, or a malformed
 * list, with its line. CSV columns by header: path, or name and snippet; set
 * or split; identity. Paths must stay below root. Untrusted. */
enum err_code catalogue_load(const struct catalogue_options *o,
                             struct catalogue *out, struct err *e) MUST_USE;
void catalogue_free(struct catalogue *c);

/* What the listing passed over, in one line, new memory: "12 .heic, 3 .txt, 1
 * without an ending, 2 hidden"; "" if nothing. NULL: no memory. */
char *catalogue_passed_over(const struct catalogue *c) MUST_USE;

/* "train" for about `fraction` of all identities, always the same ones. */
const char *catalogue_split(const char *identity, double fraction,
                            uint64_t seed);
/* "clip", "picture" or NULL by the extension; gif is a clip. */
const char *catalogue_kind(const char *path);

#endif
