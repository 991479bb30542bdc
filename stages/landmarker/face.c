/* Finding the 68 points of a face in a frame: crops and single looks. */
#include "stages/landmarker/face.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/landmarks.h"
#include "lib/media/resize.h"

enum err_code finder_start(struct finder *f, struct err *e)
{
    f->input = mem_aligned(3 * FAN_SIDE * FAN_SIDE * sizeof(float));
    f->maps =
        mem_aligned((size_t)FAN_POINTS * FAN_MAP * FAN_MAP * sizeof(float));
    if (!f->input || !f->maps)
        return err_set(e, ERR_NOMEM, "no memory for the landmarker");
    return OK;
}

void finder_stop(struct finder *f)
{
    mem_free(f->input);
    mem_free(f->maps);
    f->input = f->maps = NULL;
    fan_free(&f->fan);
}

static int trunc_px(float v)
{
    return (int)v;
}

enum err_code face_look(struct finder *f, const struct tensor *frame,
                        struct crop c, int side, struct face *out,
                        struct err *e)
{
    assert(side <= FAN_SIDE); /* what the scratch memory is for */
    enum err_code r =
        image_crop_f32(frame, c.x0, c.y0, c.side, side, f->input, e);
    if (!r)
        r = fan_heatmaps_at(f->fan, side, f->input, 1, f->flip, f->maps, e);
    if (r)
        return r;
    bool logits = f->decode == FAN_SOFTMAX;
    if (f->flip && logits) { /* two were summed; a mean of opinions is meant */
        size_t n = (size_t)FAN_POINTS * (size_t)FAN_MAP_OF(side) *
                   (size_t)FAN_MAP_OF(side);
        for (size_t i = 0; i < n; i++)
            f->maps[i] *= 0.5F;
    }
    fan_decode_at(f->maps, FAN_MAP_OF(side), f->decode, out->xy, out->peak);
    double k = c.side / side, sum = 0;
    for (int i = 0; i < FAN_POINTS; i++) {
        double x = c.x0 + ((double)out->xy[i][0] + 0.5) * k - 0.5;
        double y = c.y0 + ((double)out->xy[i][1] + 0.5) * k - 0.5;
        out->xy[i][0] = (float)x;
        out->xy[i][1] = (float)y;
        if (f->truncate) {
            out->xy[i][0] = (float)trunc_px(out->xy[i][0]);
            out->xy[i][1] = (float)trunc_px(out->xy[i][1]);
        }
        if (f->flip && !logits) /* two maps were summed */
            out->peak[i] *= 0.5F;
        sum += fmin(fmax((double)out->peak[i], 0), 1);
    }
    out->score = sum / FAN_POINTS;
    out->crop = c;
    out->looks++;
    return OK;
}

double face_crop_change(struct crop a, struct crop b)
{
    double dx = a.x0 + a.side / 2 - b.x0 - b.side / 2;
    double dy = a.y0 + a.side / 2 - b.y0 - b.side / 2;
    return fmax(hypot(dx, dy), fabs(a.side - b.side)) / fmin(a.side, b.side);
}

/* Another look where the points ask for another crop. One that loses the face
 * (a box of something else drew the points together) does not count. */
static enum err_code look_again(struct finder *f, const struct tensor *frame,
                                struct face *x, struct err *e)
{
    struct face now = *x;
    landmark_box(&now.xy[0][0], 2, now.box);
    if (f->crop != CROP_FACET || !crop_box_ok(now.box))
        return OK;
    struct crop c = crop_of_box(f->crop, now.box);
    if (face_crop_change(c, x->crop) <= f->again)
        return OK;
    enum err_code r = face_look(f, frame, c, FAN_SIDE, &now, e);
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
        face_look(f, frame, crop_of_box(f->crop, box), FAN_SIDE, out, e);
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
