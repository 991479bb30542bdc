/* What a store's results come from: the recipe of this run beside those of the
 * rows that are there. For store.c. */
#ifndef FACET_STORE_SETTINGS_H
#define FACET_STORE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/store/store.h"

struct store_settled {
    char recipe[33], run[33];
    char (*kin)[33]; /* recipes of all sinks of this run with our root; those
                        that write rows first */
    size_t n_kin, n_rows;
    char *text; /* our recipe */
    struct store_before before;
};

/* Look at what is there (under the store's lock), keep our recipe's text beside
 * it. ERR_STATE: another run with other settings is at work. ERR_ARG: there are
 * results from other settings, and set refuses them. */
enum err_code store_settled_open(struct store_settled *s, const char *root,
                                 const struct store_settings *set,
                                 struct err *e) MUST_USE;
/* Say who we are in a writer's folder. */
enum err_code store_settled_sign(const struct store_settled *s, const char *dir,
                                 struct err *e) MUST_USE;
/* Count the rows of the base into s->before. */
enum err_code store_settled_count(struct store_settled *s, const char *root,
                                  struct err *e) MUST_USE;
bool store_settled_ours(const struct store_settled *s, const char *recipe);
void store_settled_free(struct store_settled *s);

/* Who stores what in this run: open addressing on 64-bit hashes. */
struct store_claims {
    struct store_claim_slot {
        uint64_t what, owner;
    } * slots;
    size_t n, cap;
};
enum err_code store_claims_add(struct store_claims *c, const char *what,
                               const char *owner, bool *again,
                               struct err *e) MUST_USE;

#endif
