/* How good detected boxes are: which true ones they found, and the average
 * precision over many pictures. Test: tests/test_box_match.c */
#ifndef FACET_GEOM_BOX_MATCH_H
#define FACET_GEOM_BOX_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/geom/boxes.h"

enum box_verdict {
    BOX_FALSE,   /* nothing there, or found already */
    BOX_FOUND,   /* the true one that it overlaps most */
    BOX_IGNORED, /* what is neither face nor none */
};

/* PASCAL VOC's rule (Everingham et al. 2010): boxes by falling score, each
 * takes the true one that it overlaps most, if by more than `overlap` and
 * nobody has it yet. One that overlaps an ignored box by more than `overlap`,
 * or lies in one by more than half, does not count. b: sorted; verdict[n] and
 * found[m] (which box, or -1) are the caller's. */
void box_match(const struct scored_box *b, size_t n, const float (*truth)[4],
               size_t m, const float (*ignore)[4], size_t k, double overlap,
               enum box_verdict *verdict, int *found);

/* One box that counts, of any picture. */
struct box_vote {
    float score;
    bool found;
};
/* Area under precision over recall, precision made monotone (VOC 2010), 0..1:
 * truths is the number of true boxes of all pictures; 0 gives NaN. Sorts v. */
double box_average_precision(struct box_vote *v, size_t n, size_t truths);

#endif
