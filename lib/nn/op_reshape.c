/* reshape: the same numbers in PyTorch's order under another shape. */
#include <inttypes.h>
#include <stdio.h>

#include "lib/nn/ops.h"
#include "lib/nn/reshape.h"

static const struct nn_op op = {.name = "reshape",
                                .flags = NN_OP_PLAIN | NN_OP_BF16 |
                                         NN_OP_INPLACE | NN_OP_ADDS,
                                .forward = nn_reshape_forward,
                                .backward = nn_reshape_backward};

int nn_reshape(struct nn_graph *g, int x, int64_t c, int64_t h, int64_t w)
{
    struct nn_shape s = nn_graph_shape(g, x), out = {c, h, w};
    bool sane = c > 0 && h > 0 && w > 0 && c <= NN_MAX_CHANNELS &&
                h <= NN_MAX_SIDE && w <= NN_MAX_SIDE;
    if (s.c > 0 && (!sane || c * h * w != s.c * s.h * s.w)) {
        char text[160];
        snprintf(text, sizeof text,
                 "%" PRId64 "x%" PRId64 "x%" PRId64 " cannot become %" PRId64
                 "x%" PRId64 "x%" PRId64,
                 s.c, s.h, s.w, c, h, w);
        return nn_node_fail(g, op.name, ERR_ARG, text);
    }
    return nn_add_node(g, &op, &x, 1, NULL, 0, NULL, 0, out);
}
