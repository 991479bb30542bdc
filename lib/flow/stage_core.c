/* The stage machinery between a stage's functions and the way it runs: ports
 * and ids checked, failures and retries, one transform call at a time. */
#include "lib/flow/stage_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/wire.h"

#define ERROR_FIELDS 5 /* that a failed item gets */
#define LONG_TEXT 4096 /* not kept of an item that is too large */

struct work *work_new(struct item *it, struct err *e)
{
    struct work *w = mem_calloc(1, sizeof *w);
    if (!w) {
        item_free(&it);
        err_set(e, ERR_NOMEM, "no memory for an input item");
        return NULL;
    }
    w->item = it;
    w->id = it->id;
    return w;
}

void work_free(struct work **w)
{
    if (!*w)
        return;
    item_free(&(*w)->item);
    mem_free((*w)->out);
    mem_free((*w)->trace);
    mem_free(*w);
    *w = NULL;
}

enum err_code stage_init(struct stage *s, const struct stage_desc *desc,
                         const char *instance, struct err *e)
{
    static const struct stage_port failed[] = {
        {STAGE_FAILED_PORT, "", "inputs that failed"}, {0}};
    struct port_spec *last = NULL, *all = NULL;
    size_t n_last = 0;
    *s = (struct stage){.desc = desc, .replicas = 1, .threads = 1};
    enum err_code rc = ports_parse(desc->in, &s->in, &s->n_in, e);
    if (!rc)
        rc = ports_parse(desc->out, &s->out, &s->n_out, e);
    if (!rc && s->n_out + 1 > STAGE_MAX_PORTS)
        rc = err_set(e, ERR_ARG, "stage '%s' has more than %d output ports",
                     desc->name, STAGE_MAX_PORTS - 1);
    if (!rc && desc->kind != STAGE_SINK) {
        rc = ports_parse(failed, &last, &n_last, e);
        if (!rc)
            all = mem_resize(s->out, s->n_out + 1, sizeof *all);
        if (!rc && all) {
            s->out = all;
            s->out[s->n_out++] = last[0]; /* its memory moves over */
            mem_free(last);
        } else if (!rc) {
            ports_free(&last, n_last);
            rc = err_set(e, ERR_NOMEM, "no memory for the ports");
        }
    }
    if (!rc) {
        s->instance = mem_strdup(instance);
        s->ctx = mem_calloc(1, desc->ctx_size ? desc->ctx_size : 1);
        if (!s->instance || !s->ctx)
            rc = err_set(e, ERR_NOMEM, "no memory for stage '%s'", instance);
    }
    if (!rc)
        rc = params_init(&s->params, desc->params, s->ctx, e);
    if (rc) {
        ports_free(&s->in, s->n_in);
        ports_free(&s->out, s->n_out);
        mem_free(s->instance);
        mem_free(s->ctx);
        *s = (struct stage){0};
    }
    return rc;
}

void stage_free(struct stage *s)
{
    if (!s->desc)
        return;
    if (s->opened && s->desc->close)
        s->desc->close(s->ctx);
    params_free(&s->params);
    ports_free(&s->in, s->n_in);
    ports_free(&s->out, s->n_out);
    mem_free(s->instance);
    mem_free(s->recipe);
    mem_free(s->sinks);
    mem_free(s->run_key);
    mem_free(s->trace);
    mem_free(s->ctx);
    *s = (struct stage){0};
}

enum err_code stage_open(struct stage *s, struct err *e)
{
    s->opened = true; /* close is called after a failed open too */
    return s->desc->open ? s->desc->open(s->ctx, s, e) : OK;
}

/* An error of a stage's own function that says nothing is still an error. */
static enum err_code with_text(enum err_code rc, struct err *e)
{
    if (rc && (!e->code || !e->text[0]))
        err_set(e, rc, "the stage gave no reason");
    return rc;
}

static bool find_port(const struct port_spec *p, size_t n, const char *name,
                      size_t *out)
{
    for (size_t i = 0; i < n; i++)
        if (!name || strcmp(p[i].name, name) == 0) {
            *out = i;
            return true;
        }
    return false;
}

bool stage_out_index(const struct stage *s, const char *name, size_t *out)
{
    return find_port(s->out, s->n_out, name, out);
}

bool stage_in_index(const struct stage *s, const char *name, size_t *out)
{
    return find_port(s->in, s->n_in, name, out);
}

