/* The receiving half of a link: who sends to us, the items that wait, credit
 * handed back, and DONE said to the right sender. The protocol is in outbox.h
 * and docs/flow.md. */
#ifndef FACET_FLOW_INBOX_H
#define FACET_FLOW_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/item.h"
#include "lib/flow/link.h"

/* What all senders together may have on its way to us or waiting here. Shared
 * out evenly, but each may always have 2 items. */
#define INBOX_WINDOW_ITEMS 32
#define INBOX_WINDOW_BYTES ((size_t)64 << 20)

struct inbox;
struct sender; /* one upstream process */

/* Binds the endpoint. batch: the most items of one transform; the window is
 * at least twice that. */
struct inbox *inbox_new(struct link_hub *hub, const char *endpoint,
                        uint32_t epoch, const char *key, size_t batch,
                        struct err *e) MUST_USE;
void inbox_free(struct inbox **b);

/* Process `index` will send to us. All of them before the first poll. */
enum err_code inbox_expect(struct inbox *b, int index, uint32_t epoch,
                           struct err *e) MUST_USE;

/* Take in what has come. Items of strangers and of older epochs are ignored.
 * ERR_DATA for what cannot be read: the run is broken then. */
enum err_code inbox_poll(struct inbox *b, struct err *e) MUST_USE;

/* Items that wait, oldest first. */
size_t inbox_waiting(const struct inbox *b);
/* Port of the oldest; NULL if none. */
const char *inbox_port(const struct inbox *b);
/* Take the oldest (the caller's then): its sender and its size for credit. */
struct item *inbox_take(struct inbox *b, struct sender **from, size_t *bytes);

/* An item is off our hands: its sender may send another. */
void inbox_release(struct inbox *b, struct sender *s, size_t bytes);
/* An item and all that came of it is DONE. */
enum err_code inbox_done(struct inbox *b, struct sender *s,
                         const struct item_id *id, struct err *e) MUST_USE;
/* Send the credit and DONE that have gathered. all: even a little of it; do so
 * before waiting. */
enum err_code inbox_flush(struct inbox *b, bool all, struct err *e) MUST_USE;

/* Has every sender said that nothing more comes, and nothing waits? */
bool inbox_ended(const struct inbox *b);
struct link *inbox_link(const struct inbox *b);

#endif
