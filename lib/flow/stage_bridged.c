/* A stage of ours behind the bridge: the far end of the protocol of bridge.h,
 * as a stage in any language has it, with these differences: answers are whole
 * items with all their fields, a source may set items aside, `ready` is said
 * after opening, `fatal` where a stage program would print its error; `failed`
 * brings an input that has failed for good. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/control.h"
#include "lib/flow/link.h"
#include "lib/flow/outbox.h"
#include "lib/flow/stage_run.h"

#define WAIT_MS 1000
#define LINGER_MS 20000 /* for what we said last to be taken */

struct bridged {
    struct stage *s;
    struct link_hub *hub;
    struct link *pair;
    struct item_id asked; /* id of the request */
    bool failed;          /* told already */
};

static volatile sig_atomic_t stop_asked;

static void on_term(int sig)
{
    (void)sig;
    stop_asked = 1;
}

static enum err_code say(struct bridged *b, const char *kind, const char *text,
                         struct err *e)
{
    struct item *it = control_new(kind, 0, e);
    if (!it)
        return ERR_NOMEM;
    it->id = b->asked;
    enum err_code rc = text ? item_set_str(it, "text", text, e) : OK;
    if (!rc)
        rc = link_send(b->pair, NULL, it, e);
    item_free(&it);
    return rc;
}

static enum err_code say_error(struct bridged *b, const char *kind,
                               struct item *it, const struct err *why,
                               struct err *e)
{
    enum err_code rc = item_set_str(it, "error_code", err_word(why->code), e);
    struct err clean = *why;
    text_plain(clean.text, strlen(clean.text));
    if (!rc)
        rc = item_set_str(it, "error_text", clean.text, e);
    snprintf(it->kind, sizeof it->kind, "%s", kind);
    it->id = b->asked;
    return rc ? rc : link_send(b->pair, NULL, it, e);
}

static enum err_code bridged_emit(void *arg, struct work *parent, size_t port,
                                  struct item *it, struct err *e)
{
    struct bridged *b = arg;
    (void)parent;
    it->id = b->asked;
    enum err_code rc =
        item_set_str(it, LINK_PORT_FIELD, b->s->out[port].name, e);
    if (!rc && it->key[0])
        rc = item_set_str(it, STAGE_RESERVED "key", it->key, e);
    if (!rc && b->s->late)
        rc = item_set_bool(it, STAGE_RESERVED "late", true, e);
    if (!rc)
        rc = link_send(b->pair, NULL, it, e);
    if (rc == ERR_IO)
        stage_break(b->s, rc, "%s", e->text);
    item_free(&it);
    return rc;
}

static enum err_code bridged_fail(void *arg, struct work *w, struct err *e)
{
    struct bridged *b = arg;
    b->failed = true;
    struct item *it = NULL;
    if (b->s->desc->kind == STAGE_SOURCE) {
        it = item_copy(w->item, e);
        if (it && w->item->key[0] &&
            item_set_str(it, STAGE_RESERVED "key", w->item->key, e))
            item_free(&it);
    } else {
        it = control_new("fail", 0, e);
    }
    if (!it)
        return e->code;
    enum err_code rc = say_error(
        b, b->s->desc->kind == STAGE_SOURCE ? "aside" : "fail", it, &w->why, e);
    item_free(&it);
    return rc;
}

static enum err_code bridged_settle(void *arg, struct work *w, struct err *e)
{
    struct bridged *b = arg;
    enum err_code rc = w->failed || b->s->desc->kind == STAGE_SOURCE
                           ? OK
                           : say(b, "done", NULL, e);
    work_free(&w);
    return rc;
}

static void tell(struct bridged *b, const char *kind, const char *text)
{
    struct err e = {0};
    if (say(b, kind, text, &e))
        log_error("cannot say '%s': %s", kind, e.text);
}

static void bridged_report(void *arg, const char *text)
{
    tell(arg, "report", text);
}

static void bridged_expect(void *arg, int64_t items)
{
    struct bridged *b = arg;
    struct err e = {0};
    struct item *it = control_new("expect", 0, &e);
    if (!it || item_set_i64(it, "items", items, &e) ||
        link_send(b->pair, NULL, it, &e))
        log_error("cannot say how many items will come: %s", e.text);
    item_free(&it);
}

static void bridged_status(void *arg, const char *text)
{
    tell(arg, "status", text);
}

static void bridged_enough(void *arg)
{
    tell(arg, "enough", NULL);
}

static bool bridged_stopping(void *arg)
{
    (void)arg;
    return stop_asked != 0;
}

static void bridged_hold(void *arg, struct work *const *w, size_t n)
{
    (void)arg;
    (void)w;
    (void)n;
}

static enum err_code take_item(struct bridged *b, struct item *it,
                               struct err *e)
{
    size_t port = 0;
    const char *name = item_str(it, LINK_PORT_FIELD, "");
    if (*name && !stage_in_index(b->s, name, &port)) {
        err_set(e, ERR_DATA, "no input port '%s'", name);
        item_free(&it);
        return ERR_DATA;
    }
    item_drop(it, LINK_PORT_FIELD);
    struct work *w = work_new(it, e);
    return w ? stage_process(b->s, &w, 1, port, e) : ERR_NOMEM;
}

