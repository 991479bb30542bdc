/* A stage whose transform is another process. */
#include "lib/flow/bridge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/bridge_command.h"
#include "lib/flow/control.h"
#include "lib/flow/link.h"
#include "lib/flow/missing.h"
#include "lib/flow/outbox.h"
#include "lib/flow/pipeline.h"
#include "lib/flow/stage_run.h"

#define WAIT_MS 50
#define SECOND INT64_C(1000000000)
#define MS INT64_C(1000000)
#define OPEN_WITHIN_MS 60000 /* to connect, where the file sets no limit */
#define END_WITHIN_MS 30000  /* after "end" and its last message, to exit */
#define STOP_MS 500          /* to end when the run stops, */
#define SAVE_MS 28000        /* ... where it has a state to save */
#define RESTARTS 100         /* of a transform, if the file does not say */
#define ASLEEP_MS 100        /* we wait for a command that sends no ids, */
#define EMPTY_MS 2000        /* ... if it said 'done' and nothing else */
#define LOOK_US 300
#define FIELDS_MAX 65536
#define WORDS_SHOWN 300

/* What a command answers with: its inputs' ids, or nothing. */
enum naming { NAMING_UNKNOWN, NAMING_IDS, NAMING_NONE };

/* Stage functions have no other way to get at these. */
static char **command_line; /* as it is started */
static char shown[128];     /* as errors call it: its words */
static struct bridge_options options;
static bool ours; /* it is one of our own stages */

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

static struct patience patience_new(int64_t ms)
{
    return (struct patience){ms * MS, clock_ns()};
}

static bool patience_over(struct patience *p)
{
    int64_t now = clock_ns(), step = now - p->last;
    p->last = now;
    p->left -= step > SECOND ? SECOND : step;
    return p->left < 0;
}

/* Errors */

static enum err_code break_stage(struct stage *s, struct err *e)
{
    s->broken = true;
    s->fatal = *e;
    return e->code;
}

/* How the command ended and its last word; what it printed goes to s->trace.
 * A package or an interpreter that is missing is named as such. */
static enum err_code died(struct stage *s, struct bridge *b, struct err *e)
{
    char how[256], line[WORDS_SHOWN], hint[200];
    char *words = command_words(b->command);
    command_how(b->command, how, sizeof how);
    command_last_line(words ? words : "", line, sizeof line);
    missing_module(line, hint, sizeof hint);
    err_set(e, ERR_IO, "%s%s%s%s", how, *line ? ": " : "", line, hint);
    stage_trace(s, words);
    return e->code;
}

/* A breach of the protocol: what it says can no longer be trusted. */
static enum err_code PRINTF_LIKE(4, 5)
    breach(struct stage *s, struct bridge *b, struct err *e, const char *fmt,
           ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(e, ERR_DATA, "'%s' %s%s%.150s", shown, text,
            b->last[0] ? "; item " : "", b->last);
    return break_stage(s, e);
}

/* The command's life */

static void drop_pair(struct bridge *b)
{
    if (b->pair)
        link_close(&b->pair, 0);
}

/* Things that it may say at any time. false: it is something else. */
static bool take_word(struct stage *s, struct bridge *b, const struct item *it)
{
    if (strcmp(it->kind, "report") == 0) {
        stage_report(s, "%s", item_str(it, "text", ""));
    } else if (strcmp(it->kind, "expect") == 0) {
        stage_expect(s, item_i64(it, "items", -1));
    } else if (strcmp(it->kind, "status") == 0) {
        b->has_status = true;
        stage_status(s, "%s", item_str(it, "text", ""));
    } else if (strcmp(it->kind, "enough") == 0) {
        stage_enough(s);
    } else if (strcmp(it->kind, "ready") == 0) {
        b->ready = true;
    } else {
        return false;
    }
    return true;
}

/* One of ours says what ended it. */
static enum err_code take_fatal(struct stage *s, const struct item *it,
                                struct err *e)
{
    enum err_code code = err_from_word(item_str(it, "error_code", "io"));
    err_set(e, code == OK || code == ERR_COUNT ? ERR_IO : code, "%s",
            item_str(it, "error_text", "it gave no reason"));
    return break_stage(s, e);
}

