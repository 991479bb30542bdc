/* face-compositor: annotated faces in, pictures with several faces, large and
 * small, or with none out: what a face detector is trained with. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/flow/stage.h"
#include "lib/media/effects.h"
#include "lib/media/image.h"
#include "lib/store/annotations.h"
#include "lib/store/epochs.h"
#include "stages/face-compositor/scene.h"

#define OTHERS 6 /* shots besides the item's own */
#define RAD_PER_DEG 0.017453292519943295

struct compositor {
    const char *root, *split;
    int64_t size, seed, cache_mb;
    double val_share, least, empty, whole;
    bool look;
    struct annotations folder;
    size_t *side[2]; /* usable faces: for training, for validation */
    size_t n[2];
    struct tensor **kept; /* decoded pictures by face, or NULL */
    size_t kept_bytes;
    float *px, *tmp;
};

static enum err_code split_sides(struct compositor *c, struct err *e)
{
    const struct annotations *f = &c->folder;
    for (int k = 0; k < 2; k++)
        c->side[k] = mem_array(f->n + 1, sizeof *c->side[k]);
    c->kept = mem_calloc(f->n + 1, sizeof(struct tensor *));
    if (!c->side[0] || !c->side[1] || !c->kept)
        return err_set(e, ERR_NOMEM, "no memory for the annotations");
    for (size_t i = 0; i < f->n; i++) {
        const struct annotation *x = &f->face[i];
        bool any = strcmp(c->split, "all") == 0 || !*x->split;
        if (x->bad || (!any && strcmp(x->split, c->split) != 0))
            continue;
        int k = epochs_held_back(x->photo, c->val_share);
        c->side[k][c->n[k]++] = i;
    }
    if (!c->n[0])
        return err_set(e, ERR_DATA, "'%s': no face of split '%s' among %zu",
                       c->root, c->split, f->n);
    return OK;
}

static enum err_code compositor_open(void *ctx, struct stage *s, struct err *e)
{
    struct compositor *c = ctx;
    size_t n = 3 * (size_t)(c->size * c->size);
    (void)s;
    c->px = mem_array(n, sizeof *c->px);
    c->tmp = mem_array(n, sizeof *c->tmp);
    if (!c->px || !c->tmp)
        return err_set(e, ERR_NOMEM, "no memory for pictures of %lld pixels",
                       (long long)c->size);
    enum err_code r = annotations_read(&c->folder, c->root, e);
    return r ? r : split_sides(c, e);
}

static void compositor_close(void *ctx)
{
    struct compositor *c = ctx;
    for (size_t i = 0; c->kept && i < c->folder.n; i++)
        tensor_free(&c->kept[i]);
    mem_free(c->kept);
    for (int k = 0; k < 2; k++)
        mem_free(c->side[k]);
    annotations_free(&c->folder);
    mem_free(c->px);
    mem_free(c->tmp);
}

/* ---- Shots ---- */

static enum err_code shot_points(struct shot *out, const float *xy,
                                 size_t stride, struct err *e)
{
    for (size_t i = 0; i < LANDMARKS; i++)
        for (size_t k = 0; k < 2; k++) {
            out->xy[i][k] = xy[i * stride + k];
            if (!isfinite(out->xy[i][k]) || fabsf(out->xy[i][k]) > 1e6F)
                return err_set(e, ERR_DATA, "point %zu is not finite", i);
        }
    landmark_box(&out->xy[0][0], 2, out->box);
    return crop_box_ok(out->box)
               ? OK
               : err_set(e, ERR_DATA, "the points lie within one pixel");
}

