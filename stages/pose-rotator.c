/* pose-rotator: target poses by rotating the 68 points about their centroid,
 * one item out a pose. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/mem.h"
#include "lib/data/item.h"
#include "lib/data/tensor.h"
#include "lib/flow/stage.h"
#include "lib/geom/landmarks.h"
#include "lib/geom/rotation.h"

#define MAX_POSES 100000

/* The seed's demo: rx outer, ry inner, each of these (P2P; networks.md). */
static const double seed_angles[] = {-20, -10, 0, 10, 20};
#define SEED_ANGLES ((int)(sizeof seed_angles / sizeof seed_angles[0]))

struct rotator {
    struct stage_floats rx, ry, rz, yaw, pitch, roll;
    bool grid;
    double (*pose)[3]; /* n: rx, ry, rz in degrees */
    int64_t n;
};

/* The list for one axis under either of its names, or {0} if neither is
 * given. */
static enum err_code axis_list(const struct stage_floats *a, const char *a_name,
                               const struct stage_floats *b, const char *b_name,
                               struct stage_floats *out, struct err *e)
{
    static double zero[1] = {0.0};

    if (a->n > 0 && b->n > 0)
        return err_set(e, ERR_ARG, "'%s' and '%s' are the same axis: give one",
                       a_name, b_name);
    *out = a->n > 0 ? *a : *b;
    if (out->n == 0)
        *out = (struct stage_floats){zero, 1};
    return OK;
}

static enum err_code take_poses(struct rotator *c, size_t n, struct err *e)
{
    if (n == 0 || n > MAX_POSES)
        return err_set(e, ERR_ARG, "%zu poses: 1..%d are possible", n,
                       MAX_POSES);
    c->pose = mem_array(n, sizeof *c->pose);
    if (!c->pose)
        return err_set(e, ERR_NOMEM, "no memory for %zu poses", n);
    c->n = (int64_t)n;
    return OK;
}

static enum err_code seed_grid(struct rotator *c, struct err *e)
{
    enum err_code rc = take_poses(c, (size_t)(SEED_ANGLES * SEED_ANGLES), e);

    for (int i = 0; rc == OK && i < SEED_ANGLES; i++)
        for (int j = 0; j < SEED_ANGLES; j++) {
            double *p = c->pose[i * SEED_ANGLES + j];

            p[0] = seed_angles[i];
            p[1] = seed_angles[j];
            p[2] = 0.0;
        }
    return rc;
}

static enum err_code all_combinations(struct rotator *c,
                                      const struct stage_floats axis[3],
                                      struct err *e)
{
    size_t n, k = 0;

    if (!size_mul(axis[0].n, axis[1].n, &n) || !size_mul(n, axis[2].n, &n))
        n = MAX_POSES + 1;
    enum err_code rc = take_poses(c, n, e);

    if (rc != OK)
        return rc;
    for (size_t x = 0; x < axis[0].n; x++)
        for (size_t y = 0; y < axis[1].n; y++)
            for (size_t z = 0; z < axis[2].n; z++, k++) {
                c->pose[k][0] = axis[0].v[x];
                c->pose[k][1] = axis[1].v[y];
                c->pose[k][2] = axis[2].v[z];
            }
    return OK;
}

/* The lists side by side; a list of one number serves all poses. */
static enum err_code side_by_side(struct rotator *c,
                                  const struct stage_floats axis[3],
                                  struct err *e)
{
    size_t n = 1;

    for (int a = 0; a < 3; a++)
        if (axis[a].n > n)
            n = axis[a].n;
    for (int a = 0; a < 3; a++)
        if (axis[a].n != 1 && axis[a].n != n)
            return err_set(e, ERR_ARG,
                           "without grid the lists must be equally long: rx "
                           "has %zu, ry %zu, rz %zu",
                           axis[0].n, axis[1].n, axis[2].n);
    enum err_code rc = take_poses(c, n, e);

    for (size_t k = 0; rc == OK && k < n; k++)
        for (int a = 0; a < 3; a++)
            c->pose[k][a] = axis[a].v[axis[a].n == 1 ? 0 : k];
    return rc;
}

static enum err_code rotator_open(void *ctx, struct stage *s, struct err *e)
{
    struct rotator *c = ctx;
    struct stage_floats axis[3];

    (void)s;
    if (c->rx.n + c->ry.n + c->rz.n + c->yaw.n + c->pitch.n + c->roll.n == 0)
        return seed_grid(c, e);
    enum err_code rc = axis_list(&c->rx, "rx", &c->pitch, "pitch", &axis[0], e);

