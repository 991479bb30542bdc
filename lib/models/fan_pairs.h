/* Which of the 68 points a point becomes when the picture is mirrored
 * (lib/models may not include lib/geom; tests/test_fan.c compares the two). */
#ifndef FACET_MODELS_FAN_PAIRS_H
#define FACET_MODELS_FAN_PAIRS_H

extern const int fan_mirror_point[68];

#endif
