/* A stage in a pipeline: started by the supervisor, linked to its
 * neighbours. One thread: sockets are served between transforms and while an
 * emit waits for room. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/flow/control.h"
#include "lib/flow/dead.h"
#include "lib/flow/inbox.h"
#include "lib/flow/inhand.h"
#include "lib/flow/outbox.h"
#include "lib/flow/stage_run.h"

#define MS ((int64_t)1000000)
#define STATS_EVERY (250 * MS)
#define FLUSH_EVERY (20 * MS)
#define LOOK_EVERY (10 * MS)   /* stage_stopping asks the runner so often */
#define START_WITHIN_MS 600000 /* the runner answers, or kills us before */
#define HEARD_WITHIN_MS 5000   /* ... of our last word, when it is an error */
#define STOP_HEARD_MS 500      /* ... when it stops us */
#define CLOSE_WITHIN_S 30      /* ZeroMQ, to close the sockets */
#define FAILURES_SHOWN 10

struct linked {
    struct stage *s;
    struct control_env env;
    struct link_hub *hub;
    struct link *control;
    struct inbox *in; /* NULL for a source */
    struct outbox *out;
    struct inhand *hand;
    struct link **links; /* to wait for */
    size_t n_links;
    struct item *start; /* the runner's message */
    char *dead;
    bool old_letters;    /* of an earlier run: forget those that come through */
    bool go, stop, left; /* left: the runner knows that we end */
    bool finish;         /* a source: no more is needed */
    bool enough;         /* we have said so, a sink */
    char status[256];    /* of stage_status, */
    bool status_new;     /* not told yet */
    struct work *works;  /* all that are not DONE */
    size_t n_works;
    struct control_stats stats;
    int64_t held_since, blocked; /* ns; for the busy share */
    int64_t next_stats, next_flush, next_look;
};

static enum err_code tell(struct linked *l, const char *kind, const char *text,
                          struct err *e)
{
    struct item *it = control_new(kind, l->env.epoch, e);
    if (!it)
        return ERR_NOMEM;
    enum err_code rc = text ? item_set_str(it, "text", text, e) : OK;
    if (!rc)
        rc = control_stats_put(it, &l->stats, e);
    if (!rc && l->status_new)
        rc = item_set_str(it, "status", l->status, e);
    l->status_new = false;
    if (!rc)
        rc = link_send(l->control, NULL, it, e);
    item_free(&it);
    return rc;
}

/* Custody */

static void add_work(struct linked *l, struct work *w)
{
    w->next = l->works;
    if (l->works)
        l->works->prev = w;
    l->works = w;
    l->n_works++;
}

/* One thing less to wait for; the last one makes w DONE. */
static enum err_code drop_pending(struct linked *l, struct work *w,
                                  struct err *e)
{
    enum err_code rc = OK;
    if (--w->pending > 0)
        return OK;
    if (w->sender) {
        l->stats.done++;
        rc = inbox_done(l->in, w->sender, &w->id, e);
    } else {
        l->stats.roots++;
    }
    if (w->prev)
        w->prev->next = w->next;
    else
        l->works = w->next;
    if (w->next)
        w->next->prev = w->prev;
    l->n_works--;
    work_free(&w);
    return rc;
}

static enum err_code child_done(void *arg, void *token, struct err *e)
{
    return drop_pending(arg, token, e);
}

/* Sockets */

static enum err_code hear_runner(struct linked *l, struct err *e)
{
    for (;;) {
        struct item *it = NULL;
        enum err_code rc = link_recv(l->control, NULL, &it, e);
        if (rc || !it)
            return rc;
        if (strcmp(it->kind, "start") == 0 && !l->start) {
            l->start = it;
            continue;
        }
        l->go = l->go || strcmp(it->kind, "go") == 0;
        l->stop = l->stop || strcmp(it->kind, "stop") == 0;
        l->left = l->left || strcmp(it->kind, "bye") == 0;
        l->finish = l->finish || strcmp(it->kind, "finish") == 0;
        item_free(&it);
    }
}

