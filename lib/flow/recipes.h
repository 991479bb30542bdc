/* What the results of each stage of a pipeline come from: programs, parameters,
 * the bytes of files that parameters name, and how the stages are connected.
 * See lib/data/recipe.h for the text and docs/store.md for what counts. */
#ifndef FACET_FLOW_RECIPES_H
#define FACET_FLOW_RECIPES_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/flow/pipeline.h"

struct recipes;

/* Reads the programs and the files that count. A file that cannot be read
 * counts by its name: its stage will say so when it opens it. p must outlive
 * the result. */
enum err_code recipes_new(const struct pipeline *p, struct recipes **out,
                          struct err *e) MUST_USE;
void recipes_free(struct recipes **r);
/* The recipe of one stage's results, with all stages that feed it. */
const char *recipes_of(const struct recipes *r, size_t stage);
/* Append the sinks with a parameter `root` that matter to this stage, as
 * stage_sinks() of stage.h gives them. */
enum err_code recipes_sinks(const struct recipes *r, size_t stage,
                            struct buf *out, struct err *e) MUST_USE;

#endif
