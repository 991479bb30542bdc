/* Identity and expression: displacement fields in mm over the rest surface. */
#include <math.h>

#include "lib/geom/head_internal.h"

const char *const head_identity_names[HEAD_IDENTITY] = {
    "face_width",     "face_height",  "jaw_width",       "chin_height",
    "chin_depth",     "nose_length",  "nose_width",      "nose_bridge",
    "nose_tip",       "eye_size",     "eye_spacing",     "eye_tilt",
    "eye_depth",      "brow_height",  "brow_arch",       "lip_thickness",
    "mouth_width",    "mouth_height", "forehead_height", "forehead_slope",
    "cheek_fullness", "cheek_bone",   "lip_depth",       "skull_depth"};

const char *const head_expression_names[HEAD_EXPRESSION] = {
    "jaw_open",   "smile",       "frown",           "pucker",
    "blink_left", "blink_right", "brow_up",         "brow_down",
    "squint",     "lip_press",   "upper_lip_raise", "brow_inner_up"};

static double bump(double dx, double sx, double dy, double sy)
{
    return exp(-(dx * dx) / (sx * sx) - (dy * dy) / (sy * sy));
}

static double ease(double lo, double hi, double x)
{
    double u = (x - lo) / (hi - lo);
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return u * u * (3 - 2 * u);
}

/* a: |x|; sx: sign of x. Fields may set d as if for the right half: d[0] is
 * multiplied by sx afterwards. front: 1 on the face, 0 behind the ears. */
static void identity_shape(int m, double a, double y, double z, double front,
                           double d[3])
{
    switch (m) {
    case 0: /* face_width */
        d[0] = 0.040 * a;
        break;
    case 1: /* face_height */
        d[1] = y > 0 ? 0.040 * y * (1 - 0.6 * ease(120, 200, y)) : 0;
        break;
    case 2: /* jaw_width */
        d[0] =
            3.2 * bump(y - 84, 30, 0, 1) * ease(8, 45, a) * ease(-110, -60, z);
        break;
    case 3: /* chin_height */
        d[1] = 2.6 * ease(84, 104, y) * (1 - ease(122, 160, y)) *
               bump(a, 46, 0, 1) * front;
        break;
    case 4: /* chin_depth */
        d[2] = 2.6 * bump(a, 28, y - 106, 19) * front;
        break;
    case 5: /* nose_length */
        d[1] = 2.4 * ease(-2, 38, y) * (1 - ease(47, 66, y)) *
               bump(a, 21, 0, 1) * front;
        break;
    case 6: /* nose_width */
        d[0] = 1.7 * ease(0, 9, a) * bump(a - 12, 10, y - 41, 12) * front;
        break;
    case 7: /* nose_bridge */
        d[2] = 2.2 * bump(a, 8.5, y - 10, 17) * front;
        break;
    case 8: /* nose_tip */
        d[2] = 2.0 * bump(a, 11, y - 37, 10) * front;
        d[1] = -0.9 * bump(a, 11, y - 38, 9) * front;
        break;
    default:
        break;
    }
}

static void identity_eyes(int m, double a, double y, double z, double front,
                          double d[3])
{
    double near = bump(a - EYE_X, 17, y - EYE_Y, 11) * front;
    double brow = bump(a - 34, 30, y + 25, 10) * front;
    (void)z;
    switch (m) {
    case 9: /* eye_size */
        d[0] = 0.075 * (a - EYE_X) * near;
        d[1] = 0.150 * (y - EYE_Y) * near;
        break;
    case 10: /* eye_spacing */
        d[0] = 1.2 * ease(4, 18, a) * bump(a - EYE_X, 26, y + 4, 26) * front;
        break;
    case 11: /* eye_tilt */
        d[1] = -0.070 * (a - EYE_X) * near;
        break;
    case 12: /* eye_depth */
        d[2] = -1.2 * bump(a - EYE_X, 20, y, 13) * front;
        break;
    case 13: /* brow_height */
        d[1] = -1.9 * brow;
        break;
    case 14: /* brow_arch */
        d[1] = -1.7 * bump(a - 40, 11, y + 26, 9) * front +
               0.8 * bump(a - 15, 9, y + 23, 8) * front;
        break;
    default:
        break;
    }
}

static void identity_mouth(int m, const struct head_vertex *v, double a,
                           double y, double z, double front, double d[3])
{
    double line = y - head_lip_line_y(a);
    double lips = bump(a, 26, y - 71, 14) * front;
    switch (m) {
    case 15: /* lip_thickness */
        d[1] = (v->lower > 0.5 ? 1.0 : -0.8) * ease(0, 8, fabs(line)) * 1.5 *
               bump(a, 22, y - 71, 15) * front;
        d[2] = 0.9 * lips;
        break;
    case 16: /* mouth_width */
        d[0] = 2.2 * ease(3, 26, a) * bump(a - 24, 20, y - 70, 16) * front;
        break;
    case 17: /* mouth_height */
        d[1] = -1.8 * bump(a, 40, y - 71, 17) * front;
        break;
    case 18: /* forehead_height */
        d[1] = y < -28 ? 0.050 * (y + 28) : 0;
        break;
    case 19: /* forehead_slope */
        d[2] = -2.6 * ease(-28, -90, y) * ease(-90, -20, z);
        break;
    case 20: /* cheek_fullness */
        d[0] = 2.6 * bump(a - 52, 24, y - 55, 26) * ease(-95, -40, z);
        d[2] = 1.6 * bump(a - 42, 20, y - 52, 22) * front;
        break;
    case 21: /* cheek_bone */
        d[0] = 1.7 * bump(a - 56, 20, y - 22, 16) * ease(-95, -40, z);
        d[2] = 1.4 * bump(a - 44, 15, y - 24, 13) * front;
        break;
    case 22: /* lip_depth */
        d[2] = 1.5 * bump(a, 27, y - 70, 14) * front;
        break;
    case 23: /* skull_depth */
        d[2] = 0.030 * (z + 62 < 0 ? z + 62 : 0);
        break;
    default:
        break;
    }
}

