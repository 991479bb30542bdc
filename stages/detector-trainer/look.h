/* The detector as it is used, on held-back pictures. */
#ifndef FACET_STAGES_DETECTOR_TRAINER_LOOK_H
#define FACET_STAGES_DETECTOR_TRAINER_LOOK_H

#include "stages/detector-trainer/net.h"

#define LOOK_MOST 128 /* boxes of a picture */

/* Plan with weights of their own. */
enum err_code look_plan(const struct detector_train *n, struct nn_params *ps,
                        struct nn_net **out, struct err *e) MUST_USE;
/* What it finds in a sample; uses the first row of the batch. */
enum err_code look_at(struct detector_train *n, struct nn_net *use,
                      const struct item *it, double min_score,
                      struct scored_box out[LOOK_MOST], size_t *found,
                      struct err *e) MUST_USE;

#endif
