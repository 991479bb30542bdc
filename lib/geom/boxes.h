/* Boxes that detectors give: overlap, order, and one box for each face.
 * Test: tests/test_boxes.c */
#ifndef FACET_GEOM_BOXES_H
#define FACET_GEOM_BOXES_H

#include <stddef.h>

#include "lib/base/err.h"

/* box: x0,y0,x1,y1, (0,0) being the centre of the picture's first pixel. */
struct scored_box {
    float box[4];
    float score;
};

/* How wide a box is; of published detectors some count the one way, some the
 * other, and their overlaps differ, most for small boxes. */
enum boxes_area {
    BOXES_SPAN,  /* x1 - x0 */
    BOXES_PIXELS /* x1 - x0 + 1: whole pixels, both ends included */
};

/* Width times height; 0 for a box whose ends are exchanged. */
double boxes_area(const float box[4], enum boxes_area area);
/* Intersection over union, 0..1; 0 where the union has no area or a number is
 * NaN. In float64. */
double boxes_iou(const float a[4], const float b[4], enum boxes_area area);
/* Highest score first; equal scores stay in their order, NaN comes last.
 * ERR_NOMEM: b is as it was. */
enum err_code boxes_sort(struct scored_box *b, size_t n,
                         struct err *e) MUST_USE;
/* Greedy non-maximum suppression of sorted boxes, in place: from the first on,
 * each that overlaps a kept one by more than `limit` goes. How many are left,
 * in their order. */
size_t boxes_nms(struct scored_box *b, size_t n, double limit,
                 enum boxes_area area);

#endif
