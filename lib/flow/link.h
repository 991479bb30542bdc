/* Items over sockets: the only module that uses ZeroMQ. ROUTER (bound by the
 * receiver), DEALER (connected by the sender) and PAIR (bridge). Nothing here
 * counts or waits: credits and custody are inbox.h's and outbox.h's, which
 * also bound what a socket can hold; its own limits are off.
 * One thread uses a hub and its links. See docs/flow.md. */
#ifndef FACET_FLOW_LINK_H
#define FACET_FLOW_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/data/item.h"

#define LINK_NAME 32          /* bytes of a peer's name, with the NUL */
#define LINK_MAX_ENDPOINT 108 /* of "ipc://<path>": the system's limit */

struct link_hub; /* the context: one a process */
struct link;     /* one socket */

struct link_hub *link_hub_new(struct err *e) MUST_USE;
/* After all links are closed; waits for what they still linger over. */
void link_hub_free(struct link_hub **hub);

struct link *link_bind(struct link_hub *hub, const char *endpoint,
                       struct err *e) MUST_USE;
/* name (at most LINK_NAME - 1 bytes) is what the other end calls us. */
struct link *link_connect(struct link_hub *hub, const char *endpoint,
                          const char *name, struct err *e) MUST_USE;
/* PAIR, bound: one peer. */
struct link *link_pair(struct link_hub *hub, const char *endpoint,
                       struct err *e) MUST_USE;
struct link *link_pair_connect(struct link_hub *hub, const char *endpoint,
                               struct err *e) MUST_USE;
/* What was sent is still delivered for linger_ms after this. */
void link_close(struct link **l, int linger_ms);

/* Queue an item; never waits. Large tensors are not copied: the socket keeps a
 * reference until they are out. peer: whom a ROUTER sends to (else NULL); a
 * peer that is gone is no error, the item is dropped. `it` stays the
 * caller's. */
enum err_code link_send(struct link *l, const char *peer, const struct item *it,
                        struct err *e) MUST_USE;
/* The next item into *out (the caller's), NULL if none is there now. peer (may
 * be NULL) gets the sender's name. ERR_DATA for a malformed message, which is
 * gone then; peer is set. Input is not trusted. */
enum err_code link_recv(struct link *l, char peer[LINK_NAME], struct item **out,
                        struct err *e) MUST_USE;

/* The same on a PAIR. Where only the fields of a message cannot be taken, *head
 * (the caller's) tells its kind and ids; else it is NULL. */
enum err_code link_recv_head(struct link *l, struct item **out,
                             struct item **head, struct err *e) MUST_USE;

/* Would link_send work now? A PAIR takes nothing while no peer is there. */
bool link_writable(const struct link *l);

/* Wait until one of the links has something to read, one of the descriptors
 * is readable or hung up (ready is set), or timeout_ms is over (-1: none).
 * A signal ends the wait too. */
struct link_fd {
    int fd;
    bool ready;
};
enum err_code link_wait(struct link_hub *hub, struct link *const *links,
                        size_t n, struct link_fd *fds, size_t n_fds,
                        int timeout_ms, struct err *e) MUST_USE;

#endif
