/* Optimisers: steps on parameters from their gradients (torch.optim, 1.13). */
#ifndef FACET_NN_OPTIM_H
#define FACET_NN_OPTIM_H

#include "lib/nn/params.h"

enum nn_optim_kind { NN_SGD, NN_ADAM, NN_ADAMW };

struct nn_optim_options {
    enum nn_optim_kind kind;
    double lr;
    double momentum;          /* SGD */
    bool nesterov;            /* SGD */
    double beta1, beta2, eps; /* Adam, AdamW; 0: 0.9, 0.999, 1e-8 */
    double weight_decay; /* SGD, Adam: L2 into the gradient; AdamW: decoupled */
    double clip_norm;    /* > 0: global gradient norm (clip_grad_norm_) */
    double clip_value;   /* > 0: each gradient */
    double ema; /* > 0: decay of an average of the weights, kept beside them */
    bool ema_ramp; /* decay min(ema, (1 + n) / (10 + n)) at the n-th average, so
                      that the first weights are soon forgotten (TensorFlow's
                      ExponentialMovingAverage with num_updates); not kept in
                      checkpoints */
};

struct nn_optim;

/* For all trained parameters that ps has now; ps must outlive it. Those that
 * have no gradient when a step is made (frozen) are left alone. With both
 * kinds of clipping the norm comes first. ERR_ARG names an option out of
 * range. To mean a beta of 0, give a tiny one (1e-30).
 *
 * Arithmetic and order of operations are those of torch.optim 1.13's
 * single-tensor forms in f32; the average is torch.optim.swa_utils'
 * AveragedModel with avg_fn ema * average + (1 - ema) * weight: the weights
 * themselves after the first step. Tested by tests/test_optim.c against
 * PyTorch. */
enum err_code nn_optim_new(struct nn_params *ps,
                           const struct nn_optim_options *o,
                           struct nn_optim **out, struct err *e) MUST_USE;
void nn_optim_free(struct nn_optim **o);
/* One step with the current learning rate; raises versions. A gradient that
 * is not finite: ERR_DATA, names the parameter, nothing is changed. *norm (may
 * be NULL) is the gradient's norm before clipping. Gradients stay as they are,
 * also not clipped. ERR_STATE: no gradient at all, or a parameter came to ps
 * after nn_optim_new. The same numbers for any number of threads. */
enum err_code nn_optim_step(struct nn_optim *o, double *norm,
                            struct err *e) MUST_USE;
double nn_optim_lr(const struct nn_optim *o);
void nn_optim_set_lr(struct nn_optim *o, double lr);
int64_t nn_optim_steps(const struct nn_optim *o);
/* The averaged weights (EMA) into `to`, a set with the same names; statistics
 * are copied. ERR_STATE without ema. */
enum err_code nn_optim_ema(const struct nn_optim *o, struct nn_params *to,
                           struct err *e) MUST_USE;

#endif