/* The jaw turns about an axis through its joints. */
static void jaw_open(const struct head_vertex *v, double d[3])
{
    double ry = v->p[1] - 22, rz = v->p[2] + 62;
    double angle = 0.24; /* rad at 1.0; down and back */
    d[1] = v->lower * (sin(angle) * rz - (1 - cos(angle)) * ry);
    d[2] = v->lower * (-sin(angle) * ry - (1 - cos(angle)) * rz);
    /* Cheeks are drawn in a little. */
    d[0] = -1.5 * v->lower * (1 - v->lower) * 4 *
           bump(fabs(v->p[0]) - 32, 16, v->p[1] - 74, 18);
}

static void smile(const struct head_vertex *v, double a, double y, double front,
                  double d[3])
{
    double corner = bump(a - 26, 13, y - 70, 13) * front;
    double wide = ease(2, 24, a);
    d[0] = 5.4 * corner * wide;
    d[1] = -4.6 * corner * wide - 2.6 * bump(a - 38, 17, y - 36, 18) * front;
    d[2] = -3.4 * corner + 2.4 * bump(a - 39, 14, y - 36, 13) * front;
    d[1] += -1.5 * v->lip_up + 0.7 * v->lip_low;
    d[0] += 1.5 * bump(a - 14, 7, y - 42, 8) * front;
    d[1] += -1.2 * v->lid_low * v->lid_gap * 0.12;
}

static void expression(int m, const struct head_vertex *v, double a, double y,
                       double front, double d[3])
{
    double corner = bump(a - 26, 12, y - 70, 12) * front * ease(2, 22, a);
    double brow = bump(a - 34, 26, y + 26, 11) * front;
    int side = v->p[0] < 0 ? 4 : 5;
    switch (m) {
    case 0:
        jaw_open(v, d);
        break;
    case 1:
        smile(v, a, y, front, d);
        break;
    case 2: /* frown */
        d[1] = 4.2 * corner;
        d[0] = -0.6 * corner;
        break;
    case 3: /* pucker */
        d[0] = -0.30 * a * bump(a, 34, y - 71, 16) * front;
        d[2] = 5.0 * bump(a, 22, y - 71, 13) * front;
        d[1] = -1.0 * v->lip_up + 1.0 * v->lip_low;
        break;
    case 4:
    case 5: /* blink */
        if (m == side) {
            d[1] =
                0.90 * v->lid_gap * v->lid_up - 0.10 * v->lid_gap * v->lid_low;
            d[1] += 0.8 * bump(a - 34, 22, y + 24, 8) * front;
        }
        break;
    case 6: /* brow_up */
        d[1] = -5.0 * brow - 0.12 * v->lid_gap * v->lid_up;
        break;
    case 7: /* brow_down */
        d[1] = 3.2 * brow + 0.12 * v->lid_gap * v->lid_up;
        d[0] = -2.2 * bump(a - 18, 12, y + 23, 9) * front;
        break;
    case 8: /* squint */
        d[1] = 0.20 * v->lid_gap * v->lid_up - 0.24 * v->lid_gap * v->lid_low;
        break;
    case 9: /* lip_press */
        d[2] = -1.5 * bump(a, 24, y - 71, 9) * front;
        d[1] = 0.9 * v->lip_up * ease(63, 70, y) - 0.9 * v->lip_low;
        break;
    case 10: /* upper_lip_raise */
        d[1] = -4.0 * v->lip_up * bump(a, 20, 0, 1) -
               1.0 * bump(a - 13, 8, y - 44, 9) * front;
        break;
    case 11: /* brow_inner_up */
        d[1] = -4.2 * bump(a - 16, 14, y + 24, 10) * front;
        break;
    default:
        break;
    }
}

void head_mode_field(int m, const struct head_vertex *v, double d[3])
{
    struct head_vertex at = *v;
    if (v->ball == 1 || v->ball == -1) { /* the eyeball moves as one */
        at.p[0] = v->ball * EYE_X;
        at.p[1] = EYE_Y;
        at.p[2] = EYE_Z + EYE_R;
        if (m >= HEAD_IDENTITY)
            return;
    }
    double sign = at.p[0] < 0 ? -1 : 1, a = fabs(at.p[0]);
    double y = at.p[1], z = at.p[2];
    double front = ease(-58, -28, z);
    if (v->ball == 2) { /* teeth follow the bones only */
        if (m == HEAD_IDENTITY + 0)
            jaw_open(&at, d);
        if (m == 0)
            d[0] = 0.04 * at.p[0];
        if (m == 1)
            d[1] = 0.04 * 70;
        return;
    }
    if (m < 9)
        identity_shape(m, a, y, z, front, d);
    else if (m < 15)
        identity_eyes(m, a, y, z, front, d);
    else if (m < HEAD_IDENTITY)
        identity_mouth(m, &at, a, y, z, front, d);
    else
        expression(m - HEAD_IDENTITY, &at, a, y, front, d);
    for (int k = 0; m < HEAD_IDENTITY && k < 3; k++)
        d[k] *= 1.35; /* how far people differ, for a deviation of 1 */
    d[0] *= sign * (a < 3 ? a / 3 : 1); /* the midline stays */
}