/* An input has failed for good: the bridge knows, which tries again, kills what
 * takes too long, and checks the fields. */
static enum err_code take_failed(struct bridged *b, struct item *it,
                                 struct err *e)
{
    struct err why = {0};
    enum err_code code = err_from_word(item_str(it, BRIDGED_CODE, ""));
    err_set(&why, code == OK || code == ERR_COUNT ? ERR_DATA : code, "%s",
            item_str(it, BRIDGED_TEXT, ""));
    item_drop(it, BRIDGED_CODE);
    item_drop(it, BRIDGED_TEXT);
    if (b->s->desc->failed)
        b->s->desc->failed(b->s->ctx, b->s, it, &why);
    item_free(&it);
    return say(b, "done", NULL, e);
}

static enum err_code serve(struct bridged *b, struct err *e)
{
    enum err_code rc = OK;
    bool end = false;
    while (!rc && !stop_asked) {
        struct item *it = NULL;
        rc = link_wait(b->hub, &b->pair, 1, NULL, 0, WAIT_MS, e);
        if (!rc)
            rc = link_recv(b->pair, NULL, &it, e);
        if (rc || !it)
            continue;
        b->asked = it->id;
        if (strcmp(it->kind, "item") == 0) {
            rc = take_item(b, it, e);
            continue;
        }
        if (strcmp(it->kind, "failed") == 0) {
            rc = take_failed(b, it, e);
            continue;
        }
        bool last = strcmp(it->kind, "end") == 0;
        item_free(&it);
        if (last)
            return stage_finish(b->s, e);
        rc = stage_produce(b->s, &end, e);
        if (!rc)
            rc = say(b, end ? "end" : "done", NULL, e);
    }
    return rc;
}

char *bridged_file(const struct control_env *env, int which)
{
    return mem_printf("%s/r%d.%u.%d", env->dir, env->index,
                      (unsigned)env->epoch, which);
}

/* What the bridge has handed on: see hand_on. */
static enum err_code take_over(struct stage *s, const struct control_env *env,
                               struct err *e)
{
    char **const text[] = {&s->recipe, &s->sinks};
    enum err_code rc = OK;
    for (int i = 0; i < 2 && !rc; i++) {
        struct buf b = {0};
        char *path = bridged_file(env, i);
        rc = path ? file_read(path, ITEM_MAX_STR, &b, e) : ERR_NOMEM;
        if (!rc && !(*text[i] = mem_strndup(buf_str(&b), b.len)))
            rc = ERR_NOMEM;
        buf_free(&b);
        mem_free(path);
    }
    if (!rc && !(s->run_key = mem_strdup(env->key)))
        rc = ERR_NOMEM;
    return rc == ERR_NOMEM ? err_set(e, rc, "no memory for a recipe") : rc;
}

static enum err_code live(struct bridged *b, struct err *e)
{
    const char *endpoint = getenv("FACET_ENDPOINT");
    struct control_env env;
    struct stage *s = b->s;
    enum err_code rc = control_env_read(&env, e);
    if (rc)
        return rc;
    if (!endpoint)
        return err_set(e, ERR_ARG, "no FACET_ENDPOINT");
    const char *replicas = getenv("FACET_REPLICAS");
    int64_t n = 1;
    char *instance = mem_strdup(env.instance);
    if (!instance)
        return err_set(e, ERR_NOMEM, "no memory for a name");
    mem_free(s->instance);
    s->instance = instance;
    s->replica = env.replica;
    s->replicas = replicas && text_to_i64(replicas, &n) ? (int)n : 1;
    s->threads = env.threads;
    s->bridged = true;
    rc = take_over(s, &env, e);
    if (rc)
        return rc;
    b->hub = link_hub_new(e);
    b->pair = b->hub ? link_pair_connect(b->hub, endpoint, e) : NULL;
    if (!b->pair)
        return e->code;
    rc = stage_open(s, e);
    if (!rc)
        rc = say(b, "ready", NULL, e);
    return rc ? rc : serve(b, e);
}

int stage_bridged(struct stage *s)
{
    struct err e = {0}, last = {0};
    struct bridged b = {.s = s};
    struct sigaction term = {.sa_handler = on_term};
    log_setup("", log_level_from_env());
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &term, NULL);
    s->io = (struct stage_io){&b,
                              bridged_emit,
                              bridged_fail,
                              bridged_settle,
                              bridged_report,
                              bridged_expect,
                              bridged_status,
                              bridged_enough,
                              bridged_stopping,
                              bridged_hold,
                              NULL};
    enum err_code rc = live(&b, &e);
    bool stopped = stop_asked || rc == ERR_CANCEL;
    if (rc && !stopped) {
        struct item *it = b.pair ? control_new("fatal", 0, &last) : NULL;
        if (!it || say_error(&b, "fatal", it, &e, &last))
            log_error("%s", e.text);
        item_free(&it);
    }
    link_close(&b.pair, stopped ? 0 : LINGER_MS);
    link_hub_free(&b.hub);
    return rc && !stopped ? 3 : 0;
}