/* One message if there is one. Words are taken at once and not handed on. */
static enum err_code hear_one(struct stage *s, struct bridge *b,
                              struct item **out, struct item **bad,
                              struct err *e)
{
    for (;;) {
        enum err_code rc = link_recv_head(b->pair, out, bad, e);
        if (rc && !*bad)
            return err_wrap(e, "from '%s'", shown);
        if (rc)
            return OK; /* told by *bad; e has the reason */
        if (*out && strcmp((*out)->kind, "fatal") == 0) {
            rc = take_fatal(s, *out, e);
            item_free(out);
            return rc;
        }
        if (!*out || !take_word(s, b, *out))
            return OK;
        item_free(out);
    }
}

/* Wait until it has connected (ours: opened). */
static enum err_code await_ready(struct stage *s, struct bridge *b,
                                 struct err *e)
{
    int64_t ms = options.open_ms ? options.open_ms : OPEN_WITHIN_MS;
    bool limit = options.open_ms || !ours;
    struct patience p = patience_new(ms);
    while (ours ? !b->ready : !link_writable(b->pair)) {
        struct item *it = NULL, *bad = NULL;
        enum err_code rc =
            link_wait(b->hub, &b->pair, 1, NULL, 0, ours ? WAIT_MS : 1, e);
        bool ended = command_ended(b->command);
        if (!rc && ours)
            rc = hear_one(s, b, &it, &bad, e);
        item_free(&it);
        item_free(&bad);
        if (rc)
            return rc;
        if (b->ready)
            return OK;
        if (ended)
            return died(s, b, e);
        if (stage_stopping(s))
            return err_set(e, ERR_CANCEL, "stopped");
        if (patience_over(&p) && limit)
            return err_set(
                e, ERR_IO, "'%s' %s within %.4g s%s", shown,
                ours ? "has not opened" : "does not connect to FACET_ENDPOINT",
                (double)ms / 1e3, options.open_ms ? " (time-limit: open)" : "");
    }
    return OK;
}

/* A socket of its own for each start: what an earlier one has said is gone
 * with its socket. */
static enum err_code start(struct stage *s, struct bridge *b, struct err *e)
{
    struct control_env env;
    char endpoint[LINK_MAX_ENDPOINT + 32];
    enum err_code rc = control_env_read(&env, e);
    if (rc)
        return rc;
    drop_pair(b);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/b%d.%u.%d", env.dir,
             env.index, (unsigned)env.epoch, b->starts++);
    b->pair = link_pair(b->hub, endpoint, e);
    if (!b->pair)
        return e->code;
    b->naming = NAMING_UNKNOWN;
    b->ready = b->asked = b->lost = false;
    rc = command_start(b->command, endpoint, e);
    return rc ? rc : await_ready(s, b, e);
}

/* It runs, or is started anew if it has died since. */
static enum err_code ensure(struct stage *s, struct bridge *b, struct err *e)
{
    struct err why = {0};
    if (!command_ended(b->command))
        return OK;
    if (b->starts > b->restarts) {
        (void)died(s, b, e);
        return break_stage(s, e);
    }
    log_warn("'%s' is started anew (%d of %d); what it kept in memory is lost",
             shown, b->starts, b->restarts);
    if (start(s, b, &why) == OK)
        return OK;
    if (why.code == ERR_CANCEL || s->broken) {
        *e = why;
        return why.code;
    }
    err_set(e, why.code, "cannot start it anew: %s", why.text);
    return break_stage(s, e);
}

/* It failed its item by dying, or is killed for it. The item fails (the error
 * is in *e); the run breaks if that was one death too many. */
static enum err_code lose(struct stage *s, struct bridge *b, struct err *e)
{
    command_stop(b->command, 0);
    b->asked = false;
    b->lost = true;
    if (b->starts <= b->restarts)
        return e->code;
    if (b->restarts > 0)
        (void)err_wrap(e, "it has been started anew %d times (restart:)",
                       b->restarts);
    char text[400];
    snprintf(text, sizeof text, "%s", e->text);
    err_set(e, e->code, "%s%s%.100s", text,
            b->last[0] ? ", while working on item " : "", b->last);
    return break_stage(s, e);
}

/* Requests */

