/* pose-drawer: pose2pose's pose picture from 68 points, at any size. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/data/item.h"
#include "lib/data/tensor.h"
#include "lib/flow/stage.h"
#include "lib/geom/landmarks.h"
#include "lib/media/draw.h"

enum drawer_field { FIELD_AUTO, FIELD_LANDMARKS, FIELD_TARGET };
enum drawer_snap { SNAP_TRUNC, SNAP_NEAREST };

struct drawer {
    int64_t width, height;
    int field, snap;
    double radius;
};

static const struct tensor *
choose_points(const struct drawer *c, const struct item *it, const char **name)
{
    const struct tensor *target = item_tensor(it, "target");
    bool use = c->field == FIELD_TARGET || (c->field == FIELD_AUTO && target);

    *name = use ? "target" : "landmarks";
    return use ? target : item_tensor(it, "landmarks");
}

/* The picture's size, and what a frame's coordinates are multiplied by. */
static enum err_code picture_size(const struct drawer *c, const struct item *it,
                                  int64_t size[2], double factor[2],
                                  struct err *e)
{
    const struct tensor *frame = item_tensor(it, "frame");
    const int64_t given[2] = {c->width, c->height};

    for (int a = 0; a < 2; a++) {
        int64_t own = frame ? frame->shape[1 - a] : 0;

        size[a] = given[a] > 0 ? given[a] : own;
        factor[a] = own > 0 ? (double)size[a] / (double)own : 1.0;
    }
    if (size[0] < 1 || size[1] < 1)
        return err_set(e, ERR_DATA,
                       "no frame to take the size from, and no width and "
                       "height given");
    return OK;
}

/* Whole pixels, as pose2pose cuts them off (towards zero) or the nearest. */
static enum err_code snap_points(const struct drawer *c,
                                 const struct tensor *points, const char *name,
                                 const double factor[2],
                                 int64_t xy[LANDMARKS][2], struct err *e)
{
    const float *p = tensor_f32(points);

    for (int i = 0; i < LANDMARKS; i++)
        for (int a = 0; a < 2; a++) {
            double v = (double)p[3 * i + a];

            if (!isfinite(v))
                return err_set(e, ERR_DATA, "%s: point %d is not finite", name,
                               i);
            /* pixel centres are whole numbers; a size change keeps edges */
            if (factor[a] > 1.0 || factor[a] < 1.0)
                v = (v + 0.5) * factor[a] - 0.5;
            v = c->snap == SNAP_NEAREST ? floor(v + 0.5) : trunc(v);
            if (fabs(v) > DRAW_MAX_COORD)
                return err_set(e, ERR_DATA,
                               "%s: point %d is at %g, too far "
                               "outside the picture",
                               name, i, v);
            xy[i][a] = (int64_t)v;
        }
    return OK;
}

/* Groups in the table's order, later over earlier; in a group each line is
 * drawn before the disc at its start, and the last disc closes it (P2P,
 * preprocess.py). */
static enum err_code draw_pose(struct tensor *img,
                               const int64_t xy[LANDMARKS][2], double radius,
                               struct err *e)
{
    enum err_code rc = OK;

    for (int g = 0; g < LANDMARK_GROUPS && rc == OK; g++) {
        const struct landmark_group *gr = &landmark_groups[g];
        int lines = gr->last - gr->first + (gr->closed ? 1 : 0);

        for (int k = 0; k <= lines && rc == OK; k++) {
            int span = gr->last - gr->first + 1;
            const int64_t *a = xy[gr->first + k % span];
            const int64_t *b = xy[gr->first + (k + 1) % span];

            if (k < lines)
                rc = draw_line(img, a[0], a[1], b[0], b[1], gr->rgb, e);
            if (rc == OK)
                rc = draw_disc(img, a[0], a[1], radius, gr->rgb, e);
        }
    }
    return rc;
}

static enum err_code drawer_transform(void *ctx, struct stage *s,
                                      struct item *const *in, size_t n,
                                      struct err *e)
{
    const struct drawer *c = ctx;
    const char *name;
    const struct tensor *points = choose_points(c, in[0], &name);
    int64_t size[2], shape[3] = {0, 0, 3}, xy[LANDMARKS][2];
    double factor[2];
    struct tensor *img = NULL;
    struct item *it = NULL;
    enum err_code rc;

    (void)n;
    if (!points)
        return err_set(e, ERR_DATA, "the item has no field '%s'", name);
    rc = picture_size(c, in[0], size, factor, e);
    if (rc == OK)
        rc = snap_points(c, points, name, factor, xy, e);
    if (rc != OK)
        return rc;
    shape[0] = size[1];
    shape[1] = size[0];
    img = tensor_new(DT_U8, 3, shape, e);
    if (!img)
        return e ? e->code : ERR_NOMEM;
    rc = draw_pose(img, (const int64_t(*)[2])xy, c->radius, e);
    if (rc == OK) {
        it = item_child(in[0], e);
        rc = it ? OK : ERR_NOMEM;
    }
    if (rc != OK) {
        tensor_free(&img);
        return rc;
    }
    rc = item_set_tensor(it, "pose", img, e);
    if (rc != OK) {
        item_free(&it);
        return rc;
    }
    return stage_emit(s, NULL, it, e);
}

static const struct stage_port in_ports[] = {
    {"in", "landmarks f32[68,3], target f32[68,3]?, frame u8[H,W,3]?",
     "Points in pixels of the frame. The frame gives the picture's size."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out", "pose u8[P,Q,3]", "The pose picture: RGB on black."},
    {NULL, NULL, NULL},
};
static const struct stage_param params[] = {
    {"width", PARAM_INT, offsetof(struct drawer, width), "0", 0, 32768, NULL,
     "px", "Width of the picture; 0 takes the frame's. Points scale along."},
    {"height", PARAM_INT, offsetof(struct drawer, height), "0", 0, 32768, NULL,
     "px", "Height of the picture; 0 takes the frame's. Points scale along."},
    {"field", PARAM_ENUM, offsetof(struct drawer, field), "auto", 0, 0,
     "auto|landmarks|target", NULL,
     "Which points to draw; auto: target where the item has it."},
    {"snap", PARAM_ENUM, offsetof(struct drawer, snap), "trunc", 0, 0,
     "trunc|nearest", NULL,
     "How coordinates become whole pixels; trunc is what pose2pose does."},
    {"radius", PARAM_FLOAT, offsetof(struct drawer, radius), "2", 0.5, 1000,
     NULL, "px",
     "Radius of the discs; pixels strictly nearer are drawn, so "
     "that 2 gives 3 x 3 pixels."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "pose-drawer",
    .help = "Draws 68 points as pose2pose's pose picture. Lines and discs in "
            "its colours and order, clipped at the border.",
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
