/* Where a sample's files stand in a store. */
#ifndef FACET_STORE_LAYOUT_H
#define FACET_STORE_LAYOUT_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/store/store.h"

enum store_file { STORE_FRAME, STORE_POSE, STORE_LANDMARKS, STORE_GENERATED };

/* What names a sample. set and identity are used by STORE_IDENTITY only. */
struct store_key {
    const char *name, *snippet, *set, *identity;
    int64_t sample;
    int64_t face; /* of several of a picture; < 0: none */
    int64_t view; /* < 0: none */
};

/* Check all parts that become path parts. ERR_DATA. Untrusted. */
enum err_code store_check_key(enum store_layout layout,
                              const struct store_key *k,
                              struct err *e) MUST_USE;

/* The path of one file, relative to the root, new memory:
 *   pairs, views: <name>/<snippet>/frame_<i>.<ext>, pose_<i>.<ext>,
 *     landmarks_<i>.csv, view_<i>.png; with a view all but the frame have it
 *     too: pose_<i>_<vv>.<ext>, landmarks_<i>_<vv>.csv, view_<i>_<vv>.png
 *   a face above 0 adds _f<face> to <i>, but for the frame, which is all
 *   faces'
 *   identity: <set or "all">/<identity>/<rest of name>__<snippet>_<i>[_<vv>].
 *     <ext>; a hash is added where "__" in a name could make two paths meet.
 * NULL: no memory. */
char *store_file_path(enum store_layout layout, enum store_file file,
                      const struct store_key *k, const char *ext) MUST_USE;

#endif