static enum err_code shot_of_item(const struct item *in, struct shot *out,
                                  struct err *e)
{
    const struct tensor *t = item_tensor(in, "landmarks_true");
    struct tensor *frame = item_tensor(in, "frame");
    const char *path = item_str(in, "path", NULL);
    if (t->shape[1] < 2)
        return err_set(e, ERR_DATA, "landmarks_true has no x and y");
    enum err_code r = shot_points(out, tensor_f32(t), (size_t)t->shape[1], e);
    if (r)
        return r;
    if (frame)
        out->frame = tensor_ref(frame);
    else if (!path)
        return err_set(e, ERR_DATA, "the item has neither frame nor path");
    else
        return image_read(path, &image_caps_default, &out->frame, e);
    return frame->count ? OK : err_set(e, ERR_DATA, "the frame is empty");
}

/* A picture of the folder; one that cannot be read is left out of the scene:
 * the item whose own it is will tell. */
static enum err_code shot_of_folder(struct compositor *c, size_t i,
                                    struct shot *out, struct err *e)
{
    const struct annotation *x = &c->folder.face[i];
    if (c->kept[i]) {
        out->frame = tensor_ref(c->kept[i]);
        return shot_points(out, x->xy, 2, e);
    }
    char *path = path_join(c->root, x->path);
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code r = image_read(path, &image_caps_default, &out->frame, e);
    mem_free(path);
    if (r)
        return r;
    size_t bytes = out->frame->bytes;
    if (c->kept_bytes + bytes <= (size_t)c->cache_mb << 20) {
        c->kept[i] = tensor_ref(out->frame);
        c->kept_bytes += bytes;
    }
    return shot_points(out, x->xy, 2, e);
}

static enum err_code other_shots(struct compositor *c, struct rng *rng,
                                 bool val, struct shot *out, int *n,
                                 struct err *e)
{
    int k = val && c->n[1];
    *n = 0;
    for (int i = 0; i < OTHERS; i++) {
        size_t face = c->side[k][rng_below(rng, c->n[k])];
        struct shot *x = &out[*n];
        enum err_code r = shot_of_folder(c, face, x, e);
        if (r == ERR_NOMEM)
            return r;
        if (r)
            tensor_free(&x->frame);
        else
            (*n)++;
    }
    return OK;
}

/* ---- A scene ---- */

static double log_range(struct rng *r, double lo, double hi)
{
    return exp(rng_range(r, log(lo), log(hi)));
}

static struct scene_place draw_place(struct scene *s, double largest)
{
    struct scene_place p;
    double deg = 8 * fmin(fmax(rng_normal(s->rng), -2.5), 2.5);
    if (rng_unit(s->rng) < 0.1)
        deg = rng_range(s->rng, -45, 45);
    /* Small ones are many in a picture, so large ones are drawn more often
     * than by the logarithm alone. */
    p.size = rng_unit(s->rng) < 0.5 ? log_range(s->rng, 0.8 * s->least, largest)
                                    : rng_range(s->rng, 0.2 * largest, largest);
    /* Large faces may be cut by the border, as in pictures. */
    double edge = fmin(0.35 * p.size, 0.5 * s->side);
    p.x = rng_range(s->rng, edge, s->side - edge);
    p.y = rng_range(s->rng, edge, s->side - edge);
    p.turn_rad = deg * RAD_PER_DEG;
    p.mirror = rng_unit(s->rng) < 0.5;
    return p;
}

static enum err_code paste_some(struct scene *s, const struct shot *const *shot,
                                int n, int want, double largest, struct err *e)
{
    enum err_code r = OK;
    for (int i = 0, tries = 0; i < want && tries < 8 * want && !r; tries++) {
        struct scene_place p = draw_place(s, largest);
        bool done;
        r = scene_paste(s, shot[i % n], &p, rng_range(s->rng, 1.1, 2.4), &done,
                        e);
        i += done;
    }
    return r;
}

