/* Which recipes belong together: those of the sinks of one run that write rows
 * into one store. Rows of such stand side by side in a snippet; rows of others
 * are left over from another run. Each writer notes its kin beside its recipe,
 * .facet/recipes/<hash>.kin, when it opens the store. For scan.c and group.c.
 */
#ifndef FACET_STORE_KIN_H
#define FACET_STORE_KIN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

struct store_kin;

/* Read what the writers of root have noted. ERR_IO, ERR_NOMEM. */
enum err_code store_kin_load(const char *root, struct store_kin **out,
                             struct err *e) MUST_USE;
void store_kin_free(struct store_kin **k);
/* Are these hashes the same, or does each name the other as its kin? k may be
 * NULL: nothing is known. */
bool store_kin_are(const struct store_kin *k, const char *a, const char *b);

/* Note that the n recipes are kin of `recipe`, itself among them; one alone has
 * none. The caller holds the store's lock. */
enum err_code store_kin_note(const char *root, const char *recipe,
                             const char (*kin)[33], size_t n,
                             struct err *e) MUST_USE;

#endif
