/* Where a training crop lies: size, place, turn, mirror. */
#include <math.h>

#include "stages/face-augmenter/augment.h"

#define RAD_PER_DEG 0.017453292519943295
#define WIDE_SHARE 0.1 /* of the pictures are turned widely */

struct rng draw_rng(const struct draw *d, const char *what)
{
    struct rng r;
    rng_seed(&r, item_seed(d->item, what) ^
                     (d->seed * UINT64_C(0x9e3779b97f4a7c15)));
    return r;
}

double draw_normal(struct rng *r, double deviation)
{
    return deviation * fmin(fmax(rng_normal(r), -2.5), 2.5);
}

void shape_box(const struct draw *d, double box[4])
{
    struct rng r = draw_rng(d, "box-jitter");
    double w = box[2] - box[0], h = box[3] - box[1];
    /* 2.5 deviations of both sides must leave something of the box. */
    for (int i = 0; i < 4; i++)
        box[i] += draw_normal(&r, d->s->box_jitter) * (i % 2 ? h : w);
}

void shape_change(const struct draw *d, struct crop_change *out)
{
    const struct strengths *s = d->s;
    struct rng r = draw_rng(d, "scale");
    out->scale = exp(draw_normal(&r, s->scale));
    r = draw_rng(d, "shift");
    out->shift_x = draw_normal(&r, s->shift);
    out->shift_y = draw_normal(&r, s->shift);
    r = draw_rng(d, "aspect");
    out->aspect = exp(draw_normal(&r, s->aspect));
    r = draw_rng(d, "rotate");
    bool wide = rng_unit(&r) < WIDE_SHARE && s->rotate_wide > 0;
    double deg = wide ? rng_range(&r, -s->rotate_wide, s->rotate_wide)
                      : draw_normal(&r, s->rotate);
    out->turn_rad = deg * RAD_PER_DEG;
    r = draw_rng(d, "mirror");
    out->mirror = rng_unit(&r) < s->mirror;
}

bool shape_reflects(const struct draw *d)
{
    struct rng r = draw_rng(d, "reflect");
    return rng_unit(&r) < d->s->reflect;
}
