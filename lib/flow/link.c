/* Items over ZeroMQ sockets. */
#include "lib/flow/link.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <zmq.h>

#include "lib/base/mem.h"
#include "lib/data/wire.h"

/* Smaller parts are copied, larger ones referenced. */
#define COPY_BELOW 16384
#define MAX_WAIT 4096 /* sockets and descriptors in one wait */

/* A part that a socket still held when it was sent. ZeroMQ lets go of it on a
 * thread of its own, where a reference count may not be touched: it goes on
 * this list, and the owner's thread collects. */
struct buried {
    void (*release)(void *owner);
    void *owner;
    struct link_hub *hub;
    struct buried *next;
};

struct link_hub {
    void *ctx;
    _Atomic(struct buried *) grave;
    zmq_pollitem_t *poll;
    size_t cap_poll;
};

struct link {
    struct link_hub *hub;
    void *sock;
    bool router;
};

static void collect(struct link_hub *hub)
{
    struct buried *b = atomic_exchange(&hub->grave, NULL);
    while (b) {
        struct buried *next = b->next;
        b->release(b->owner);
        mem_free(b);
        b = next;
    }
}

static void bury(void *data, void *hint)
{
    struct buried *b = hint;
    struct buried *head = atomic_load(&b->hub->grave);
    (void)data;
    do
        b->next = head;
    while (!atomic_compare_exchange_weak(&b->hub->grave, &head, b));
}

struct link_hub *link_hub_new(struct err *e)
{
    struct link_hub *hub = mem_calloc(1, sizeof *hub);
    if (!hub) {
        err_set(e, ERR_NOMEM, "no memory for the links");
        return NULL;
    }
    hub->ctx = zmq_ctx_new();
    if (!hub->ctx || zmq_ctx_set(hub->ctx, ZMQ_MAX_SOCKETS, 16384)) {
        err_errno(e, ERR_IO, errno, "cannot set up ZeroMQ");
        if (hub->ctx)
            zmq_ctx_term(hub->ctx);
        mem_free(hub);
        return NULL;
    }
    return hub;
}

void link_hub_free(struct link_hub **hub)
{
    if (!*hub)
        return;
    while (zmq_ctx_term((*hub)->ctx) != 0 && zmq_errno() == EINTR)
        continue;
    collect(*hub);
    mem_free((*hub)->poll);
    mem_free(*hub);
    *hub = NULL;
}

static enum err_code set_int(void *sock, int option, int value, struct err *e)
{
    if (zmq_setsockopt(sock, option, &value, sizeof value) == 0)
        return OK;
    return err_set(e, ERR_IO, "cannot set up a socket: %s",
                   zmq_strerror(zmq_errno()));
}

static struct link *link_new(struct link_hub *hub, int type, struct err *e)
{
    struct link *l = mem_calloc(1, sizeof *l);
    if (!l) {
        err_set(e, ERR_NOMEM, "no memory for a link");
        return NULL;
    }
    l->hub = hub;
    l->router = type == ZMQ_ROUTER;
    l->sock = zmq_socket(hub->ctx, type);
    if (!l->sock) {
        err_set(e, ERR_IO, "cannot make a socket: %s",
                zmq_strerror(zmq_errno()));
        mem_free(l);
        return NULL;
    }
    int64_t max = (int64_t)wire_caps_default.max_bytes;
    enum err_code rc = set_int(l->sock, ZMQ_SNDHWM, 0, e);
    if (!rc)
        rc = set_int(l->sock, ZMQ_RCVHWM, 0, e);
    if (!rc && zmq_setsockopt(l->sock, ZMQ_MAXMSGSIZE, &max, sizeof max))
        rc = err_set(e, ERR_IO, "cannot set up a socket: %s",
                     zmq_strerror(zmq_errno()));
    /* Before bind: a ROUTER's listener copies it, and with the default (for
     * ever) what is left for a peer that has gone would keep zmq_ctx_term
     * waiting for ever, whatever linger the socket is closed with. */
    if (!rc)
        rc = set_int(l->sock, ZMQ_LINGER, 0, e);
    if (!rc && l->router) /* a replaced peer takes its name over */
        rc = set_int(l->sock, ZMQ_ROUTER_HANDOVER, 1, e);
    if (rc)
        link_close(&l, 0);
    return l;
}

static struct link *attach(struct link *l, const char *endpoint, bool bind,
                           struct err *e)
{
    if (!l)
        return NULL;
    int rc =
        bind ? zmq_bind(l->sock, endpoint) : zmq_connect(l->sock, endpoint);
    if (rc) {
        err_set(e, ERR_IO, "cannot %s '%s': %s", bind ? "bind" : "connect to",
                endpoint, zmq_strerror(zmq_errno()));
        link_close(&l, 0);
    }
    return l;
}