/* shot[0] is the item's own. */
static enum err_code compose(const struct compositor *c, struct scene *s,
                             const struct shot *const *shot, int n,
                             struct err *e)
{
    double side = (double)c->size, kind = rng_unit(s->rng);
    enum err_code r = scene_ground(s, shot + (n > 1), n - (n > 1), e);
    if (r || kind < c->empty)
        return r;
    int more = (int)rng_below(s->rng, 6);
    if (kind < c->empty + c->whole) {
        struct scene_place p = draw_place(s, 0.9 * side);
        r = scene_whole(s, shot[0], &p, rng_unit(s->rng) < 0.4, e);
        more = rng_unit(s->rng) < 0.5 ? 0 : more;
        return r || n < 2 ? r
                          : paste_some(s, shot + 1, n - 1, more, side / 3, e);
    }
    return paste_some(s, shot, n, 1 + more, side / 2, e);
}

/* Light, colour, camera and file, over all of it. */
static void look(struct scene *s)
{
    struct rng *r = s->rng;
    size_t n = (size_t)s->side * (size_t)s->side;
    bool grey = rng_unit(r) < 0.12;
    struct effect_colour k = {
        .gain = (float)exp(0.25 * rng_normal(r)),
        .contrast = (float)exp(0.2 * rng_normal(r)),
        .saturation = grey ? 0 : (float)exp(0.25 * rng_normal(r)),
        .hue_rad = (float)(0.1 * rng_normal(r)),
        .warmth = grey ? 0 : (float)(0.08 * rng_normal(r)),
    };
    float m[12];
    effect_colour_matrix(&k, m);
    effect_matrix(s->px, n, m);
    effect_gamma(s->px, n, (float)exp(0.2 * rng_normal(r)));
    if (rng_unit(r) < 0.25)
        effect_blur(s->px, (size_t)s->side, (size_t)s->side,
                    (float)rng_range(r, 0.2, 1.8), s->tmp);
    if (rng_unit(r) < 0.25)
        effect_noise(s->px, n, (float)rng_range(r, 1, 15), rng_unit(r) < 0.5,
                     r);
}

static enum err_code put_boxes(struct item *it, const char *name,
                               const struct scene *s, bool ignore,
                               struct err *e)
{
    int64_t shape[2] = {0, 4};
    for (int i = 0; i < s->n; i++)
        shape[0] += s->face[i].ignore == ignore;
    struct tensor *t = tensor_new(DT_F32, 2, shape, e);
    if (!t)
        return ERR_NOMEM;
    float *to = t->data;
    for (int i = 0; i < s->n; i++) {
        if (s->face[i].ignore != ignore)
            continue;
        memcpy(to, s->face[i].box, sizeof s->face[i].box);
        to += 4;
    }
    return item_set_tensor(it, name, t, e);
}

static enum err_code fill(struct compositor *c, struct scene *s,
                          struct item *it, struct err *e)
{
    static const char *const stale[] = {
        "landmarks_true", "box",      "landmarks", "scores",
        "score",          "pose_deg", "name"};
    const int64_t shape[3] = {c->size, c->size, 3};
    struct tensor *frame = tensor_new(DT_U8, 3, shape, e);
    enum err_code r = frame ? OK : ERR_NOMEM;
    if (r)
        return r;
    effect_to_u8(s->px, frame->count, tensor_u8(frame));
    if (c->look && rng_unit(s->rng) < 0.3)
        r = effect_jpeg(&frame, (int)rng_range(s->rng, 25, 95), e);
    if (r) {
        tensor_free(&frame);
        return r;
    }
    for (size_t i = 0; i < sizeof stale / sizeof *stale; i++)
        item_drop(it, stale[i]);
    r = item_set_tensor(it, "frame", frame, e);
    if (!r)
        r = put_boxes(it, "boxes_true", s, false, e);
    return r ? r : put_boxes(it, "boxes_ignore", s, true, e);
}