/* Whatever it says while nothing is asked of it is out of turn. */
static enum err_code nothing_said(struct stage *s, struct bridge *b,
                                  struct err *e)
{
    struct item *it = NULL, *bad = NULL;
    enum err_code rc = hear_one(s, b, &it, &bad, e);
    if (!rc && (it || bad))
        rc = breach(s, b, e,
                    "said '%s' out of turn, after it was through with its "
                    "last input",
                    it ? it->kind : bad->kind);
    item_free(&it);
    item_free(&bad);
    return rc;
}

/* An answer too many must not be taken for one to the next input. Ids tell;
 * of a command that sends none, all that it has to say must have come before
 * it is asked again: it is asleep, waiting for us, and so are the threads of
 * both sockets. */
static enum err_code check_turn(struct stage *s, struct bridge *b,
                                struct err *e)
{
    enum err_code rc = nothing_said(s, b, e);
    if (rc || b->naming != NAMING_NONE)
        return rc;
    bool empty = s->desc->kind == STAGE_TRANSFORM && b->answers == 0;
    int64_t until = clock_ns() + (empty ? EMPTY_MS : ASLEEP_MS) * MS;
    while (!command_asleep(b->command) && !command_ended(b->command) &&
           clock_ns() < until)
        usleep(LOOK_US);
    return nothing_said(s, b, e);
}

static enum err_code ask(struct stage *s, struct bridge *b, const char *kind,
                         struct item *it, struct err *e)
{
    enum err_code rc = b->asked ? OK : check_turn(s, b, e);
    if (rc)
        return rc;
    snprintf(it->kind, sizeof it->kind, "%s", kind);
    command_mark(b->command);
    rc = link_send(b->pair, NULL, it, e);
    if (rc == ERR_IO && !command_ended(b->command))
        usleep(WAIT_MS * 1000); /* gone, but not yet ended */
    if (rc == ERR_IO && command_ended(b->command))
        return died(s, b, e);
    b->id = it->id;
    b->asked = true;
    b->answers = 0;
    b->n_asked++;
    return rc;
}

/* Requests without an item have ids too. */
static enum err_code ask_plain(struct stage *s, struct bridge *b,
                               const char *kind, struct err *e)
{
    static const struct item_id none;
    struct item *it = control_new(kind, 0, e);
    if (!it)
        return ERR_NOMEM;
    it->id = item_make_id(&none, kind, "", b->n_asked, NULL);
    enum err_code rc = ask(s, b, kind, it, e);
    item_free(&it);
    return rc;
}

/* Answers */

static bool zero_id(const struct item_id *id)
{
    static const struct item_id none;
    return item_id_equal(id, &none);
}

static enum err_code check_id(struct stage *s, struct bridge *b,
                              const struct item *it, struct err *e)
{
    char got[33], want[33];
    enum naming now = zero_id(&it->id) ? NAMING_NONE : NAMING_IDS;
    if (b->naming == NAMING_UNKNOWN)
        b->naming = now;
    if (now != b->naming)
        return breach(s, b, e,
                      "answered '%s' %s an id, but earlier answers %s one",
                      it->kind, now == NAMING_IDS ? "with" : "without",
                      now == NAMING_IDS ? "had not" : "had");
    if (now == NAMING_NONE || item_id_equal(&it->id, &b->id))
        return OK;
    item_id_hex(&it->id, got);
    item_id_hex(&b->id, want);
    return breach(s, b, e, "answered '%s' for %s, but was asked about %s",
                  it->kind, got, want);
}

/* Fields that the port lists must come with each answer, those that it does
 * not list must not: a misspelt name would else go unseen. */
static enum err_code check_fields(const struct stage *s, size_t port,
                                  const struct item *answer, struct err *e)
{
    const struct port_spec *p = &s->out[port];
    const char *names[ITEM_MAX_FIELDS];
    size_t n = 0;
    for (size_t i = 0; i < p->n && n < ITEM_MAX_FIELDS; i++)
        names[n++] = p->field[i].name;
    for (size_t i = 0; i < answer->n; i++) {
        const char *name = answer->fields[i].name;
        if (p->open || text_starts(name, STAGE_RESERVED) || port_field(p, name))
            continue;
        const char *near = text_nearest(name, names, n);
        return err_set(e, ERR_DATA,
                       "'%s' sent the field '%s', which its --describe does "
                       "not list for port '%s'%s%s%s",
                       shown, name, p->name, near ? " (did you mean '" : "",
                       near ? near : "", near ? "'?)" : "");
    }
    for (size_t i = 0; i < p->n; i++)
        if (!p->field[i].type.optional && !item_get(answer, p->field[i].name))
            return err_set(e, ERR_DATA,
                           "'%s' did not send the field '%s', which its "
                           "--describe lists for port '%s' (those that may be "
                           "left out end with '?')",
                           shown, p->field[i].name, p->name);
    return OK;
}

