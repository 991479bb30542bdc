/* The sending half of a link: credit, distribution, custody. */
#include "lib/flow/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

#define BUCKETS 512
#define MAX_PORTS 16

struct shared {
    struct item *it;
    size_t bytes;
    int refs;
};

/* An item that its receiver has not said DONE to. */
struct kept {
    struct shared *s;
    void *token;
    struct kept *next;
};

/* One receiving process. Counters run from its start; what is in hand there
 * is sent less freed. */
struct dest {
    struct link *link;
    int index;
    uint32_t epoch;
    uint64_t window_items, window_bytes; /* 0 until it answered our hello */
    uint64_t sent_items, sent_bytes, freed_items, freed_bytes;
    size_t n_kept;
    bool ended; /* it has answered our `end` */
    struct kept *bucket[BUCKETS];
};

/* The replicas of one receiving stage under one port of ours. */
struct edge {
    size_t id;
    char to_port[64];
    size_t *dest, n; /* indices into outbox.dest */
    size_t turn;     /* where the search starts: breaks ties fairly */
};

struct outbox {
    struct link_hub *hub;
    int index;
    uint32_t epoch;
    char key[64], name[LINK_NAME];
    struct dest **dest;
    size_t n_dest;
    struct edge *edge[MAX_PORTS];
    size_t n_edge[MAX_PORTS];
    struct outbox_stats stats;
};

struct shared *outbox_share(struct item *it, struct err *e)
{
    struct shared *s = mem_alloc(sizeof *s);
    if (!s) {
        item_free(&it);
        err_set(e, ERR_NOMEM, "no memory to keep an item");
        return NULL;
    }
    *s = (struct shared){it, item_bytes(it), 1};
    return s;
}

void outbox_unshare(struct shared **s)
{
    if (*s && --(*s)->refs == 0) {
        item_free(&(*s)->it);
        mem_free(*s);
    }
    *s = NULL;
}

struct outbox *outbox_new(struct link_hub *hub, int index, uint32_t epoch,
                          const char *key, struct err *e)
{
    struct outbox *o = mem_calloc(1, sizeof *o);
    if (!o) {
        err_set(e, ERR_NOMEM, "no memory for the links");
        return NULL;
    }
    o->hub = hub;
    o->index = index;
    o->epoch = epoch;
    snprintf(o->key, sizeof o->key, "%s", key);
    snprintf(o->name, sizeof o->name, "%d.%" PRIu32, index, epoch);
    return o;
}

static void dest_free(struct dest *d)
{
    for (size_t i = 0; i < BUCKETS; i++)
        while (d->bucket[i]) {
            struct kept *k = d->bucket[i];
            d->bucket[i] = k->next;
            outbox_unshare(&k->s);
            mem_free(k);
        }
    link_close(&d->link, 0);
    mem_free(d);
}

void outbox_free(struct outbox **o)
{
    if (!*o)
        return;
    for (size_t i = 0; i < (*o)->n_dest; i++)
        dest_free((*o)->dest[i]);
    mem_free((*o)->dest);
    for (size_t p = 0; p < MAX_PORTS; p++) {
        for (size_t i = 0; i < (*o)->n_edge[p]; i++)
            mem_free((*o)->edge[p][i].dest);
        mem_free((*o)->edge[p]);
    }
    mem_free(*o);
    *o = NULL;
}

static enum err_code say_hello(struct outbox *o, struct dest *d, struct err *e)
{
    struct item *it = item_new(e);
    if (!it)
        return ERR_NOMEM;
    snprintf(it->kind, sizeof it->kind, "hello");
    it->epoch = o->epoch;
    enum err_code rc = item_set_str(it, "key", o->key, e);
    if (!rc)
        rc = item_set_i64(it, "index", o->index, e);
    if (!rc)
        rc = link_send(d->link, NULL, it, e);
    item_free(&it);
    return rc;
}

/* The process `index` among our receivers, made if it is new. */
static struct dest *dest_get(struct outbox *o, int index, uint32_t epoch,
                             const char *endpoint, size_t *at, struct err *e)
{
    for (*at = 0; *at < o->n_dest; ++*at)
        if (o->dest[*at]->index == index)
            return o->dest[*at];
    void *p = mem_resize(o->dest, o->n_dest + 1, sizeof(struct dest *));
    if (p)
        o->dest = p;
    struct dest *d = p ? mem_calloc(1, sizeof *d) : NULL;
    if (!d) {
        err_set(e, ERR_NOMEM, "no memory for a link");
        return NULL;
    }
    d->index = index;
    d->epoch = epoch;
    d->link = link_connect(o->hub, endpoint, o->name, e);
    if (!d->link || say_hello(o, d, e)) {
        dest_free(d);
        return NULL;
    }
    o->dest[o->n_dest++] = d;
    return d;
}

