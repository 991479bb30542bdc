/* A stage whose transform is another process: its functions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/bridge_internal.h"
#include "lib/flow/outbox.h"

#define END_WITHIN_MS 30000 /* after "end" and its last message, to exit */
#define STOP_MS 500         /* to end when the run stops, */
#define SAVE_MS 28000       /* ... where it has a state to save */
#define RESTARTS 100        /* of a transform, if the file does not say */

/* The stage's functions */

static enum err_code bridge_open(void *ctx, struct stage *s, struct err *e)
{
    struct bridge *b = ctx;
    char n[16];
    b->transform = s->desc->kind != STAGE_SOURCE;
    /* A sink may hold what it has taken in memory: it is not started anew
     * unless the file says so. */
    b->restarts = bridge_setup.options.restart >= 0
                      ? bridge_setup.options.restart
                  : s->desc->kind == STAGE_TRANSFORM             ? RESTARTS
                  : bridge_setup.options.item_ms && b->transform ? RESTARTS
                                                                 : 0;
    snprintf(n, sizeof n, "%d", s->replicas);
    if (setenv("FACET_REPLICAS", n, 1))
        return err_set(e, ERR_NOMEM, "no memory for the environment");
    b->command = command_new(bridge_setup.argv, bridge_setup.shown, e);
    b->hub = b->command ? link_hub_new(e) : NULL;
    return b->hub ? bridge_start(s, b, e) : e->code;
}

static enum err_code bridge_produce(void *ctx, struct stage *s, bool *end,
                                    struct err *e)
{
    struct bridge *b = ctx;
    if (command_ended(b->command)) {
        (void)bridge_died(s, b, e);
        return bridge_break(s, e);
    }
    enum err_code rc = bridge_ask_plain(s, b, "next", e);
    return rc ? rc : bridge_answers(s, b, NULL, end, e);
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
    if (it->attempt && !bridge_setup.ours)
        it->id = item_make_id(&in[0]->id, "attempt", "", it->attempt, NULL);
    if (!rc)
        rc = bridge_ensure(s, b, e);
    if (!rc)
        rc = bridge_ask(s, b, "item", it, e);
    while (rc == ERR_IO && !s->broken && command_ended(b->command)) {
        rc = bridge_ensure(s, b, e); /* it had ended before it was asked */
        if (!rc)
            rc = bridge_ask(s, b, "item", it, e);
    }
    item_free(&it);
    stage_label(in[0], b->last, sizeof b->last);
    return rc ? rc : bridge_answers(s, b, in[0], &end, e);
}

/* A sink of ours notes what has failed for good; if it was killed for it, the
 * next process does. */
static void bridge_failed(void *ctx, struct stage *s, const struct item *in,
                          const struct err *why)
{
    struct bridge *b = ctx;
    struct err e = {0};
    bool end;
    if (!bridge_setup.ours || s->desc->kind != STAGE_SINK || s->broken ||
        stage_stopping(s))
        return;
    if (command_ended(b->command) && b->starts > b->restarts)
        return; /* the run breaks with the next item, or at its end */
    struct err clean = *why;
    text_plain(clean.text, strlen(clean.text));
    struct item *it = item_copy(in, &e);
    enum err_code rc = it ? OK : ERR_NOMEM;
    if (!rc)
        rc = item_set_str(it, BRIDGED_CODE, err_word(why->code), &e);
    if (!rc)
        rc = item_set_str(it, BRIDGED_TEXT, clean.text, &e);
    if (!rc)
        rc = bridge_ensure(s, b, &e);
    if (!rc)
        rc = bridge_ask(s, b, "failed", it, &e);
    item_free(&it);
    stage_label(in, b->last, sizeof b->last);
    if (!rc)
        rc = bridge_answers(s, b, in, &end, &e);
    if (rc)
        log_warn("a failure is not noted: %s", e.text);
}

static enum err_code still_there(struct bridge *b, struct err *e)
{
    char line[BRIDGE_WORDS];
    char *words = command_words(b->command);
    command_last_line(words ? words : "", line, sizeof line);
    mem_free(words);
    return err_set(e, ERR_IO,
                   "'%s' has not exited %d s after its last input%s%s",
                   bridge_setup.shown, END_WITHIN_MS / 1000,
                   *line ? "; its last word was: " : "", line);
}

/* After "end": items that are left, then it exits. */
static enum err_code take_rest(struct stage *s, struct bridge *b, struct err *e)
{
    struct patience p = patience_new(END_WITHIN_MS);
    for (;;) {
        struct item *it = NULL, *bad = NULL;
        bool word = false, ended = command_ended(b->command);
        enum err_code rc =
            link_wait(b->hub, &b->pair, 1, NULL, 0, BRIDGE_WAIT_MS, e);
        if (!rc)
            rc = bridge_hear_one(s, b, &it, &bad, &word, e);
        if (!rc && bad)
            rc = err_wrap(e, "'%s' sent a malformed '%s'", bridge_setup.shown,
                          bad->kind);
        bool said = it || bad || word;
        if (!rc && it && strcmp(it->kind, "item") == 0 &&
            (bridge_zero_id(&it->id) || item_id_equal(&it->id, &b->id)))
            rc = bridge_emit(s, NULL, it, e);
        else if (!rc && it && strcmp(it->kind, "done") == 0 &&
                 item_id_equal(&it->id, &b->id))
            said = true;
        else if (!rc && it)
            rc = bridge_breach(
                s, b, e,
                "said '%s' out of turn, after its last input: "
                "an answer too many may have gone to another item",
                it->kind);
        item_free(&it);
        item_free(&bad);
        if (rc || (ended && !said))
            return rc;
        if (said && !word) /* words without end do not keep it alive */
            p = patience_new(END_WITHIN_MS);
        if (stage_stopping(s))
            return err_set(e, ERR_CANCEL, "stopped");
        if (patience_over(&p))
            return still_there(b, e);
    }
}

static enum err_code bridge_finish(void *ctx, struct stage *s, struct err *e)
{
    struct bridge *b = ctx;
    if (b->lost)
        return OK;
    if (command_ended(b->command)) {
        (void)bridge_died(s, b, e);
        return err_wrap(e, "before its input had ended");
    }
    enum err_code rc = bridge_ask_plain(s, b, "end", e);
    if (!rc)
        rc = take_rest(s, b, e);
    if (!rc && command_status(b->command))
        (void)bridge_died(s, b, e);
    return rc ? rc : command_status(b->command) ? e->code : OK;
}

static void bridge_close(void *ctx)
{
    struct bridge *b = ctx;
    if (b->command)
        command_stop(b->command, b->has_status ? SAVE_MS : STOP_MS);
    command_free(&b->command);
    if (b->pair)
        link_close(&b->pair, 0);
    link_hub_free(&b->hub);
}

const struct stage_desc bridge_desc = {
    .ctx_size = sizeof(struct bridge),
    .open = bridge_open,
    .produce = bridge_produce,
    .transform = bridge_transform,
    .failed = bridge_failed,
    .finish = bridge_finish,
    .close = bridge_close,
};
