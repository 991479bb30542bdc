/* The items that a process has in hand, on a page that outlives it: so that
 * after a crash the runner can say what it was working on. */
#ifndef FACET_FLOW_INHAND_H
#define FACET_FLOW_INHAND_H

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/flow/stage_run.h"

struct inhand;

/* Make the page "DIR/p<index>.hand" and map it. */
struct inhand *inhand_new(const char *dir, int index, struct err *e) MUST_USE;
void inhand_free(struct inhand **h);
/* Items 0..n-1 are in work now; n = 0: none. */
void inhand_set(struct inhand *h, struct work *const *w, size_t n);
/* What process `index` had in hand when it last said so, as one line for a
 * person ("" if nothing), into out. */
void inhand_read(const char *dir, int index, char *out, size_t n);

#endif
