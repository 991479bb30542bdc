/* What max and average pooling share as operators: shapes, choice of kernel. */
#include <inttypes.h>
#include <stdio.h>

#include "lib/nn/dnnl_pool.h"
#include "lib/nn/pool.h"

/* PyTorch's pooling_output_shape: with ceil_mode a last window that is not
 * full, but never one that begins in the padding behind the picture. */
static int64_t out_size(int64_t in, const struct nn_pool_spec *s)
{
    int64_t room = in + 2 * s->pad - s->kernel;
    if (room < 0)
        return 0;
    int64_t n = (room + (s->ceil_mode ? s->stride - 1 : 0)) / s->stride + 1;
    return s->ceil_mode && (n - 1) * s->stride >= in + s->pad ? n - 1 : n;
}

int nn_pool_node(struct nn_graph *g, const struct nn_op *op, int x,
                 const struct nn_pool_spec *spec)
{
    struct nn_shape in = nn_graph_shape(g, x);
    struct nn_pool_spec s = *spec;
    char text[160];
    if (s.stride == 0)
        s.stride = s.kernel;
    if (s.kernel < 1 || s.kernel > NN_MAX_SIDE || s.stride < 1 ||
        s.stride > NN_MAX_SIDE || s.pad < 0) {
        snprintf(text, sizeof text,
                 "kernel %" PRId64 ", stride %" PRId64 ", padding %" PRId64
                 ": out of range",
                 s.kernel, s.stride, s.pad);
        return nn_node_fail(g, op->name, ERR_ARG, text);
    }
    if (s.pad > s.kernel / 2) {
        snprintf(text, sizeof text,
                 "padding %" PRId64 " is more than half of the kernel %" PRId64,
                 s.pad, s.kernel);
        return nn_node_fail(g, op->name, ERR_ARG, text);
    }
    struct nn_shape out = {in.c, out_size(in.h, &s), out_size(in.w, &s)};
    if (in.c > 0 && (out.h < 1 || out.w < 1)) {
        snprintf(text, sizeof text,
                 "kernel %" PRId64 " is larger than the padded input %" PRId64
                 "x%" PRId64,
                 s.kernel, in.h + 2 * s.pad, in.w + 2 * s.pad);
        return nn_node_fail(g, op->name, ERR_ARG, text);
    }
    return nn_add_node(g, op, &x, 1, NULL, 0, &s, sizeof s, out);
}

enum err_code nn_pool_prepare(struct nn_exec *x, bool max, struct err *e)
{
    struct nn_dnnl_pool *p = NULL;
    if (x->path == NN_PATH_DNNL) {
        enum err_code r = nn_dnnl_pool_new(&x->in[0], &x->out, nn_attr(x->node),
                                           max, x->backward, &p, e);
        if (r)
            return r;
    }
    x->state = p;
    x->scratch_bytes = p ? nn_dnnl_pool_scratch(p) : 0;
    if (p)
        x->keep_bytes = nn_dnnl_pool_keep(p);
    else if (max && x->backward)
        x->keep_bytes =
            (size_t)(x->out.batch * nn_view_stride(&x->out)) * sizeof(uint16_t);
    snprintf(x->kernel, sizeof x->kernel, "%s",
             p ? nn_dnnl_pool_kernel(p) : "loops");
    return OK;
}

enum err_code nn_pool_run(struct nn_exec *x, bool max, struct err *e)
{
    if (x->state)
        return nn_dnnl_pool_forward(x->state, x->in[0].data, x->out.data,
                                    x->keep, x->scratch, e);
    nn_pool_forward(&x->in[0], &x->out, nn_attr(x->node), max,
                    max && x->backward ? x->keep : NULL);
    return OK;
}

enum err_code nn_pool_run_back(struct nn_exec *x, bool max, struct err *e)
{
    if (!x->din[0].data)
        return OK;
    if (x->state)
        return nn_dnnl_pool_backward(x->state, x->dout.data, x->din[0].data,
                                     x->keep, x->scratch, e);
    nn_pool_backward(&x->dout, &x->din[0], nn_attr(x->node), max, x->keep);
    return OK;
}

void nn_pool_release(struct nn_exec *x)
{
    struct nn_dnnl_pool *p = x->state;
    nn_dnnl_pool_free(&p);
    x->state = NULL;
}
