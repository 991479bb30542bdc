/* The lifting network in training: its plan, batch, validation. */
#ifndef FACET_STAGES_LIFT_TRAINER_NET_H
#define FACET_STAGES_LIFT_TRAINER_NET_H

#include "lib/data/item.h"
#include "lib/geom/face_frame.h"
#include "lib/models/lift.h"
#include "lib/nn/net.h"
#include "lib/nn/train.h"
#include "lib/train/train.h"

enum {
    LIFT_IN_X,
    LIFT_IN_POINTS,
    LIFT_IN_ROTATION,
    LIFT_IN_NEAR,
    LIFT_IN_HEAD,
    LIFT_INS
};

struct lift_train {
    struct lift_spec spec; /* the caller's, as the weights of the losses */
    double w_points, w_rotation, w_near, w_head;
    struct nn_params *ps;
    struct nn_param *reference; /* f32[68,2], a statistic */
    struct nn_train *plan;
    int64_t batch;
    size_t size[LIFT_INS]; /* floats a row */
    float *in[LIFT_INS];   /* batch + 1 rows: the last one is for validation */
    double yaw_mae;        /* of the last validation, degrees */
};

enum err_code lift_train_new(struct lift_train *n,
                             const struct train_options *o,
                             struct err *e) MUST_USE;
void lift_train_free(struct lift_train *n);
/* The calls of struct train_task; net is a struct lift_train. */
enum err_code lift_train_put(void *net, int64_t row, const struct item *it,
                             struct err *e) MUST_USE;
enum err_code lift_train_step(void *net, double *loss, struct err *e) MUST_USE;
/* Mean 3-D distance of the points over the outer-eye distance, %. */
enum err_code lift_train_validate(void *net, struct nn_params *ps,
                                  struct item *const *val, size_t count,
                                  double *metric, struct err *e) MUST_USE;
uint64_t lift_train_runs(void *net);
void lift_train_set_runs(void *net, uint64_t runs);
/* Make the layer from code to head the principal components of the heads of
 * these samples: it then has to be learned only how to tell the code. Samples
 * without a head are left out. */
enum err_code lift_train_components(struct lift_train *n,
                                    struct item *const *it, size_t count,
                                    struct err *e) MUST_USE;

#endif