/* The item that an answer stands for: its fields over those of the input.
 * Ours send whole items, of whatever input they come. */
static struct item *make_child(const struct item *in, const struct item *answer,
                               struct err *e)
{
    struct item *it = in && !ours ? item_child(in, e) : item_new(e);
    if (it && ours)
        it->parent = in && zero_id(&answer->parent) ? in->id : answer->parent;
    for (size_t i = 0; it && i < answer->n; i++) {
        const struct field *f = &answer->fields[i];
        if (!text_starts(f->name, STAGE_RESERVED) &&
            item_set_field(it, f->name, f, e))
            item_free(&it);
    }
    return it;
}

static enum err_code emit_answer(struct stage *s, const struct item *in,
                                 const struct item *answer, struct err *e)
{
    const char *name = item_str(answer, LINK_PORT_FIELD, "");
    const char *port = *name ? name : NULL;
    size_t index;
    enum err_code rc = OK;
    if (!ours && stage_out_index(s, port, &index))
        rc = check_fields(s, index, answer, e);
    struct item *it = rc ? NULL : make_child(in, answer, e);
    if (!it)
        return rc ? rc : e->code;
    item_set_key(it, item_str(answer, STAGE_RESERVED "key", ""));
    return item_bool(answer, STAGE_RESERVED "late", false)
               ? stage_emit_late(s, port, it, e)
               : stage_emit(s, port, it, e);
}

static enum err_code take_fail(struct stage *s, const struct item *it,
                               struct err *e)
{
    enum err_code code = err_from_word(item_str(it, "error_code", "data"));
    const char *trace = item_str(it, "error_trace", "");
    if (code == OK || code == ERR_COUNT || code == ERR_CANCEL)
        code = ERR_DATA;
    if (*trace)
        stage_trace(s, mem_strdup(trace));
    return err_set(e, code, "%s",
                   item_str(it, "error_text", "no reason given"));
}

/* What a source sent, and nobody can take, fails by itself. */
static bool set_aside(struct stage *s, const struct item *answer,
                      const struct err *why)
{
    struct err e = {0};
    struct item *it = s->broken ? NULL : make_child(NULL, answer, &e);
    if (!it)
        return false;
    item_set_key(it, item_str(answer, STAGE_RESERVED "key", ""));
    item_drop(it, "error_code");
    item_drop(it, "error_text");
    stage_fail(s, it, why->code, "%s", why->text);
    item_free(&it);
    return true;
}

/* A source of ours sets something aside. */
static void take_aside(struct stage *s, const struct item *answer)
{
    struct err why = {0};
    (void)take_fail(s, answer, &why);
    (void)set_aside(s, answer, &why);
}

/* The next message, however long it takes, within the time limit. An item
 * fails with the error, unless the stage breaks by it. */
static enum err_code hear(struct stage *s, struct bridge *b,
                          struct patience *limit, struct item **out,
                          struct item **bad, struct err *e)
{
    limit->last = clock_ns(); /* what we did meanwhile is not its time */
    for (;;) {
        bool ended = command_ended(b->command); /* before looking */
        enum err_code rc = hear_one(s, b, out, bad, e);
        if (!rc && !*out && !*bad && ended) {
            /* What it sent may still be on its way through the socket. */
            rc = link_wait(b->hub, &b->pair, 1, NULL, 0, WAIT_MS, e);
            if (!rc)
                rc = hear_one(s, b, out, bad, e);
        }
        if (rc)
            return s->broken ? rc : break_stage(s, e);
        if (*out || *bad)
            return OK;
        if (ended) {
            (void)died(s, b, e);
            return b->transform ? lose(s, b, e) : break_stage(s, e);
        }
        if (stage_stopping(s))
            return err_set(e, ERR_CANCEL, "stopped");
        rc = link_wait(b->hub, &b->pair, 1, NULL, 0, WAIT_MS, e);
        if (rc)
            return break_stage(s, e);
        if (!patience_over(limit) || !options.item_ms)
            continue;
        char line[WORDS_SHOWN];
        char *words = command_words(b->command);
        command_last_line(words ? words : "", line, sizeof line);
        err_set(e, ERR_IO, "'%s' took longer than %.4g s (time-limit)%s%s",
                shown, (double)options.item_ms / 1e3,
                *line ? "; its last word was: " : "", line);
        stage_trace(s, words);
        return b->transform ? lose(s, b, e) : break_stage(s, e);
    }
}

