/* The parts of `facet tape`, one file each. */
#ifndef FACET_CLI_TAPE_VERBS_H
#define FACET_CLI_TAPE_VERBS_H

#include <stdbool.h>

#include "lib/base/err.h"
#include "lib/data/item.h"
#include "lib/data/tensor.h"

/* argv[0] is the word after "tape". All return the exit status. */
int tape_make_run(int argc, char **argv);
int tape_show_run(int argc, char **argv);
int tape_get_run(int argc, char **argv);

/* May a tape be written there? Not to a person's screen (a usage error, which
 * is then said). */
bool tape_out_ok(const char *out);

extern const char tape_make_help[];
extern const char tape_show_help[];
extern const char tape_get_help[];

/* A file as a tensor: a table of numbers as d[rows,columns] (one line of
 * column names on top is passed over), or numpy's .npy. The text of e names
 * the file. */
enum err_code tape_load_csv(const char *path, enum dtype d, struct tensor **out,
                            struct err *e) MUST_USE;
enum err_code tape_load_npy(const char *path, struct tensor **out,
                            struct err *e) MUST_USE;

#endif
