/* Items as ZeroMQ multipart messages: frame 0 is a msgpack map, frames 1.. the
 * raw bytes of large tensors. The only module that uses msgpack. */
#ifndef FACET_DATA_WIRE_H
#define FACET_DATA_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/data/item.h"

#define WIRE_VERSION 1
#define WIRE_MAX_PARTS 72
#define WIRE_INLINE_BYTES 4096 /* tensors up to this size stay in the map */

/* One part. release(owner), where set, is called once when the part is no
 * longer needed; data stays valid until then. */
struct wire_part {
    void *data;
    size_t size;
    void (*release)(void *owner);
    void *owner;
};

struct wire_msg {
    struct wire_part part[WIRE_MAX_PARTS];
    size_t n;
};

/* What a reader accepts. */
struct wire_caps {
    size_t max_bytes;  /* of one message, all parts together */
    size_t max_header; /* of frame 0 */
    int max_nesting;   /* of the msgpack in frame 0 */
};
extern const struct wire_caps wire_caps_default; /* 1 GiB, 16 MiB, 8 */

/* Encode without copying tensors: parts 1.. hold references to them, and must
 * be released in the thread that has the item. On failure out->n is 0.
 * ERR_NOMEM: also for an item larger than wire_caps_default allows. */
enum err_code wire_encode(const struct item *it, struct wire_msg *out,
                          struct err *e) MUST_USE;
/* Decode an untrusted message; docs/wire.md has the format. Takes over all
 * parts of msg (msg->n is 0 afterwards, also on failure): tensors view the
 * parts' memory, which nobody else may hold, and are copied only where a part
 * has no release or is not aligned. caps NULL: wire_caps_default. Accepts the
 * `data` form and the scalars of msgpack-numpy too. ERR_DATA, ERR_UNSUPPORTED:
 * other versions, object arrays, big-endian and complex types, Fortran order,
 * sizes that do not match, a frame used twice or not at all, lists, maps and
 * bytes as values. ERR_NOMEM. */
enum err_code wire_decode(struct wire_msg *msg, const struct wire_caps *caps,
                          struct item **out, struct err *e) MUST_USE;
/* The same; if only the fields cannot be taken, *head (set to NULL by the
 * caller) becomes an item with what stands before them: kind and ids. */
enum err_code wire_decode_head(struct wire_msg *msg,
                               const struct wire_caps *caps, struct item **out,
                               struct item **head, struct err *e) MUST_USE;
void wire_msg_free(struct wire_msg *msg);
/* Append a part that is a copy of data. */
enum err_code wire_msg_add(struct wire_msg *msg, const void *data, size_t n,
                           struct err *e) MUST_USE;

#endif
