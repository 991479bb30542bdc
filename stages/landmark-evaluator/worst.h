/* The faces with the largest errors, to look at; private to the
 * landmark-evaluator. */
#ifndef FACET_STAGES_LANDMARK_EVALUATOR_WORST_H
#define FACET_STAGES_LANDMARK_EVALUATOR_WORST_H

#include <stddef.h>

#include "lib/data/tensor.h"

#define WORST_SIDE 256 /* of a face's cell, pixels */

struct worst_face {
    double error; /* share of the outer-eye distance */
    char *path;   /* orders faces of the same error */
    struct tensor *cell;
};
struct worst {
    struct worst_face *face; /* the worst first */
    size_t n, most;
};

/* ERR_NOMEM. most 0: nothing is kept. */
enum err_code worst_start(struct worst *w, size_t most, struct err *e) MUST_USE;
void worst_free(struct worst *w);
/* Keep this face if it is one of the worst so far: its crop with true points
 * in green and found ones in red, each joined by a line. found, truth:
 * [68][stride], frame pixels. */
enum err_code worst_add(struct worst *w, const struct tensor *frame,
                        const char *path, double error, const float *found,
                        size_t found_stride, const float *truth,
                        size_t truth_stride, struct err *e) MUST_USE;
/* All on one picture, from left to right and down. Nothing if there is none. */
enum err_code worst_write(const struct worst *w, const char *path,
                          struct err *e) MUST_USE;

#endif
