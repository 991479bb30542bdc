/* Max and average pooling: our own loops, and oneDNN's where they agree. */
#ifndef FACET_NN_POOL_H
#define FACET_NN_POOL_H

#include "lib/nn/op.h"
#include "lib/nn/ops.h"

/* Largest window of max pooling: places in a window are kept as u16. */
#define NN_POOL_MAX_KERNEL 255

/* PyTorch's nn.MaxPool2d and nn.AvgPool2d, any layout, f32 or bf16 (computed
 * in f32). place: u16 for each element of out, where in its window the first
 * maximum was; NULL if nobody wants to know (and for averages).
 * Test: tests/test_nn_spatial.c. */
void nn_pool_forward(const struct nn_view *in, const struct nn_view *out,
                     const struct nn_pool_spec *s, bool max, uint16_t *place);
/* din is overwritten. */
void nn_pool_backward(const struct nn_view *dout, const struct nn_view *din,
                      const struct nn_pool_spec *s, bool max,
                      const uint16_t *place);

/* What both pooling ops are made of (pool_exec.c): their node, which is -1 with
 * a text for windows that PyTorch refuses, and the functions of their table.
 * oneDNN runs them where it counts as PyTorch does, else the loops above. */
int nn_pool_node(struct nn_graph *g, const struct nn_op *op, int x,
                 const struct nn_pool_spec *s);
enum err_code nn_pool_prepare(struct nn_exec *x, bool max,
                              struct err *e) MUST_USE;
enum err_code nn_pool_run(struct nn_exec *x, bool max, struct err *e) MUST_USE;
enum err_code nn_pool_run_back(struct nn_exec *x, bool max,
                               struct err *e) MUST_USE;
void nn_pool_release(struct nn_exec *x);

#endif