char *stage_label(const struct item *it, char *out, size_t n)
{
    static const char *const names[] = {"path", "name", "source", "snippet"};
    char hex[33];
    item_id_hex(&it->id, hex);
    const char *what = NULL;
    size_t i = 0;
    for (; !what && i < sizeof names / sizeof *names; i++)
        what = item_str(it, names[i], NULL);
    if (what)
        snprintf(out, n, "%s (%s '%.200s')", hex, names[i - 1], what);
    else
        snprintf(out, n, "%s", hex);
    return out;
}

/* Room for the fields that tell why: an item that is full of fields loses its
 * last ones, and the reason says which. */
static void make_room(struct item *it, struct err *why)
{
    while (it->n + ERROR_FIELDS > ITEM_MAX_FIELDS) {
        char name[ITEM_MAX_NAME + 1];
        size_t used = strlen(why->text);
        snprintf(name, sizeof name, "%s", it->fields[it->n - 1].name);
        snprintf(why->text + used, sizeof why->text - used,
                 "; without '%s', as %d fields are the most", name,
                 ITEM_MAX_FIELDS);
        item_drop(it, name);
    }
}

struct item *stage_failed_item(const struct stage *s, const struct work *w,
                               struct err *e)
{
    struct item *it = item_copy(w->item, e);
    struct err why = w->why;
    if (!it)
        return NULL;
    make_room(it, &why);
    if (item_set_str(it, "error_code", err_word(why.code), e) ||
        item_set_str(it, "error_text", why.text, e) ||
        item_set_str(it, "error_stage", s->instance, e) ||
        item_set_i64(it, "error_attempts", (int64_t)w->item->attempt + 1, e) ||
        (w->trace && item_set_str(it, "error_trace", w->trace, e)))
        item_free(&it);
    return it;
}

void stage_trace(struct stage *s, char *text)
{
    mem_free(s->trace);
    s->trace = text;
    if (text && (!*text || strlen(text) > ITEM_MAX_STR ||
                 !text_is_utf8(text, strlen(text)))) {
        mem_free(s->trace);
        s->trace = NULL;
    }
}

/* Reasons come from libraries and file names: make them UTF-8, as the wire
 * wants its strings. */
