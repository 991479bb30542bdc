/* Sampling u8 pictures between pixels. Test: tests/test_sample.c */
#ifndef FACET_MEDIA_SAMPLE_H
#define FACET_MEDIA_SAMPLE_H

#include <stdint.h>

/* u8[H,W,3], C order; not owned. */
struct sample_source {
    const uint8_t *rgb;
    int64_t width, height; /* each >= 1 */
};

/* RGB at (x,y), 0..255 not rounded; (0,0) is the centre of the first pixel.
 * Outside, the picture is continued by reflection (the edge pixel repeated).
 * x, y finite. Bicubic is Catmull-Rom (Keys 1981, a = -1/2), clamped to the
 * range of the four middle pixels so that it never rings. */
void sample_bilinear(const struct sample_source *s, float x, float y,
                     float rgb[3]);
void sample_bicubic(const struct sample_source *s, float x, float y,
                    float rgb[3]);

/* Index of v in 0..n-1 after reflection at both ends. */
int64_t sample_reflect(int64_t v, int64_t n);

#endif
