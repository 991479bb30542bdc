/* concat: channels of several inputs one after the other. torch.cat(x, 1). */
#include "lib/nn/channels.h"
#include "lib/nn/op.h"
#include "lib/nn/ops.h"
#include "lib/nn/rows.h"

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    int64_t at = 0;
    for (int i = 0; i < x->node->n_in; i++) {
        int64_t c = x->in[i].shape.c;
        nn_copy_channels(&x->in[i], 0, &x->out, at, c, false);
        at += c;
    }
    nn_zero_padding(&x->out);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    int64_t at = 0;
    for (int i = 0; i < x->node->n_in; i++) {
        int64_t c = x->in[i].shape.c;
        if (x->din[i].data) {
            nn_copy_channels(&x->dout, at, &x->din[i], 0, c, x->din_add[i]);
            nn_zero_padding(&x->din[i]);
        }
        at += c;
    }
    return OK;
}

static const struct nn_op op_concat = {.name = "concat",
                                       .flags =
                                           NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS,
                                       .forward = forward,
                                       .backward = backward};

int nn_concat(struct nn_graph *g, const int *x, int n)
{
    if (n < 1 || n > NN_MAX_INPUTS)
        return nn_node_fail(g, "concat", ERR_ARG, "of 1 to 8 inputs");
    struct nn_shape s = nn_graph_shape(g, x[0]);
    for (int i = 0; i < n; i++) {
        struct nn_shape t = nn_graph_shape(g, x[i]);
        if (x[i] < 0 || x[i] >= g->n)
            break; /* nn_add_node says it */
        if (t.h != s.h || t.w != s.w)
            return nn_node_fail(g, "concat", ERR_ARG,
                                "of pictures of different sizes");
        if (g->node[x[i]].whole)
            return nn_node_fail(g, "concat", ERR_ARG,
                                "of a number for the whole batch");
        if (i)
            s.c += t.c;
    }
    return nn_add_node(g, &op_concat, x, n, NULL, 0, NULL, 0, s);
}
