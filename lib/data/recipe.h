/* Recipes: what a result came from, as text. One line a thing, sorted by
 * bytes:
 *
 *     frames.count <TAB> 5
 *     points.model <TAB> 0f3a..e1 <TAB> points-128
 *     points/program <TAB> 77..b0 <TAB> landmarker
 *     poses/from.in <TAB> points.out
 *
 * a key, what counts, and where that is a hash what a person calls it. The
 * hash of a recipe is XXH3-128 over keys and what counts, so a file that was
 * moved is the same file. lib/flow/recipes.c makes them, lib/store keeps them.
 */
#ifndef FACET_DATA_RECIPE_H
#define FACET_DATA_RECIPE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define RECIPE_HASH 33 /* bytes of a hash in hexadecimal, with the NUL */

/* Append a line; shown may be NULL. Tabs and line ends in the texts become
 * %09 and %0a, '%' becomes %25. */
enum err_code recipe_put(struct buf *b, const char *key, const char *counts,
                         const char *shown, struct err *e) MUST_USE;
/* Sort the lines of a recipe (n bytes), in place; each ends in a newline. */
enum err_code recipe_sort(char *text, size_t n, struct err *e) MUST_USE;
/* Its hash; "" of "" (no recipe). */
void recipe_hash(const char *text, char hex[RECIPE_HASH]);

/* How two recipes differ, for a person, into out: "points.model: points-128 ->
 * fan1-128, frames.count: 5 -> 8 and 2 more". "" if they do not; "unknown" if
 * one of them is "". Returns out. */
char *recipe_differ(const char *before, const char *now, char *out, size_t n);

/* Sinks as the runner names them to a stage: a line each. */
struct recipe_sink {
    char name[48];            /* of the stage */
    char recipe[RECIPE_HASH]; /* its hash */
    char apart[16];           /* "settings-3fa91c": of all sinks of this root */
    char other[16];           /* its parameter `other`, "" if it has none */
    char rows[12];   /* which rows it writes into a store: "samples", "failures"
                        (these alone), "" none */
    char root[4096]; /* its parameter `root`, as given */
};
enum err_code recipe_sink_put(struct buf *b, const struct recipe_sink *s,
                              struct err *e) MUST_USE;
/* Read the line at *text and move behind it; false at the end. */
bool recipe_sink_next(const char **text, struct recipe_sink *out);
/* Do two texts name the same folder: alike but for "./" and '/' at their ends,
 * or, where it exists, by another path? */
bool recipe_same_root(const char *a, const char *b);

#endif
