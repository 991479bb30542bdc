/* Networks as graphs of operators, planned once and run many times. */
#ifndef FACET_NN_OLD_GRAPH_H
#define FACET_NN_OLD_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/data/tensor.h"
#include "lib/nn/layout.h"

/* Building. A node is an int; a function that fails returns -1, the graph
 * keeps the first error and every later call returns -1 too, so that a whole
 * network is written down without checks and nv_plan reports. Shapes are
 * those of one picture, [C,H,W]. Tensors are f32; the graph keeps a reference
 * of its own. */
struct nv_graph;

struct nv_graph *nv_graph_new(struct err *e) MUST_USE;
void nv_graph_free(struct nv_graph **g);
/* The first error of the building so far. */
enum err_code nv_graph_status(const struct nv_graph *g, struct err *e) MUST_USE;
/* Say that building failed for a reason of the caller's (a weight missing). */
void nv_graph_fail(struct nv_graph *g, const struct err *why);
struct nn_shape nv_graph_shape(const struct nv_graph *g, int node);

int nv_input(struct nv_graph *g, int64_t c, int64_t h, int64_t w);
/* weights [O,I,kh,kw], bias [O] or NULL; zero padding `pad` on all sides;
 * out = floor((in + 2 pad - k) / stride) + 1. */
int nv_conv(struct nv_graph *g, int x, struct tensor *weights,
            struct tensor *bias, int64_t stride, int64_t pad);
/* Inference form: (x - mean) / sqrt(var + eps) * gamma + beta, all [C]. */
int nv_batch_norm(struct nv_graph *g, int x, const struct tensor *gamma,
                  const struct tensor *beta, const struct tensor *mean,
                  const struct tensor *var, double eps);
int nv_relu(struct nv_graph *g, int x);
int nv_add(struct nv_graph *g, int a, int b);
int nv_concat(struct nv_graph *g, const int *x, int n); /* channels, n <= 4 */
/* 2x2, stride 2; an odd last row or column is dropped. */
int nv_avg_pool2(struct nv_graph *g, int x);
int nv_max_pool2(struct nv_graph *g, int x);
int nv_upsample2(struct nv_graph *g, int x); /* nearest neighbour */
void nv_output(struct nv_graph *g, int x);

/* Planning and running. */
enum nv_mode {
    NV_EXACT, /* direct convolution */
    NV_FAST   /* Winograd where oneDNN has it: relative error about 1e-5 */
};
struct nv_options {
    enum nv_mode mode;
    int64_t batch; /* pictures per run; 0: 1 */
    bool unfused;  /* every node by itself: the slow form, for tests */
};

struct nv_net; /* a planned graph; owns its weights, one arena, its kernels */

/* Fuses batch norm and ReLU (into the convolution before where that is its
 * only reader, else into the pass that makes their input), joins concat, add
 * and upsampling into single passes, orders steps, lays buffers out by
 * lifetime in one arena. g may be freed afterwards. */
enum err_code nv_plan(const struct nv_graph *g, const struct nv_options *o,
                      struct nv_net **out, struct err *e) MUST_USE;
void nv_net_free(struct nv_net **n);
/* in[i] f32[batch,C,H,W] of the i-th nv_input, out[i] of the i-th nv_output,
 * all the caller's. One thread at a time. */
enum err_code nv_run(struct nv_net *n, const float *const *in,
                     float *const *out, struct err *e) MUST_USE;
size_t nv_net_arena_bytes(const struct nv_net *n);
/* Append a table of the steps: what, shapes, kernel, GFLOP, mean time. */
enum err_code nv_net_describe(const struct nv_net *n, struct buf *b,
                              struct err *e) MUST_USE;

#endif