struct link *link_bind(struct link_hub *hub, const char *endpoint,
                       struct err *e)
{
    return attach(link_new(hub, ZMQ_ROUTER, e), endpoint, true, e);
}

struct link *link_connect(struct link_hub *hub, const char *endpoint,
                          const char *name, struct err *e)
{
    size_t n = strlen(name);
    if (n == 0 || n >= LINK_NAME) {
        err_set(e, ERR_ARG, "'%.40s' cannot name a peer", name);
        return NULL;
    }
    struct link *l = link_new(hub, ZMQ_DEALER, e);
    if (l && zmq_setsockopt(l->sock, ZMQ_ROUTING_ID, name, n)) {
        err_set(e, ERR_IO, "cannot name a socket: %s",
                zmq_strerror(zmq_errno()));
        link_close(&l, 0);
    }
    return attach(l, endpoint, false, e);
}

struct link *link_pair(struct link_hub *hub, const char *endpoint,
                       struct err *e)
{
    return attach(link_new(hub, ZMQ_PAIR, e), endpoint, true, e);
}

struct link *link_pair_connect(struct link_hub *hub, const char *endpoint,
                               struct err *e)
{
    return attach(link_new(hub, ZMQ_PAIR, e), endpoint, false, e);
}

void link_close(struct link **l, int linger_ms)
{
    if (!*l)
        return;
    (void)zmq_setsockopt((*l)->sock, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_close((*l)->sock);
    mem_free(*l);
    *l = NULL;
}

/* Turn a part into a ZeroMQ message, which owns it from then on. */
static enum err_code part_to_msg(struct link_hub *hub, struct wire_part *p,
                                 zmq_msg_t *m, struct err *e)
{
    if (p->size < COPY_BELOW || !p->release) {
        if (zmq_msg_init_size(m, p->size))
            return err_set(e, ERR_NOMEM, "no memory to send %zu bytes",
                           p->size);
        if (p->size)
            memcpy(zmq_msg_data(m), p->data, p->size);
        if (p->release)
            p->release(p->owner);
    } else {
        struct buried *b = mem_alloc(sizeof *b);
        if (!b)
            return err_set(e, ERR_NOMEM, "no memory to send a part");
        *b = (struct buried){p->release, p->owner, hub, NULL};
        if (zmq_msg_init_data(m, p->data, p->size, bury, b)) {
            mem_free(b);
            return err_set(e, ERR_NOMEM, "no memory to send a part");
        }
    }
    *p = (struct wire_part){0};
    return OK;
}

static enum err_code send_peer(struct link *l, const char *peer, struct err *e)
{
    if (!l->router)
        return OK;
    if (!peer)
        return err_set(e, ERR_ARG, "a ROUTER needs to know whom to send to");
    if (zmq_send(l->sock, peer, strlen(peer), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return err_set(e, ERR_IO, "cannot send to '%s': %s", peer,
                       zmq_strerror(zmq_errno()));
    return OK;
}

enum err_code link_send(struct link *l, const char *peer, const struct item *it,
                        struct err *e)
{
    struct wire_msg msg;
    zmq_msg_t m[WIRE_MAX_PARTS];
    size_t ready = 0, sent = 0;
    collect(l->hub);
    enum err_code rc = wire_encode(it, &msg, e);
    if (rc)
        return err_wrap(e, "no message can hold it");
    /* All memory first: a multipart message goes out whole or not at all. */
    while (!rc && ready < msg.n) {
        rc = part_to_msg(l->hub, &msg.part[ready], &m[ready], e);
        ready += rc == OK;
    }
    if (!rc)
        rc = send_peer(l, peer, e);
    while (!rc && sent < ready) {
        int flags = ZMQ_DONTWAIT | (sent + 1 < ready ? ZMQ_SNDMORE : 0);
        if (zmq_msg_send(&m[sent], l->sock, flags) < 0)
            rc = err_set(e, ERR_IO, "cannot send an item: %s",
                         zmq_strerror(zmq_errno()));
        else
            sent++;
    }
    for (size_t i = sent; i < ready; i++)
        zmq_msg_close(&m[i]);
    wire_msg_free(&msg);
    return rc;
}

bool link_writable(const struct link *l)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(l->sock, ZMQ_EVENTS, &events, &size) == 0 &&
           (events & ZMQ_POLLOUT) != 0;
}

static void release_msg(void *owner)
{
    zmq_msg_close(owner);
    mem_free(owner);
}

/* Read and forget the rest of a multipart message. */
static void drain(struct link *l)
{
    int more = 1;
    size_t size = sizeof more;
    while (zmq_getsockopt(l->sock, ZMQ_RCVMORE, &more, &size) == 0 && more) {
        zmq_msg_t m;
        zmq_msg_init(&m);
        int n = zmq_msg_recv(&m, l->sock, ZMQ_DONTWAIT);
        zmq_msg_close(&m);
        if (n < 0)
            return;
    }
}

/* The name in front of what a ROUTER receives. false: nothing is there. */
static bool recv_peer(struct link *l, char peer[LINK_NAME])
{
    char name[256];
    int n = zmq_recv(l->sock, name, sizeof name, ZMQ_DONTWAIT);
    if (n < 0)
        return false;
    size_t len = (size_t)n < LINK_NAME ? (size_t)n : LINK_NAME - 1;
    if (peer) {
        memcpy(peer, name, len);
        peer[len] = 0;
    }
    return true;
}

/* The parts that are there into msg; msg->n == 0: nothing is there. */
static enum err_code recv_parts(struct link *l, struct wire_msg *msg,
                                struct err *e)
{
    bool more = true;
    msg->n = 0;
    while (more) {
        if (msg->n == WIRE_MAX_PARTS)
            return err_set(e, ERR_DATA, "a message of over %d parts",
                           WIRE_MAX_PARTS);
        zmq_msg_t *m = mem_alloc(sizeof *m);
        if (!m)
            return err_set(e, ERR_NOMEM, "no memory to receive");
        zmq_msg_init(m);
        if (zmq_msg_recv(m, l->sock, ZMQ_DONTWAIT) < 0) {
            int why = zmq_errno();
            release_msg(m);
            if (why == EAGAIN && msg->n == 0)
                return OK;
            return err_set(e, ERR_IO, "cannot receive: %s", zmq_strerror(why));
        }
        more = zmq_msg_more(m) != 0;
        msg->part[msg->n++] = (struct wire_part){
            zmq_msg_data(m), zmq_msg_size(m), release_msg, m};
    }
    return OK;
}

static enum err_code recv_item(struct link *l, char peer[LINK_NAME],
                               struct item **out, struct item **head,
                               struct err *e)
{
    struct wire_msg msg;
    *out = NULL;
    if (peer)
        peer[0] = 0;
    if (l->router && !recv_peer(l, peer))
        return OK;
    enum err_code rc = recv_parts(l, &msg, e);
    if (rc) {
        drain(l);
        wire_msg_free(&msg);
        return rc;
    }
    if (msg.n == 0)
        return OK;
    return wire_decode_head(&msg, &wire_caps_default, out, head, e);
}

enum err_code link_recv(struct link *l, char peer[LINK_NAME], struct item **out,
                        struct err *e)
{
    return recv_item(l, peer, out, NULL, e);
}

enum err_code link_recv_head(struct link *l, struct item **out,
                             struct item **head, struct err *e)
{
    *head = NULL;
    return recv_item(l, NULL, out, head, e);
}

enum err_code link_wait(struct link_hub *hub, struct link *const *links,
                        size_t n, struct link_fd *fds, size_t n_fds,
                        int timeout_ms, struct err *e)
{
    collect(hub);
    if (n + n_fds > MAX_WAIT)
        return err_set(e, ERR_ARG, "too many sockets to wait for");
    if (n + n_fds > hub->cap_poll) {
        void *p = mem_resize(hub->poll, n + n_fds, sizeof *hub->poll);
        if (!p)
            return err_set(e, ERR_NOMEM, "no memory to wait for sockets");
        hub->poll = p;
        hub->cap_poll = n + n_fds;
    }
    for (size_t i = 0; i < n; i++)
        hub->poll[i] =
            (zmq_pollitem_t){.socket = links[i]->sock, .events = ZMQ_POLLIN};
    for (size_t i = 0; i < n_fds; i++)
        hub->poll[n + i] = (zmq_pollitem_t){.fd = fds[i].fd,
                                            .events = ZMQ_POLLIN | ZMQ_POLLERR};
    if (zmq_poll(hub->poll, (int)(n + n_fds), timeout_ms) < 0) {
        for (size_t i = 0; i < n_fds; i++)
            fds[i].ready = false;
        if (zmq_errno() == EINTR)
            return OK;
        return err_set(e, ERR_IO, "cannot wait for sockets: %s",
                       zmq_strerror(zmq_errno()));
    }
    for (size_t i = 0; i < n_fds; i++)
        fds[i].ready = hub->poll[n + i].revents != 0;
    collect(hub);
    return OK;
}
