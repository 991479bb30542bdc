/* head-renderer: pictures or clips of the project's own heads, with the exact
 * 68 points, pose and depth. */
#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/base/mem.h"
#include "lib/flow/stage.h"
#include "lib/geom/head_map.h"
#include "lib/media/effects.h"
#include "stages/head-renderer/actor.h"

struct ctx {
    int64_t heads, first, frames, samples, seed;
    int mode, back, light;
    int64_t jpeg;
    const char *size, *snippet;
    double sway, travel, sway_hz;
    double yaw, pitch, roll, expression, jitter, fill, fov, fps, test_share;
    double grain;
    struct stage_floats rx, ry, rz;
    bool surface;

    struct actor_range range;
    struct render *render;
    struct actor actor;
    int64_t head, frame, per_head; /* next to draw */
    bool actor_ready;
    struct head_node *map; /* with surface */
};

enum { MODE_PICTURE, MODE_CLIP, MODE_STILL, MODE_SWAY };

static enum err_code parse_size(const char *text, int *w, int *h, struct err *e)
{
    const char *x = strchr(text, 'x');
    char left[16];
    size_t n = x ? (size_t)(x - text) : strlen(text);
    int64_t a = 0, b = 0;
    bool ok = n < sizeof left;
    if (ok) {
        memcpy(left, text, n);
        left[n] = '\0';
        ok = text_to_i64(left, &a) && text_to_i64(x ? x + 1 : left, &b) &&
             a >= 16 && b >= 16 && a <= 8192 && b <= 8192;
    }
    if (!ok)
        return err_set(e, ERR_ARG,
                       "size '%.40s' is not WIDTHxHEIGHT or one number, each "
                       "16..8192",
                       text);
    *w = (int)a;
    *h = (int)b;
    return OK;
}

static bool is_grid(const struct ctx *c)
{
    return c->rx.n || c->ry.n || c->rz.n;
}

static size_t count_or_one(const struct stage_floats *f)
{
    return f->n ? f->n : 1;
}

static enum err_code open_map(struct ctx *c, struct err *e)
{
    struct head_model *own = NULL;
    c->map = mem_calloc(HEAD_MAP_NODES, sizeof *c->map);
    enum err_code rc = c->map ? head_model_own(&own, e)
                              : err_set(e, ERR_NOMEM, "no memory for a map");
    if (rc == OK)
        rc = head_map_own(own, c->map, e);
    head_model_free(&own);
    return rc;
}

/* It becomes a file's name. */
static enum err_code check_snippet(const char *v, struct err *e)
{
    size_t n = strlen(v);
    if (n >= 1 && n <= 40 && v[0] != '.' && !strchr(v, '/'))
        return OK;
    return err_set(e, ERR_ARG,
                   "snippet '%.50s' is no name: 1 to 40 characters, no '/', no "
                   "'.' first",
                   v);
}

static enum err_code open_(void *ctx, struct stage *s, struct err *e)
{
    struct ctx *c = ctx;
    struct actor_range *g = &c->range;
    enum err_code rc = check_snippet(c->snippet, e);
    if (rc == OK)
        rc = parse_size(c->size, &g->width, &g->height, e);
    if (rc != OK)
        return rc;
    g->pitch = c->pitch;
    g->yaw = c->yaw;
    g->roll = c->roll;
    g->expression = c->expression;
    g->jitter = c->jitter;
    g->fill = c->fill;
    g->fov_deg = c->fov;
    g->back = c->back;
    g->light = c->light;
    g->grain = c->grain;
    g->sway_deg = c->sway;
    g->travel = c->travel;
    g->sway_hz = c->sway_hz;
    g->turn_in_place = c->mode != MODE_CLIP || is_grid(c);
    c->per_head = c->frames;
    if (is_grid(c))
        c->per_head = (int64_t)(count_or_one(&c->rx) * count_or_one(&c->ry) *
                                count_or_one(&c->rz));
    c->head = stage_replica(s);
    int64_t mine = 0;
    for (int64_t h = c->head; h < c->heads; h += stage_replicas(s))
        mine++;
    stage_expect(s, mine * c->per_head);
    if (c->surface)
        rc = open_map(c, e);
    if (rc != OK)
        return rc;
    return render_new(g->width, g->height, (int)c->samples, &c->render, e);
}