/* Serve the sockets; wait for something to come for at most timeout_ms. */
static enum err_code pump(struct linked *l, int timeout_ms, struct err *e)
{
    enum err_code rc = OK;
    if (timeout_ms > 0) {
        if (l->in)
            rc = inbox_flush(l->in, true, e);
        if (!rc)
            rc =
                link_wait(l->hub, l->links, l->n_links, NULL, 0, timeout_ms, e);
    }
    if (!rc)
        rc = hear_runner(l, e);
    if (!rc && l->in)
        rc = inbox_poll(l->in, e);
    if (!rc)
        rc = outbox_poll(l->out, child_done, l, e);
    int64_t now = clock_ns();
    if (!rc && l->in && now >= l->next_flush) {
        rc = inbox_flush(l->in, true, e);
        l->next_flush = now + FLUSH_EVERY;
    }
    if (!rc && now >= l->next_stats) {
        rc = tell(l, "stats", NULL, e);
        l->next_stats = now + STATS_EVERY;
    }
    return rc;
}

/* What the stage sees */

static enum err_code send_edge(struct linked *l, size_t port, size_t k,
                               struct shared *sh, struct work *w, struct err *e)
{
    for (;;) {
        bool sent = false;
        if (l->stop)
            return err_set(e, ERR_CANCEL, "stopped");
        enum err_code rc = outbox_send(l->out, port, k, sh, w, &sent, e);
        if (rc && rc != ERR_IO) /* it cannot be encoded: its own fault */
            return rc;
        if (!rc && sent) {
            w->pending++;
            return OK;
        }
        int64_t t0 = clock_ns();
        if (!rc)
            rc = pump(l, 100, e);
        l->blocked += clock_ns() - t0;
        if (rc) { /* no item's fault */
            l->s->broken = true;
            l->s->fatal = *e;
            return rc;
        }
    }
}

static enum err_code linked_emit(void *arg, struct work *parent, size_t port,
                                 struct item *it, struct err *e)
{
    struct linked *l = arg;
    struct work *w = parent;
    enum err_code rc = OK;
    struct shared *sh = outbox_share(it, e);
    if (!sh)
        return ERR_NOMEM;
    if (!w) {
        w = mem_calloc(1, sizeof *w);
        if (!w) {
            outbox_unshare(&sh);
            return err_set(e, ERR_NOMEM, "no memory for an item");
        }
        w->pending = 1;
        add_work(l, w);
    }
    for (size_t k = 0; !rc && k < outbox_edges(l->out, port); k++)
        rc = send_edge(l, port, k, sh, w, e);
    outbox_unshare(&sh);
    if (!rc)
        l->stats.out++;
    if (!parent && rc != ERR_CANCEL) {
        enum err_code done = drop_pending(l, w, rc ? NULL : e);
        rc = rc ? rc : done;
    }
    return rc;
}

/* On the port `failed` the failed input travels as a child of itself. */
static enum err_code emit_failed(struct linked *l, struct work *w,
                                 struct item *it, struct err *e)
{
    size_t port = l->s->n_out - 1;
    it->parent = w->id;
    it->id = item_make_id(&w->id, l->s->instance, STAGE_FAILED_PORT, 0, NULL);
    it->attempt = 0;
    return linked_emit(l, w, port, it, e);
}

static enum err_code linked_fail(void *arg, struct work *w, struct err *e)
{
    struct linked *l = arg;
    char label[300];
    struct item *it = stage_failed_item(l->s, w, e);
    if (!it)
        return ERR_NOMEM;
    enum err_code rc = dead_write(l->dead, l->s->instance, it, e);
    if (++l->stats.failed <= FAILURES_SHOWN)
        log_warn("item %s failed: %s: %s",
                 stage_label(w->item, label, sizeof label),
                 err_word(w->why.code), w->why.text);
    if (l->stats.failed == FAILURES_SHOWN)
        log_warn("further failures are only counted; each is in %s/%s", l->dead,
                 l->s->instance);
    if (!w->sender) /* a source's: it is not among the works yet */
        add_work(l, w);
    if (!rc && l->s->desc->kind != STAGE_SINK &&
        outbox_edges(l->out, l->s->n_out - 1) > 0)
        return emit_failed(l, w, it, e);
    item_free(&it);
    return rc;
}

static enum err_code linked_settle(void *arg, struct work *w, struct err *e)
{
    struct linked *l = arg;
    if (!w->failed && l->old_letters)
        dead_clear(l->dead, l->s->instance, &w->id);
    item_free(&w->item);
    mem_free(w->out);
    w->out = NULL;
    if (w->sender)
        inbox_release(l->in, w->sender, w->bytes);
    return drop_pending(l, w, e);
}

