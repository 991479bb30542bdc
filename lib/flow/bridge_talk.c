/* Talking to the command under a bridge. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/bridge_internal.h"
#include "lib/flow/control.h"
#include "lib/flow/missing.h"

#define SECOND INT64_C(1000000000)
#define MS INT64_C(1000000)
#define OPEN_WITHIN_MS 120000 /* to connect, where the file sets no limit */
#define ASLEEP_MS 100         /* we wait for a command that sends no ids, */
#define EMPTY_MS 2000         /* ... if it said 'done' and nothing else */
#define LOOK_US 300
#define WORDS_AT_ONCE 10000

struct bridge_setup bridge_setup;

struct patience patience_new(int64_t ms)
{
    return (struct patience){ms * MS, clock_ns()};
}

bool patience_over(struct patience *p)
{
    int64_t now = clock_ns(), step = now - p->last;
    p->last = now;
    p->left -= step > SECOND ? SECOND : step;
    return p->left < 0;
}

/* Errors */

enum err_code bridge_break(struct stage *s, struct err *e)
{
    s->broken = true;
    s->fatal = *e;
    return e->code;
}

/* How the command ended and its last word; what it printed goes to s->trace.
 * A package or an interpreter that is missing is named as such. */
enum err_code bridge_died(struct stage *s, struct bridge *b, struct err *e)
{
    char how[256], line[BRIDGE_WORDS], hint[200];
    char *words = command_words(b->command);
    command_how(b->command, how, sizeof how);
    command_last_line(words ? words : "", line, sizeof line);
    missing_module(line, hint, sizeof hint);
    err_set(e, ERR_IO, "%s%s%s%s", how, *line ? ": " : "", line, hint);
    stage_trace(s, words);
    return e->code;
}

/* A breach of the protocol: what it says can no longer be trusted. */
enum err_code bridge_breach(struct stage *s, struct bridge *b, struct err *e,
                            const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(e, ERR_DATA, "'%s' %s%s%.150s", bridge_setup.shown, text,
            b->last[0] ? "; item " : "", b->last);
    return bridge_break(s, e);
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
    return bridge_break(s, e);
}

enum err_code bridge_hear_one(struct stage *s, struct bridge *b,
                              struct item **out, struct item **bad, bool *word,
                              struct err *e)
{
    *word = false;
    enum err_code rc = link_recv_head(b->pair, out, bad, e);
    if (rc && !*bad)
        return err_wrap(e, "from '%s'", bridge_setup.shown);
    if (rc || !*out)
        return OK; /* told by *bad; e has the reason */
    if (strcmp((*out)->kind, "fatal") == 0) {
        rc = take_fatal(s, *out, e);
        item_free(out);
        return rc;
    }
    *word = take_word(s, b, *out);
    if (*word)
        item_free(out);
    return OK;
}

/* Wait until it has connected (ours: opened). */
static enum err_code await_ready(struct stage *s, struct bridge *b,
                                 struct err *e)
{
    int64_t ms = bridge_setup.options.open_ms ? bridge_setup.options.open_ms
                                              : OPEN_WITHIN_MS;
    bool limit = bridge_setup.options.open_ms || !bridge_setup.ours;
    struct patience p = patience_new(ms);
    while (bridge_setup.ours ? !b->ready : !link_writable(b->pair)) {
        struct item *it = NULL, *bad = NULL;
        bool word = false;
        enum err_code rc = link_wait(b->hub, &b->pair, 1, NULL, 0,
                                     bridge_setup.ours ? BRIDGE_WAIT_MS : 1, e);
        bool ended = command_ended(b->command);
        if (!rc && bridge_setup.ours)
            rc = bridge_hear_one(s, b, &it, &bad, &word, e);
        item_free(&it);
        item_free(&bad);
        if (rc)
            return rc;
        if (b->ready)
            return OK;
        if (ended && !word)
            return bridge_died(s, b, e);
        if (stage_stopping(s))
            return err_set(e, ERR_CANCEL, "stopped");
        if (patience_over(&p) && limit)
            return err_set(
                e, ERR_IO, "'%s' %s within %.4g s%s", bridge_setup.shown,
                bridge_setup.ours ? "has not opened"
                                  : "does not connect to FACET_ENDPOINT",
                (double)ms / 1e3,
                bridge_setup.options.open_ms ? " (time-limit: open)" : "");
    }
    return OK;
}

/* Ours asks for its recipe and the run's sinks, as a linked stage has them: in
 * files, for they may be longer than the environment holds. */
static enum err_code hand_on(const struct stage *s,
                             const struct control_env *env, struct err *e)
{
    const char *const text[] = {stage_recipe(s), stage_sinks(s)};
    enum err_code rc = OK;
    for (int i = 0; i < 2 && !rc; i++) {
        char *path = bridged_file(env, i);
        rc = path ? file_write_atomic(path, text[i], strlen(text[i]), e)
                  : err_set(e, ERR_NOMEM, "no memory for a path");
        mem_free(path);
    }
    return rc;
}

/* A socket of its own for each start: what an earlier one has said is gone
 * with its socket. */
