/* The items that a process has in hand, on a page that outlives it: so that
 * after a crash the runner can say what it was working on. */
#ifndef FACET_FLOW_INHAND_H
#define FACET_FLOW_INHAND_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/flow/stage_run.h"

struct inhand;

/* Make the page "DIR/p<index>.hand" and map it. */
struct inhand *inhand_new(const char *dir, int index, struct err *e) MUST_USE;
void inhand_free(struct inhand **h);
/* Items 0..n-1 are in work now; n = 0: none. */
void inhand_set(struct inhand *h, struct work *const *w, size_t n);
/* No item, but something else: "its next item"; NULL: it is over. */
void inhand_busy(struct inhand *h, const char *what);
/* More about what is in work, for those who wait for it. */
void inhand_note(struct inhand *h, const char *text);

/* What a process has in work, as it last said. */
struct inhand_view {
    size_t items;
    int64_t since_ns; /* clock_ns; 0: nothing is in work */
    char text[1024];  /* one line for a person */
    char note[128];
};
void inhand_look(const char *dir, int index, struct inhand_view *out);
/* Its items as one line ("" if none), into out. */
void inhand_read(const char *dir, int index, char *out, size_t n);

#endif