    if (rc == OK)
        rc = axis_list(&c->ry, "ry", &c->yaw, "yaw", &axis[1], e);
    if (rc == OK)
        rc = axis_list(&c->rz, "rz", &c->roll, "roll", &axis[2], e);
    if (rc != OK)
        return rc;
    return c->grid ? all_combinations(c, axis, e) : side_by_side(c, axis, e);
}

static enum err_code add_pose(struct item *it, const double pose[3],
                              struct err *e)
{
    const int64_t shape[1] = {3};
    struct tensor *t = tensor_new(DT_F32, 1, shape, e);

    if (!t)
        return ERR_NOMEM;
    for (int a = 0; a < 3; a++)
        tensor_f32(t)[a] = (float)pose[a];
    return item_set_tensor(it, "pose_deg", t, e);
}

static enum err_code emit_pose(const struct rotator *c, struct stage *s,
                               const struct item *in,
                               const struct tensor *points, int64_t k,
                               struct err *e)
{
    double m[9];
    enum err_code rc = OK;
    struct item *it = item_child(in, e);
    struct tensor *t = it ? tensor_new(DT_F32, 2, points->shape, e) : NULL;

    if (!t) {
        item_free(&it);
        return e ? e->code : ERR_NOMEM;
    }
    rotation_from_euler(c->pose[k][0], c->pose[k][1], c->pose[k][2], m);
    rotation_about_mean(m, tensor_f32(points), tensor_f32(t), LANDMARKS);
    rc = item_set_tensor(it, "target", t, e);
    if (rc == OK)
        rc = add_pose(it, c->pose[k], e);
    if (rc == OK)
        rc = item_set_i64(it, "view", k, e);
    if (rc == OK)
        rc = item_set_i64(it, "n_views", c->n, e);
    if (rc != OK) {
        item_free(&it);
        return rc;
    }
    return stage_emit(s, NULL, it, e);
}

static enum err_code rotator_transform(void *ctx, struct stage *s,
                                       struct item *const *in, size_t n,
                                       struct err *e)
{
    const struct rotator *c = ctx;
    const struct tensor *points = item_tensor(in[0], "landmarks");
    enum err_code rc = OK;

    (void)n;
    for (size_t i = 0; i < points->count; i++)
        if (!isfinite(tensor_f32(points)[i]))
            return err_set(e, ERR_DATA, "landmarks: point %zu is not finite",
                           i / 3);
    for (int64_t k = 0; rc == OK && k < c->n; k++)
        rc = emit_pose(c, s, in[0], points, k, e);
    return rc;
}

static void rotator_close(void *ctx)
{
    struct rotator *c = ctx;

    mem_free(c->pose);
    c->pose = NULL;
}

static const struct stage_port in_ports[] = {
    {"in", "landmarks f32[68,3]",
     "Points in pixels: x right, y down, z towards the viewer."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out", "target f32[68,3], pose_deg f32[3], view i64, n_views i64",
     "One item a pose: the turned points, rx ry rz in degrees, and the pose's "
     "place in the list. The landmarks themselves stay as they are."},
    {NULL, NULL, NULL},
};
#define AXIS(member, text)                                                     \
    {                                                                          \
#member, PARAM_FLOATS, offsetof(struct rotator, member), "", -180,     \
            180, NULL, "deg", text                                             \
    }
static const struct stage_param params[] = {
    AXIS(rx, "Turns about x: + lifts the nose. With no list given at all: the "
             "seed's grid, rx and ry each -20,-10,0,10,20."),
    AXIS(ry, "Turns about y: + turns the nose to the picture's right."),
    AXIS(rz, "Turns about z, in the picture: + is clockwise."),
    AXIS(pitch, "Another name for rx."),
    AXIS(yaw, "Another name for ry."),
    AXIS(roll, "Another name for rz."),
    {"grid", PARAM_BOOL, offsetof(struct rotator, grid), "true", 0, 0, NULL,
     NULL,
     "Every combination of the lists, rx outermost and rz innermost; without: "
     "the lists side by side (a list of one number serves all)."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "pose-rotator",
    .help = "Turns 68 points to target poses. The rotation is Rz Ry Rx about "
            "the points' centroid; each pose gives one item.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct rotator),
    .open = rotator_open,
    .transform = rotator_transform,
    .close = rotator_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
