/* The crops of a face: from box to square to matrix. */
#include "lib/geom/crop.h"

#include <math.h>

struct crop crop_of_box(enum crop_rule rule, const double box[4])
{
    double top = box[1], up = 0.12;
    if (rule == CROP_FACET) {
        top -= 0.22 * (box[3] - box[1]);
        up = 0.06;
    }
    double w = box[2] - box[0], h = box[3] - top;
    double side = 200.0 * (w + h) / 195.0;
    double cx = (box[0] + box[2]) / 2, cy = (top + box[3]) / 2 - up * h;
    /* Box corners are pixel centres; a crop is in continuous coordinates. */
    return (struct crop){cx + 0.5 - side / 2, cy + 0.5 - side / 2, side};
}

bool crop_box_ok(const double box[4])
{
    for (int i = 0; i < 4; i++)
        if (!isfinite(box[i]) || fabs(box[i]) > 1e6)
            return false;
    return box[2] - box[0] >= 1 && box[3] - box[1] >= 1;
}

struct affine crop_affine(struct crop c, int size)
{
    const struct crop_change none = {.scale = 1, .aspect = 1};
    return crop_changed(c, size, &none);
}

bool affine_invert(const struct affine *a, struct affine *out)
{
    const double *m = a->m;
    double det = m[0] * m[4] - m[1] * m[3];
    if (!(fabs(det) > 1e-12) || !isfinite(det))
        return false;
    *out = (struct affine){{m[4] / det, -m[1] / det,
                            (m[1] * m[5] - m[4] * m[2]) / det, -m[3] / det,
                            m[0] / det, (m[3] * m[2] - m[0] * m[5]) / det}};
    return true;
}

void affine_apply(const struct affine *a, double x, double y, double out[2])
{
    const double *m = a->m;
    out[0] = m[0] * x + m[1] * y + m[2];
    out[1] = m[3] * x + m[4] * y + m[5];
}

struct affine crop_changed(struct crop c, int size, const struct crop_change *g)
{
    double cx = c.x0 + c.side / 2 + g->shift_x * c.side - 0.5;
    double cy = c.y0 + c.side / 2 + g->shift_y * c.side - 0.5;
    double wide = sqrt(g->aspect);
    double kx = size / (c.side * g->scale * wide);
    double ky = size / (c.side * g->scale / wide);
    /* Into the crop's own axes, turned back; then scaled; then mirrored. */
    double co = cos(g->turn_rad), si = sin(g->turn_rad);
    double m = g->mirror ? -1 : 1, half = (size - 1) / 2.0;
    double a = m * kx * co, b = m * kx * si, d = -ky * si, f = ky * co;
    return (struct affine){
        {a, b, half - a * cx - b * cy, d, f, half - d * cx - f * cy}};
}
