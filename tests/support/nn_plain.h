/* Networks node by node in double, by slow plain loops: what plans are
 * compared with. */
#ifndef FACET_TESTS_NN_PLAIN_H
#define FACET_TESTS_NN_PLAIN_H

#include <stddef.h>

#include "lib/nn/graph.h"

struct nn_plain;

/* All outputs of a graph with one input, one picture f32[C,H,W], as in
 * inference; every op that plans fuse, and a few more. Fails the cmocka test
 * for others, and without memory. */
struct nn_plain *nn_plain_run(const struct nn_graph *g, const float *in);
void nn_plain_free(struct nn_plain *p);
const double *nn_plain_out(const struct nn_plain *p, int i);
size_t nn_plain_size(const struct nn_plain *p, int i);

#endif
