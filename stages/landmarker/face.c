/* Finding the 68 points of a face in a frame: crops and single looks. */
#include "stages/landmarker/face.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/landmarks.h"
#include "lib/media/affine.h"
#include "lib/media/resize.h"

#define DEG_PER_RAD 57.29577951308232

enum err_code finder_start(struct finder *f, struct err *e)
{
    f->input = mem_aligned(3 * FAN_SIDE * FAN_SIDE * sizeof(float));
    f->maps =
        mem_aligned((size_t)FAN_POINTS * FAN_MAP * FAN_MAP * sizeof(float));
    f->pixels = mem_aligned(3 * FAN_SIDE * FAN_SIDE * sizeof(float));
    if (!f->input || !f->maps || !f->pixels)
        return err_set(e, ERR_NOMEM, "no memory for the landmarker");
    return OK;
}

void finder_stop(struct finder *f)
{
    mem_free(f->input);
    mem_free(f->maps);
    mem_free(f->pixels);
    f->input = f->maps = f->pixels = NULL;
    fan_free(&f->fan);
}

static int trunc_px(float v)
{
    return (int)v;
}

/* Points from f->maps; they go through `back`, from the crop's pixels to the
 * frame's. mirrored: the maps are those of two looks, summed. */
static void decode(struct finder *f, int side, const struct affine *back,
                   bool mirrored, struct face *out)
{
    bool logits = f->decode == FAN_SOFTMAX;
    if (mirrored && logits) { /* a mean of opinions is meant */
        size_t n = (size_t)FAN_POINTS * (size_t)FAN_MAP_OF(side) *
                   (size_t)FAN_MAP_OF(side);
        for (size_t i = 0; i < n; i++)
            f->maps[i] *= 0.5F;
    }
    fan_decode_at(f->maps, FAN_MAP_OF(side), f->decode, out->xy, out->peak);
    double sum = 0;
    for (int i = 0; i < FAN_POINTS; i++) {
        double p[2];
        affine_apply(back, (double)out->xy[i][0], (double)out->xy[i][1], p);
        out->xy[i][0] = (float)p[0];
        out->xy[i][1] = (float)p[1];
        if (f->truncate) {
            out->xy[i][0] = (float)trunc_px(out->xy[i][0]);
            out->xy[i][1] = (float)trunc_px(out->xy[i][1]);
        }
        if (mirrored && !logits)
            out->peak[i] *= 0.5F;
        sum += fmin(fmax((double)out->peak[i], 0), 1);
    }
    out->score = sum / FAN_POINTS;
}

/* Run the network on what is in f->input. */
static enum err_code run(struct finder *f, int side, const struct affine *back,
                         bool mirror, struct face *out, struct err *e)
{
    enum err_code r =
        fan_heatmaps_at(f->fan, side, f->input, 1, mirror, f->maps, e);
    if (!r)
        decode(f, side, back, mirror, out);
    out->looks += !r;
    return r;
}

static struct affine back_of(struct crop c, int side)
{
    double k = c.side / side;
    return (struct affine){
        {k, 0, c.x0 + 0.5 * k - 0.5, 0, k, c.y0 + 0.5 * k - 0.5}};
}

static enum err_code look(struct finder *f, const struct tensor *frame,
                          struct crop c, int side, bool mirror,
                          struct face *out, struct err *e)
{
    assert(side <= FAN_SIDE); /* what the scratch memory is for */
    const struct affine back = back_of(c, side);
    enum err_code r =
        image_crop_f32(frame, c.x0, c.y0, c.side, side, f->input, e);
    if (!r)
        r = run(f, side, &back, mirror, out, e);
    if (!r)
        out->crop = c;
    return r;
}

enum err_code face_look(struct finder *f, const struct tensor *frame,
                        struct crop c, int side, struct face *out,
                        struct err *e)
{
    return look(f, frame, c, side, f->flip, out, e);
}

/* The crop c of the frame turned by `turn` radians about c's middle. */
static enum err_code look_turned(struct finder *f, const struct tensor *frame,
                                 struct crop c, double turn, struct face *out,
                                 struct err *e)
{
    double k = c.side / FAN_SIDE, s = k * sin(turn), o = (FAN_SIDE - 1) / 2.0;
    double x = c.x0 + c.side / 2 - 0.5, y = c.y0 + c.side / 2 - 0.5;
    k *= cos(turn);
    const struct affine back = {
        {k, -s, x - (k - s) * o, s, k, y - (s + k) * o}};
    size_t n = (size_t)FAN_SIDE * FAN_SIDE;
    enum err_code r = image_affine(frame, back.m, AFFINE_BLACK, FAN_SIDE,
                                   FAN_SIDE, f->pixels, e);
    for (size_t i = 0; i < n && !r; i++)
        for (size_t a = 0; a < 3; a++)
            f->input[a * n + i] = f->pixels[3 * i + a] / 255.0F;
    if (!r)
        r = run(f, FAN_SIDE, &back, f->flip, out, e);
    if (!r)
        out->crop = c;
    return r;
}

