/* What cameras, light and networks do to pictures, for training data: colour,
 * blur, noise, compression. All work in place on px f32[h,w,3], 0..255,
 * interleaved; values may leave that range until effect_to_u8. Test:
 * tests/test_effects.c */
#ifndef FACET_MEDIA_EFFECTS_H
#define FACET_MEDIA_EFFECTS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/rng.h"
#include "lib/data/tensor.h"

struct effect_colour {
    float gain;       /* of light, 1 as it is */
    float contrast;   /* about the middle grey, 1 as it is */
    float saturation; /* 0 grey, 1 as it is */
    float hue_rad;    /* turn about the grey axis */
    float warmth;     /* red times 1 + warmth, blue times 1 - warmth */
};
/* out = M rgb1, all five in one matrix: hue and saturation in YIQ (luma of
 * Rec. 601), then warmth, gain, contrast. */
void effect_colour_matrix(const struct effect_colour *c, float m[12]);
/* n pixels; m is a 3 x 4 matrix, row by row. */
void effect_matrix(float *px, size_t n, const float m[12]);
/* 255 (v / 255)^gamma of values cut to 0..255, to 1/8 of a grey level. */
void effect_gamma(float *px, size_t n, float gamma);
/* Gaussian of sigma pixels (0..30); edges repeated. tmp: as large as px. */
void effect_blur(float *px, size_t h, size_t w, float sigma, float *tmp);
/* The mean along a line of length_px (0..100) in a direction. tmp as above. */
void effect_motion(float *px, size_t h, size_t w, float length_px,
                   float angle_rad, float *tmp);
/* Shrunk by factor (>= 1) by area, grown again bilinearly. */
enum err_code effect_rescale(float *px, size_t h, size_t w, double factor,
                             struct err *e) MUST_USE;
/* Noise of that deviation in grey levels; mono: the same in all channels.
 * Nearly normal (a sum of eight uniform values: never beyond 4.9 sigma). */
void effect_noise(float *px, size_t n, float sigma, int mono, struct rng *r);
/* n values to bytes, rounded. */
void effect_to_u8(const float *v, size_t n, uint8_t *out);
/* *img (u8[H,W,3]) becomes itself compressed as JPEG and read again. */
enum err_code effect_jpeg(struct tensor **img, int quality,
                          struct err *e) MUST_USE;

#endif
