/* Fitting the head to picture points by scaled orthography. */
#ifndef FACET_GEOM_FIT_H
#define FACET_GEOM_FIT_H

#include "lib/base/err.h"
#include "lib/geom/head.h"
#include "lib/geom/landmarks.h"

/* picture = scale * (R * model) + (tx, ty); z the same scale, no offset. */
struct fit_pose {
    double r[9]; /* rotation, rows; R = Rz Ry Rx as rotation.h */
    double scale;
    double tx, ty;
    double rms_px; /* weighted residual */
};

/* Least squares over pose for n model points f32[n][3] and picture points
 * f32[n][stride] (x,y first); weight f32[n] or NULL. ERR_DATA if the points
 * are degenerate or not finite. */
enum err_code fit_scaled_orthography(const float (*model)[3], const float *pts,
                                     int stride, const float *weight, int n,
                                     struct fit_pose *out,
                                     struct err *e) MUST_USE;

/* Fit pose and low-order shape (identity and expression, regularised by their
 * distributions) of the project's head to 68 picture points by Gauss-Newton
 * on a linearised head, contour points 0-16 weighted down as the head turns,
 * outliers by Cauchy's weights. pts and score as in fit_landmark_depth. model
 * (may be NULL) is the fitted head's 68 points, head.h's axes and unit.
 * ERR_DATA if the points are degenerate or not finite. */
enum err_code fit_head(const float *pts, int stride, const float *score,
                       struct head_params *params, struct fit_pose *pose,
                       float model[LANDMARKS][3], struct err *e) MUST_USE;

/* The similarity (rotation, scale, translation) that takes f32[n][3] points a
 * nearest to b: b = scale * R a + t (Umeyama 1991). ERR_DATA if degenerate or
 * not finite. */
enum err_code fit_similarity(const float (*a)[3], const float (*b)[3], int n,
                             double r[9], double *scale, double t[3],
                             struct err *e) MUST_USE;

/* Depth for 68 picture points: pose and low-order shape of the project's head
 * (identity and expression, regularised) are fitted, contour points weighted
 * down as the head turns; xyz[i] = (x, y as given, fitted z in pixels, mean
 * of z over the points 0). score f32[68] (0..1) or NULL weights the points. */
enum err_code fit_landmark_depth(const float *pts, int stride,
                                 const float *score, float xyz[LANDMARKS][3],
                                 struct fit_pose *pose, struct err *e) MUST_USE;

#endif