double face_crop_change(struct crop a, struct crop b)
{
    double dx = a.x0 + a.side / 2 - b.x0 - b.side / 2;
    double dy = a.y0 + a.side / 2 - b.y0 - b.side / 2;
    return fmax(hypot(dx, dy), fabs(a.side - b.side)) / fmin(a.side, b.side);
}

/* The angle of the line through the eyes' middles. */
static double tilt_of(float xy[FAN_POINTS][2])
{
    double d[2] = {0, 0};
    for (int i = 36; i < 48; i++)
        for (int k = 0; k < 2; k++)
            d[k] += i < 42 ? -(double)xy[i][k] : (double)xy[i][k];
    return atan2(d[1], d[0]);
}

/* The crop that the points ask for once they are turned upright about their
 * middle: in the frame, to be turned by the same angle about its own. */
static struct crop upright_crop(enum crop_rule rule, float xy[FAN_POINTS][2],
                                double turn)
{
    double c = cos(turn), s = sin(turn), mx = 0, my = 0, box[4];
    float flat[FAN_POINTS][2];
    for (int i = 0; i < FAN_POINTS; i++) {
        mx += (double)xy[i][0] / FAN_POINTS;
        my += (double)xy[i][1] / FAN_POINTS;
    }
    for (int i = 0; i < FAN_POINTS; i++) {
        double x = (double)xy[i][0] - mx, y = (double)xy[i][1] - my;
        flat[i][0] = (float)(c * x + s * y);
        flat[i][1] = (float)(c * y - s * x);
    }
    landmark_box(&flat[0][0], 2, box);
    struct crop k = crop_of_box(rule, box);
    double u = k.x0 + k.side / 2, v = k.y0 + k.side / 2;
    k.x0 = mx + c * u - s * v - k.side / 2;
    k.y0 = my + s * u + c * v - k.side / 2;
    return k;
}

/* After a look without the mirrored crop: another one where the points ask for
 * another crop, or an upright one; else the mirrored crop of this one, if it is
 * wanted. A look that loses the face (a box of something else drew the points
 * together) does not count. */
static enum err_code look_again(struct finder *f, const struct tensor *frame,
                                struct face *x, struct err *e)
{
    struct face now = *x;
    double turn = tilt_of(now.xy);
    bool tilted = fabs(turn) * DEG_PER_RAD > f->tilt;
    landmark_box(&now.xy[0][0], 2, now.box);
    struct crop c = crop_of_box(f->crop, now.box);
    bool usable = f->crop == CROP_FACET && crop_box_ok(now.box);
    if (!usable || (!tilted && face_crop_change(c, x->crop) <= f->again)) {
        if (!f->flip)
            return OK;
        const struct affine back = back_of(x->crop, FAN_SIDE);
        enum err_code r =
            fan_add_mirrored(f->fan, FAN_SIDE, f->input, f->maps, e);
        if (!r)
            decode(f, FAN_SIDE, &back, true, x);
        return r;
    }
    enum err_code r =
        tilted ? look_turned(f, frame, upright_crop(f->crop, now.xy, turn),
                             turn, &now, e)
               : look(f, frame, c, FAN_SIDE, f->flip, &now, e);
    if (!r && now.score >= 0.9 * x->score)
        *x = now;
    return r;
}

enum err_code face_in_box(struct finder *f, const struct tensor *frame,
                          const double box[4], struct face *out, struct err *e)
{
    for (int i = 0; i < 4; i++) {
        if (!isfinite(box[i]) || fabs(box[i]) > 1e6)
            return err_set(e, ERR_ARG, "the face box is not finite");
    }
    if (box[2] - box[0] < 1 || box[3] - box[1] < 1)
        return err_set(e, ERR_ARG, "the face box %.1f,%.1f,%.1f,%.1f is empty",
                       box[0], box[1], box[2], box[3]);
    *out = (struct face){.looks = 0};
    enum err_code r =
        look(f, frame, crop_of_box(f->crop, box), FAN_SIDE, false, out, e);
    memcpy(out->box, box, sizeof out->box);
    return r ? r : look_again(f, frame, out, e);
}

enum err_code face_in_frame(struct finder *f, const struct tensor *frame,
                            struct face *out, struct err *e)
{
    double h = (double)frame->shape[0], w = (double)frame->shape[1];
    double side = fmax(h, w);
    struct crop c = {(w - side) / 2, (h - side) / 2, side};
    *out = (struct face){.looks = 0};
    enum err_code r = face_look(f, frame, c, FAN_SIDE, out, e);
    if (!r)
        landmark_box(&out->xy[0][0], 2, out->box);
    return r;
}