enum err_code bridge_start(struct stage *s, struct bridge *b, struct err *e)
{
    struct control_env env;
    char endpoint[LINK_MAX_ENDPOINT + 32];
    enum err_code rc = control_env_read(&env, e);
    if (rc)
        return rc;
    if (bridge_setup.ours && b->starts == 0)
        rc = hand_on(s, &env, e);
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
enum err_code bridge_ensure(struct stage *s, struct bridge *b, struct err *e)
{
    struct err why = {0};
    if (!command_ended(b->command))
        return OK;
    if (b->starts > b->restarts) {
        (void)bridge_died(s, b, e);
        return bridge_break(s, e);
    }
    log_warn("'%s' is started anew (%d of %d); what it kept in memory is lost",
             bridge_setup.shown, b->starts, b->restarts);
    if (bridge_start(s, b, &why) == OK)
        return OK;
    if (why.code == ERR_CANCEL || s->broken) {
        *e = why;
        return why.code;
    }
    err_set(e, why.code, "cannot start it anew: %s", why.text);
    return bridge_break(s, e);
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
    return bridge_break(s, e);
}

/* Requests */

/* Whatever it says while nothing is asked of it is out of turn, but words. Of
 * one that says words without end the rest is heard with its answer. */
static enum err_code nothing_said(struct stage *s, struct bridge *b,
                                  struct err *e)
{
    struct item *it = NULL, *bad = NULL;
    bool word = true;
    enum err_code rc = OK;
    for (int i = 0; word && !rc && i < WORDS_AT_ONCE; i++)
        rc = bridge_hear_one(s, b, &it, &bad, &word, e);
    if (!rc && (it || bad))
        rc = bridge_breach(
            s, b, e,
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

enum err_code bridge_ask(struct stage *s, struct bridge *b, const char *kind,
                         struct item *it, struct err *e)
{
    enum err_code rc = b->asked ? OK : check_turn(s, b, e);
    if (rc)
        return rc;
    snprintf(it->kind, sizeof it->kind, "%s", kind);
    command_mark(b->command);
    rc = link_send(b->pair, NULL, it, e);
    if (rc == ERR_IO && !command_ended(b->command))
        usleep(BRIDGE_WAIT_MS * 1000); /* gone, but not yet ended */
    if (rc == ERR_IO && command_ended(b->command))
        return bridge_died(s, b, e);
    b->id = it->id;
    b->asked = true;
    b->answers = 0;
    b->n_asked++;
    return rc;
}

/* Requests without an item have ids too. */
enum err_code bridge_ask_plain(struct stage *s, struct bridge *b,
                               const char *kind, struct err *e)
{
    static const struct item_id none;
    struct item *it = control_new(kind, 0, e);
    if (!it)
        return ERR_NOMEM;
    it->id = item_make_id(&none, kind, "", b->n_asked, NULL);
    enum err_code rc = bridge_ask(s, b, kind, it, e);
    item_free(&it);
    return rc;
}

bool bridge_zero_id(const struct item_id *id)
{
    static const struct item_id none;
    return item_id_equal(id, &none);
}

/* The next message, however long it takes, within the time limit. An item
 * fails with the error, unless the stage breaks by it. */
enum err_code bridge_hear(struct stage *s, struct bridge *b,
                          struct patience *limit, struct item **out,
                          struct item **bad, struct err *e)
{
    limit->last = clock_ns(); /* what we did meanwhile is not its time */
    for (;;) {
        bool word, ended = command_ended(b->command); /* before looking */
        enum err_code rc = bridge_hear_one(s, b, out, bad, &word, e);
        if (!rc && !*out && !*bad && !word && ended) {
            /* What it sent may still be on its way through the socket. */
            rc = link_wait(b->hub, &b->pair, 1, NULL, 0, BRIDGE_WAIT_MS, e);
            if (!rc)
                rc = bridge_hear_one(s, b, out, bad, &word, e);
        }
        if (rc)
            return s->broken ? rc : bridge_break(s, e);
        if (*out || *bad)
            return OK;
        if (ended && !word) {
            (void)bridge_died(s, b, e);
            return b->transform ? lose(s, b, e) : bridge_break(s, e);
        }
        if (stage_stopping(s))
            return err_set(e, ERR_CANCEL, "stopped");
        if (!word)
            rc = link_wait(b->hub, &b->pair, 1, NULL, 0, BRIDGE_WAIT_MS, e);
        if (rc)
            return bridge_break(s, e);
        if (!patience_over(limit) || !bridge_setup.options.item_ms)
            continue;
        char line[BRIDGE_WORDS];
        char *words = command_words(b->command);
        command_last_line(words ? words : "", line, sizeof line);
        err_set(e, ERR_IO, "'%s' took longer than %.4g s (time-limit)%s%s",
                bridge_setup.shown, (double)bridge_setup.options.item_ms / 1e3,
                *line ? "; its last word was: " : "", line);
        stage_trace(s, words);
        return b->transform ? lose(s, b, e) : bridge_break(s, e);
    }
}
