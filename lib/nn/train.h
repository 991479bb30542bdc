/* Training plans: forward, backward, gradients of parameters and inputs. */
#ifndef FACET_NN_TRAIN_H
#define FACET_NN_TRAIN_H

#include "lib/base/buf.h"
#include "lib/nn/graph.h"

struct nn_train_options {
    enum nn_path path;
    enum nn_mode mode;
    bool bf16;        /* activations and gradients in bf16; weights stay f32 */
    int64_t batch;    /* 0: 1 */
    uint64_t seed;    /* of dropout */
    bool input_grads; /* of all inputs, for plans chained by the caller */
    bool unfused;     /* every node by itself, no memory shared: for tests */
    bool no_backward; /* forward only (running statistics still move) */
};

struct nn_train;

/* Plans forward and backward over one arena. g may be freed afterwards, its
 * parameters must stay. Parameters without grad get one (nn_params_grads is
 * called for them unless frozen). */
enum err_code nn_train_new(const struct nn_graph *g,
                           const struct nn_train_options *o,
                           struct nn_train **out, struct err *e) MUST_USE;
void nn_train_free(struct nn_train **t);

/* in[i]: f32[batch,C,H,W] of the i-th nn_input. Running statistics move. */
enum err_code nn_train_forward(struct nn_train *t, const float *const *in,
                               struct err *e) MUST_USE;
/* The i-th output after forward: f32[batch,C,H,W], one number for a loss. */
void nn_train_output(const struct nn_train *t, int i, float *out);
/* After forward. dout[i] is the gradient of the i-th output, NULL for none;
 * dout itself NULL: 1 for every output that is one number (a loss), none for
 * the others. Adds to the parameters' gradients. */
enum err_code nn_train_backward(struct nn_train *t, const float *const *dout,
                                struct err *e) MUST_USE;
/* Of the i-th input after backward, f32[batch,C,H,W]; with input_grads. */
void nn_train_input_grad(const struct nn_train *t, int i, float *out);

/* The state of the random numbers: runs so far, in checkpoints. */
uint64_t nn_train_runs(const struct nn_train *t);
void nn_train_set_runs(struct nn_train *t, uint64_t runs);

/* Bytes that the plan holds: arena, scratch, packed weights of frozen layers
 * (those that are trained are not kept packed). Parameters, gradients and
 * optimisers are not its own. */
size_t nn_train_bytes(const struct nn_train *t);
/* Append a table of the steps: op, shapes, kernel, GFLOP, mean times. */
enum err_code nn_train_describe(const struct nn_train *t, struct buf *b,
                                struct err *e) MUST_USE;

#endif
