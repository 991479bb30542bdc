/* The stage API: a table and one transform. The only header of lib/flow that
 * files in stages/ may include.
 *
 * A stage program is
 *
 *     static const struct stage_desc desc = { ... };
 *     int main(int argc, char **argv) { return stage_main(&desc, argc, argv); }
 *
 * and then answers --help, --describe, --stdio, and runs in a pipeline. It
 * never sees sockets, threads, YAML or clocks. */
#ifndef FACET_FLOW_STAGE_H
#define FACET_FLOW_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/data/item.h"

struct stage; /* the running instance, seen only through the calls below */

enum stage_kind { STAGE_SOURCE, STAGE_TRANSFORM, STAGE_SINK };

/* The context member at `offset` that a parameter fills:
 *   BOOL bool | INT int64_t | FLOAT double |
 *   STR, PATH, FOLDER, FILE, MODEL const char * |
 *   ENUM int (index into choices) | FLOATS struct stage_floats.
 * Strings and lists stay owned by the stage machinery. */
enum param_type {
    PARAM_BOOL,
    PARAM_INT,
    PARAM_FLOAT,
    PARAM_STR,
    PARAM_PATH, /* a string; relative paths are against the working folder */
    PARAM_ENUM,
    PARAM_FLOATS, /* "1,2,3" or first:last:step (last included) or a list */
    /* Strings that name what is read and so must be there before a run begins
     * ("" names nothing); what is made, or may be missing, is a PATH. */
    PARAM_FOLDER,
    PARAM_FILE,
    PARAM_MODEL /* weights: a name (weights_find) or a file */
};

struct stage_floats {
    double *v;
    size_t n;
};

struct stage_param {
    const char *name; /* lower case, '-' between words; NULL ends a table */
    enum param_type type;
    size_t offset;       /* offsetof(struct ctx, member) */
    const char *def;     /* default as text; NULL: must be given */
    double min, max;     /* for numbers; both 0: no limit */
    const char *choices; /* for ENUM: "a|b|c" */
    const char *unit;    /* "deg", "px"; NULL if none */
    const char *help;
};

/* fields: "frame u8[H,W,3], landmarks f32[68,3], name str, yaw f64?"
 * A type is a dtype with a shape (a letter is one size throughout a stage's
 * ports, '*' any one size, [...] any shape; "tensor" any tensor), or str, i64,
 * f64, bool. '?' after the type: may be missing. An output port lists what it
 * adds or changes: all other fields of the input travel through. A list may end
 * with "...": other fields may come too, which only the data tells (a reader of
 * tapes or tables). Names that begin with "facet." are the machinery's: to emit
 * one is ERR_ARG. */
struct stage_port {
    const char *name;   /* "in", "out", ...; NULL ends a table */
    const char *fields; /* "" if none */
    const char *help;
};

/* Every stage but a sink also has, without listing it, the output port
 * `failed`: the input of each failed item with the fields error_code str
 * (err_word), error_text str, error_stage str added. If nothing is connected
 * to it, failed items go to the dead-letter store only (they go there in any
 * case). */

struct stage_desc {
    const char *name; /* the executable's name */
    const char *help; /* first sentence is the summary */
    enum stage_kind kind;
    const struct stage_port *in;      /* NULL for a source */
    const struct stage_port *out;     /* NULL for a sink */
    const struct stage_param *params; /* NULL if none */
    /* Names of parameters, parted by spaces; NULL if none. aside: they do not
     * shape the results (where these go, how much at once, which items of a
     * source come); all others do, a model or file by its bytes, not its name.
     * See docs/store.md, recipes. */
    const char *aside;
    /* A sink that writes rows into a sample store, its parameter `root`: a
     * snippet there is finished when all such sinks have theirs. */
    bool rows;
    size_t ctx_size; /* zeroed, parameters filled in */
    size_t batch;    /* most items handed to one transform call; 0 means 1 */

