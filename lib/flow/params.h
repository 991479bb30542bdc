/* Parameter tables: from text (defaults, a command line, YAML) to the members
 * of a stage's context. The rules of one entry serve the command line, the
 * pipeline check and the help text alike. */
#ifndef FACET_FLOW_PARAMS_H
#define FACET_FLOW_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/flow/stage.h"

#define PARAMS_MAX 64             /* entries of one table */
#define PARAMS_MAX_FLOATS 65536   /* numbers of one list */
#define PARAMS_MAX_TEXT (1 << 20) /* bytes of one value */

/* "bool", "int", "float", "str", "path", "enum", "floats", "folder", "file",
 * "model". */
const char *param_type_name(enum param_type t);
bool param_type_from_name(const char *name, enum param_type *out) MUST_USE;

/* One value read from text. str and floats.v are owned (param_value_free). */
struct param_value {
    enum param_type type;
    bool b;
    int64_t i; /* INT; for ENUM the index into choices */
    double f;
    char *str; /* STR, PATH, FOLDER, FILE, MODEL */
    struct stage_floats floats;
};

/* Read text by the rule of entry p (type, min, max, choices; offset and
 * default are not looked at). The text is strict: the whole of it is the
 * value, no spaces but after the commas of a list, no inf or nan.
 *   bool    true yes on y 1, false no off n 0; True and TRUE too
 *   enum    one of choices, exactly
 *   floats  "1,2.5,-3", "first:last:step" (last included where a step lands
 *           on it to a thousandth of a step; step may be left out: 1), or both
 *           mixed: "-60:60:15,75". "" is the empty list.
 *   path, folder, file, model: "~" or "~/" at the beginning is HOME, since
 *           neither YAML nor a shell that reads "--root=~/x" makes it so.
 * ERR_ARG with a text that begins with the text read and says what is wanted:
 *   "'x7' is not an integer", "99 is outside 1..10", "'blue' is not one of
 *   red, green (did you mean 'green'?)". ERR_NOMEM. */
enum err_code param_parse(const struct stage_param *p, const char *text,
                          struct param_value *out, struct err *e) MUST_USE;
void param_value_free(struct param_value *v);

/* Is what a parameter of this type and value names there? OK for types that
 * name nothing to be read, and for "". program: the stage's, whose folder tells
 * where models are; NULL: this one. ERR_NOTFOUND as lookup_find and lookup_path
 * say it (lib/base/lookup.h). */
enum err_code param_look(enum param_type type, const char *value,
                         const char *program, struct err *e) MUST_USE;

/* The parameters of one running stage. Strings and lists that the context
 * points to live until params_free. */
struct params {
    const struct stage_param *table; /* NULL: no parameters */
    void *ctx;
    size_t n;
    bool given[PARAMS_MAX];  /* set by somebody, not the default */
    void *owned[PARAMS_MAX]; /* what member i points to, or NULL */
};

/* Bind table to ctx (zeroed, as large as the stage's ctx_size; may be NULL if
 * table is NULL) and fill in every default. ERR_ARG names the entry if the
 * table itself is wrong (see params_check_table): a bug of the stage.
 * On failure nothing is left to free. */
enum err_code params_init(struct params *p, const struct stage_param *table,
                          void *ctx, struct err *e) MUST_USE;
void params_free(struct params *p);

/* Is the table sound? Names lower case with '-', no name twice, none that
 * begins with "no-", types and limits sensible, choices present, help
 * present, default within its own limits. */
enum err_code params_check_table(const struct stage_param *table,
                                 struct err *e) MUST_USE;

/* Set one parameter from text. ERR_NOTFOUND "no parameter 'widht' (did you
 * mean 'width'?)"; ERR_ARG "parameter 'width': 99 is outside 1..10". The last
 * setting of several counts. */
enum err_code params_set(struct params *p, const char *name, const char *value,
                         struct err *e) MUST_USE;

/* Take the argument argv[*i] ("--name=value", or "--name" and the next one
 * as value; a BOOL may stand alone as "--name" or "--no-name") and move *i
 * behind what was taken. Look at the program's own options first.
 * ERR_NOTFOUND if it is no parameter, ERR_ARG if the value is missing (a
 * value that starts with "--" needs the '=' form) or wrong. */
enum err_code params_arg(struct params *p, int argc, char *const *argv, int *i,
                         struct err *e) MUST_USE;
/* params_arg over all of argv[first..argc-1], then params_done. */
enum err_code params_args(struct params *p, int argc, char *const *argv,
                          int first, struct err *e) MUST_USE;
/* ERR_ARG naming every parameter without default that was not given. */
enum err_code params_done(const struct params *p, struct err *e) MUST_USE;

/* Append "name: value" lines of YAML: what every parameter is now, texts in
 * quotes. */
enum err_code params_yaml(const struct params *p, struct buf *out,
                          struct err *e) MUST_USE;

/* Append the table for --help: name, type and unit, range or choices,
 * default or "required", help wrapped to `width` columns. */
enum err_code params_help(const struct stage_param *table, int width,
                          struct buf *out, struct err *e) MUST_USE;
/* A default as it is shown: of a BOOL "yes" or "no", however it is written. */
const char *param_default_text(enum param_type type, const char *def);
/* "1..10", ">= 0", "<= 5", or "" into out: limits as a person reads them. */
char *param_range_text(const struct stage_param *p, char *out, size_t n);

#endif
