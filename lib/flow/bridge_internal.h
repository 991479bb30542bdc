/* Shared by the files of the bridge. */
#ifndef FACET_FLOW_BRIDGE_INTERNAL_H
#define FACET_FLOW_BRIDGE_INTERNAL_H

#include <stdbool.h>

#include "lib/flow/bridge.h"
#include "lib/flow/bridge_command.h"
#include "lib/flow/link.h"
#include "lib/flow/stage_run.h"

#define BRIDGE_WAIT_MS 50
#define BRIDGE_WORDS 300 /* bytes of a command's last line in an error */

/* Stage functions have no other way to get at these. */
struct bridge_setup {
    char **argv;     /* the command as it is started */
    char shown[128]; /* as errors call it: its words */
    struct bridge_options options;
    bool ours; /* it is one of our own stages */
};
extern struct bridge_setup bridge_setup;

/* What a command answers with: its inputs' ids, or nothing. */
enum naming { NAMING_UNKNOWN, NAMING_IDS, NAMING_NONE };

struct bridge {
    struct command *command;
    struct link_hub *hub;
    struct link *pair;
    int starts;
    bool transform; /* it gets items, and may be started anew */
    int restarts;   /* how often, in all */
    bool lost;      /* it died of its last input, which has failed */
    /* The request that is being answered: */
    bool asked, at_end;
    struct item_id id; /* what its answers have to carry */
    uint64_t n_asked;
    int64_t answers; /* items so far */
    enum naming naming;
    char last[400]; /* the last input, for errors about it */
    bool has_status;
    bool ready;
};

/* A clock that stands still while we do: one step counts for a second at
 * most, so that ^Z, or a machine that is far too busy, does not end a stage
 * that had no chance to work. */
struct patience {
    int64_t left, last;
};
struct patience patience_new(int64_t ms);
bool patience_over(struct patience *p);

/* bridge_talk.c: the command's life, requests, messages. Errors that set
 * s->broken end the run, others are the item's. */
enum err_code bridge_break(struct stage *s, struct err *e);
/* How the command ended and its last word; what it printed is the trace. A
 * package or an interpreter that is missing is named as such. */
enum err_code bridge_died(struct stage *s, struct bridge *b, struct err *e);
/* A breach of the protocol: what it says can no longer be trusted. */
enum err_code bridge_breach(struct stage *s, struct bridge *b, struct err *e,
                            const char *fmt, ...) PRINTF_LIKE(4, 5);
enum err_code bridge_start(struct stage *s, struct bridge *b,
                           struct err *e) MUST_USE;
/* It runs, or is started anew if it has died since. */
enum err_code bridge_ensure(struct stage *s, struct bridge *b,
                            struct err *e) MUST_USE;
/* Send a request; sets it->kind. Answers from before are a breach. */
enum err_code bridge_ask(struct stage *s, struct bridge *b, const char *kind,
                         struct item *it, struct err *e) MUST_USE;
/* A request without an item. */
enum err_code bridge_ask_plain(struct stage *s, struct bridge *b,
                               const char *kind, struct err *e) MUST_USE;
/* One message if there is one: *out, or *bad for the head of one whose fields
 * cannot be taken (e has the reason). A word (report, status ...) is taken at
 * once and not handed on: *word. */
enum err_code bridge_hear_one(struct stage *s, struct bridge *b,
                              struct item **out, struct item **bad, bool *word,
                              struct err *e) MUST_USE;
/* The next message, however long it takes, within the time limit. */
enum err_code bridge_hear(struct stage *s, struct bridge *b,
                          struct patience *limit, struct item **out,
                          struct item **bad, struct err *e) MUST_USE;
bool bridge_zero_id(const struct item_id *id);

/* bridge_answers.c: what a command answers. Take answers until it is through
 * with the request. *end: it said "end". */
enum err_code bridge_answers(struct stage *s, struct bridge *b,
                             const struct item *in, bool *end,
                             struct err *e) MUST_USE;
enum err_code bridge_emit(struct stage *s, const struct item *in,
                          const struct item *answer, struct err *e) MUST_USE;

/* bridge.c: the functions of the stage that a bridge is; the ports and the
 * rest are the command's. */
extern const struct stage_desc bridge_desc;

#endif
