/* The receiving half of a link. */
#include "lib/flow/inbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/flow/outbox.h"

#define DONE_BATCH 128 /* ids in one message: the tensor stays inline */
#define MAX_QUEUE 65536

struct sender {
    char name[LINK_NAME];
    int index;
    uint32_t epoch;
    bool here, ended;
    uint64_t freed_items, freed_bytes; /* since its start */
    uint64_t told_items;               /* of freed_items, what it knows */
    uint64_t told_bytes;
    uint8_t done[DONE_BATCH][16];
    size_t n_done;
};

struct waiting {
    struct item *it;
    struct sender *from;
    size_t bytes;
    struct waiting *next;
};

struct inbox {
    struct link *link;
    uint32_t epoch;
    char key[64];
    size_t batch;
    struct sender **sender;
    size_t n_sender;
    struct waiting *first, **last;
    size_t n_waiting;
};

struct inbox *inbox_new(struct link_hub *hub, const char *endpoint,
                        uint32_t epoch, const char *key, size_t batch,
                        struct err *e)
{
    struct inbox *b = mem_calloc(1, sizeof *b);
    if (!b) {
        err_set(e, ERR_NOMEM, "no memory for the links");
        return NULL;
    }
    b->last = &b->first;
    b->epoch = epoch;
    b->batch = batch;
    snprintf(b->key, sizeof b->key, "%s", key);
    b->link = link_bind(hub, endpoint, e);
    if (!b->link)
        inbox_free(&b);
    return b;
}

void inbox_free(struct inbox **b)
{
    if (!*b)
        return;
    while ((*b)->first) {
        struct waiting *w = (*b)->first;
        (*b)->first = w->next;
        item_free(&w->it);
        mem_free(w);
    }
    for (size_t i = 0; i < (*b)->n_sender; i++)
        mem_free((*b)->sender[i]);
    mem_free((*b)->sender);
    link_close(&(*b)->link, 0);
    mem_free(*b);
    *b = NULL;
}

enum err_code inbox_expect(struct inbox *b, int index, uint32_t epoch,
                           struct err *e)
{
    void *p = mem_resize(b->sender, b->n_sender + 1, sizeof(struct sender *));
    if (p)
        b->sender = p;
    struct sender *s = p ? mem_calloc(1, sizeof *s) : NULL;
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a link");
    s->index = index;
    s->epoch = epoch;
    snprintf(s->name, sizeof s->name, "%d.%" PRIu32, index, epoch);
    b->sender[b->n_sender++] = s;
    return OK;
}

static uint64_t window_items(const struct inbox *b)
{
    size_t all = INBOX_WINDOW_ITEMS;
    if (all < 2 * b->batch)
        all = 2 * b->batch;
    size_t n = b->n_sender ? all / b->n_sender : all;
    return n < 2 ? 2 : n;
}

static uint64_t window_bytes(const struct inbox *b)
{
    return INBOX_WINDOW_BYTES / (b->n_sender ? b->n_sender : 1);
}

static enum err_code tell_credit(struct inbox *b, struct sender *s,
                                 struct err *e)
{
    struct item *it = item_new(e);
    if (!it)
        return ERR_NOMEM;
    snprintf(it->kind, sizeof it->kind, "credit");
    it->epoch = b->epoch;
    enum err_code rc = item_set_i64(it, "items", (int64_t)s->freed_items, e);
    if (!rc)
        rc = item_set_i64(it, "bytes", (int64_t)s->freed_bytes, e);
    if (!rc)
        rc = item_set_i64(it, "window_items", (int64_t)window_items(b), e);
    if (!rc)
        rc = item_set_i64(it, "window_bytes", (int64_t)window_bytes(b), e);
    if (!rc)
        rc = link_send(b->link, s->name, it, e);
    item_free(&it);
    s->told_items = s->freed_items;
    s->told_bytes = s->freed_bytes;
    return rc;
}

static enum err_code tell_done(struct inbox *b, struct sender *s, struct err *e)
{
    struct item *it = item_new(e);
    if (!it)
        return ERR_NOMEM;
    snprintf(it->kind, sizeof it->kind, "done");
    it->epoch = b->epoch;
    const int64_t shape[2] = {(int64_t)s->n_done, 16};
    struct tensor *t = tensor_new(DT_U8, 2, shape, e);
    enum err_code rc = t ? OK : ERR_NOMEM;
    if (!rc) {
        memcpy(t->data, s->done, s->n_done * 16);
        rc = item_set_tensor(it, "ids", t, e);
    }
    if (!rc)
        rc = link_send(b->link, s->name, it, e);
    item_free(&it);
    s->n_done = 0;
    return rc;
}

/* The answer to `end`: the sender need not wait for us any more. */
static enum err_code tell_ended(struct inbox *b, struct sender *s,
                                struct err *e)
{
    struct item *it = item_new(e);
    if (!it)
        return ERR_NOMEM;
    snprintf(it->kind, sizeof it->kind, "end");
    it->epoch = b->epoch;
    enum err_code rc = link_send(b->link, s->name, it, e);
    item_free(&it);
    return rc;
}