static void note_answers(struct stage *s, const struct bridge *b)
{
    char text[80];
    snprintf(text, sizeof text,
             "it has answered %lld item%s, but not yet "
             "'done'",
             (long long)b->answers, b->answers == 1 ? "" : "s");
    if (s->io.note)
        s->io.note(s->io.arg, text);
}

/* One answer. *over: the request is answered; *first: why the item fails. */
static enum err_code take_answer(struct stage *s, struct bridge *b,
                                 const struct item *in, const struct item *it,
                                 bool *over, bool *end, struct err *first,
                                 struct err *e)
{
    const char *kind = it->kind;
    bool item = strcmp(kind, "item") == 0, fail = strcmp(kind, "fail") == 0;
    bool last = strcmp(kind, "end") == 0 && !in;
    if (!item && !fail && !last && strcmp(kind, "done") != 0 &&
        strcmp(kind, "aside") != 0)
        return breach(s, b, e, "answered with a message of kind '%s'", kind);
    enum err_code rc = check_id(s, b, it, e);
    if (rc)
        return rc;
    if (item) {
        struct err why = {0};
        b->answers++;
        note_answers(s, b);
        if (!first->code && emit_answer(s, in, it, &why) &&
            (in || why.code == ERR_CANCEL || !set_aside(s, it, &why)))
            *first = why;
    } else if (strcmp(kind, "aside") == 0) {
        take_aside(s, it);
    } else {
        *over = true;
        *end = last;
        b->asked = false;
        if (fail)
            (void)take_fail(s, it, first->code ? NULL : first);
    }
    return s->broken ? err_set(e, s->fatal.code, "%s", s->fatal.text) : OK;
}

/* What cannot be read fails the item; the rest is heard out. */
static enum err_code take_bad(struct stage *s, struct bridge *b,
                              const struct item *bad, bool *over,
                              struct err *first, struct err *e)
{
    if (!first->code)
        err_set(first, ERR_DATA, "'%s' sent a malformed '%s': %s", shown,
                bad->kind, e->text);
    *over = strcmp(bad->kind, "done") == 0 || strcmp(bad->kind, "fail") == 0;
    b->asked = !*over;
    return check_id(s, b, bad, e);
}

/* Take answers until the command is through with the request. *end: it said
 * "end". */
static enum err_code take_answers(struct stage *s, struct bridge *b,
                                  const struct item *in, bool *end,
                                  struct err *e)
{
    bool over = false;
    struct err first = {0}; /* the item's failure; still hear it out */
    struct patience limit = patience_new(options.item_ms);
    while (!over) {
        struct item *it = NULL, *bad = NULL;
        enum err_code rc = hear(s, b, &limit, &it, &bad, e);
        if (!rc && bad)
            rc = take_bad(s, b, bad, &over, &first, e);
        else if (!rc)
            rc = take_answer(s, b, in, it, &over, end, &first, e);
        item_free(&it);
        item_free(&bad);
        if (rc)
            return rc;
        if (first.code == ERR_CANCEL)
            break;
    }
    if (first.code)
        *e = first;
    if (first.code && !in && first.code != ERR_CANCEL)
        return break_stage(s, e); /* a source's: nobody else is to blame */
    return first.code;
}

/* The stage's functions */

static enum err_code bridge_open(void *ctx, struct stage *s, struct err *e)
{
    struct bridge *b = ctx;
    char n[16];
    b->transform = s->desc->kind != STAGE_SOURCE;
    /* A sink may hold what it has taken in memory: it is not started anew
     * unless the file says so. */
    b->restarts = options.restart >= 0               ? options.restart
                  : s->desc->kind == STAGE_TRANSFORM ? RESTARTS
                  : options.item_ms && b->transform  ? RESTARTS
                                                     : 0;
    snprintf(n, sizeof n, "%d", s->replicas);
    if (setenv("FACET_REPLICAS", n, 1))
        return err_set(e, ERR_NOMEM, "no memory for the environment");
    b->command = command_new(command_line, shown, e);
    b->hub = b->command ? link_hub_new(e) : NULL;
    return b->hub ? start(s, b, e) : e->code;
}

