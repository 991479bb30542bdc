/* The dead-letter store: inputs that failed, set aside with the reason.
 *
 *   <dead>/<stage>/<id>.tape  the input with error_code, error_text,
 *                             error_stage, error_attempts (and error_trace)
 * added: feed it again with `facet tape cat FILE | STAGE --stdio`
 *   <dead>/<stage>/<id>.txt   the same for a person
 *
 * Both appear whole or not at all; any number of processes may write. */
#ifndef FACET_FLOW_DEAD_H
#define FACET_FLOW_DEAD_H

#include <stdbool.h>

#include "lib/base/err.h"
#include "lib/data/item.h"

/* it: as stage_failed_item makes it. A letter of the same id is replaced. */
enum err_code dead_write(const char *dead, const char *stage,
                         const struct item *it, struct err *e) MUST_USE;
/* Are there letters of this stage (of an earlier run)? */
bool dead_any(const char *dead, const char *stage);
/* The item came through after all: forget its letter, if there is one. */
void dead_clear(const char *dead, const char *stage, const struct item_id *id);

#endif
