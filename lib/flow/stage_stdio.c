/* A stage on its own: items in on stdin, items out on stdout. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/std.h"
#include "lib/data/tape.h"
#include "lib/flow/stage_run.h"

#define STATUS_EVERY (10 * INT64_C(1000000000))

struct stdio {
    struct stage *s;
    struct tape *in, *out; /* out NULL: a sink that writes no tape */
    size_t in_port, out_port;
    bool acks, any_failed;
    bool tape; /* stdout is a tape's, from the beginning */
    bool enough, results_lost;
    int64_t next_status;
};

static enum err_code stdio_emit(void *arg, struct work *parent, size_t port,
                                struct item *it, struct err *e)
{
    struct stdio *io = arg;
    (void)parent;
    enum err_code rc = OK;
    if (port == io->out_port && io->out) {
        rc = tape_put(io->out, it, e);
        /* What cannot be encoded is this item's fault, no other's. */
        if (rc == ERR_IO || rc == ERR_STATE) {
            io->s->broken = true;
            io->s->fatal = *e;
        } else if (rc) {
            (void)err_wrap(e, "no message can hold it");
        }
    }
    item_free(&it);
    return rc;
}

static enum err_code stdio_fail(void *arg, struct work *w, struct err *e)
{
    struct stdio *io = arg;
    char label[300];
    enum err_code rc = OK;
    io->any_failed = true;
    log_line(LOG_WARN, "item %s failed: %s: %s",
             stage_label(w->item, label, sizeof label), err_word(w->why.code),
             w->why.text);
    if (io->s->desc->kind != STAGE_SINK && io->out &&
        io->out_port + 1 == io->s->n_out) {
        struct item *it = stage_failed_item(io->s, w, e);
        rc = it ? tape_put(io->out, it, e) : e->code;
        item_free(&it);
    }
    return rc;
}

static enum err_code stdio_settle(void *arg, struct work *w, struct err *e)
{
    struct stdio *io = arg;
    enum err_code rc = OK;
    if (io->acks) {
        struct item *it = item_new(e);
        rc = it ? OK : e->code;
        if (!rc) {
            it->id = w->id;
            snprintf(it->kind, sizeof it->kind, w->failed ? "fail" : "ack");
            if (w->failed &&
                (item_set_str(it, "error_code", err_word(w->why.code), e) ||
                 item_set_str(it, "error_text", w->why.text, e)))
                rc = e->code;
        }
        if (!rc)
            rc = tape_put(io->out, it, e);
        if (!rc)
            rc = tape_flush(io->out, e);
        item_free(&it);
    }
    work_free(&w);
    return rc;
}

static void stdio_report(void *arg, const char *text)
{
    struct stdio *io = arg;
    if (io->tape)
        log_info("%s", text);
    else if (printf("%s\n", text) < 0 || fflush(stdout)) {
        log_info("%s", text);
        io->results_lost = true;
    }
}

static void stdio_expect(void *arg, int64_t items)
{
    (void)arg;
    (void)items;
}

/* Without a runner a line now and then is all that is wanted. */
static void stdio_status(void *arg, const char *text)
{
    struct stdio *io = arg;
    int64_t now = clock_ns();
    if (now < io->next_status)
        return;
    io->next_status = now + STATUS_EVERY;
    log_info("%s", text);
}

static void stdio_enough(void *arg)
{
    struct stdio *io = arg;
    io->enough = true;
}

static bool stdio_stopping(void *arg)
{
    (void)arg;
    return false;
}

static void stdio_hold(void *arg, struct work *const *w, size_t n)
{
    (void)arg;
    (void)w;
    (void)n;
}