static void linked_report(void *arg, const char *text)
{
    struct err e = {0};
    if (tell(arg, "report", text, &e))
        log_error("cannot report '%s': %s", text, e.text);
}

static void linked_expect(void *arg, int64_t items)
{
    struct linked *l = arg;
    l->stats.expect = items < 0 ? -1 : items;
    l->next_stats = 0;
}

static void linked_status(void *arg, const char *text)
{
    struct linked *l = arg;
    snprintf(l->status, sizeof l->status, "%s", text);
    l->status_new = true;
}

static void linked_enough(void *arg)
{
    struct linked *l = arg;
    struct err e = {0};
    if (!l->enough && tell(l, "enough", NULL, &e))
        log_error("cannot end the run early: %s", e.text);
    l->enough = true;
}

static bool linked_stopping(void *arg)
{
    struct linked *l = arg;
    int64_t now = clock_ns();
    if (!l->stop && now >= l->next_look) {
        struct err e = {0};
        l->next_look = now + LOOK_EVERY;
        if (hear_runner(l, &e))
            log_error("%s", e.text);
    }
    return l->stop;
}

/* The stage's own functions run from now on, or until now; the time that an
 * emit waited for room is not theirs. */
static void busy(struct linked *l, bool begins)
{
    int64_t now = clock_ns() - l->blocked;
    if (begins)
        l->held_since = now;
    else
        l->stats.busy_ns += now - l->held_since;
}

static void linked_hold(void *arg, struct work *const *w, size_t n)
{
    struct linked *l = arg;
    busy(l, n > 0);
    inhand_set(l->hand, w, n);
}

static void linked_note(void *arg, const char *text)
{
    struct linked *l = arg;
    inhand_note(l->hand, text);
}

/* Life */

static enum err_code connect_runner(struct linked *l, struct err *e)
{
    char name[LINK_NAME], endpoint[LINK_MAX_ENDPOINT + 8], boot[64];
    const struct stage_desc *d = l->s->desc;
    snprintf(name, sizeof name, "%d.%" PRIu32, l->env.index, l->env.epoch);
    enum err_code rc =
        control_endpoint(l->env.dir, l->env.index, l->env.epoch, endpoint, e);
    if (rc)
        return rc;
    if (!(l->hand = inhand_new(l->env.dir, l->env.index, e)) ||
        !(l->hub = link_hub_new(e)) ||
        !(l->control = link_connect(l->hub, l->env.control, name, e)) ||
        !(l->out =
              outbox_new(l->hub, l->env.index, l->env.epoch, l->env.key, e)))
        return e->code;
    if (d->kind != STAGE_SOURCE &&
        !(l->in = inbox_new(l->hub, endpoint, l->env.epoch, l->env.key,
                            d->batch, e)))
        return e->code;
    struct item *it = control_new("hello", l->env.epoch, e);
    if (!it)
        return ERR_NOMEM;
    control_boot_id(boot);
    rc = item_set_i64(it, "pid", getpid(), e);
    if (!rc)
        rc = item_set_str(it, "endpoint", endpoint, e);
    if (!rc)
        rc = item_set_str(it, "key", l->env.key, e);
    if (!rc)
        rc = item_set_str(it, "boot_id", boot, e);
    if (!rc)
        rc = link_send(l->control, NULL, it, e);
    item_free(&it);
    return rc;
}

/* Wait until the runner has said what (go or start), or to stop. */
static enum err_code await(struct linked *l, bool go, struct err *e)
{
    int64_t until = clock_ns() + START_WITHIN_MS * MS;
    while (!l->stop && !(go ? l->go : l->start != NULL)) {
        if (clock_ns() > until)
            return err_set(e, ERR_IO, "the runner does not answer");
        enum err_code rc = link_wait(l->hub, &l->control, 1, NULL, 0, 100, e);
        if (!rc)
            rc = hear_runner(l, e);
        if (rc)
            return rc;
    }
    return l->stop ? err_set(e, ERR_CANCEL, "stopped") : OK;
}

