/* The CSV side of a catalogue, for catalogue.c. */
#ifndef FACET_STORE_CATALOGUE_LIST_H
#define FACET_STORE_CATALOGUE_LIST_H

#include "lib/base/err.h"
#include "lib/store/catalogue.h"

/* Read o->list into c->entries (unsorted; only what the list says is set). */
enum err_code catalogue_list(const struct catalogue_options *o,
                             struct catalogue *c, struct err *e) MUST_USE;
void catalogue_entry_free(struct catalogue_entry *en);

#endif
