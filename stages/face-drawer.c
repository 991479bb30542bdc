/* face-drawer: what was found, drawn on the frame. */
#include <math.h>
#include <stddef.h>

#include "lib/flow/stage.h"
#include "lib/geom/landmarks.h"
#include "lib/media/draw.h"

struct drawer {
    bool boxes, points, lines;
    double size;
};

/* Thicker on larger pictures, so that sheets of them still show it. */
static double pen(const struct drawer *c, const struct tensor *img)
{
    double longer =
        (double)(img->shape[0] > img->shape[1] ? img->shape[0] : img->shape[1]);
    return c->size > 0 ? c->size : fmax(longer / 200, 1);
}

static enum err_code draw_boxes(const struct item *in, struct tensor *img,
                                int thick, struct err *e)
{
    static const uint8_t other[3] = {255, 160, 0}, chosen[3] = {0, 255, 0};
    const struct tensor *all = item_tensor(in, "boxes");
    const struct tensor *box = item_tensor(in, "box");
    enum err_code r = OK;
    for (int64_t i = 0; all && i < all->shape[0] && !r; i++)
        r = draw_box(img, tensor_f32(all) + 4 * i, thick, other, e);
    if (box && !r)
        r = draw_box(img, tensor_f32(box), thick, chosen, e);
    return r;
}

static int64_t whole(float v)
{
    return (int64_t)lroundf(fminf(fmaxf(v, -1e6F), 1e6F));
}

static enum err_code draw_points(const struct drawer *c, const struct tensor *t,
                                 struct tensor *img, double radius,
                                 struct err *e)
{
    size_t stride = (size_t)t->shape[1];
    const float *p = t->data;
    enum err_code r = OK;
    if (stride < 2)
        return err_set(e, ERR_DATA, "landmarks need x and y");
    for (int g = 0; g < LANDMARK_GROUPS; g++) {
        const struct landmark_group *x = &landmark_groups[g];
        for (int i = x->first; i <= x->last && !r; i++) {
            const float *a = p + (size_t)i * stride;
            int next = i < x->last ? i + 1 : x->closed ? x->first : i;
            const float *b = p + (size_t)next * stride;
            if (!isfinite(a[0]) || !isfinite(a[1]))
                return err_set(e, ERR_DATA, "point %d is not finite", i);
            if (c->lines)
                r = draw_line(img, whole(a[0]), whole(a[1]), whole(b[0]),
                              whole(b[1]), x->rgb, e);
            if (!r)
                r = draw_disc(img, whole(a[0]), whole(a[1]), radius, x->rgb, e);
        }
    }
    return r;
}

static enum err_code drawer_transform(void *ctx, struct stage *s,
                                      struct item *const *in, size_t n,
                                      struct err *e)
{
    const struct drawer *c = ctx;
    const struct tensor *points = item_tensor(in[0], "landmarks");
    (void)n; /* batches of one */
    struct tensor *img = tensor_copy(item_tensor(in[0], "frame"), e);
    struct item *it = img ? item_child(in[0], e) : NULL;
    enum err_code r = it ? OK : ERR_NOMEM;
    double size = r ? 1 : pen(c, img);
    int thick = (int)fmin(fmax(size / 1.5, 1), 64);
    if (!r && c->boxes)
        r = draw_boxes(in[0], img, thick, e);
    if (!r && c->points && points)
        r = draw_points(c, points, img, size, e);
    if (r) {
        tensor_free(&img);
        item_free(&it);
        return r;
    }
    r = item_set_tensor(it, "frame", img, e);
    if (r) {
        item_free(&it);
        return r;
    }
    return stage_emit(s, NULL, it, e);
}

static const struct stage_port in_ports[] = {
    {"in",
     "frame u8[H,W,3], box f32[4]?, boxes f32[*,4]?, landmarks f32[68,*]?",
     "A frame and what was found in it, in its pixels."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out", "frame u8[H,W,3]",
     "The frame with the boxes (the chosen one green, others orange) and "
     "points (in the colours of pose pictures) on it."},
    {NULL, NULL, NULL},
};
static const struct stage_param params[] = {
    {"boxes", PARAM_BOOL, offsetof(struct drawer, boxes), "yes", 0, 0, NULL,
     NULL, "Draw boxes."},
    {"points", PARAM_BOOL, offsetof(struct drawer, points), "yes", 0, 0, NULL,
     NULL, "Draw landmarks."},
    {"lines", PARAM_BOOL, offsetof(struct drawer, lines), "no", 0, 0, NULL,
     NULL, "Join the landmarks of a group."},
    {"size", PARAM_FLOAT, offsetof(struct drawer, size), "0", 0, 100, NULL,
     "px",
     "Radius of points; lines are two thirds of it. 0: a 200th of the "
     "frame's longer side."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "face-drawer",
    .help = "Draws boxes and landmarks on the frame, to look at.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct drawer),
    .transform = drawer_transform,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
