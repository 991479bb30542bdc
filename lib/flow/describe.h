/* What a stage says of itself, from its one table: --describe (YAML), --help
 * (text) and --man (troff). */
#ifndef FACET_FLOW_DESCRIBE_H
#define FACET_FLOW_DESCRIBE_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/flow/stage.h"

/* An option of the stage runtime itself, the same in every stage. */
struct describe_option {
    const char *flag; /* "--stdio", "--in PORT"; NULL ends a table */
    const char *help;
};

/* Is the table sound: names, kind against ports, port grammar, no field
 * twice, letters, parameter table (params_check_table), and functions present
 * for its kind? ERR_ARG says what is wrong with which entry. Everything below
 * does this first, and so should stage_main. */
enum err_code describe_check(const struct stage_desc *d,
                             struct err *e) MUST_USE;

/* Append to out (initialised by the caller). YAML: name, help, kind, runtime:
 * facet (which marks a program that speaks the link itself), batch, in, out
 * (the implicit port `failed` is not listed), params. stage_info_parse reads
 * it back. */
enum err_code describe_yaml(const struct stage_desc *d, struct buf *out,
                            struct err *e) MUST_USE;
/* Usage, summary, ports, parameters, options (may be NULL), 80 columns. */
enum err_code describe_help(const struct stage_desc *d,
                            const struct describe_option *options,
                            struct buf *out, struct err *e) MUST_USE;
/* A manual page facet-NAME(1) in troff with the man macros. */
enum err_code describe_man(const struct stage_desc *d,
                           const struct describe_option *options,
                           struct buf *out, struct err *e) MUST_USE;

/* Append text wrapped to width columns, every line after `indent` spaces (the
 * first one too unless first_col > 0: the cursor is there already). Ends with
 * a newline. '\n' in text starts a new line. */
enum err_code describe_wrap(struct buf *out, const char *text, int indent,
                            int width, int first_col, struct err *e) MUST_USE;

#endif