static enum err_code bridge_produce(void *ctx, struct stage *s, bool *end,
                                    struct err *e)
{
    struct bridge *b = ctx;
    if (command_ended(b->command)) {
        (void)died(s, b, e);
        return break_stage(s, e);
    }
    enum err_code rc = ask_plain(s, b, "next", e);
    return rc ? rc : take_answers(s, b, NULL, end, e);
}

static enum err_code bridge_transform(void *ctx, struct stage *s,
                                      struct item *const *in, size_t n,
                                      struct err *e)
{
    struct bridge *b = ctx;
    bool end;
    (void)n;
    struct item *it = item_copy(in[0], e);
    if (!it)
        return ERR_NOMEM;
    enum err_code rc = item_set_str(it, LINK_PORT_FIELD, stage_in_port(s), e);
    /* Another try is another request: its id tells them apart. */
    if (it->attempt && !ours)
        it->id = item_make_id(&in[0]->id, "attempt", "", it->attempt, NULL);
    if (!rc)
        rc = ensure(s, b, e);
    if (!rc)
        rc = ask(s, b, "item", it, e);
    while (rc == ERR_IO && !s->broken && command_ended(b->command)) {
        rc = ensure(s, b, e); /* it had ended before it was asked */
        if (!rc)
            rc = ask(s, b, "item", it, e);
    }
    item_free(&it);
    stage_label(in[0], b->last, sizeof b->last);
    return rc ? rc : take_answers(s, b, in[0], &end, e);
}

/* After "end": items that are left, then it exits. */
static enum err_code take_rest(struct stage *s, struct bridge *b, struct err *e)
{
    struct patience p = patience_new(END_WITHIN_MS);
    for (;;) {
        struct item *it = NULL, *bad = NULL;
        bool ended = command_ended(b->command);
        enum err_code rc = link_wait(b->hub, &b->pair, 1, NULL, 0, WAIT_MS, e);
        if (!rc)
            rc = hear_one(s, b, &it, &bad, e);
        if (!rc && bad)
            rc = err_wrap(e, "'%s' sent a malformed '%s'", shown, bad->kind);
        bool said = it || bad;
        if (!rc && it && strcmp(it->kind, "item") == 0 &&
            (zero_id(&it->id) || item_id_equal(&it->id, &b->id)))
            rc = emit_answer(s, NULL, it, e);
        else if (!rc && it && strcmp(it->kind, "done") == 0 &&
                 item_id_equal(&it->id, &b->id))
            said = true;
        else if (!rc && it)
            rc = breach(s, b, e,
                        "said '%s' out of turn, after its last input: "
                        "an answer too many may have gone to another item",
                        it->kind);
        item_free(&it);
        item_free(&bad);
        if (rc || (ended && !said))
            return rc;
        if (said)
            p = patience_new(END_WITHIN_MS);
        if (stage_stopping(s))
            return err_set(e, ERR_CANCEL, "stopped");
        if (patience_over(&p))
            return err_set(e, ERR_IO, "'%s' does not exit after its last input",
                           shown);
    }
}

static enum err_code bridge_finish(void *ctx, struct stage *s, struct err *e)
{
    struct bridge *b = ctx;
    if (b->lost)
        return OK;
    if (command_ended(b->command)) {
        (void)died(s, b, e);
        return err_wrap(e, "before its input had ended");
    }
    enum err_code rc = ask_plain(s, b, "end", e);
    if (!rc)
        rc = take_rest(s, b, e);
    if (!rc && command_status(b->command))
        (void)died(s, b, e);
    return rc ? rc : command_status(b->command) ? e->code : OK;
}

static void bridge_close(void *ctx)
{
    struct bridge *b = ctx;
    if (b->command)
        command_stop(b->command, b->has_status ? SAVE_MS : STOP_MS);
    command_free(&b->command);
    drop_pair(b);
    link_hub_free(&b->hub);
}

/* The table, made from what the command says of itself */