static double grid_value(const struct stage_floats *f, int64_t i)
{
    return f->n ? f->v[i] : 0;
}

static void scene_at(const struct ctx *c, struct render_scene *out)
{
    int64_t f = c->frame;
    if (is_grid(c)) { /* rx outermost, rz innermost */
        int64_t nz = (int64_t)count_or_one(&c->rz);
        int64_t ny = (int64_t)count_or_one(&c->ry);
        actor_turned(&c->actor, grid_value(&c->rx, f / nz / ny),
                     grid_value(&c->ry, f / nz % ny),
                     grid_value(&c->rz, f % nz), out);
    } else if (c->mode == MODE_CLIP) {
        actor_at(&c->actor, &c->range, (double)f / c->fps, out);
    } else if (c->mode == MODE_STILL) {
        actor_still(&c->actor, &c->range, f, out);
    } else if (c->mode == MODE_SWAY) {
        actor_sway(&c->actor, &c->range, f, (double)f / c->fps, out);
    } else {
        actor_picture(&c->actor, &c->range, f, out);
    }
}

/* In which set a head falls: fixed by seed and number alone. */
static const char *set_of(const struct ctx *c, int64_t number)
{
    struct rng r;
    rng_seed(&r, (uint64_t)c->seed ^ ((uint64_t)number * 0xD1B54A32D192ED03u));
    return rng_unit(&r) < c->test_share ? "test" : "train";
}

static enum err_code set_tensors(struct item *it,
                                 const struct render_scene *scene,
                                 float points[LANDMARKS][3], struct err *e)
{
    const int64_t s68[2] = {LANDMARKS, 3}, s3[1] = {3}, s4[1] = {4};
    double b[4];
    struct tensor *t = tensor_new(DT_F32, 2, s68, e);
    if (!t)
        return e->code;
    memcpy(t->data, points, sizeof(float) * LANDMARKS * 3);
    enum err_code rc = item_set_tensor(it, "landmarks_true", t, e);
    if (rc != OK)
        return rc;
    t = tensor_new(DT_F32, 1, s3, e);
    if (!t)
        return e->code;
    for (int k = 0; k < 3; k++)
        tensor_f32(t)[k] = (float)scene->pose_deg[k];
    rc = item_set_tensor(it, "pose_deg", t, e);
    if (rc != OK)
        return rc;
    t = tensor_new(DT_F32, 1, s4, e);
    if (!t)
        return e->code;
    landmark_box(points[0], 3, b);
    for (int k = 0; k < 4; k++)
        tensor_f32(t)[k] = (float)b[k];
    return item_set_tensor(it, "box", t, e);
}

static enum err_code set_values(const struct ctx *c, struct item *it,
                                struct err *e)
{
    int64_t number = c->first + c->head;
    char name[32], clip[96], key[64];
    snprintf(name, sizeof name, "head%05lld", (long long)number);
    snprintf(clip, sizeof clip, "%s/video/%s", name, c->snippet);
    snprintf(key, sizeof key, "%lld/%s/%lld", (long long)c->seed, name,
             (long long)c->frame);
    item_set_key(it, key);
    enum err_code rc = item_set_str(it, "name", name, e);
    if (rc == OK)
        rc = item_set_str(it, "snippet", c->snippet, e);
    if (rc == OK)
        rc = item_set_str(it, "clip", clip, e);
    if (rc == OK)
        rc = item_set_str(it, "identity", name, e);
    if (rc == OK)
        rc = item_set_str(it, "set", set_of(c, number), e);
    if (rc == OK)
        rc = item_set_i64(it, "frame_index", c->frame, e);
    if (rc == OK)
        rc = item_set_i64(it, "n_frames", c->per_head, e);
    if (rc == OK)
        rc = item_set_f64(it, "fps", c->fps, e);
    if (rc == OK)
        rc = item_set_i64(it, "seed", c->seed, e);
    return rc;
}

