/* The sending half of a link: which replica gets an item, within whose credit,
 * and custody: every item sent is kept until its receiver says DONE.
 *
 * Protocol (docs/flow.md): to each receiver `hello`, then items with the field
 * facet.port, at last `end`; from it `credit` (items and bytes that it has
 * finished with, counted from the start, and its window), `done` (ids), and an
 * `end` that answers ours. */
#ifndef FACET_FLOW_OUTBOX_H
#define FACET_FLOW_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/item.h"
#include "lib/flow/link.h"

/* What one process keeps at most until it is DONE, over all receivers. One
 * item is always allowed. */
#define OUTBOX_MAX_ITEMS 256
#define OUTBOX_MAX_BYTES ((size_t)256 << 20)

#define LINK_PORT_FIELD "facet.port"

struct outbox;

/* index, epoch: of this process; key: of the run. All kept as copies. */
struct outbox *outbox_new(struct link_hub *hub, int index, uint32_t epoch,
                          const char *key, struct err *e) MUST_USE;
/* At once: what is not DONE is forgotten, what is not out yet is dropped. For a
 * clean end say outbox_end and wait for outbox_ended. */
void outbox_free(struct outbox **o);

/* A receiver of output port `port` (the caller's number): process `index`
 * under its input port. Calls with the same (port, edge) are replicas of one
 * another; an item goes to one replica of each edge. Says hello to a process
 * that is new. */
enum err_code outbox_add(struct outbox *o, size_t port, size_t edge,
                         const char *to_port, int index, uint32_t epoch,
                         const char *endpoint, struct err *e) MUST_USE;

/* Receivers of a port: edge numbers 0..n-1 of its own. */
size_t outbox_edges(const struct outbox *o, size_t port);

/* Send `it` to the replica of edge k of `port` that has the least in hand.
 * *sent is false if none has credit, or too much is kept: nothing happened.
 * On success a reference to `it` is kept (the item is shared by all edges, see
 * outbox_share). token comes back with DONE. */
struct shared; /* an item with a count of those who keep it */
struct shared *outbox_share(struct item *it, struct err *e) MUST_USE;
void outbox_unshare(struct shared **s); /* drop the caller's reference */
enum err_code outbox_send(struct outbox *o, size_t port, size_t k,
                          struct shared *s, void *token, bool *sent,
                          struct err *e) MUST_USE;

/* Take in what receivers say. done() is called for each item that is DONE. */
typedef enum err_code outbox_done_fn(void *arg, void *token, struct err *e);
enum err_code outbox_poll(struct outbox *o, outbox_done_fn *done, void *arg,
                          struct err *e) MUST_USE;
/* Tell all receivers that nothing more comes. */
enum err_code outbox_end(struct outbox *o, struct err *e) MUST_USE;
/* Have all receivers answered that they know? */
bool outbox_ended(const struct outbox *o);

/* Sockets to wait for: up to max into out; returns how many there are. */
size_t outbox_links(const struct outbox *o, struct link **out, size_t max);

struct outbox_stats {
    size_t kept, kept_bytes; /* now */
    uint64_t sent, sent_bytes;
    size_t answered;  /* receivers that have given credit */
    uint64_t in_hand; /* items that receivers have not finished with */
};
struct outbox_stats outbox_stats(const struct outbox *o);

#endif