static enum err_code make_ports(const struct info_port *ports, size_t n,
                                struct stage_port **out, struct err *e)
{
    *out = mem_calloc(n + 1, sizeof **out);
    if (!*out)
        return err_set(e, ERR_NOMEM, "no memory for the ports");
    for (size_t i = 0; i < n; i++) {
        struct buf b;
        enum err_code rc = OK;
        buf_init(&b, FIELDS_MAX);
        for (size_t k = 0; !rc && k < ports[i].n; k++)
            rc = buf_printf(&b, e, "%s%s %s%s", k ? ", " : "",
                            ports[i].fields[k].name, ports[i].fields[k].type,
                            ports[i].fields[k].optional ? "?" : "");
        if (!rc && ports[i].open)
            rc = buf_puts(&b, ports[i].n ? ", ..." : "...", e);
        char *fields = rc ? NULL : mem_strdup(buf_str(&b));
        buf_free(&b);
        if (!fields)
            return rc ? rc : err_set(e, ERR_NOMEM, "no memory for the ports");
        (*out)[i] = (struct stage_port){ports[i].name, fields,
                                        ports[i].help ? ports[i].help : ""};
    }
    return OK;
}

static void free_ports(struct stage_port *p)
{
    for (size_t i = 0; p && p[i].name; i++) {
        void *fields;
        memcpy(&fields, &p[i].fields, sizeof fields);
        mem_free(fields);
    }
    mem_free(p);
}

static enum err_code describe_command(char **argv, size_t words,
                                      struct stage_info **info, struct err *e)
{
    char *saved = argv[words]; /* NULL, or the first parameter */
    argv[words] = NULL;
    enum err_code rc = stage_info_from_command(argv, info, e);
    argv[words] = saved;
    return rc;
}

/* The command line as it is started: ours are told how they run. */
static enum err_code make_command(char **argv, size_t words, struct err *e)
{
    size_t n = 0;
    static char flag[] = "--bridged";
    while (argv[n])
        n++;
    command_line = mem_calloc(n + 2, sizeof *command_line);
    if (!command_line)
        return err_set(e, ERR_NOMEM, "no memory for a command line");
    for (size_t i = 0, used = 0; i < words && used < sizeof shown; i++)
        used += (size_t)snprintf(shown + used, sizeof shown - used, "%s%s",
                                 i ? " " : "", argv[i]);
    text_plain(shown, strlen(shown));
    for (size_t i = 0, k = 0; i < n; i++) {
        command_line[k++] = argv[i];
        if (ours && i + 1 == words)
            command_line[k++] = flag;
    }
    return OK;
}

int bridge_main(char **argv, size_t words, const struct bridge_options *o)
{
    struct err e = {0};
    struct stage_info *info = NULL;
    struct stage_port *in = NULL, *out = NULL;
    struct stage s = {0};
    int status = 3;
    log_setup("bridge", log_level_from_env());
    options = *o;
    enum err_code rc = describe_command(argv, words, &info, &e);
    ours = !rc && info->ours;
    if (!rc)
        rc = make_command(argv, words, &e);
    if (!rc)
        rc = make_ports(info->in, info->n_in, &in, &e);
    if (!rc)
        rc = make_ports(info->out, info->n_out, &out, &e);
    struct stage_desc desc = {
        .name = rc ? "" : info->name,
        .help = rc ? "" : info->help,
        .kind = rc                                  ? STAGE_SINK
                : strcmp(info->kind, "source") == 0 ? STAGE_SOURCE
                : strcmp(info->kind, "sink") == 0   ? STAGE_SINK
                                                    : STAGE_TRANSFORM,
        .ctx_size = sizeof(struct bridge),
        .open = bridge_open,
        .finish = bridge_finish,
        .close = bridge_close,
    };
    if (desc.kind == STAGE_SOURCE)
        desc.produce = bridge_produce;
    else
        desc.transform = bridge_transform;
    desc.in = desc.kind == STAGE_SOURCE ? NULL : in;
    desc.out = desc.kind == STAGE_SINK ? NULL : out;
    if (!rc)
        rc = stage_init(&s, &desc, desc.name, &e);
    if (rc)
        log_error("%s", e.text);
    else
        status = stage_linked(&s);
    stage_free(&s);
    free_ports(in);
    free_ports(out);
    stage_info_free(&info);
    mem_free(command_line);
    return status;
}
