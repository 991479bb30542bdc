/* Walks msgpack without recursion or memory, checking every length. */
#include "lib/data/wire_scan.h"

#include <stdbool.h>
#include <stdint.h>

/* What the first bytes of an object say. */
struct head {
    size_t bytes;      /* of type, length and payload together */
    uint64_t children; /* objects that follow inside it */
    bool container;
};

enum form { PLAIN, BYTES, EXT, ARRAY, MAP, RESERVED };

/* Types 0xc0..0xdf: how many bytes the length takes, and how many bytes of
 * payload follow whatever the length says. */
static const struct {
    uint8_t form, length, fixed;
} forms[32] = {
    {PLAIN, 0, 0},  {RESERVED, 0, 0}, {PLAIN, 0, 0}, {PLAIN, 0, 0},
    {BYTES, 1, 0},  {BYTES, 2, 0},    {BYTES, 4, 0}, {EXT, 1, 1},
    {EXT, 2, 1},    {EXT, 4, 1},      {PLAIN, 0, 4}, {PLAIN, 0, 8},
    {PLAIN, 0, 1},  {PLAIN, 0, 2},    {PLAIN, 0, 4}, {PLAIN, 0, 8},
    {PLAIN, 0, 1},  {PLAIN, 0, 2},    {PLAIN, 0, 4}, {PLAIN, 0, 8},
    {PLAIN, 0, 2},  {PLAIN, 0, 3},    {PLAIN, 0, 5}, {PLAIN, 0, 9},
    {PLAIN, 0, 17}, {BYTES, 1, 0},    {BYTES, 2, 0}, {BYTES, 4, 0},
    {ARRAY, 2, 0},  {ARRAY, 4, 0},    {MAP, 2, 0},   {MAP, 4, 0},
};

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* false if the head itself is cut off or of the reserved type 0xc1. The
 * payload may still reach past the end: h->bytes says how far. */
static bool read_head(const uint8_t *p, size_t left, struct head *h)
{
    uint8_t b = p[0];
    *h = (struct head){.bytes = 1};
    if (b <= 0x7f || b >= 0xe0)
        return true;
    if (b <= 0x9f) {
        h->container = true;
        h->children = (uint64_t)(b & 0x0f) * (b <= 0x8f ? 2 : 1);
        return true;
    }
    if (b <= 0xbf) {
        h->bytes += b & 0x1f;
        return true;
    }
    size_t length = forms[b - 0xc0].length;
    enum form form = forms[b - 0xc0].form;
    if (form == RESERVED || left < 1 + length)
        return false;
    uint64_t v = big_endian(p + 1, length);
    h->bytes += length + forms[b - 0xc0].fixed;
    h->container = form == ARRAY || form == MAP;
    if (h->container)
        h->children = form == MAP ? 2 * v : v;
    else
        h->bytes += (size_t)v; /* v < 2^32 */
    return true;
}

enum err_code wire_scan(const void *data, size_t n, int max_nesting,
                        size_t max_objects, struct err *e)
{
    if (max_nesting < 0 || max_nesting > WIRE_SCAN_DEPTH)
        return err_set(e, ERR_ARG, "nesting limit %d is not in 0..%d",
                       max_nesting, WIRE_SCAN_DEPTH);
    const uint8_t *p = data;
    uint64_t todo[WIRE_SCAN_DEPTH + 1] = {1}; /* objects left per level */
    int depth = 0;
    size_t at = 0, objects = 0;

    while (depth >= 0) {
        if (todo[depth] == 0) {
            depth--;
            continue;
        }
        todo[depth]--;
        struct head h;
        if (at >= n)
            return err_set(e, ERR_DATA, "msgpack ends too early, at byte %zu",
                           at);
        if (!read_head(p + at, n - at, &h))
            return err_set(e, ERR_DATA, "malformed msgpack at byte %zu", at);
        if (++objects > max_objects)
            return err_set(e, ERR_DATA,
                           "more than %zu msgpack objects (byte %zu)",
                           max_objects, at);
        if (h.bytes > n - at)
            return err_set(e, ERR_DATA,
                           "msgpack at byte %zu announces %zu bytes, %zu left",
                           at, h.bytes, n - at);
        if (h.children > n - at - h.bytes) /* each takes a byte at least */
            return err_set(e, ERR_DATA,
                           "msgpack at byte %zu announces %llu objects in "
                           "%zu bytes",
                           at, (unsigned long long)h.children,
                           n - at - h.bytes);
        if (h.container) {
            if (depth >= max_nesting)
                return err_set(e, ERR_DATA,
                               "msgpack nested deeper than %d at byte %zu",
                               max_nesting, at);
            todo[++depth] = h.children;
        }
        at += h.bytes;
    }
    if (at != n)
        return err_set(e, ERR_DATA, "%zu bytes follow the msgpack object",
                       n - at);
    return OK;
}