static enum err_code read_receivers(struct linked *l, struct err *e)
{
    struct control_peer p;
    struct err bad = {0};
    const char *text = item_str(l->start, "down", "");
    while (control_down_next(&text, &p, &bad)) {
        size_t port;
        if (!stage_out_index(l->s, p.out_port, &port))
            return err_set(e, ERR_DATA, "no output port '%s'", p.out_port);
        enum err_code rc = outbox_add(l->out, port, (size_t)p.edge, p.to_port,
                                      p.index, p.epoch, p.endpoint, e);
        if (rc)
            return rc;
    }
    text = item_str(l->start, "up", "");
    while (!bad.code && control_up_next(&text, &p, &bad)) {
        enum err_code rc =
            l->in ? inbox_expect(l->in, p.index, p.epoch, e) : OK;
        if (rc)
            return rc;
    }
    return bad.code ? err_set(e, bad.code, "%s", bad.text) : OK;
}

/* Take the runner's `start`: who the neighbours are, and our share. */
static enum err_code wire_up(struct linked *l, struct err *e)
{
    struct stage *s = l->s;
    enum err_code rc = read_receivers(l, e);
    if (rc)
        return rc;
    s->replica = l->env.replica;
    s->replicas = (int)item_i64(l->start, "replicas", 1);
    s->retries = (int)item_i64(l->start, "retries", 0);
    s->threads = l->env.threads;
    s->epoch = l->env.epoch;
    l->dead = mem_strdup(item_str(l->start, "dead", "dead"));
    s->recipe = mem_strdup(item_str(l->start, "recipe", ""));
    s->sinks = mem_strdup(item_str(l->start, "sinks", ""));
    s->run_key = mem_strdup(l->env.key);
    if (!s->recipe || !s->sinks || !s->run_key)
        return err_set(e, ERR_NOMEM, "no memory for a recipe");
    if (s->replicas < 1 || s->replica >= s->replicas || s->retries < 0)
        return err_set(e, ERR_DATA, "malformed start");
    size_t n = outbox_links(l->out, NULL, 0) + 2;
    l->links = mem_array(n, sizeof(struct link *));
    if (!l->links || !l->dead)
        return err_set(e, ERR_NOMEM, "no memory for the links");
    l->links[l->n_links++] = l->control;
    if (l->in)
        l->links[l->n_links++] = inbox_link(l->in);
    l->n_links += outbox_links(l->out, l->links + l->n_links, n - l->n_links);
    l->old_letters = dead_any(l->dead, s->instance);
    return OK;
}

/* Up to a batch of waiting items of one port, oldest first. */
static enum err_code take_batch(struct linked *l, struct work **w, size_t *n,
                                size_t *port, struct err *e)
{
    size_t batch = l->s->desc->batch;
    char name[64];
    if (batch < 1)
        batch = 1;
    if (batch > STAGE_MAX_BATCH)
        batch = STAGE_MAX_BATCH;
    snprintf(name, sizeof name, "%s", inbox_port(l->in));
    if (!stage_in_index(l->s, name, port))
        return err_set(e, ERR_DATA, "no input port '%s'", name);
    for (*n = 0; *n < batch; ++*n) {
        const char *next = inbox_port(l->in);
        struct sender *from = NULL;
        size_t bytes = 0;
        if (!next || strcmp(next, name) != 0)
            break;
        struct item *it = inbox_take(l->in, &from, &bytes);
        struct work *k = work_new(it, e);
        if (!k)
            return ERR_NOMEM;
        k->sender = from;
        k->bytes = bytes;
        k->pending = 1;
        add_work(l, k);
        w[*n] = k;
    }
    l->stats.in += (int64_t)*n;
    return OK;
}

/* Until all senders have ended and all that they sent is DONE. */
static enum err_code run_inputs(struct linked *l, struct err *e)
{
    static struct work *w[STAGE_MAX_BATCH];
    enum err_code rc = OK;
    while (!rc && !l->stop) {
        size_t n = 0, port = 0;
        rc = pump(l, 0, e);
        if (rc || l->stop)
            break;
        if (inbox_waiting(l->in)) {
            rc = take_batch(l, w, &n, &port, e);
            if (!rc)
                rc = stage_process(l->s, w, n, port, e);
            if (!rc)
                rc = inbox_flush(l->in, false, e);
        } else if (inbox_ended(l->in) && l->n_works == 0) {
            break;
        } else {
            rc = pump(l, 250, e);
        }
    }
    return rc;
}

