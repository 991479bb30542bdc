/* Tables of the 68 iBUG points and the two measures taken from them. */
#include "lib/geom/landmarks.h"

#include <math.h>

const struct landmark_group landmark_groups[LANDMARK_GROUPS] = {
    {"face", 0, 16, false, {0xFF, 0x00, 0x00}},
    {"left_brow", 17, 21, false, {0xFF, 0xAA, 0x00}},
    {"right_brow", 22, 26, false, {0xFF, 0xFF, 0x00}},
    {"bridge", 27, 30, false, {0xAA, 0xFF, 0x00}},
    {"nostrils", 31, 35, false, {0x00, 0xFF, 0xFF}},
    {"left_eye", 36, 41, true, {0x00, 0xAA, 0xFF}},
    {"right_eye", 42, 47, true, {0x00, 0x00, 0xFF}},
    {"outer_mouth", 48, 59, true, {0xAA, 0x00, 0xFF}},
    {"inner_mouth", 60, 67, true, {0xFF, 0x00, 0xFF}},
};

const int landmark_mirror[LANDMARKS] = {
    16, 15, 14, 13, 12, 11, 10, 9,  8,  7,  6,  5,  4,  3,
    2,  1,  0,  26, 25, 24, 23, 22, 21, 20, 19, 18, 17, /* brows */
    27, 28, 29, 30, 35, 34, 33, 32, 31,                 /* nose */
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,     /* eyes */
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55,     /* outer mouth */
    64, 63, 62, 61, 60, 67, 66, 65,                     /* inner mouth */
};

double landmark_outer_eye(const float *p, int stride)
{
    const float *a = p + 36 * stride, *b = p + 45 * stride;
    return hypot((double)b[0] - (double)a[0], (double)b[1] - (double)a[1]);
}

void landmark_box(const float *p, int stride, double box[4])
{
    box[0] = box[2] = (double)p[0];
    box[1] = box[3] = (double)p[1];
    for (int i = 1; i < LANDMARKS; i++) {
        double x = (double)p[i * stride], y = (double)p[i * stride + 1];
        box[0] = x < box[0] ? x : box[0];
        box[1] = y < box[1] ? y : box[1];
        box[2] = x > box[2] ? x : box[2];
        box[3] = y > box[3] ? y : box[3];
    }
}
