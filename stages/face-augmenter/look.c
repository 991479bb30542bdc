/* Light, colour, and what cameras and files do to pictures. */
#include <math.h>

#include "lib/media/effects.h"
#include "stages/face-augmenter/augment.h"

#define RAD_PER_DEG 0.017453292519943295
#define SIDE 256.0 /* blur is told in pixels of a crop of this size */

void look_colour(const struct draw *d)
{
    const struct strengths *s = d->s;
    struct rng r = draw_rng(d, "colour");
    size_t n = (size_t)d->size * (size_t)d->size;
    struct effect_colour c;
    float m[12];
    c.gain = (float)exp(draw_normal(&r, s->brightness));
    c.contrast = (float)exp(draw_normal(&r, s->contrast));
    c.saturation = (float)exp(draw_normal(&r, s->saturation));
    c.hue_rad = (float)(draw_normal(&r, s->hue) * RAD_PER_DEG);
    c.warmth = (float)draw_normal(&r, s->warmth);
    double gamma = exp(draw_normal(&r, s->gamma));
    if (rng_unit(&r) < s->grey)
        c.saturation = c.warmth = 0;
    effect_colour_matrix(&c, m);
    effect_matrix(d->px, n, m);
    if (s->gamma > 0)
        effect_gamma(d->px, n, (float)gamma);
}

/* Does this change happen, and how strongly, 0..most? Weak ones are the more
 * frequent ones. */
static bool happens(struct rng *r, const struct strengths *s, double most,
                    double *strength)
{
    bool now = rng_unit(r) < s->often;
    double u = rng_unit(r);
    *strength = most * u * sqrt(u);
    return now && most > 0;
}

enum err_code look_camera(const struct draw *d, struct err *e)
{
    size_t side = (size_t)d->size;
    double k = d->size / SIDE, v;
    struct rng r = draw_rng(d, "blur");
    if (happens(&r, d->s, d->s->blur, &v))
        effect_blur(d->px, side, side, (float)(v * k), d->tmp);
    r = draw_rng(d, "motion");
    if (happens(&r, d->s, d->s->motion, &v))
        effect_motion(d->px, side, side, (float)(v * k),
                      (float)rng_range(&r, 0, 3.141592653589793), d->tmp);
    r = draw_rng(d, "rescale");
    if (happens(&r, d->s, d->s->rescale - 1, &v)) {
        enum err_code rc = effect_rescale(d->px, side, side, 1 + v, e);
        if (rc)
            return rc;
    }
    r = draw_rng(d, "noise");
    if (happens(&r, d->s, d->s->noise, &v)) {
        int mono = rng_unit(&r) < 0.5;
        effect_noise(d->px, side * side, (float)v, mono, &r);
    }
    return OK;
}

int look_jpeg(const struct draw *d)
{
    struct rng r = draw_rng(d, "jpeg");
    double v;
    if (!d->s->jpeg || !happens(&r, d->s, 95 - (double)d->s->jpeg, &v))
        return 0;
    return (int)lround(95 - v);
}