static enum err_code set_surface(const struct ctx *c, struct item *it,
                                 const struct render_scene *scene,
                                 struct err *e)
{
    const int64_t shape[3] = {HEAD_MAP_ROWS, HEAD_MAP_COLS, 3};
    struct tensor *t = tensor_new(DT_F32, 3, shape, e);
    if (!t)
        return e->code;
    render_places(c->render, scene, c->map, HEAD_MAP_NODES,
                  (float(*)[3])t->data);
    return item_set_tensor(it, "surface_seen", t, e);
}

static enum err_code draw(struct ctx *c, struct stage *s, struct err *e)
{
    struct render_scene scene;
    float points[LANDMARKS][3];
    const int64_t shape[3] = {c->range.height, c->range.width, 3};
    struct item *it = item_new(e);
    if (!it)
        return e->code;
    struct tensor *frame = tensor_new(DT_U8, 3, shape, e);
    if (!frame) {
        item_free(&it);
        return e->code;
    }
    scene_at(c, &scene);
    enum err_code rc =
        render_draw(c->render, &scene, tensor_u8(frame), points, e);
    if (rc == OK && c->jpeg > 0)
        rc = effect_jpeg(&frame, (int)c->jpeg, e);
    if (rc == OK)
        rc = item_set_tensor(it, "frame", frame, e);
    else
        tensor_free(&frame);
    if (rc == OK)
        rc = set_tensors(it, &scene, points, e);
    if (rc == OK)
        rc = item_set_f64(it, "yaw_true", scene.pose_deg[1], e);
    if (rc == OK && c->surface)
        rc = set_surface(c, it, &scene, e);
    if (rc == OK)
        rc = set_values(c, it, e);
    if (rc != OK) {
        item_free(&it);
        return rc;
    }
    return stage_emit(s, NULL, it, e);
}

static enum err_code produce(void *ctx, struct stage *s, bool *end,
                             struct err *e)
{
    struct ctx *c = ctx;
    if (c->head >= c->heads) {
        *end = true;
        return OK;
    }
    if (!c->actor_ready) {
        actor_new(&c->actor, (uint64_t)c->seed, c->first + c->head, &c->range);
        c->actor_ready = true;
    }
    enum err_code rc = draw(c, s, e);
    if (rc != OK)
        return rc;
    if (++c->frame >= c->per_head) {
        c->frame = 0;
        c->head += stage_replicas(s);
        c->actor_ready = false;
    }
    *end = c->head >= c->heads;
    return OK;
}

static void close_(void *ctx)
{
    struct ctx *c = ctx;
    render_free(&c->render);
    mem_free(c->map);
}

#define AT(m) offsetof(struct ctx, m)