/* The sender of that name; NULL for a stranger or an older epoch. */
static struct sender *sender_of(const struct inbox *b, const char *name)
{
    for (size_t i = 0; i < b->n_sender; i++)
        if (strcmp(b->sender[i]->name, name) == 0)
            return b->sender[i];
    return NULL;
}

static enum err_code enqueue(struct inbox *b, struct sender *s,
                             struct item **it, struct err *e)
{
    if (b->n_waiting >= MAX_QUEUE)
        return err_set(e, ERR_DATA, "process %d sends without credit",
                       s->index);
    struct waiting *w = mem_alloc(sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "no memory for an input item");
    /* The bytes as the sender counted them: without the port's name. */
    size_t bytes = item_bytes(*it);
    const char *port = item_str(*it, LINK_PORT_FIELD, NULL);
    bytes -= port ? strlen(port) : 0;
    *w = (struct waiting){*it, s, bytes, NULL};
    *it = NULL;
    *b->last = w;
    b->last = &w->next;
    b->n_waiting++;
    return OK;
}

static enum err_code take_message(struct inbox *b, struct sender *s,
                                  struct item **it, struct err *e)
{
    const char *kind = (*it)->kind;
    if (strcmp(kind, "hello") == 0) {
        const char *key = item_str(*it, "key", "");
        if (strcmp(key, b->key) != 0)
            return err_set(e, ERR_DATA, "process %d has the key of another run",
                           s->index);
        s->here = true;
        return tell_credit(b, s, e);
    }
    if ((*it)->epoch < s->epoch || !s->here)
        return OK;
    if (strcmp(kind, "end") == 0) {
        s->ended = true;
        return tell_ended(b, s, e);
    }
    if (strcmp(kind, "item") != 0)
        return err_set(e, ERR_DATA, "process %d sent '%s', which is no item",
                       s->index, kind);
    return enqueue(b, s, it, e);
}

enum err_code inbox_poll(struct inbox *b, struct err *e)
{
    for (;;) {
        struct item *it = NULL;
        char name[LINK_NAME];
        struct err why = {0};
        enum err_code rc = link_recv(b->link, name, &it, &why);
        struct sender *s = sender_of(b, name);
        if (!rc && !it)
            return OK;
        if (s && !rc)
            rc = take_message(b, s, &it, &why);
        item_free(&it);
        if (rc && s) {
            err_set(e, why.code, "%s", why.text);
            return err_wrap(e, "from process %d", s->index);
        }
        if (rc == ERR_IO || rc == ERR_NOMEM)
            return err_set(e, why.code, "%s", why.text);
    }
}

size_t inbox_waiting(const struct inbox *b)
{
    return b->n_waiting;
}

const char *inbox_port(const struct inbox *b)
{
    return b->first ? item_str(b->first->it, LINK_PORT_FIELD, "in") : NULL;
}

struct item *inbox_take(struct inbox *b, struct sender **from, size_t *bytes)
{
    struct waiting *w = b->first;
    if (!w)
        return NULL;
    b->first = w->next;
    if (!b->first)
        b->last = &b->first;
    b->n_waiting--;
    struct item *it = w->it;
    *from = w->from;
    *bytes = w->bytes;
    mem_free(w);
    item_drop(it, LINK_PORT_FIELD);
    return it;
}

void inbox_release(struct inbox *b, struct sender *s, size_t bytes)
{
    (void)b;
    s->freed_items++;
    s->freed_bytes += bytes;
}

enum err_code inbox_done(struct inbox *b, struct sender *s,
                         const struct item_id *id, struct err *e)
{
    memcpy(s->done[s->n_done++], id->b, 16);
    return s->n_done == DONE_BATCH ? tell_done(b, s, e) : OK;
}

enum err_code inbox_flush(struct inbox *b, bool all, struct err *e)
{
    enum err_code rc = OK;
    uint64_t some_items = window_items(b) / 4, some_bytes = window_bytes(b) / 4;
    for (size_t i = 0; !rc && i < b->n_sender; i++) {
        struct sender *s = b->sender[i];
        uint64_t items = s->freed_items - s->told_items;
        uint64_t bytes = s->freed_bytes - s->told_bytes;
        if (items && (all || items >= some_items || bytes >= some_bytes))
            rc = tell_credit(b, s, e);
        if (!rc && s->n_done && (all || s->n_done >= DONE_BATCH / 4))
            rc = tell_done(b, s, e);
    }
    return rc;
}

bool inbox_ended(const struct inbox *b)
{
    for (size_t i = 0; i < b->n_sender; i++)
        if (!b->sender[i]->ended)
            return false;
    return b->n_waiting == 0;
}

struct link *inbox_link(const struct inbox *b)
{
    return b->link;
}
