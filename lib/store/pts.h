/* Annotation files of the iBUG group (300-W): the points of one face.
 *
 *     version: 1
 *     n_points: 68
 *     {
 *     446.000 91.000
 *     ...
 *     }
 *
 * Their coordinates are Matlab's: (1,1) is the centre of the top-left pixel.
 * Ours begin at (0,0). Test: tests/test_pts.c, tests/fuzz/fuzz_pts.c */
#ifndef FACET_STORE_PTS_H
#define FACET_STORE_PTS_H

#include <stddef.h>

#include "lib/base/err.h"

#define PTS_MAX_FILE 65536     /* bytes; those of 300-W have 1,500 */
#define PTS_MAX_COORD 1000000. /* pixels to either side */

/* Read n bytes of text (no NUL needed) that must hold `points` points into
 * xy[points][2], moved to (0,0). Words may be parted by any white space.
 * ERR_DATA: another number of points, no numbers, not finite, too large, cut
 * off, something after the closing brace. Untrusted. */
enum err_code pts_parse(const char *text, size_t n, int points, float *xy,
                        struct err *e) MUST_USE;

#endif