/* Is more input there at once? Only asked where stdin is unbuffered. */
static bool more_input(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* Up to `batch` works, but never waiting for another item than the first. */
static enum err_code read_batch(struct stdio *io, struct work **w, size_t batch,
                                size_t *n, struct err *e)
{
    *n = 0;
    do {
        struct item *it = NULL;
        enum err_code rc = tape_next(io->in, &it, e);
        if (rc || !it)
            return rc;
        if (strcmp(it->kind, "item") != 0) { /* acks of a stage before us */
            item_free(&it);
            continue;
        }
        w[*n] = work_new(it, e);
        if (!w[*n])
            return ERR_NOMEM;
        ++*n;
    } while (*n < batch && (*n == 0 || more_input()));
    return OK;
}

static size_t batch_of(const struct stage_desc *d)
{
    size_t batch = d->batch ? d->batch : 1;
    return batch < STAGE_MAX_BATCH ? batch : STAGE_MAX_BATCH;
}

static enum err_code open_input(struct stdio *io, struct err *e)
{
    if (batch_of(io->s->desc) > 1 && setvbuf(stdin, NULL, _IONBF, 0))
        return err_set(e, ERR_IO, "cannot set up standard input");
    io->in = tape_read_stream(stdin, "standard input", e);
    return io->in ? OK : e->code;
}

static enum err_code transform_all(struct stdio *io, struct err *e)
{
    static struct work *w[STAGE_MAX_BATCH];
    size_t batch = batch_of(io->s->desc), n;
    for (;;) {
        enum err_code rc = read_batch(io, w, batch, &n, e);
        if (!rc && n)
            rc = stage_process(io->s, w, n, io->in_port, e);
        if (rc)
            return rc;
        if (n == 0 || io->enough)
            return OK;
    }
}

static enum err_code produce_all(struct stdio *io, struct err *e)
{
    bool end = false;
    enum err_code rc = OK;
    while (!rc && !end)
        rc = stage_produce(io->s, &end, e);
    return rc;
}

static enum err_code pick_ports(struct stdio *io, const struct stdio_options *o,
                                struct err *e)
{
    struct stage *s = io->s;
    if (o->in_port && !stage_in_index(s, o->in_port, &io->in_port))
        return err_set(e, ERR_ARG, "stage '%s' has no input port '%s'",
                       s->desc->name, o->in_port);
    if (o->out_port && !stage_out_index(s, o->out_port, &io->out_port))
        return err_set(e, ERR_ARG, "stage '%s' has no output port '%s'",
                       s->desc->name, o->out_port);
    return OK;
}

int stage_stdio(struct stage *s, const struct stdio_options *o)
{
    struct err e = {0}, close_err = {0};
    struct stdio io = {.s = s, .acks = o->acks};
    s->io = (struct stage_io){&io,          stdio_emit,   stdio_fail,
                              stdio_settle, stdio_report, stdio_expect,
                              stdio_status, stdio_enough, stdio_stopping,
                              stdio_hold,   NULL};
    enum err_code rc = pick_ports(&io, o, &e);
    io.tape = s->desc->kind != STAGE_SINK || o->acks;
    if (!rc && io.tape && std_is_terminal())
        rc = err_set(&e, ERR_ARG,
                     "a tape is no text, and standard output is a terminal: "
                     "write to a file (> x.tape), or show it (| facet tape "
                     "show -)");
    if (rc) {
        log_error("%s", e.text);
        return 2;
    }
    rc = stage_open(s, &e);
    if (!rc && s->desc->kind != STAGE_SOURCE)
        rc = open_input(&io, &e);
    if (!rc && io.tape) {
        io.out = tape_write_stream(stdout, "standard output", &e);
        rc = io.out ? OK : e.code;
    }
    if (!rc)
        rc = s->desc->kind == STAGE_SOURCE ? produce_all(&io, &e)
                                           : transform_all(&io, &e);
    if (!rc)
        rc = stage_finish(s, &e);
    if (io.in && tape_close(&io.in, &close_err) && !rc)
        rc = err_set(&e, close_err.code, "%s", close_err.text);
    if (rc) /* what was written stays; nothing is said of an end */
        tape_abort(&io.out);
    if (io.out && tape_close(&io.out, &close_err) && !rc)
        rc = err_set(&e, close_err.code, "%s", close_err.text);
    if (!rc && io.results_lost)
        rc = err_set(&e, ERR_IO, "cannot write results to standard output");
    if (rc)
        log_error("%s", e.text);
    return rc ? 3 : io.any_failed ? 1 : 0;
}
