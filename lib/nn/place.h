/* Places in one arena for buffers that live for a while. */
#ifndef FACET_NN_PLACE_H
#define FACET_NN_PLACE_H

#include <stddef.h>

#include "lib/base/err.h"

#define NN_PAGE 4096 /* offsets are multiples: buffers do not share lines */

struct nn_place {
    size_t bytes;   /* wanted; 0 takes no room */
    int born, last; /* steps of first writing and last reading, inclusive */
    size_t offset;  /* the answer */
};

/* Give each of b[0..n-1] an offset so that no two that are alive at the same
 * step share a byte, and *total the bytes of the whole: the largest first,
 * each into the smallest gap that holds it. The answer depends on the
 * arguments alone. ERR_NOMEM; ERR_ARG where the sum of sizes overflows. Test:
 * tests/test_nn_place.c. */
enum err_code nn_place(struct nn_place *b, int n, size_t *total,
                       struct err *e) MUST_USE;

#endif
