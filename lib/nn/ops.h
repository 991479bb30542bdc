/* All operators: what building a network is made of. Names, arithmetic and
 * defaults are PyTorch's (torch.nn, torch.nn.functional, 1.13). Every call
 * returns the new node, or -1 (see graph.h). Each stands in lib/nn/op_*.c. */
#ifndef FACET_NN_OPS_H
#define FACET_NN_OPS_H

#include "lib/nn/graph.h"

/* weight [O,I/groups,kh,kw], bias [O] or NULL; zero padding.
 * out = floor((in + 2 pad - dilation (k - 1) - 1) / stride) + 1. */
struct nn_conv_spec {
    int64_t stride, pad;      /* both axes; stride 0: 1 */
    int64_t dilation, groups; /* 0: 1 */
};
int nn_conv(struct nn_graph *g, int x, struct nn_param *weight,
            struct nn_param *bias, const struct nn_conv_spec *s);
/* weight [I,O/groups,kh,kw]; out = (in - 1) stride - 2 pad +
 * dilation (k - 1) + output_pad + 1. */
int nn_conv_transpose(struct nn_graph *g, int x, struct nn_param *weight,
                      struct nn_param *bias, const struct nn_conv_spec *s,
                      int64_t output_pad);
/* x is a vector [I,1,1]; weight [O,I], bias [O] or NULL. */
int nn_linear(struct nn_graph *g, int x, struct nn_param *weight,
              struct nn_param *bias);

/* Training: by the batch's mean and biased variance, running statistics move
 * by `momentum` (unbiased variance); inference or eval: by running statistics.
 * All [C]; gamma and beta both or neither. */
int nn_batch_norm(struct nn_graph *g, int x, struct nn_param *gamma,
                  struct nn_param *beta, struct nn_param *mean,
                  struct nn_param *var, double eps, double momentum);
/* Per picture and channel; no running statistics; gamma, beta may be NULL. */
int nn_instance_norm(struct nn_graph *g, int x, struct nn_param *gamma,
                     struct nn_param *beta, double eps);
int nn_group_norm(struct nn_graph *g, int x, int64_t groups,
                  struct nn_param *gamma, struct nn_param *beta, double eps);
/* x / sqrt(sum over channels of x^2 + eps) * scale[C]: S3FD's L2Norm (there
 * eps is added to the root: eps_on_root). */
int nn_l2_norm(struct nn_graph *g, int x, struct nn_param *scale, double eps,
               bool eps_on_root);

int nn_relu(struct nn_graph *g, int x);
int nn_leaky_relu(struct nn_graph *g, int x, double slope);
int nn_prelu(struct nn_graph *g, int x, struct nn_param *slope); /* [1]|[C] */
int nn_sigmoid(struct nn_graph *g, int x);
int nn_tanh(struct nn_graph *g, int x);
int nn_silu(struct nn_graph *g, int x);

/* Same shapes; of two numbers for the batch (losses) as well. */
int nn_add(struct nn_graph *g, int a, int b);
/* Same shapes, or b of [C,1,1] or [1,H,W] or [1,1,1]: broadcast. */
int nn_mul(struct nn_graph *g, int a, int b);
int nn_scale(struct nn_graph *g, int x, double factor, double shift);
/* Per channel: (x - mean[c]) / std[c], constants; c <= 16 values each. */
int nn_normalize(struct nn_graph *g, int x, const float *mean,
                 const float *std);
int nn_concat(struct nn_graph *g, const int *x, int n); /* channels, n <= 8 */
/* Channels first .. first + count - 1. */
int nn_slice(struct nn_graph *g, int x, int64_t first, int64_t count);

/* Windows that reach over the border: max pooling ignores what is outside;
 * average pooling counts it as 0 where count_include_pad. */
struct nn_pool_spec {
    int64_t kernel, stride, pad; /* stride 0: kernel */
    bool ceil_mode, count_include_pad;
};
int nn_max_pool(struct nn_graph *g, int x, const struct nn_pool_spec *s);
int nn_avg_pool(struct nn_graph *g, int x, const struct nn_pool_spec *s);
int nn_global_avg_pool(struct nn_graph *g, int x); /* [C,1,1] */
int nn_global_max_pool(struct nn_graph *g, int x);
/* To h x w. Nearest: floor(i * in / out). Bilinear: half-pixel centres, or
 * corners on corners where align_corners. */
int nn_resize_nearest(struct nn_graph *g, int x, int64_t h, int64_t w);
int nn_resize_bilinear(struct nn_graph *g, int x, int64_t h, int64_t w,
                       bool align_corners);
/* grid [2,h,w]: x then y in [-1,1]; bilinear; outside: zeros, or the border's
 * value. Gradients for both. (torch.grid_sample; its grid is [N,h,w,2].) */
int nn_grid_sample(struct nn_graph *g, int x, int grid, bool border,
                   bool align_corners);
enum nn_pad_kind { NN_PAD_ZERO, NN_PAD_REFLECT, NN_PAD_REPLICATE };
int nn_pad(struct nn_graph *g, int x, enum nn_pad_kind kind, int64_t top,
           int64_t bottom, int64_t left, int64_t right);
int nn_crop(struct nn_graph *g, int x, int64_t top, int64_t left, int64_t h,
            int64_t w);
int nn_flatten(struct nn_graph *g, int x); /* [C*H*W,1,1], PyTorch's order */
int nn_reshape(struct nn_graph *g, int x, int64_t c, int64_t h, int64_t w);
int nn_detach(struct nn_graph *g, int x); /* no gradient goes through */
int nn_dropout(struct nn_graph *g, int x, double p); /* inverted, seeded */

/* Losses: one number, the mean over the batch and all elements. Targets are
 * nodes (usually inputs) of the same shape and get no gradient, but for the
 * two-sided ones (MSE, L1, smooth L1, cosine). */
int nn_mse_loss(struct nn_graph *g, int x, int target);
int nn_l1_loss(struct nn_graph *g, int x, int target);
int nn_smooth_l1_loss(struct nn_graph *g, int x, int target, double beta);
int nn_bce_logits_loss(struct nn_graph *g, int x, int target);
/* x [K,H,W] logits, label [1,H,W]: class numbers as floats (below 2^24);
 * negative labels are ignored; label smoothing in [0,1). */
int nn_cross_entropy(struct nn_graph *g, int x, int label, double smoothing);
/* a, b vectors; y [1,1,1]: 1: 1 - cos, -1: max(0, cos - margin). */
int nn_cosine_embedding_loss(struct nn_graph *g, int a, int b, int y,
                             double margin);
/* GAN hinge: real: mean max(0, 1 - x); fake: mean max(0, 1 + x); generator:
 * mean -x. */
enum nn_hinge { NN_HINGE_REAL, NN_HINGE_FAKE, NN_HINGE_GENERATOR };
int nn_hinge_loss(struct nn_graph *g, int x, enum nn_hinge side);
/* Mean of x over batch and elements, as one number. */
int nn_mean(struct nn_graph *g, int x);
/* Cosine-margin head (ArcFace/CosFace): logits [K,1,1] = s cos(theta_k), and
 * for the labelled class s (cos(theta + m) - m2): additive angle m (ArcFace,
 * Deng 2019, eq. 3, with the easy_margin=false rule of its code), additive
 * cosine m2 (CosFace, Wang 2018). weight [K,F] (normalised inside), x [F,1,1],
 * label [1,1,1] as in cross entropy; -1 for label: no margin. */
int nn_cosine_margin(struct nn_graph *g, int x, struct nn_param *weight,
                     int label, double scale, double angle, double cosine);

#endif
