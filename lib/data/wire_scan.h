/* A look at untrusted msgpack before a library that allocates what the bytes
 * announce may see it. */
#ifndef FACET_DATA_WIRE_SCAN_H
#define FACET_DATA_WIRE_SCAN_H

#include <stddef.h>

#include "lib/base/err.h"

#define WIRE_SCAN_DEPTH 32 /* the most max_nesting may be */

/* OK if data[n] is exactly one well-formed msgpack object in which every
 * announced length lies within the data, arrays and maps are nested at most
 * max_nesting deep, and at most max_objects objects occur. Takes no memory.
 * ERR_DATA with the byte otherwise; ERR_ARG if max_nesting is out of 0..32.
 * Source: github.com/msgpack/msgpack/blob/master/spec.md. */
enum err_code wire_scan(const void *data, size_t n, int max_nesting,
                        size_t max_objects, struct err *e) MUST_USE;

#endif
