/* The size of views: large frames reduced, or cut round the face. */
#include "stages/generator/framing.h"

#include <math.h>

#include "lib/data/tensor.h"
#include "lib/media/resize.h"

static bool usable(const float (*points)[3], double width, double height)
{
    for (int i = 0; i < LANDMARKS; i++) {
        double x = (double)points[i][0], y = (double)points[i][1];

        if (!isfinite(x) || !isfinite(y) || x < -width || y < -height ||
            x > 2.0 * width || y > 2.0 * height)
            return false;
    }
    return true;
}

/* Where a window of `size` round `middle` begins, within 0..all. */
static int64_t begin(double middle, int64_t size, int64_t all)
{
    double at = floor(middle - 0.5 * (double)size + 0.5);

    return (int64_t)fmin(fmax(at, 0.0), (double)(all - size));
}

/* Pixels of a side, scaled: at least 1, at most max_side. */
static int64_t scaled(int64_t side, double scale, int64_t max_side)
{
    return (int64_t)fmin(fmax(floor((double)side * scale + 0.5), 1.0),
                         (double)max_side);
}

void framing_choose(int64_t frame_width, int64_t frame_height,
                    const float (*points)[3], int64_t max_side,
                    struct framing *f)
{
    int64_t longer = frame_width > frame_height ? frame_width : frame_height;
    double box[4];

    *f = (struct framing){
        .frame_width = frame_width,
        .frame_height = frame_height,
        .width = frame_width,
        .height = frame_height,
        .to_width = frame_width,
        .to_height = frame_height,
    };
    if (max_side <= 0 || longer <= max_side ||
        !usable(points, (double)frame_width, (double)frame_height))
        return;
    landmark_box(&points[0][0], 3, box);
    double whole = (double)max_side / (double)longer;
    double face = fmax(fmax(box[2] - box[0], box[3] - box[1]), 1.0);
    double keep = FRAMING_FACE * (double)max_side / face;
    double scale = fmin(fmax(keep, whole), 1.0);

    f->changes = true;
    if (scale > whole) {
        int64_t side = (int64_t)floor((double)max_side / scale);

        f->cut = true;
        f->width = side < frame_width ? side : frame_width;
        f->height = side < frame_height ? side : frame_height;
        f->x0 = begin(0.5 * (box[0] + box[2]), f->width, frame_width);
        f->y0 = begin(0.5 * (box[1] + box[3]), f->height, frame_height);
    }
    f->to_width = scaled(f->width, scale, max_side);
    f->to_height = scaled(f->height, scale, max_side);
}

void framing_points(const struct framing *f, size_t n, size_t stride,
                    const float *in, float *out)
{
    double sx = (double)f->to_width / (double)f->width;
    double sy = (double)f->to_height / (double)f->height, sz = sqrt(sx * sy);

    for (size_t i = 0; i < n; i++, in += stride, out += stride) {
        /* pixel centres are whole numbers: it is edges that are scaled */
        double x = ((double)in[0] + 0.5 - (double)f->x0) * sx - 0.5;
        double y = ((double)in[1] + 0.5 - (double)f->y0) * sy - 0.5;

        out[0] = (float)x;
        out[1] = (float)y;
        for (size_t k = 2; k < stride; k++)
            out[k] = (float)((double)in[k] * sz);
    }
}

enum err_code framing_picture(const struct framing *f,
                              const struct tensor *frame, struct tensor **out,
                              struct err *e)
{
    *out = image_resize_window(frame, f->x0, f->y0, f->width, f->height,
                               f->to_height, f->to_width, e);
    return *out ? OK : e->code;
}

/* A field of points, the last size 2 or 3; or of boxes: two points each. */
static enum err_code move_points(const struct framing *f, struct item *it,
                                 const char *name, bool boxes, struct err *e)
{
    const struct tensor *t = item_tensor(it, name);
    int64_t last = t && t->ndim > 0 ? t->shape[t->ndim - 1] : 0;
    bool fits = boxes ? last == 4 : last == 2 || last == 3;

    if (!t || t->dtype != DT_F32 || !fits)
        return OK; /* somebody else's field of that name */
    size_t stride = boxes ? 2 : (size_t)last;
    struct tensor *moved = tensor_new(DT_F32, t->ndim, t->shape, e);

    if (!moved)
        return ERR_NOMEM;
    framing_points(f, t->count / stride, stride, (const float *)t->data,
                   tensor_f32(moved));
    return item_set_tensor(it, name, moved, e);
}

/* A picture of the whole frame: one of the frame's size becomes one of the
 * view's; one of a size of its own shows the window too, in its own pixels. */
static enum err_code move_pose(const struct framing *f, struct item *it,
                               struct err *e)
{
    const struct tensor *t = item_tensor(it, "pose");

    if (!t || t->dtype != DT_U8 || t->ndim != 3 || t->count == 0)
        return OK;
    bool same = t->shape[0] == f->frame_height && t->shape[1] == f->frame_width;

    if (!same && !f->cut)
        return OK;
    double rx = (double)t->shape[1] / (double)f->frame_width;
    double ry = (double)t->shape[0] / (double)f->frame_height;
    int64_t w = scaled(f->width, rx, t->shape[1]);
    int64_t h = scaled(f->height, ry, t->shape[0]);
    int64_t x0 =
        begin(((double)f->x0 + 0.5 * (double)f->width) * rx, w, t->shape[1]);
    int64_t y0 =
        begin(((double)f->y0 + 0.5 * (double)f->height) * ry, h, t->shape[0]);
    struct tensor *moved = image_resize_window(
        t, x0, y0, w, h, same ? f->to_height : h, same ? f->to_width : w, e);

    return moved ? item_set_tensor(it, "pose", moved, e) : e->code;
}

enum err_code framing_item(const struct framing *f, struct tensor *picture,
                           struct item *it, struct err *e)
{
    static const char *const points[] = {"landmarks",      "target",
                                         "landmarks_true", "points3d",
                                         "surface",        "surface_seen"};
    static const char *const boxes[] = {"box", "boxes", "boxes_true",
                                        "boxes_ignore"};
    const float window[4] = {(float)f->x0, (float)f->y0,
                             (float)(f->x0 + f->width),
                             (float)(f->y0 + f->height)};
    enum err_code rc = OK;

    for (size_t i = 0; !rc && i < sizeof points / sizeof *points; i++)
        rc = move_points(f, it, points[i], false, e);
    for (size_t i = 0; !rc && i < sizeof boxes / sizeof *boxes; i++)
        rc = move_points(f, it, boxes[i], true, e);
    if (!rc)
        rc = move_pose(f, it, e);
    if (!rc)
        rc = item_set_tensor(it, "frame", tensor_ref(picture), e);
    if (!rc)
        rc = item_set_f32(it, "view_window", 4, 0, window, e);
    return rc;
}
