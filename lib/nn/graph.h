/* Networks as graphs of operators, written down by plain calls. */
#ifndef FACET_NN_GRAPH_H
#define FACET_NN_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/nn/layout.h"
#include "lib/nn/params.h"

/* A node is an int; a building call that fails returns -1, the graph keeps the
 * first error and every later call returns -1 too, so that a whole network is
 * written down without checks, and planning reports. Shapes are those of one
 * picture, [C,H,W]; a vector of F features is [F,1,1]. The batch is chosen
 * when planning. Parameters belong to their nn_params, which must outlive the
 * graph and every training plan made from it (inference plans copy). */
struct nn_graph;

struct nn_graph *nn_graph_new(struct err *e) MUST_USE;
void nn_graph_free(struct nn_graph **g);
/* The first error of the building so far. */
enum err_code nn_graph_status(const struct nn_graph *g, struct err *e) MUST_USE;
/* Say that building failed for a reason of the caller's (a weight missing). */
void nn_graph_fail(struct nn_graph *g, const struct err *why);
struct nn_shape nn_graph_shape(const struct nn_graph *g, int node);
int nn_graph_nodes(const struct nn_graph *g);
int nn_graph_inputs(const struct nn_graph *g);
int nn_graph_outputs(const struct nn_graph *g);
/* The node of the i-th input, 0 <= i < nn_graph_inputs. */
int nn_graph_input(const struct nn_graph *g, int i);
/* The node of the i-th output, 0 <= i < nn_graph_outputs. */
int nn_graph_output(const struct nn_graph *g, int i);
/* Multiply-adds x 2 of convolutions and linear layers, one picture. */
double nn_graph_gflop(const struct nn_graph *g);

/* Nodes added from now on: frozen ones get no gradients for their parameters
 * (but pass gradients through); eval ones run as in inference (batch norm by
 * running statistics, no dropout) also in a training plan. */
void nn_graph_frozen(struct nn_graph *g, bool on);
void nn_graph_eval(struct nn_graph *g, bool on);

int nn_input(struct nn_graph *g, int64_t c, int64_t h, int64_t w);
void nn_output(struct nn_graph *g, int x);

/* What all plans choose from. */
enum nn_mode {
    NN_EXACT, /* direct convolution */
    NN_FAST /* Winograd where it is there (nn_has_winograd) and faster: relative
error about 1e-5 */
};
enum nn_path {
    NN_PATH_AUTO, /* oneDNN where it was built in, unless FACET_NN_PATH=blas */
    NN_PATH_DNNL,
    NN_PATH_BLAS /* im2col and OpenBLAS, our own loops for the rest */
};
/* Was oneDNN built in? */
bool nn_has_dnnl(void);
/* Has this CPU bf16 arithmetic (AVX512-BF16 or AMX)? */
bool nn_has_bf16(void);
/* Has oneDNN Winograd kernels here? Version 2 on CPUs with AVX-512 does, 3.7
 * (in Debian 13) does not: NN_FAST plans then run the direct kernels of
 * NN_EXACT. */
bool nn_has_winograd(void);

#endif