static void clean_text(struct err *why)
{
    if (text_is_utf8(why->text, strlen(why->text)))
        return;
    for (char *c = why->text; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
}

static void mark_failed(struct work *w, const struct err *why)
{
    if (w->failed)
        return;
    w->failed = true;
    w->why = *why;
    clean_text(&w->why);
}

/* The work that an emitted item comes of. */
static struct work *parent_of(const struct stage *s, const struct item *it)
{
    for (size_t i = 0; i < s->n_batch; i++)
        if (item_id_equal(&it->parent, &s->batch[i]->id))
            return s->batch[i];
    return s->n_batch == 1 ? s->batch[0] : NULL;
}

/* Was the child with this id already sent in an earlier attempt? Replays
 * repeat the order, so the cursor mostly answers at once. */
static bool already_out(struct work *w, const struct item_id *id)
{
    if (w->cursor < w->n_out && item_id_equal(&w->out[w->cursor], id)) {
        w->cursor++;
        return true;
    }
    if (w->item->attempt == 0)
        return false;
    for (size_t i = 0; i < w->n_out; i++)
        if (item_id_equal(&w->out[i], id))
            return true;
    return false;
}

static enum err_code remember(struct work *w, const struct item_id *id,
                              struct err *e)
{
    if (w->n_out == w->cap_out) {
        size_t cap = w->cap_out ? w->cap_out * 2 : 16;
        void *p = mem_resize(w->out, cap, sizeof *w->out);
        if (!p)
            return err_set(e, ERR_NOMEM, "no memory to note a child");
        w->out = p;
        w->cap_out = cap;
    }
    w->out[w->n_out++] = *id;
    w->cursor = w->n_out;
    return OK;
}

/* Give it its id and parent, check it against the port, pass it on. */
static enum err_code emit_checked(struct stage *s, struct work *w, size_t port,
                                  struct item *it, struct err *e)
{
    struct port_bind bind;
    if (w && !s->late)
        bind = w->bind;
    else
        port_bind_reset(&bind);
    enum err_code rc = port_check(&s->out[port], it, &bind, e);
    for (size_t i = 0; !rc && i < it->n; i++)
        if (text_starts(it->fields[i].name, STAGE_RESERVED))
            rc = err_set(e, ERR_ARG, "field '%s': names in '%s' are reserved",
                         it->fields[i].name, STAGE_RESERVED);
    if (rc) {
        item_free(&it);
        return rc;
    }
    uint64_t n = 0; /* of a held input's one child */
    if (!s->late) {
        n = w ? w->ordinal[port]++ : s->root_ordinal[port]++;
        if (!w) /* replicas of a source share out the numbers */
            n = n * (uint64_t)s->replicas + (uint64_t)s->replica;
        it->parent = w ? w->id : (struct item_id){{0}};
    }
    it->id = item_make_id(&it->parent, s->instance, s->out[port].name, n,
                          it->key[0] ? it->key : NULL);
    snprintf(it->kind, sizeof it->kind, "item");
    it->attempt = 0;
    it->epoch = s->epoch;
    if (w && s->retries > 0) {
        if (already_out(w, &it->id)) {
            item_free(&it);
            return OK;
        }
        rc = remember(w, &it->id, e);
        if (rc) {
            item_free(&it);
            return rc;
        }
    }
    return s->io.emit(s->io.arg, w, port, it, e);
}

/* A source sets aside what it could not read: the item gets the id that it
 * would have had and goes the way of a failed input. */
static void fail_root(struct stage *s, const struct item *in,
                      const struct err *why)
{
    struct err e = {0};
    size_t port = s->n_out - 1;
    struct item *it = item_copy(in, &e);
    struct work *w = NULL;
    if (it) {
        snprintf(it->key, sizeof it->key, "%s", in->key);
        uint64_t n = s->root_ordinal[port]++;
        n = n * (uint64_t)s->replicas + (uint64_t)s->replica;
        it->parent = (struct item_id){{0}};
        it->id = item_make_id(&it->parent, s->instance, STAGE_FAILED_PORT, n,
                              it->key[0] ? it->key : NULL);
        w = work_new(it, &e);
    }
    if (w) {
        mark_failed(w, why);
        w->pending = 1;
        if (!s->io.fail(s->io.arg, w, &e) &&
            s->io.settle(s->io.arg, w, &e) == OK)
            return;
    }
    if (!s->broken) {
        s->broken = true;
        s->fatal = e;
    }
}

/* An item of a source that no message can hold is set aside, without what may
 * be the cause: the letter has to be a message too. */
static bool too_large(struct stage *s, const struct item *it)
{
    struct wire_msg msg;
    struct err why = {0}, e = {0};
    if (wire_encode(it, &msg, &why) == OK) {
        wire_msg_free(&msg);
        return false;
    }
    (void)err_wrap(&why, "no message can hold it");
    struct item *rest = item_copy(it, &e);
    for (size_t i = rest ? rest->n : 0; i-- > 0;) {
        const struct field *f = &rest->fields[i];
        if (f->type == VAL_TENSOR ||
            (f->type == VAL_STR && strlen(f->v.s) > LONG_TEXT))
            item_drop(rest, f->name);
    }
    if (rest) {
        snprintf(rest->key, sizeof rest->key, "%s", it->key);
        fail_root(s, rest, &why);
    } else if (!s->broken) {
        s->broken = true;
        s->fatal = e;
    }
    item_free(&rest);
    return true;
}

enum err_code stage_emit(struct stage *s, const char *port, struct item *it,
                         struct err *e)
{
    struct err own = {0};
    struct work *w = NULL;
    size_t index = 0;
    enum err_code rc = OK;
    if (!it)
        return err_set(e, ERR_ARG, "stage_emit without an item");
    if (s->broken) {
        rc = err_set(&own, s->fatal.code, "%s", s->fatal.text);
    } else if (!stage_out_index(s, port, &index) ||
               (s->desc->kind != STAGE_SINK && index + 1 == s->n_out)) {
        rc = err_set(&own, ERR_ARG, "stage '%s' has no output port '%s'",
                     s->desc->name, port ? port : "out");
    } else if (s->n_batch) {
        w = parent_of(s, it);
        if (!w)
            rc = err_set(&own, ERR_ARG,
                         "emitted item is no child of an input "
                         "of this transform");
    }
    if (!rc && s->desc->kind == STAGE_SOURCE && too_large(s, it)) {
        item_free(&it);
        return s->broken ? err_set(e, s->fatal.code, "%s", s->fatal.text) : OK;
    }
    if (rc)
        item_free(&it);
    else
        rc = emit_checked(s, w, index, it, &own);
    if (rc && rc != ERR_CANCEL && w && !s->broken)
        mark_failed(w, &own); /* even if the stage looks away */
    if (rc && e)
        *e = own;
    return rc;
}

enum err_code stage_emit_late(struct stage *s, const char *port,
                              struct item *it, struct err *e)
{
    s->late = true;
    enum err_code rc = stage_emit(s, port, it, e);
    s->late = false;
    return rc;
}

void stage_fail(struct stage *s, const struct item *in, enum err_code code,
                const char *fmt, ...)
{
    struct err why = {.code = code};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why.text, sizeof why.text, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < s->n_batch; i++)
        if (s->batch[i]->item == in) {
            mark_failed(s->batch[i], &why);
            return;
        }
    if (s->desc->kind == STAGE_SOURCE && in)
        fail_root(s, in, &why);
    else if (!s->broken) {
        s->broken = true;
        err_set(&s->fatal, ERR_STATE,
                "stage_fail for an item that is no input: %s", why.text);
    }
}

