/* What a sink does with results that are there from other settings or sources:
 * its parameter `other`, the same for all sinks. */
#ifndef FACET_STORE_POLICY_H
#define FACET_STORE_POLICY_H

#include "lib/base/err.h"
#include "lib/store/store.h"

enum policy { POLICY_REMAKE, POLICY_KEEP, POLICY_APART, POLICY_REFUSE };
#define POLICY_CHOICES "remake|keep|apart|refuse"
#define POLICY_DEFAULT "remake"
#define POLICY_HELP                                                            \
    "what to do with results that are there from other settings or sources: "  \
    "remake: make them anew; keep: leave them; apart: leave them, these "      \
    "settings get a folder settings-<hash> of their own below root; refuse: "  \
    "do not start"

enum store_other policy_of_store(enum policy p);
/* Where results go: root, or with `apart` root/settings-<hash> as `sinks`
 * (stage_sinks) says of the stage `name`; new memory in *out. ERR_ARG: apart,
 * but nothing says which settings these are (outside a pipeline). */
enum err_code policy_root(enum policy p, const char *sinks, const char *name,
                          const char *root, char **out, struct err *e) MUST_USE;

#endif
