/* Listing clips and pictures: a tree of files or a CSV, in a fixed order. */
#ifndef FACET_STORE_CATALOGUE_H
#define FACET_STORE_CATALOGUE_H

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
    enum catalogue_media media;
    enum catalogue_identity identity;
    const char *set;       /* keep only this one, "" all */
    double train_fraction; /* of identities, where the list gives no set */
    uint64_t seed;         /* of that split */
    int64_t shard, shards; /* every shards-th file, from the shard-th */
    int64_t limit;         /* first so many; 0: all */
};

/* One clip or picture. Strings owned by the catalogue. */
struct catalogue_entry {
    char *path;     /* below root */
    char *name;     /* folder part: "id00019/WqlypvicTmY"; root's own name for a
                       file that lies in root itself */
    char *snippet;  /* file name */
    char *identity; /* "" if unknown */
    char *set;      /* "train", "test", or what the list says */
    const char *media; /* "clip", "picture", "unknown" */
};

struct catalogue {
    struct catalogue_entry *entries; /* sorted by bytes of path, unique */
    size_t n;
    size_t found;      /* files met before set, shard and limit */
    size_t left_out;   /* of other kinds */
    size_t bad_names;  /* not UTF-8, control characters, ... (warned of) */
    size_t duplicates; /* listed twice (warned of) */
    char **unreadable; /* folders that could not be opened: the reasons */
    size_t n_unreadable;
};

/* ERR_NOTFOUND: no root, no list. ERR_DATA: nothing to list, or a malformed
 * list, with its line. CSV columns by header: path, or name and snippet; set
 * or split; identity. Paths must stay below root. Untrusted. */
enum err_code catalogue_load(const struct catalogue_options *o,
                             struct catalogue *out, struct err *e) MUST_USE;
void catalogue_free(struct catalogue *c);

/* "train" for about `fraction` of all identities, always the same ones. */
const char *catalogue_split(const char *identity, double fraction,
                            uint64_t seed);
/* "clip", "picture" or NULL by the extension; gif is a clip. */
const char *catalogue_kind(const char *path);

#endif