    /* Parameters are set. Load weights, open files. May be NULL. */
    enum err_code (*open)(void *ctx, struct stage *s, struct err *e);
    /* Source: emit a few items; set *end when there are no more. */
    enum err_code (*produce)(void *ctx, struct stage *s, bool *end,
                             struct err *e);
    /* Transform and sink: n >= 1 items of one input port (stage_in_port).
     * They stay the machinery's; children hold references. Emit what comes of
     * them with item_child + stage_emit. For a sink, returning OK means the
     * item's commit is durable. A returned error makes all n items fail (a
     * stage with batch > 1 uses stage_fail for a single one); ERR_NOMEM of
     * one item too. The run goes on. */
    enum err_code (*transform)(void *ctx, struct stage *s,
                               struct item *const *in, size_t n, struct err *e);
    /* One input has failed for good: its transform, after the last attempt,
     * or its fields, which transform then never saw. For a sink that keeps a
     * record of failures. The item is as it came; why says what is wrong. It
     * is set aside whatever is done here. NULL ok. */
    void (*failed)(void *ctx, struct stage *s, const struct item *in,
                   const struct err *why);
    /* All input is done. A sink writes its summary (stage_report). NULL ok.
     * An error here fails the run. */
    enum err_code (*finish)(void *ctx, struct stage *s, struct err *e);
    /* Free what open made. Called also after open failed. May be NULL. */
    void (*close)(void *ctx);
};

/* Hand an item to output port `port` ("out" if NULL). Takes the item over,
 * also on failure; waits while receivers have no room. The id is made here:
 * hash of (parent, stage, port, ordinal among that parent's children of that
 * port, or item_set_key's key). ERR_CANCEL when the run is stopping: return
 * it. ERR_DATA if a field listed for the port is missing or of another type
 * or shape (a bug of the stage, or of its input). What is too large for a
 * message (1 GiB; docs/wire.md) makes the input fail; an item of a source is
 * then set aside without its large fields, and the source goes on. */
enum err_code stage_emit(struct stage *s, const char *port, struct item *it,
                         struct err *e) MUST_USE;

/* As stage_emit, for what comes of an input of an earlier call that a transform
 * has held back (a frame that came before its turn): `it` is the item_child of
 * an item_copy of that input. Its id is made of that input, as the one item
 * that comes of it by this port, so ids do not depend on the order in which
 * inputs come. In transform (batch 1) and finish. The input itself counted as
 * done when its own transform returned: held items are lost with the process,
 * so hold no more than the order needs. */
enum err_code stage_emit_late(struct stage *s, const char *port,
                              struct item *it, struct err *e) MUST_USE;

/* Set one input item of the current transform aside as failed; code and text
 * are the reason. Children that it already has stay. A source may give an item
 * that it has made but not emitted, for what it could not read (item_set_key as
 * for stage_emit): it goes to the dead letters and out on `failed` like a
 * failed input, and stays the source's to free. Pipelines count on it to have
 * those str fields of the first output port that are not optional. */
void stage_fail(struct stage *s, const struct item *in, enum err_code code,
                const char *fmt, ...) PRINTF_LIKE(4, 5);

/* A result line for the person (and the run's report): "NME 3.67 %". */
void stage_report(struct stage *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Where the stage stands, one line, shown in place of the run's own progress
 * line (on a terminal beside the bar) until the next call: for stages whose
 * work is more than items, as training is. Call it as often as you like. */
void stage_status(struct stage *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A sink's word that it needs no more: when all sinks of the run have said so,
 * the sources stop; what is on its way still arrives, finish() is called, and
 * the run ends well. */
void stage_enough(struct stage *s);

/* End the run: an error that no item is to blame for (training that diverges,
 * a full disk). Return any error after it. The first call counts. */
void stage_break(struct stage *s, enum err_code code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Append the parameters as they are now, "name: value" lines of YAML in the
 * order of the table, defaults included. */
enum err_code stage_config(const struct stage *s, struct buf *b,
                           struct err *e) MUST_USE;

/* What this stage's results come from, as text (lib/data/recipe.h); "" outside
 * a pipeline. */
const char *stage_recipe(const struct stage *s);
/* For a sink: all sinks of the run that have its `root`, itself among them; for
 * others: all sinks that they feed in the end. Lines of recipe_sink_next; ""
 * outside a pipeline. */
const char *stage_sinks(const struct stage *s);
/* Names this run; the same for all its processes. "" outside a pipeline. */
const char *stage_run_key(const struct stage *s);

/* How many items this source will emit, for the progress bar; < 0 unknown. */
void stage_expect(struct stage *s, int64_t items);

const char *stage_instance(const struct stage *s); /* name in the pipeline */
int stage_replica(const struct stage *s);          /* 0 .. replicas-1 */
int stage_replicas(const struct stage *s);
int stage_threads(const struct stage *s); /* cores this process may use */
const char *stage_in_port(const struct stage *s); /* port of this transform */
bool stage_stopping(const struct stage *s);       /* long loops should look */

/* Warnings and the like: include lib/base/log.h; lines carry the instance. */

/* The whole program. Returns its exit status: 0 fine, 1 an item failed
 * (--stdio), 2 usage or parameter error, 3 broken. */
int stage_main(const struct stage_desc *desc, int argc, char **argv);

#endif
