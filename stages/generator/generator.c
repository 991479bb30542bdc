/* generator: new views of a face at target poses, by any of several methods
 * behind the same ports. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "lib/data/item.h"
#include "lib/data/tensor.h"
#include "lib/flow/stage.h"
#include "lib/geom/fit.h"
#include "lib/geom/landmarks.h"
#include "lib/geom/rotation.h"
#include "stages/generator/framing.h"
#include "stages/generator/method.h"

/* In the order of the parameter's choices. */
static const struct generator_method *const methods[] = {&generator_warp};
#define METHODS "warp"

/* Prepared pictures kept: views of one picture come one after another, those
 * of two may alternate. What comes out does not depend on it. */
#define CACHE 2
/* Beside a frame of more bytes nothing else is kept. */
#define CACHE_FRAME ((size_t)64 << 20)

struct prepared {
    struct tensor *frame, *points, *scores; /* scores may be NULL */
    struct framing framing;
    struct tensor *picture; /* the frame, brought to the views' size */
    void *source;
    uint64_t used;
};

struct generator {
    int method;
    int64_t max_side;
    struct prepared cache[CACHE];
    uint64_t clock;
    size_t reduced, cut; /* pictures */
};

static void prepared_drop(const struct generator *c, struct prepared *p)
{
    methods[c->method]->release(p->source);
    tensor_free(&p->picture);
    tensor_free(&p->frame);
    tensor_free(&p->points);
    tensor_free(&p->scores);
    memset(p, 0, sizeof *p);
}

static bool same(const struct tensor *a, const struct tensor *b)
{
    return a == b || (a && b && tensor_equal(a, b));
}

/* The frame brought to the views' size, and what the method makes of it. */
static enum err_code prepared_source(const struct generator *c,
                                     struct prepared *p, struct err *e)
{
    const float(*points)[3] = (const float(*)[3])tensor_f32(p->points);
    float moved[LANDMARKS][3];
    enum err_code rc = OK;

    framing_choose(p->frame->shape[1], p->frame->shape[0], points, c->max_side,
                   &p->framing);
    if (p->framing.changes) {
        framing_points(&p->framing, LANDMARKS, 3, &points[0][0], &moved[0][0]);
        points = (const float(*)[3])moved;
        rc = framing_picture(&p->framing, p->frame, &p->picture, e);
    } else {
        p->picture = tensor_ref(p->frame);
    }
    if (rc == OK)
        rc = methods[c->method]->prepare(
            p->picture, points, p->scores ? tensor_f32(p->scores) : NULL,
            &p->source, e);
    return rc;
}

/* Keep copies: an item's tensors may lie in memory that its sender wants
 * back. */
static enum err_code prepared_fill(const struct generator *c,
                                   struct prepared *p,
                                   const struct tensor *frame,
                                   const struct tensor *points,
                                   const struct tensor *scores, struct err *e)
{
    p->frame = tensor_copy(frame, e);
    p->points = p->frame ? tensor_copy(points, e) : NULL;
    if (!p->points)
        return ERR_NOMEM;
    if (scores) {
        p->scores = tensor_copy(scores, e);
        if (!p->scores)
            return ERR_NOMEM;
    }
    return prepared_source(c, p, e);
}

/* Room for a frame: the place that was used longest ago, the others cleared
 * too where frames are large. */
static struct prepared *prepared_room(struct generator *c, size_t bytes)
{
    struct prepared *oldest = &c->cache[0];

    for (int i = 1; i < CACHE; i++)
        if (c->cache[i].used < oldest->used)
            oldest = &c->cache[i];
    for (int i = 0; i < CACHE; i++) {
        const struct tensor *kept = c->cache[i].frame;

        if (&c->cache[i] == oldest || bytes > CACHE_FRAME ||
            (kept && kept->bytes > CACHE_FRAME))
            prepared_drop(c, &c->cache[i]);
    }
    return oldest;
}

static enum err_code prepared_get(struct generator *c, const struct item *it,
                                  struct prepared **out, struct err *e)
{
    const struct tensor *frame = item_tensor(it, "frame");
    const struct tensor *points = item_tensor(it, "landmarks");
    const struct tensor *scores = item_tensor(it, "scores");

    for (int i = 0; i < CACHE; i++) {
        struct prepared *p = &c->cache[i];

        if (p->source && same(p->points, points) && same(p->scores, scores) &&
            same(p->frame, frame)) {
            p->used = ++c->clock;
            *out = p;
            return OK;
        }
    }
    struct prepared *p = prepared_room(c, frame->bytes);
    enum err_code rc = prepared_fill(c, p, frame, points, scores, e);

    if (rc != OK) {
        prepared_drop(c, p);
        return rc;
    }
    c->reduced += p->framing.changes && !p->framing.cut;
    c->cut += p->framing.cut;
    p->used = ++c->clock;
    *out = p;
    return OK;
}

/* The target points: the field, or the points turned by pose_deg. */
static enum err_code find_target(const struct item *it, float out[LANDMARKS][3],
                                 struct err *e)
{
    const struct tensor *target = item_tensor(it, "target");
    const struct tensor *points = item_tensor(it, "landmarks");
    const struct tensor *pose = item_tensor(it, "pose_deg");

    if (target) {
        memcpy(out, tensor_f32(target), sizeof(float[LANDMARKS][3]));
        return OK;
    }
    if (!pose)
        return err_set(e, ERR_DATA,
                       "the item has neither 'target' nor 'pose_deg'");
    double m[9];
    const float *p = tensor_f32(pose);

