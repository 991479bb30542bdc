/* The loss of heatmaps that are read as distributions: for training FANs whose
 * points are decoded with FAN_SOFTMAX. */
#ifndef FACET_MODELS_FAN_LOSS_H
#define FACET_MODELS_FAN_LOSS_H

#include <stdint.h>

struct fan_loss_spec {
    double sigma;  /* of the target, a Gaussian, in cells */
    double points; /* weight of the distance between points */
};

/* Of n x points maps f32[n,points,side,side] (logits) and true points in
 * cells f32[n,points,2] (cell (x,y) has its centre at (x,y)): per map the cross
 * entropy between the softmax over the map and the target Gaussian, and
 * `points` times the smooth L1 distance (beta 1 cell, Girshick 2015) between
 * the softmax's mean (Nibali et al. 2018, DSNT) and the true point; the mean
 * over all maps counts. A true point outside [-0.5, side - 0.5) has no place
 * on its map: it counts as 0 and gets no gradient. grad f32 as maps is
 * overwritten with the gradient times `scale`. Returns the loss times scale;
 * the same for any number of threads. Test: tests/test_fan_loss.c, central
 * differences. */
double fan_loss(const struct fan_loss_spec *spec, const float *maps,
                const float *truth, int64_t n, int64_t points, int64_t side,
                double scale, float *grad);

#endif
