/* The few points of a linear head that are needed, with their modes alone. */
#ifndef FACET_GEOM_HEAD_POINTS_H
#define FACET_GEOM_HEAD_POINTS_H

#include "lib/geom/head_model.h"

struct head_points {
    int n, n_identity, n_expression;
    float (*mean)[3];
    float *mode; /* [n_identity + n_expression][n][3] */
};

/* Points `node`; the model may be freed afterwards. ERR_NOMEM. */
enum err_code head_points_new(const struct head_model *m,
                              const struct head_node *node, int n,
                              struct head_points **out, struct err *e) MUST_USE;
void head_points_free(struct head_points **p);
/* out[n] = the mean, or out[n] += modes first .. first + count - 1 times their
 * weights (identity modes come first; those of weight 0 cost nothing). */
void head_points_mean(const struct head_points *p, float (*out)[3]);
void head_points_add(const struct head_points *p, int first, int count,
                     const float *weight, float (*out)[3]);

#endif