static enum err_code compositor_transform(void *ctx, struct stage *s,
                                          struct item *const *in, size_t n,
                                          struct err *e)
{
    struct compositor *c = ctx;
    struct shot shot[1 + OTHERS] = {{NULL, {{0, 0}}, {0}}};
    const struct shot *all[1 + OTHERS];
    struct item *it = NULL;
    struct rng rng;
    int others = 0;
    (void)n; /* batches of one */
    rng_seed(&rng, item_seed(in[0], "scene") ^
                       ((uint64_t)c->seed * UINT64_C(0x9e3779b97f4a7c15)));
    bool val = strcmp(item_str(in[0], "role", ""), "val") == 0;
    struct scene scene = {.side = (int)c->size,
                          .least = c->least,
                          .px = c->px,
                          .tmp = c->tmp,
                          .rng = &rng};
    enum err_code r = shot_of_item(in[0], &shot[0], e);
    if (!r)
        r = other_shots(c, &rng, val, shot + 1, &others, e);
    for (int i = 0; i <= others; i++)
        all[i] = &shot[i];
    if (!r)
        r = compose(c, &scene, all, 1 + others, e);
    if (!r && c->look)
        look(&scene);
    if (!r && !(it = item_child(in[0], e)))
        r = ERR_NOMEM;
    if (!r)
        r = fill(c, &scene, it, e);
    for (int i = 0; i <= OTHERS; i++)
        tensor_free(&shot[i].frame);
    if (r) {
        item_free(&it);
        return r;
    }
    return stage_emit(s, NULL, it, e);
}

static const struct stage_port in_ports[] = {
    {"in", "landmarks_true f32[68,*], frame u8[H,W,3]?, path str?, role str?",
     "Annotated faces: the picture itself or its path; the role tells which "
     "side of root the other faces are of."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out", "frame u8[S,S,3], boxes_true f32[*,4], boxes_ignore f32[*,4]",
     "A picture, the boxes x0,y0,x1,y1 of the faces in it (of their 68 points; "
     "they may reach beyond the border), and boxes of what is neither face nor "
     "none: too small, or hardly in the picture."},
    {NULL, NULL, NULL},
};

#define AT(member) offsetof(struct compositor, member)
static const struct stage_param params[] = {
    {"root", PARAM_FOLDER, AT(root), NULL, 0, 0, NULL, NULL,
     "An annotated folder (as annotation-reader's): where the other faces and "
     "the pieces of ground come from."},
    {"split", PARAM_STR, AT(split), "train", 0, 0, NULL, NULL,
     "Of that folder; all for every face."},
    {"val-share", PARAM_FLOAT, AT(val_share), "0.05", 0, 0.9, NULL, NULL,
     "As the annotation-reader's: pictures that are held back stand beside "
     "each other only."},
    {"size", PARAM_INT, AT(size), "320", 64, 2048, NULL, "px",
     "Side of the pictures."},
    {"seed", PARAM_INT, AT(seed), "0", 0, 1e15, NULL, NULL,
     "another seed, other pictures of the same items"},
    {"least", PARAM_FLOAT, AT(least), "9", 1, 1000, NULL, "px",
     "Faces smaller than this (root of the box's area) are to be ignored."},
    {"empty", PARAM_FLOAT, AT(empty), "0.1", 0, 1, NULL, NULL,
     "Share of pictures without a face."},
    {"whole", PARAM_FLOAT, AT(whole), "0.55", 0, 1, NULL, NULL,
     "Share of pictures that are an annotated picture as a whole, at any size, "
     "with or without more faces; the rest has faces cut out and put on other "
     "ground."},
    {"look", PARAM_BOOL, AT(look), "yes", 0, 0, NULL, NULL,
     "Change light, colour, sharpness, noise and compression."},
    {"cache", PARAM_INT, AT(cache_mb), "256", 0, 1000000, NULL, "MB",
     "Decoded pictures of root that are kept."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "face-compositor",
    .help = "Puts annotated faces into pictures for a face detector's "
            "training: several of all sizes, whole pictures or cut out on "
            "other ground, or none. All choices follow from the item's id.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .aside = "cache",
    .ctx_size = sizeof(struct compositor),
    .open = compositor_open,
    .transform = compositor_transform,
    .close = compositor_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
