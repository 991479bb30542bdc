/* The landmark network in training: its plan, batch, validation. */
#ifndef FACET_STAGES_LANDMARK_TRAINER_NET_H
#define FACET_STAGES_LANDMARK_TRAINER_NET_H

#include "lib/data/item.h"
#include "lib/models/fan.h"
#include "lib/models/fan_loss.h"
#include "lib/models/fan_net.h"
#include "lib/nn/net.h"
#include "lib/nn/train.h"
#include "lib/train/train.h"

struct landmark_net {
    struct fan_net_spec spec;
    struct fan_loss_spec loss;
    struct nn_params *ps; /* what is trained */
    struct nn_train *plan;
    int64_t batch;
    float *crops; /* f32[batch,3,256,256] */
    float *one;   /* f32[3,256,256]: a face to look at */
    float *truth; /* f32[batch,68,2], in cells */
    float *maps, *grad[FAN_NET_MAX_STACKS]; /* f32[batch,68,64,64] */
};

/* Plan the training of n->spec with n->loss (both the caller's). */
enum err_code landmark_net_new(struct landmark_net *n,
                               const struct train_options *o,
                               struct err *e) MUST_USE;
void landmark_net_free(struct landmark_net *n);
/* The calls of struct train_task; net is a struct landmark_net. */
enum err_code landmark_net_put(void *net, int64_t row, const struct item *it,
                               struct err *e) MUST_USE;
enum err_code landmark_net_step(void *net, double *loss,
                                struct err *e) MUST_USE;
/* NME: distance over the outer-eye distance, mean over points and faces, %. */
enum err_code landmark_net_validate(void *net, struct nn_params *ps,
                                    struct item *const *val, size_t count,
                                    double *nme, struct err *e) MUST_USE;
/* Up to 24 faces with true points in green and found ones in red. */
enum err_code landmark_net_sheet(void *net, struct nn_params *ps,
                                 struct item *const *val, size_t count,
                                 const char *path, struct err *e) MUST_USE;
/* For the above: the network as it is used, with weights of its own; a
 * sample's true points [68][stride]; the points that the network finds. */
enum err_code landmark_net_use(const struct landmark_net *n,
                               struct nn_params *ps, struct nn_net **out,
                               struct err *e) MUST_USE;
const float *landmark_net_truth(const struct item *it, size_t *stride,
                                struct err *e) MUST_USE;
enum err_code landmark_net_find(const struct landmark_net *n,
                                struct nn_net *use, const struct item *it,
                                float xy[FAN_POINTS][2],
                                struct err *e) MUST_USE;
uint64_t landmark_net_runs(void *net);
void landmark_net_set_runs(void *net, uint64_t runs);

#endif
