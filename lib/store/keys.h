/* Keys of single files: what each came from, for sinks whose results are files
 * of their own (sheets, clips, annotated pictures). The key of ROOT/x lies in
 * ROOT/<keys>/x.key: recipe, source and sum of the file, so a file that another
 * program, a kill or a person has changed is not taken for ours. */
#ifndef FACET_STORE_KEYS_H
#define FACET_STORE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/store/policy.h"
#include "lib/store/row.h"

struct keys_options {
    const char *root;     /* as the parameter says */
    const char *keys;     /* folder below it, ".facet/keys" */
    enum policy policy;   /* the parameter `other` */
    const char *instance; /* stage_instance, stage_recipe, ... */
    const char *recipe, *sinks, *run_key;
};

struct keys;

/* Makes the folder. ERR_STATE: another run with other settings is at work
 * there. ERR_ARG: results from other settings, which the policy refuses; apart
 * without a pipeline. */
enum err_code keys_open(const struct keys_options *o, struct keys **out,
                        struct err *e) MUST_USE;
/* Where results go: root, or its part for these settings. */
const char *keys_root(const struct keys *k);

/* Hash of our recipe; "" outside a pipeline. */
const char *keys_recipe(const struct keys *k);

enum keys_state {
    KEYS_NONE, /* there is no such file */
    KEYS_OURS, /* it is there, of these settings and this source */
    KEYS_KEPT, /* of others, and the policy is to keep it */
    KEYS_OTHER /* of others or of unknown ones: to be made anew */
};
/* Is ROOT/rel there, and what of? Outside a pipeline (no recipe) a file that is
 * there is ours. source: hash, "" none. */
enum keys_state keys_look(const struct keys *k, const char *rel,
                          const char *source);
/* The file is in its place: note its key. */
enum err_code keys_note(const struct keys *k, const char *rel,
                        const char *source, struct err *e) MUST_USE;
/* What else of folder rel is of other settings goes, with its key; *n: how many
 * files. Nothing under the policy keep. */
enum err_code keys_sweep(const struct keys *k, const char *rel, size_t *n,
                         struct err *e) MUST_USE;
/* Files that are still of other settings than ours; 0 outside a pipeline. */
enum err_code keys_others(const struct keys *k, size_t *n,
                          struct err *e) MUST_USE;
/* For a catalog: is ROOT/rel of one of these recipes (n of 33 bytes each)? */
bool keys_known(const char *root, const char *keys, const char *rel,
                const char (*recipes)[33], size_t n);
/* Is one of the files of folder rel that were made of these recipes and this
 * source gone? */
bool keys_lost(const char *root, const char *keys, const char *rel,
               const char *source, const char (*recipes)[33], size_t n);
void keys_close(struct keys **k);

/* The hash of the clip or picture that an item comes of: what its source says,
 * else that of the file at `path`; "" where there is neither. */
struct sources;
struct item;
void keys_source(struct sources *s, const struct item *it, char hex[33]);

#endif