    if (!isfinite(p[0]) || !isfinite(p[1]) || !isfinite(p[2]))
        return err_set(e, ERR_DATA, "pose_deg is not finite");
    rotation_from_euler((double)p[0], (double)p[1], (double)p[2], m);
    rotation_about_mean(m, tensor_f32(points), &out[0][0], LANDMARKS);
    return OK;
}

/* The rotation between the points and the target, for items without one. */
static enum err_code set_pose(struct item *it, const float target[LANDMARKS][3],
                              struct err *e)
{
    const int64_t shape[1] = {3};
    const struct tensor *points = item_tensor(it, "landmarks");
    double r[9], t[3], scale, deg[3];
    enum err_code rc;

    if (item_tensor(it, "pose_deg"))
        return OK;
    rc = fit_similarity((const float(*)[3])tensor_f32(points), target,
                        LANDMARKS, r, &scale, t, e);
    if (rc != OK)
        return rc;
    rotation_to_euler(r, &deg[0], &deg[1], &deg[2]);
    struct tensor *pose = tensor_new(DT_F32, 1, shape, e);

    if (!pose)
        return ERR_NOMEM;
    for (int a = 0; a < 3; a++)
        tensor_f32(pose)[a] = (float)deg[a];
    return item_set_tensor(it, "pose_deg", pose, e);
}

static enum err_code describe(const struct generator *c, struct item *it,
                              const float target[LANDMARKS][3], struct err *e)
{
    enum err_code rc = set_pose(it, target, e);

    if (rc == OK)
        rc = item_set_bool(it, "synthetic", true, e);
    if (rc == OK)
        rc = item_set_str(it, "method", methods[c->method]->name, e);
    if (rc == OK)
        rc = item_set_str(it, "model", methods[c->method]->model, e);
    if (rc == OK) /* no method draws at random yet */
        rc = item_set_i64(it, "seed", 0, e);
    return rc;
}

static enum err_code generator_transform(void *ctx, struct stage *s,
                                         struct item *const *in, size_t n,
                                         struct err *e)
{
    struct generator *c = ctx;
    const struct tensor *frame = item_tensor(in[0], "frame");
    float target[LANDMARKS][3];
    struct prepared *p = NULL;
    struct tensor *img = NULL;

    (void)n;
    if (frame->shape[0] < 1 || frame->shape[1] < 1)
        return err_set(e, ERR_DATA, "the frame is empty");
    enum err_code rc = find_target(in[0], target, e);

    if (rc == OK)
        rc = prepared_get(c, in[0], &p, e);
    if (rc == OK && p->framing.changes)
        framing_points(&p->framing, LANDMARKS, 3, &target[0][0], &target[0][0]);
    if (rc == OK)
        rc = methods[c->method]->view(p->source, (const float(*)[3])target,
                                      &img, e);
    if (rc != OK)
        return rc;
    struct item *it = item_child(in[0], e);

    if (!it) {
        tensor_free(&img);
        return ERR_NOMEM;
    }
    rc = item_set_tensor(it, "generated", img, e);
    if (rc == OK && p->framing.changes)
        rc = framing_item(&p->framing, p->picture, it, e);
    if (rc == OK)
        rc = describe(c, it, (const float(*)[3])target, e);
    if (rc != OK) {
        item_free(&it);
        return rc;
    }
    return stage_emit(s, NULL, it, e);
}

/* Smaller pictures than were given should not come as a surprise. */
static enum err_code generator_finish(void *ctx, struct stage *s, struct err *e)
{
    const struct generator *c = ctx;

    (void)e;
    if (c->reduced || c->cut)
        stage_report(s,
                     "larger than max-side %lld: %zu reduced to it, %zu cut "
                     "round the face (0 gives views as large as the pictures)",
                     (long long)c->max_side, c->reduced, c->cut);
    return OK;
}

static void generator_close(void *ctx)
{
    struct generator *c = ctx;

    for (int i = 0; i < CACHE; i++)
        prepared_drop(c, &c->cache[i]);
}

static const struct stage_port in_ports[] = {
    {"in",
     "frame u8[H,W,3], landmarks f32[68,3], target f32[68,3]?, "
     "pose_deg f32[3]?, scores f32[68]?",
     "A picture, its points (pixels; z towards the viewer) and where they are "
     "to be; without target, pose_deg turns the points about their centroid."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out",
     "generated u8[P,Q,3], synthetic bool, method str, model str, seed i64, "
     "pose_deg f32[3], frame u8[P,Q,3], landmarks f32[68,3], "
     "view_window f32[4]?",
     "The view and how it was made. Frames larger than max-side come out in "
     "the view's size, landmarks, target, boxes and pose with them; "
     "view_window then says what of the frame that is: x0, y0, x1, y1."},
    {NULL, NULL, NULL},
};
static const struct stage_param params[] = {
    {"method", PARAM_ENUM, offsetof(struct generator, method), "warp", 0, 0,
     METHODS, NULL,
     "How views are made. warp: the picture laid on the project's head, turned "
     "and drawn; no network."},
    {"max-side", PARAM_INT, offsetof(struct generator, max_side), "2048", 0,
     16384, NULL, "px",
     "Longer side of a view, at most; 0: the frame's. A larger frame is "
     "reduced to it; where the face would be left smaller than a quarter of "
     "it, a part of the frame round the face is shown instead."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "generator",
    .help = "Renders a face in a target pose. One view an item; the work that "
            "depends on the picture alone is done once for all its views.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct generator),
    .transform = generator_transform,
    .finish = generator_finish,
    .close = generator_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
