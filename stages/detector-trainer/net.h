/* The face detector in training: its plan, batch, validation. */
#ifndef FACET_STAGES_DETECTOR_TRAINER_NET_H
#define FACET_STAGES_DETECTOR_TRAINER_NET_H

#include "lib/data/item.h"
#include "lib/models/detector.h"
#include "lib/nn/net.h"
#include "lib/nn/train.h"
#include "lib/train/train.h"

#define DETECTOR_ROW_BOXES 64 /* most true boxes of a picture */

/* A row's truth. */
struct detector_row {
    float box[DETECTOR_ROW_BOXES][4];
    bool ignore[DETECTOR_ROW_BOXES];
};

struct detector_train {
    int width;
    int64_t side; /* of the pictures */
    struct detector_loss_spec loss;
    struct nn_params *ps; /* what is trained */
    struct nn_train *plan;
    int64_t batch;
    float *in; /* f32[batch + 1,3,side,side]: the last row is for validation */
    struct detector_row *row;
    struct detector_truth *truth; /* of the rows, batch + 1 */
    float *maps[DETECTOR_LEVELS], *grad[DETECTOR_LEVELS];
};

/* Plan the training; width, side and loss are the caller's. */
enum err_code detector_train_new(struct detector_train *n,
                                 const struct train_options *o,
                                 struct err *e) MUST_USE;
void detector_train_free(struct detector_train *n);
/* The calls of struct train_task; net is a struct detector_train. */
enum err_code detector_train_put(void *net, int64_t row, const struct item *it,
                                 struct err *e) MUST_USE;
enum err_code detector_train_step(void *net, double *loss,
                                  struct err *e) MUST_USE;
/* Average precision at an overlap of one half, %. */
enum err_code detector_train_validate(void *net, struct nn_params *ps,
                                      struct item *const *val, size_t count,
                                      double *ap, struct err *e) MUST_USE;
/* Up to 12 pictures with true boxes in green and found ones in red. */
enum err_code detector_train_sheet(void *net, struct nn_params *ps,
                                   struct item *const *val, size_t count,
                                   const char *path, struct err *e) MUST_USE;
uint64_t detector_train_runs(void *net);
void detector_train_set_runs(void *net, uint64_t runs);

#endif