/* One transform call; every item of it fails if it returns an error. */
static enum err_code call(struct stage *s, struct work *const *w, size_t n,
                          struct err *e)
{
    struct item *items[STAGE_MAX_BATCH];
    struct err why = {0};
    for (size_t i = 0; i < n; i++) {
        items[i] = w[i]->item;
        memset(w[i]->ordinal, 0, sizeof w[i]->ordinal);
        w[i]->cursor = 0;
    }
    stage_trace(s, NULL);
    s->batch = w;
    s->n_batch = n;
    s->io.hold(s->io.arg, w, n);
    enum err_code rc =
        s->desc->transform(s->ctx, s, (struct item *const *)items, n, &why);
    s->io.hold(s->io.arg, w, 0);
    s->n_batch = 0;
    if (s->broken) {
        *e = s->fatal;
        return s->fatal.code;
    }
    if (rc && s->io.stopping(s->io.arg))
        return err_set(e, ERR_CANCEL, "stopped");
    with_text(rc, &why);
    for (size_t i = 0; rc && i < n; i++)
        mark_failed(w[i], &why);
    if (n == 1 && w[0]->failed) {
        mem_free(w[0]->trace);
        w[0]->trace = s->trace;
        s->trace = NULL;
    }
    return OK;
}

/* Try one failed work again until it succeeds or has no attempts left. */
static enum err_code retry(struct stage *s, struct work *w, struct err *e)
{
    enum err_code rc = OK;
    while (!rc && w->failed && w->item->attempt < (uint32_t)s->retries) {
        w->failed = false;
        w->item->attempt++;
        struct work *const one[1] = {w};
        rc = call(s, one, 1, e);
    }
    return rc;
}

enum err_code stage_process(struct stage *s, struct work *const *w, size_t n,
                            size_t port, struct err *e)
{
    struct work *good[STAGE_MAX_BATCH];
    size_t n_good = 0;
    enum err_code rc = OK;
    s->in_port = port;
    for (size_t i = 0; i < n; i++) {
        struct err why = {0};
        port_bind_reset(&w[i]->bind);
        if (port_check(&s->in[port], w[i]->item, &w[i]->bind, &why))
            mark_failed(w[i], &why);
        else
            good[n_good++] = w[i];
    }
    if (n_good)
        rc = call(s, good, n_good, e);
    for (size_t i = 0; !rc && i < n_good; i++)
        rc = retry(s, good[i], e);
    for (size_t i = 0; !rc && i < n; i++) {
        if (!w[i]->failed)
            continue;
        if (s->desc->failed && !s->bridged)
            s->desc->failed(s->ctx, s, w[i]->item, &w[i]->why);
        rc = s->broken ? (*e = s->fatal).code : s->io.fail(s->io.arg, w[i], e);
    }
    for (size_t i = 0; !rc && i < n; i++)
        rc = s->io.settle(s->io.arg, w[i], e);
    return rc;
}

/* produce and finish: an error of theirs is nobody's item. */
static enum err_code after_root(struct stage *s, enum err_code rc,
                                const char *what, struct err *e)
{
    if (s->broken) {
        *e = s->fatal;
        return s->fatal.code;
    }
    if (rc && s->io.stopping(s->io.arg))
        return err_set(e, ERR_CANCEL, "stopped");
    if (rc) {
        with_text(rc, e);
        return err_wrap(e, "%s", what);
    }
    return OK;
}

enum err_code stage_produce(struct stage *s, bool *end, struct err *e)
{
    s->n_batch = 0;
    return after_root(s, s->desc->produce(s->ctx, s, end, e), "produce", e);
}

enum err_code stage_finish(struct stage *s, struct err *e)
{
    s->n_batch = 0;
    if (!s->desc->finish)
        return OK;
    return after_root(s, s->desc->finish(s->ctx, s, e), "finish", e);
}