static struct edge *edge_get(struct outbox *o, size_t port, size_t id,
                             const char *to_port, struct err *e)
{
    for (size_t i = 0; i < o->n_edge[port]; i++)
        if (o->edge[port][i].id == id)
            return &o->edge[port][i];
    struct edge *p = mem_resize(o->edge[port], o->n_edge[port] + 1, sizeof *p);
    if (!p) {
        err_set(e, ERR_NOMEM, "no memory for a link");
        return NULL;
    }
    o->edge[port] = p;
    p += o->n_edge[port]++;
    *p = (struct edge){.id = id};
    snprintf(p->to_port, sizeof p->to_port, "%s", to_port);
    return p;
}

enum err_code outbox_add(struct outbox *o, size_t port, size_t edge,
                         const char *to_port, int index, uint32_t epoch,
                         const char *endpoint, struct err *e)
{
    size_t at;
    if (port >= MAX_PORTS)
        return err_set(e, ERR_ARG, "more than %d output ports", MAX_PORTS);
    struct dest *d = dest_get(o, index, epoch, endpoint, &at, e);
    struct edge *g = d ? edge_get(o, port, edge, to_port, e) : NULL;
    if (!g)
        return ERR_NOMEM;
    size_t *p = mem_resize(g->dest, g->n + 1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for a link");
    g->dest = p;
    g->dest[g->n++] = at;
    return OK;
}

size_t outbox_edges(const struct outbox *o, size_t port)
{
    return port < MAX_PORTS ? o->n_edge[port] : 0;
}

static bool has_credit(const struct dest *d, size_t bytes)
{
    uint64_t items = d->sent_items - d->freed_items;
    uint64_t held = d->sent_bytes - d->freed_bytes;
    if (d->window_items == 0)
        return false;
    return items == 0 ||
           (items < d->window_items && held + bytes <= d->window_bytes);
}

/* The replica with credit that has the fewest items in hand. */
static struct dest *pick(struct outbox *o, struct edge *g, size_t bytes)
{
    struct dest *best = NULL;
    for (size_t i = 0; i < g->n; i++) {
        struct dest *d = o->dest[g->dest[(g->turn + i) % g->n]];
        if (has_credit(d, bytes) &&
            (!best || d->sent_items - d->freed_items <
                          best->sent_items - best->freed_items))
            best = d;
    }
    if (best)
        g->turn = (g->turn + 1) % g->n;
    return best;
}

static size_t bucket_of(const struct item_id *id)
{
    uint32_t h;
    memcpy(&h, id->b, sizeof h);
    return h % BUCKETS;
}

/* Under the name of the port where it arrives. */
static enum err_code transmit(struct outbox *o, struct dest *d,
                              const struct edge *g, struct item *it,
                              struct err *e)
{
    it->epoch = o->epoch;
    enum err_code rc = item_set_str(it, LINK_PORT_FIELD, g->to_port, e);
    if (!rc)
        rc = link_send(d->link, NULL, it, e);
    item_drop(it, LINK_PORT_FIELD);
    return rc;
}

enum err_code outbox_send(struct outbox *o, size_t port, size_t k,
                          struct shared *s, void *token, bool *sent,
                          struct err *e)
{
    struct edge *g = &o->edge[port][k];
    *sent = false;
    if (o->stats.kept > 0 &&
        (o->stats.kept >= OUTBOX_MAX_ITEMS ||
         o->stats.kept_bytes + s->bytes > OUTBOX_MAX_BYTES))
        return OK;
    struct dest *d = pick(o, g, s->bytes);
    if (!d)
        return OK;
    struct kept *kept = mem_alloc(sizeof *kept);
    if (!kept)
        return err_set(e, ERR_NOMEM, "no memory to keep an item");
    enum err_code rc = transmit(o, d, g, s->it, e);
    if (rc) {
        mem_free(kept);
        return rc;
    }
    struct kept **head = &d->bucket[bucket_of(&s->it->id)];
    *kept = (struct kept){s, token, *head};
    *head = kept;
    s->refs++;
    d->n_kept++;
    d->sent_items++;
    d->sent_bytes += s->bytes;
    o->stats.kept++;
    o->stats.kept_bytes += s->bytes;
    o->stats.sent++;
    o->stats.sent_bytes += s->bytes;
    *sent = true;
    return OK;
}

static enum err_code take_done(struct outbox *o, struct dest *d,
                               const struct item_id *id, outbox_done_fn *done,
                               void *arg, struct err *e)
{
    struct kept **p = &d->bucket[bucket_of(id)];
    while (*p && !item_id_equal(&(*p)->s->it->id, id))
        p = &(*p)->next;
    if (!*p)
        return OK; /* said twice */
    struct kept *k = *p;
    void *token = k->token;
    *p = k->next;
    d->n_kept--;
    o->stats.kept--;
    o->stats.kept_bytes -= k->s->bytes;
    outbox_unshare(&k->s);
    mem_free(k);
    return done(arg, token, e);
}

/* Receivers are processes of ours, but what they say is still checked: it
 * came through a socket. */
static enum err_code take_message(struct outbox *o, struct dest *d,
                                  const struct item *it, outbox_done_fn *done,
                                  void *arg, struct err *e)
{
    if (it->epoch < d->epoch)
        return OK; /* from the one that was replaced */
    if (strcmp(it->kind, "credit") == 0) {
        int64_t items = item_i64(it, "items", -1);
        int64_t bytes = item_i64(it, "bytes", -1);
        int64_t wi = item_i64(it, "window_items", -1);
        int64_t wb = item_i64(it, "window_bytes", -1);
        if (items < 0 || bytes < 0 || wi < 1 || wb < 1 ||
            (uint64_t)items > d->sent_items || (uint64_t)bytes > d->sent_bytes)
            return err_set(e, ERR_DATA, "process %d gave impossible credit",
                           d->index);
        d->freed_items = (uint64_t)items;
        d->freed_bytes = (uint64_t)bytes;
        d->window_items = (uint64_t)wi;
        d->window_bytes = (uint64_t)wb;
        return OK;
    }
    if (strcmp(it->kind, "done") == 0) {
        const struct tensor *t = item_tensor(it, "ids");
        if (!t || t->dtype != DT_U8 || t->ndim != 2 || t->shape[1] != 16)
            return err_set(e, ERR_DATA, "process %d sent a malformed 'done'",
                           d->index);
        enum err_code rc = OK;
        for (int64_t i = 0; !rc && i < t->shape[0]; i++) {
            struct item_id id;
            memcpy(id.b, (const uint8_t *)t->data + 16 * i, 16);
            rc = take_done(o, d, &id, done, arg, e);
        }
        return rc;
    }
    if (strcmp(it->kind, "end") == 0) {
        d->ended = true;
        return OK;
    }
    return err_set(e, ERR_DATA, "process %d sent '%s', which is no answer",
                   d->index, it->kind);
}

enum err_code outbox_poll(struct outbox *o, outbox_done_fn *done, void *arg,
                          struct err *e)
{
    for (size_t i = 0; i < o->n_dest; i++)
        for (;;) {
            struct item *it = NULL;
            enum err_code rc = link_recv(o->dest[i]->link, NULL, &it, e);
            if (!rc && !it)
                break;
            if (!rc)
                rc = take_message(o, o->dest[i], it, done, arg, e);
            item_free(&it);
            if (rc)
                return rc;
        }
    return OK;
}

enum err_code outbox_end(struct outbox *o, struct err *e)
{
    struct item *it = item_new(e);
    if (!it)
        return ERR_NOMEM;
    enum err_code rc = OK;
    snprintf(it->kind, sizeof it->kind, "end");
    it->epoch = o->epoch;
    for (size_t i = 0; !rc && i < o->n_dest; i++)
        rc = link_send(o->dest[i]->link, NULL, it, e);
    item_free(&it);
    return rc;
}

bool outbox_ended(const struct outbox *o)
{
    for (size_t i = 0; i < o->n_dest; i++)
        if (!o->dest[i]->ended)
            return false;
    return true;
}

size_t outbox_links(const struct outbox *o, struct link **out, size_t max)
{
    for (size_t i = 0; i < o->n_dest && i < max; i++)
        out[i] = o->dest[i]->link;
    return o->n_dest;
}

struct outbox_stats outbox_stats(const struct outbox *o)
{
    struct outbox_stats s = o->stats;
    for (size_t i = 0; i < o->n_dest; i++) {
        const struct dest *d = o->dest[i];
        s.answered += d->window_items > 0;
        s.in_hand += d->sent_items - d->freed_items;
    }
    return s;
}
