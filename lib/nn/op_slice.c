/* slice: some of the channels. x[:, first : first + count]. */
#include <string.h>

#include "lib/nn/channels.h"
#include "lib/nn/op.h"
#include "lib/nn/ops.h"
#include "lib/nn/rows.h"

struct slice {
    int64_t first, count;
};

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct slice *s = nn_attr(x->node);
    nn_copy_channels(&x->in[0], s->first, &x->out, 0, s->count, false);
    nn_zero_padding(&x->out);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    const struct slice *s = nn_attr(x->node);
    if (!x->din[0].data)
        return OK;
    if (!x->din_add[0])
        memset(x->din[0].data, 0, nn_view_bytes(&x->din[0]));
    nn_copy_channels(&x->dout, 0, &x->din[0], s->first, s->count,
                     x->din_add[0]);
    return OK;
}

static const struct nn_op op_slice = {.name = "slice",
                                      .flags =
                                          NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS,
                                      .forward = forward,
                                      .backward = backward};

int nn_slice(struct nn_graph *g, int x, int64_t first, int64_t count)
{
    struct nn_shape s = nn_graph_shape(g, x);
    struct slice a = {first, count};
    if (x >= 0 &&
        (first < 0 || count < 1 || first > s.c || count > s.c - first))
        return nn_node_fail(g, "slice", ERR_ARG, "channels that are not there");
    s.c = count;
    return nn_add_node(g, &op_slice, &x, 1, NULL, 0, &a, sizeof a, s);
}
