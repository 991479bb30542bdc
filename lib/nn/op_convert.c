/* convert: the same values in another layout or type; planners insert it. */
#include "lib/nn/op_known.h"
#include "lib/nn/rows.h"

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    nn_convert(&x->in[0], &x->out, false);
    return OK;
}

static enum err_code backward(struct nn_exec *x, struct err *e)
{
    (void)e;
    if (x->din[0].data)
        nn_convert(&x->dout, &x->din[0], x->din_add[0]);
    return OK;
}

const struct nn_op nn_op_convert = {.name = "convert",
                                    .flags =
                                        NN_OP_ANY | NN_OP_BF16 | NN_OP_ADDS,
                                    .forward = forward,
                                    .backward = backward};
