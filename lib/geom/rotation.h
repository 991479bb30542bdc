/* Rotations in pose2pose's convention. */
#ifndef FACET_GEOM_ROTATION_H
#define FACET_GEOM_ROTATION_H

/* R = Rz Ry Rx, degrees. Axes: x right, y down, z towards the viewer. +ry
 * turns the nose to the picture's right, +rx up (P2P; networks.md). m is
 * row-major 3x3. */
void rotation_from_euler(double rx_deg, double ry_deg, double rz_deg,
                         double m[9]);
/* The inverse, for |ry| < 90: m must be a rotation. */
void rotation_to_euler(const double m[9], double *rx_deg, double *ry_deg,
                       double *rz_deg);
/* dst[i] = c + m (src[i] - c), c the mean of the n points; f32[n,3]; dst may
 * be src. */
void rotation_about_mean(const double m[9], const float *src, float *dst,
                         int n);

#endif