static const struct stage_param params[] = {
    {"heads", PARAM_INT, AT(heads), "3", 1, 1000000, NULL, NULL,
     "number of identities"},
    {"first", PARAM_INT, AT(first), "1", 1, 1000000, NULL, NULL,
     "number of the first; head N of a seed is always the same"},
    {"frames", PARAM_INT, AT(frames), "25", 1, 1000000, NULL, NULL,
     "pictures of each identity"},
    {"mode", PARAM_ENUM, AT(mode), "picture", 0, 0, "picture|clip|still|sway",
     NULL,
     "picture: every frame a new pose and expression; clip: a talking head "
     "that moves smoothly, turning about the neck; still: the first picture "
     "held, with new grain each frame; sway: the same head, moved and turned "
     "to and fro"},
    {"size", PARAM_STR, AT(size), "256", 0, 0, NULL, "px",
     "picture size: WIDTHxHEIGHT or one number"},
    {"seed", PARAM_INT, AT(seed), "1", 0, 1e15, NULL, NULL,
     "everything random follows from it"},
    {"yaw", PARAM_FLOAT, AT(yaw), "30", 0, 90, NULL, "deg",
     "largest turn to either side"},
    {"pitch", PARAM_FLOAT, AT(pitch), "15", 0, 60, NULL, "deg",
     "largest turn up or down"},
    {"roll", PARAM_FLOAT, AT(roll), "8", 0, 90, NULL, "deg",
     "largest tilt to either side"},
    {"rx", PARAM_FLOATS, AT(rx), "", -90, 90, NULL, "deg",
     "draw this grid of poses instead, light and place the same: + up"},
    {"ry", PARAM_FLOATS, AT(ry), "", -180, 180, NULL, "deg",
     "as rx: + turns the nose to the picture's right"},
    {"rz", PARAM_FLOATS, AT(rz), "", -180, 180, NULL, "deg",
     "as rx: in the picture's plane"},
    {"expression", PARAM_FLOAT, AT(expression), "1", 0, 1, NULL, NULL,
     "0 neutral, 1 lively"},
    {"fill", PARAM_FLOAT, AT(fill), "0.5", 0.05, 2, NULL, NULL,
     "height of the face's points over the picture's height"},
    {"jitter", PARAM_FLOAT, AT(jitter), "0.5", 0, 1, NULL, NULL,
     "how much size and place vary from head to head"},
    {"fov", PARAM_FLOAT, AT(fov), "18", 0, 60, NULL, "deg",
     "field of view of the picture's height; 0: parallel projection"},
    {"back", PARAM_ENUM, AT(back), "random", 0, 0,
     "random|plain|studio|bokeh|room", NULL, "kind of backdrop"},
    {"light", PARAM_ENUM, AT(light), "random", 0, 0, "random|even|side", NULL,
     "kind of light"},
    {"samples", PARAM_INT, AT(samples), "3", 1, 6, NULL, NULL,
     "samples a pixel along each axis"},
    {"surface", PARAM_BOOL, AT(surface), "false", 0, 0, NULL, NULL,
     "give the head's position map in the picture, too (lib/geom/head_map.h)"},
    {"grain", PARAM_FLOAT, AT(grain), "1", 0, 20, NULL, NULL,
     "sensor noise, standard deviation in grey levels"},
    {"jpeg", PARAM_INT, AT(jpeg), "0", 0, 100, NULL, NULL,
     "pictures are compressed as JPEG of this quality and read again; 0: not"},
    {"sway", PARAM_FLOAT, AT(sway), "15", 0, 90, NULL, "deg",
     "of mode sway: turn to either side"},
    {"travel", PARAM_FLOAT, AT(travel), "0.5", 0, 5, NULL, NULL,
     "of mode sway: outer-eye distances that the head goes to either side"},
    {"sway-hz", PARAM_FLOAT, AT(sway_hz), "0.5", 0, 30, NULL, "Hz",
     "of mode sway: how often to and fro"},
    {"snippet", PARAM_STR, AT(snippet), "00001", 0, 0, NULL, NULL,
     "name of the clip, the same for each head"},
    {"fps", PARAM_FLOAT, AT(fps), "25", 1, 240, NULL, NULL,
     "frames a second of a clip"},
    {"test-share", PARAM_FLOAT, AT(test_share), "0.25", 0, 1, NULL, NULL,
     "share of the heads whose set is test"},
    {0}};

static const struct stage_port out_ports[] = {
    {"out",
     "frame u8[H,W,3], landmarks_true f32[68,3], pose_deg f32[3], yaw_true "
     "f64, "
     "box f32[4], surface_seen f32[65,41,3]?, "
     "name str, snippet str, clip str, identity str, set str, "
     "frame_index i64, n_frames i64, fps f64, seed i64",
     "one item a picture; landmarks_true in pixels (z towards the viewer, "
     "mean about 0), pose_deg = rx, ry, rz, box round the points"},
    {0}};

static const struct stage_desc desc = {
    .name = "head-renderer",
    .help = "Renders the project's own parametric heads. Identity, look, "
            "pose, expression, light and backdrop follow from the seed; the "
            "68 points, pose and depth are exact.",
    .kind = STAGE_SOURCE,
    .out = out_ports,
    .params = params,
    .aside = "heads first",
    .ctx_size = sizeof(struct ctx),
    .open = open_,
    .produce = produce,
    .close = close_,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
