/* Layers with their parameters: torch.nn modules by their state-dict names.
 * A network is a function that calls these with "<prefix>.<name>". */
#ifndef FACET_NN_LAYER_H
#define FACET_NN_LAYER_H

#include "lib/nn/ops.h"

/* Where a network is being written: its graph, its parameters, and the prefix
 * of names, "" or "layer1.0." with the dot. */
struct nn_scope {
    struct nn_graph *g;
    struct nn_params *ps;
    char prefix[96];
};

struct nn_scope nn_scope(struct nn_graph *g, struct nn_params *ps);
/* The scope "<prefix><name>." (printf); too long a name is kept as the
 * graph's error. */
struct nn_scope nn_sub(const struct nn_scope *s, const char *fmt, ...)
    PRINTF_LIKE(2, 3);

struct nn_conv_layer {
    int64_t out, kernel, kernel_w;         /* kernel_w 0: square */
    int64_t stride, pad, dilation, groups; /* 0: 1 (pad: 0) */
    bool no_bias, transposed;
    int64_t output_pad; /* transposed only */
    double init_std;    /* > 0: weights N(0, std), bias 0 (pix2pix, DCGAN);
                           0: PyTorch's default */
};
/* Names <prefix><name>.weight and .bias. name "" means the scope itself
 * ("model.1." + "weight"). */
int nn_conv_layer(const struct nn_scope *s, int x, const char *name,
                  const struct nn_conv_layer *c);
int nn_linear_layer(const struct nn_scope *s, int x, const char *name,
                    int64_t out, bool no_bias);
/* eps 1e-5, momentum 0.1; weight, bias, running_mean, running_var. */
int nn_batch_norm_layer(const struct nn_scope *s, int x, const char *name);
/* affine: weight and bias. */
int nn_instance_norm_layer(const struct nn_scope *s, int x, const char *name,
                           bool affine);
int nn_group_norm_layer(const struct nn_scope *s, int x, const char *name,
                        int64_t groups);
int nn_prelu_layer(const struct nn_scope *s, int x, const char *name,
                   bool per_channel);
/* weight [classes, features] of a cosine-margin head. */
int nn_cosine_margin_layer(const struct nn_scope *s, int x, const char *name,
                           int64_t classes, int label, double scale,
                           double angle, double cosine);
/* Any parameter by itself. */
struct nn_param *nn_layer_param(const struct nn_scope *s, const char *name,
                                int ndim, const int64_t *shape,
                                struct nn_init_spec init);

#endif