static enum err_code run_source(struct linked *l, struct err *e)
{
    bool end = false;
    enum err_code rc = OK;
    while (!rc && !end && !l->stop) {
        rc = pump(l, 0, e);
        if (rc || l->stop || l->finish)
            break;
        busy(l, true);
        inhand_busy(l->hand, "its next item");
        rc = stage_produce(l->s, &end, e);
        inhand_busy(l->hand, NULL);
        busy(l, false);
    }
    return rc;
}

/* Wait until everything sent is DONE. */
static enum err_code drain(struct linked *l, struct err *e)
{
    enum err_code rc = OK;
    while (!rc && !l->stop && l->n_works > 0)
        rc = pump(l, 250, e);
    return rc;
}

static enum err_code live(struct linked *l, struct err *e)
{
    enum err_code rc = connect_runner(l, e);
    if (!rc)
        rc = await(l, false, e);
    if (!rc)
        rc = wire_up(l, e);
    if (!rc)
        rc = stage_open(l->s, e);
    if (!rc)
        rc = tell(l, "ready", NULL, e);
    if (!rc)
        rc = await(l, true, e);
    if (!rc)
        rc = l->in ? run_inputs(l, e) : run_source(l, e);
    if (!rc)
        rc = drain(l, e);
    if (!rc && !l->stop) {
        inhand_busy(l->hand, "what it does after its last item");
        rc = stage_finish(l->s, e);
        inhand_busy(l->hand, NULL);
    }
    if (!rc)
        rc = drain(l, e);
    if (rc || l->stop)
        return rc == ERR_CANCEL ? OK : rc;
    if (l->in)
        rc = inbox_flush(l->in, true, e);
    if (!rc)
        rc = outbox_end(l->out, e);
    while (!rc && !l->stop && !outbox_ended(l->out))
        rc = pump(l, 250, e);
    return rc;
}

/* Say our last word and wait until the runner has heard it: then all that we
 * have sent has arrived, nobody waits for us, and the sockets can close at
 * once. The runner is there, or we are killed with it. */
static void leave(struct linked *l, enum err_code rc, const char *text)
{
    struct err e = {0};
    bool early = rc || l->stop;
    int64_t until = clock_ns() + (rc ? HEARD_WITHIN_MS : STOP_HEARD_MS) * MS;
    enum err_code bad = tell(l, rc ? "fatal" : "bye", rc ? text : NULL, &e);
    if (bad)
        log_error("%s", rc ? text : e.text);
    while (!bad && !l->left && (early ? clock_ns() < until : !l->stop)) {
        bad = link_wait(l->hub, &l->control, 1, NULL, 0, 100, &e);
        if (!bad)
            bad = hear_runner(l, &e);
    }
}

static void linked_free(struct linked *l)
{
    while (l->works) {
        struct work *w = l->works;
        l->works = w->next;
        work_free(&w);
    }
    inbox_free(&l->in);
    outbox_free(&l->out);
    item_free(&l->start);
    link_close(&l->control, 0);
    mem_free(l->links);
    mem_free(l->dead);
    link_hub_free(&l->hub);
    inhand_free(&l->hand);
}

int stage_linked(struct stage *s)
{
    struct err e = {0};
    struct linked l = {.s = s, .stats = {.expect = -1}};
    log_setup("", log_level_from_env());
    signal(SIGPIPE, SIG_IGN);
    if (control_env_read(&l.env, &e)) {
        log_error("%s", e.text);
        return 2;
    }
    char *instance = mem_strdup(l.env.instance);
    if (instance) {
        mem_free(s->instance);
        s->instance = instance;
    }
    s->io = (struct stage_io){&l,
                              linked_emit,
                              linked_fail,
                              linked_settle,
                              linked_report,
                              linked_expect,
                              linked_status,
                              linked_enough,
                              linked_stopping,
                              linked_hold,
                              linked_note};
    enum err_code rc = live(&l, &e);
    if (!l.control)
        log_error("%s", e.text);
    else
        leave(&l, rc, e.text);
    alarm(CLOSE_WITHIN_S); /* nothing of ours is worth waiting for any more */
    linked_free(&l);
    alarm(0);
    return rc ? 3 : 0;
}
