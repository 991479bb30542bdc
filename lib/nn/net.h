/* Inference plans: fused, laid out once, run many times. */
#ifndef FACET_NN_NET_H
#define FACET_NN_NET_H

#include "lib/base/buf.h"
#include "lib/nn/graph.h"

struct nn_net;

struct nn_options {
    enum nn_path path;
    enum nn_mode mode;
    bool bf16;     /* activations and weights in bf16 between input and output;
                      ERR_UNSUPPORTED where the CPU has none. With NN_FAST wide
                      3x3 convolutions are Winograd's in f32 instead, which are
                      faster still */
    int64_t batch; /* pictures per run; 0: 1 */
    size_t fast_bytes; /* NN_FAST: Winograd's weights are four times as large as
                          direct ones. So much may they take beyond these, all
                          together, to be kept; the other convolutions make
                          them in each run, the largest pictures first, which
                          lose least. 0: what saves a tenth of a convolution's
                          time is kept; 1: nothing is. With `like` its choice
                          holds */
    bool unfused;      /* every node by itself: the slow form, for tests */
    const struct nn_net *like; /* a plan of the same parameters, unchanged since
                                  and not freed, for pictures of another size or
                                  number: convolutions whose kernels take the
                                  same form of weights share them with it. May
                                  be freed before or after. NULL: none */
};

/* A planned graph; owns its weights (or shares them), one arena, its kernels.
 */

/* Fuses batch norm and activations (into the convolution before where that is
 * its only reader, else into the pass that makes their input), joins concat,
 * add and upsampling into single passes, orders steps, lays buffers out by
 * lifetime in one arena. Parameters are copied: g and its nn_params may be
 * freed afterwards. */
enum err_code nn_plan(const struct nn_graph *g, const struct nn_options *o,
                      struct nn_net **out, struct err *e) MUST_USE;
void nn_net_free(struct nn_net **n);
/* in[i] f32[batch,C,H,W] of the i-th nn_input, out[i] of the i-th nn_output,
 * all the caller's. One thread at a time. */
enum err_code nn_run(struct nn_net *n, const float *const *in,
                     float *const *out, struct err *e) MUST_USE;
size_t nn_net_arena_bytes(const struct nn_net *n);
/* All that the plan holds: arena, scratch, packed weights, but for those that
 * it shares from the plan it was made `like`. What oneDNN holds for its
 * kernels' code comes on top, some MB. */
size_t nn_net_bytes(const struct nn_net *n);
/* The steps in order. */
struct nn_step_info {
    int node;                 /* of the graph; passes: the first that they do */
    const char *what;         /* "conv", "pass", "pack", .. */
    struct nn_shape from, to; /* of one picture; c is 0 where there is none */
    double seconds;           /* mean time of the runs so far; 0: none */
    double gflop;             /* of one run */
    char kernel[96];          /* its kernel, or what a pass makes */
};
int nn_net_steps(const struct nn_net *n);
void nn_net_step(const struct nn_net *n, int i, struct nn_step_info *out);
/* Append a table of the steps: what, shapes, kernel, GFLOP, mean time. */
enum err_code nn_net_describe(const struct nn_net *n, struct buf *b,
                              struct err *e) MUST_USE;

#endif
