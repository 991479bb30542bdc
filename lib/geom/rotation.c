/* Rotations in pose2pose's convention: R = Rz Ry Rx, degrees. */
#include "lib/geom/rotation.h"

#include <math.h>

#define DEG (3.14159265358979323846 / 180.0)

void rotation_from_euler(double rx_deg, double ry_deg, double rz_deg,
                         double m[9])
{
    double cx = cos(rx_deg * DEG), sx = sin(rx_deg * DEG);
    double cy = cos(ry_deg * DEG), sy = sin(ry_deg * DEG);
    double cz = cos(rz_deg * DEG), sz = sin(rz_deg * DEG);
    m[0] = cz * cy;
    m[1] = cz * sy * sx - sz * cx;
    m[2] = cz * sy * cx + sz * sx;
    m[3] = sz * cy;
    m[4] = sz * sy * sx + cz * cx;
    m[5] = sz * sy * cx - cz * sx;
    m[6] = -sy;
    m[7] = cy * sx;
    m[8] = cy * cx;
}

void rotation_to_euler(const double m[9], double *rx_deg, double *ry_deg,
                       double *rz_deg)
{
    double cy = hypot(m[0], m[3]);
    *ry_deg = atan2(-m[6], cy) / DEG;
    if (cy > 1e-9) {
        *rx_deg = atan2(m[7], m[8]) / DEG;
        *rz_deg = atan2(m[3], m[0]) / DEG;
    } else {
        /* Looking straight along x: only rz -+ rx is defined; rz = 0. */
        *rx_deg = atan2(-m[5], m[4]) / DEG;
        *rz_deg = 0;
    }
}

void rotation_about_mean(const double m[9], const float *src, float *dst, int n)
{
    if (n <= 0)
        return;
    double c[3] = {0, 0, 0};
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            c[k] += (double)src[3 * i + k];
    for (int k = 0; k < 3; k++)
        c[k] /= n;
    for (int i = 0; i < n; i++) {
        double d[3];
        for (int k = 0; k < 3; k++)
            d[k] = (double)src[3 * i + k] - c[k];
        for (int k = 0; k < 3; k++)
            dst[3 * i + k] = (float)(c[k] + m[3 * k] * d[0] +
                                     m[3 * k + 1] * d[1] + m[3 * k + 2] * d[2]);
    }
}
