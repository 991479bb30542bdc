/* What sinks with files of their own have in common (sheets, clips, annotated
 * pictures): where they go, the keys that say what each came from
 * (lib/store/keys.h), what is counted, and what is said at the end. */
#ifndef FACET_STAGES_KEYED_H
#define FACET_STAGES_KEYED_H

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/flow/stage.h"
#include "lib/store/keys.h"
#include "lib/store/policy.h"
#include "lib/store/sources.h"

/* The first member of the sink's context. */
struct keyed {
    const char *root; /* parameters */
    int other;
    struct keys *keys;
    struct sources *sources;
    /* files made, of these in place of others, found, left as they are; items
     * that failed */
    int64_t written, anew, there, kept, failed;
};

/* clang-format off */
/* The row of the parameter `other`; m: the context's struct keyed. */
#define KEYED_OTHER(ctx, m)                                                    \
    {"other", PARAM_ENUM, offsetof(ctx, m.other), POLICY_DEFAULT, 0, 0,        \
     POLICY_CHOICES, NULL, POLICY_HELP}
/* For a table of functions: keyed_failed takes the context for its keyed. */
#define KEYED_FIRST(ctx, m)                                                    \
    static_assert(offsetof(ctx, m) == 0, "struct keyed comes first")
/* clang-format on */

/* folder: of the keys, below the root. Errors as of keys_open, sources_open. */
static inline enum err_code keyed_open(struct keyed *f, const char *folder,
                                       const struct stage *s, struct err *e)
{
    const struct keys_options o = {.root = f->root,
                                   .keys = folder,
                                   .policy = (enum policy)f->other,
                                   .instance = stage_instance(s),
                                   .recipe = stage_recipe(s),
                                   .sinks = stage_sinks(s),
                                   .run_key = stage_run_key(s)};
    enum err_code rc = keys_open(&o, &f->keys, e);
    return rc ? rc : sources_open("", false, &f->sources, e);
}

static inline void keyed_close(struct keyed *f)
{
    keys_close(&f->keys);
    sources_close(&f->sources);
}

/* `failed` of the table of functions. */
static inline void keyed_failed(void *ctx, struct stage *s,
                                const struct item *in, const struct err *why)
{
    struct keyed *f = ctx;
    (void)s;
    (void)in;
    (void)why;
    f->failed++;
}

/* " (3 in place of ones from other settings or sources)" or "" into out. */
static inline const char *keyed_anew(const struct keyed *f, char *out, size_t n)
{
    out[0] = 0;
    if (f->anew)
        (void)snprintf(out, n,
                       " (%lld in place of ones from other settings or "
                       "sources)",
                       (long long)f->anew);
    return out;
}

/* How many files are of other settings still; the first replica counts. */
static inline enum err_code keyed_others(const struct keyed *f,
                                         const struct stage *s, size_t *n,
                                         struct err *e)
{
    *n = 0;
    return stage_replica(s) == 0 ? keys_others(f->keys, n, e) : OK;
}

/* The closing lines about them. what: "clips", "pictures". */
static inline void keyed_tell(const struct keyed *f, struct stage *s,
                              const char *what, size_t others)
{
    if (others > (size_t)f->kept)
        stage_report(s, "%zu %s from other settings are still there",
                     others - (size_t)f->kept, what);
    if (!f->kept)
        return;
    log_warn("%lld %s in '%s' are of other settings or sources and were kept "
             "(other=keep)",
             (long long)f->kept, what, keys_root(f->keys));
    stage_report(s, "%lld %s left as they are, of other settings",
                 (long long)f->kept, what);
}

#endif
