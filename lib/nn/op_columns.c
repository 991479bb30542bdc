/* columns: g neighbouring pixels of C channels, made as one pixel of g C
 * channels, put side by side again; planners insert it (plan_conv.c). */
#include "lib/base/clones.h"

#include "lib/nn/op_known.h"
#include "lib/nn/spatial.h"

/* A row of one channel: pixel x comes from pixel x / g, channel
 * x % g * C + c. */
NN_INLINE void gather(const struct nn_view *in, const struct nn_view *out,
                      int64_t row, bool half)
{
    int64_t h = out->shape.h, w = out->shape.w, y = row % h;
    int64_t c = row / h % out->shape.c, b = row / h / out->shape.c;
    int64_t g = in->shape.c / out->shape.c, lane = nn_view_lane(in);
    int64_t to = nn_row_len(out) * row;
    for (int64_t j = 0; j < g; j++) {
        int64_t from = j * out->shape.c + c;
        int64_t at = b * nn_view_stride(in) +
                     (from / lane * h + y) * in->shape.w * lane + from % lane;
        for (int64_t x = 0; x * g + j < w; x++)
            nn_store(out->data, to + x * g + j,
                     nn_load(in->data, at + x * lane, half), half);
    }
}

CLONES
static void row_f32(const struct nn_view *in, const struct nn_view *out,
                    int64_t row)
{
    gather(in, out, row, false);
}

CLONES
static void row_bf16(const struct nn_view *in, const struct nn_view *out,
                     int64_t row)
{
    gather(in, out, row, true);
}

static enum err_code forward(struct nn_exec *x, struct err *e)
{
    (void)e;
    int64_t rows = x->out.batch * x->out.shape.c * x->out.shape.h;
#pragma omp parallel for schedule(static) if (nn_worth_threads(&x->out))
    for (int64_t r = 0; r < rows; r++) {
        if (nn_half(&x->out))
            row_bf16(&x->in[0], &x->out, r);
        else
            row_f32(&x->in[0], &x->out, r);
    }
    return OK;
}

/* Only ever made by the inference planner: in any layout, out NN_PLAIN. */
const struct nn_op nn_op_columns = {
    .name = "columns", .flags = NN_OP_BF16 | NN_OP_NO_GRAD, .forward = forward};
