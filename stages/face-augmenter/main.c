/* face-augmenter: an annotated face in, the crop that a landmark network is
 * trained with out; for training, changed at random. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/flow/stage.h"
#include "lib/geom/landmarks.h"
#include "lib/media/affine.h"
#include "lib/media/effects.h"
#include "lib/media/image.h"
#include "lib/media/resize.h"
#include "stages/face-augmenter/augment.h"

struct augmenter {
    int64_t size, seed;
    bool random;
    int crop;
    struct strengths s;
    float *px, *tmp; /* f32[size,size,3] each */
};

/* What one item became. */
struct result {
    struct tensor *crop;
    struct affine to; /* from the pixels of the frame to those of the crop */
    bool mirror;
};

static enum err_code augmenter_open(void *ctx, struct stage *s, struct err *e)
{
    struct augmenter *c = ctx;
    size_t n = 3 * (size_t)(c->size * c->size);
    (void)s;
    c->px = mem_array(n, sizeof *c->px);
    c->tmp = mem_array(n, sizeof *c->tmp);
    return c->px && c->tmp
               ? OK
               : err_set(e, ERR_NOMEM, "no memory for crops of %lld pixels",
                         (long long)c->size);
}

static void augmenter_close(void *ctx)
{
    struct augmenter *c = ctx;
    mem_free(c->px);
    mem_free(c->tmp);
}

/* The item's frame, or its picture; one reference of the caller's. */
static enum err_code get_frame(const struct item *in, struct tensor **out,
                               struct err *e)
{
    struct tensor *frame = item_tensor(in, "frame");
    const char *path = item_str(in, "path", NULL);
    *out = NULL;
    if (frame)
        *out = tensor_ref(frame);
    else if (!path)
        return err_set(e, ERR_DATA, "the item has neither frame nor path");
    else
        return image_read(path, &image_caps_default, out, e);
    return frame->count ? OK : err_set(e, ERR_DATA, "the frame is empty");
}

static enum err_code get_points(const struct item *in, float xy[LANDMARKS][2],
                                double box[4], struct err *e)
{
    const struct tensor *t = item_tensor(in, "landmarks_true");
    const struct tensor *b = item_tensor(in, "box");
    int64_t stride = t->shape[1];
    if (stride < 2)
        return err_set(e, ERR_DATA, "landmarks_true has no x and y");
    for (int i = 0; i < LANDMARKS; i++)
        for (int k = 0; k < 2; k++) {
            xy[i][k] = tensor_f32(t)[i * stride + k];
            if (!isfinite(xy[i][k]) || fabsf(xy[i][k]) > 1e6F)
                return err_set(e, ERR_DATA, "point %d is not finite", i);
        }
    landmark_box(&xy[0][0], 2, box);
    for (size_t i = 0; b && i < 4; i++)
        box[i] = tensor_get(b, i);
    return crop_box_ok(box)
               ? OK
               : err_set(e, ERR_DATA, "the face box is empty or not finite");
}

static enum err_code new_crop(const struct augmenter *c, struct tensor **out,
                              struct err *e)
{
    const int64_t shape[3] = {c->size, c->size, 3};
    *out = tensor_new(DT_U8, 3, shape, e);
    return *out ? OK : ERR_NOMEM;
}

/* What the landmarker sees of this box, to the rounding of a byte. */
static enum err_code plain_crop(struct augmenter *c, const struct tensor *frame,
                                const double box[4], struct result *out,
                                struct err *e)
{
    struct crop k = crop_of_box((enum crop_rule)c->crop, box);
    size_t n = (size_t)(c->size * c->size);
    enum err_code r =
        image_crop_f32(frame, k.x0, k.y0, k.side, c->size, c->tmp, e);
    if (!r)
        r = new_crop(c, &out->crop, e);
    if (r)
        return r;
    for (size_t i = 0; i < n; i++)
        for (size_t a = 0; a < 3; a++)
            c->px[3 * i + a] = 255.0F * c->tmp[a * n + i];
    effect_to_u8(c->px, 3 * n, tensor_u8(out->crop));
    out->to = crop_affine(k, (int)c->size);
    out->mirror = false;
    return OK;
}

/* Beyond the frame's border the landmarker sees black, whatever was done to
 * the picture itself. */
static void blacken_outside(const struct tensor *frame,
                            const struct affine *back, struct tensor *crop)
{
    double right = (double)frame->shape[1] - 0.5;
    double bottom = (double)frame->shape[0] - 0.5, p[2];
    uint8_t *to = tensor_u8(crop);
    for (int64_t y = 0; y < crop->shape[0]; y++)
        for (int64_t x = 0; x < crop->shape[1]; x++, to += 3) {
            affine_apply(back, (double)x, (double)y, p);
            if (p[0] < -0.5 || p[1] < -0.5 || p[0] >= right || p[1] >= bottom)
                to[0] = to[1] = to[2] = 0;
        }
}

static enum err_code random_crop(struct augmenter *c, const struct item *in,
                                 const struct tensor *frame,
                                 const double given[4], struct result *out,
                                 struct err *e)
{
    const struct draw d = {
        .s = &c->s,
        .item = in,
        .seed = (uint64_t)c->seed,
        .size = (int)c->size,
        .px = c->px,
        .tmp = c->tmp,
    };
    double box[4];
    struct crop_change change;
    struct affine back;
    memcpy(box, given, sizeof box);
    shape_box(&d, box);
    shape_change(&d, &change);
    out->mirror = change.mirror;
    out->to = crop_changed(crop_of_box((enum crop_rule)c->crop, box), d.size,
                           &change);
    if (!affine_invert(&out->to, &back))
        return err_set(e, ERR_DATA, "the face is too small or too large");
    bool reflects = shape_reflects(&d);
    enum err_code r =
        image_affine(frame, back.m, reflects ? AFFINE_REFLECT : AFFINE_BLACK,
                     c->size, c->size, c->px, e);
    if (r)
        return r;
    cover_face(&d);
    cover_shadow(&d);
    look_colour(&d);
    r = look_camera(&d, e);
    if (!r)
        r = new_crop(c, &out->crop, e);
    if (r)
        return r;
    effect_to_u8(c->px, out->crop->count, tensor_u8(out->crop));
    int quality = look_jpeg(&d);
    if (quality)
        r = effect_jpeg(&out->crop, quality, e);
    if (!r && !reflects)
        blacken_outside(frame, &back, out->crop);
    return r;
}

/* Fields in pixels of the frame, or of its pose, are of the crop now, or go. */
static enum err_code fill(struct item *it, struct result *r,
                          float xy[LANDMARKS][2], struct err *e)
{
    static const char *const stale[] = {"landmarks", "scores", "score",
                                        "pose_deg"};
    float out[LANDMARKS][2], m[6], box[4];
    double p[2], b[4];
    for (int i = 0; i < LANDMARKS; i++) {
        const float *from = xy[r->mirror ? landmark_mirror[i] : i];
        affine_apply(&r->to, (double)from[0], (double)from[1], p);
        out[i][0] = (float)p[0];
        out[i][1] = (float)p[1];
    }
    landmark_box(&out[0][0], 2, b);
    for (int i = 0; i < 4; i++)
        box[i] = (float)b[i];
    for (int i = 0; i < 6; i++)
        m[i] = (float)r->to.m[i];
    for (size_t i = 0; i < sizeof stale / sizeof *stale; i++)
        item_drop(it, stale[i]);
    enum err_code rc = item_set_tensor(it, "frame", r->crop, e);
    r->crop = NULL;
    if (!rc)
        rc = item_set_f32(it, "landmarks_true", LANDMARKS, 2, &out[0][0], e);
    if (!rc)
        rc = item_set_f32(it, "crop", 2, 3, m, e);
    if (!rc)
        rc = item_set_f32(it, "box", 4, 0, box, e);
    if (!rc)
        rc = item_set_bool(it, "mirrored", r->mirror, e);
    return rc;
}

static enum err_code augmenter_transform(void *ctx, struct stage *s,
                                         struct item *const *in, size_t n,
                                         struct err *e)
{
    struct augmenter *c = ctx;
    struct tensor *frame = NULL;
    struct item *it = NULL;
    struct result out = {0};
    float xy[LANDMARKS][2];
    double box[4];
    (void)n; /* batches of one */
    bool train = c->random && strcmp(item_str(in[0], "role", ""), "val") != 0;
    enum err_code r = get_points(in[0], xy, box, e);
    if (!r)
        r = get_frame(in[0], &frame, e);
    if (!r)
        r = train ? random_crop(c, in[0], frame, box, &out, e)
                  : plain_crop(c, frame, box, &out, e);
    if (!r && !(it = item_child(in[0], e)))
        r = ERR_NOMEM;
    if (!r)
        r = fill(it, &out, xy, e);
    tensor_free(&frame);
    tensor_free(&out.crop);
    if (r) {
        item_free(&it);
        return r;
    }
    return stage_emit(s, NULL, it, e);
}

static const struct stage_port in_ports[] = {
    {"in",
     "landmarks_true f32[68,*], frame u8[H,W,3]?, path str?, box f32[4]?, "
     "role str?",
     "Annotated faces: the picture itself or its path; the box that the crop "
     "belongs to (the points' where there is none); role val: left as it is."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out",
     "frame u8[S,S,3], landmarks_true f32[68,2], crop f32[2,3], box f32[4], "
     "mirrored bool",
     "The crop; points and box in its pixels, (0,0) the centre of the first "
     "(left and right exchanged where it is mirrored); the matrix from pixels "
     "of the frame to pixels of the crop."},
    {NULL, NULL, NULL},
};

#define AT(member) offsetof(struct augmenter, member)
#define FLOAT(name, member, def, most, unit, help)                             \
    {                                                                          \
        name, PARAM_FLOAT, AT(s.member), def, 0, most, NULL, unit, help        \
    }
static const struct stage_param params[] = {
    {"size", PARAM_INT, AT(size), "256", 16, 1024, NULL, "px",
     "side of the crops"},
    {"random", PARAM_BOOL, AT(random), "yes", 0, 0, NULL, NULL,
     "no: all faces as those of role val, the crop that the landmarker takes "
     "for the box, unchanged"},
    {"crop", PARAM_ENUM, AT(crop), "facet", 0, 0, "facet|fan", NULL,
     "how a box becomes the crop, as in landmarker"},
    {"seed", PARAM_INT, AT(seed), "0", 0, 1e15, NULL, NULL,
     "another seed, other changes of the same items"},
    FLOAT("box-jitter", box_jitter, "0.04", 0.15, NULL,
          "each side of the box is moved, as a detector would: deviation, in "
          "widths or heights of the box"),
    FLOAT("scale", scale, "0.1", 0.4, NULL,
          "size of the face: deviation of the logarithm"),
    FLOAT("shift", shift, "0.03", 0.2, NULL,
          "place of the face: deviation, in sides of the crop"),
    FLOAT("rotate", rotate, "12", 60, "deg", "turn of the crop: deviation"),
    FLOAT("rotate-wide", rotate_wide, "60", 180, "deg",
          "one crop of ten is turned evenly up to this to either side"),
    FLOAT("aspect", aspect, "0.05", 0.3, NULL,
          "width over height: deviation of the logarithm"),
    FLOAT("mirror", mirror, "0.5", 1, NULL, "share that is mirrored"),
    FLOAT("reflect", reflect, "0.3", 1, NULL,
          "share in which the picture goes on beyond its border by "
          "reflection; else it is black there, as the landmarker sees it"),
    FLOAT("brightness", brightness, "0.15", 1, NULL,
          "of light: deviation of the logarithm"),
    FLOAT("contrast", contrast, "0.15", 1, NULL,
          "about the middle grey: deviation of the logarithm"),
    FLOAT("saturation", saturation, "0.2", 1, NULL,
          "deviation of the logarithm"),
    FLOAT("hue", hue, "5", 60, "deg", "turn of the colours: deviation"),
    FLOAT("warmth", warmth, "0.07", 0.3, NULL,
          "red up and blue down by this part, or the reverse: deviation"),
    FLOAT("gamma", gamma, "0.15", 1, NULL, "deviation of the logarithm"),
    FLOAT("grey", grey, "0.1", 1, NULL, "share without colour"),
    FLOAT("often", often, "0.25", 1, NULL,
          "share that has blur, and by themselves motion, rescale, noise, "
          "jpeg, shadow"),
    FLOAT("blur", blur, "2.5", 20, "px",
          "largest deviation of the Gaussian, for a crop of 256 px"),
    FLOAT("motion", motion, "12", 80, "px",
          "longest motion blur, for a crop of 256 px"),
    {"rescale", PARAM_FLOAT, AT(s.rescale), "5", 0, 32, NULL, NULL,
     "largest factor by which the crop is shrunk and grown again; 0 and 1: "
     "not"},
    FLOAT("noise", noise, "15", 100, NULL,
          "largest deviation, in grey levels; coloured or grey"),
    {"jpeg", PARAM_INT, AT(s.jpeg), "12", 0, 95, NULL, NULL,
     "lowest JPEG quality; 0: not compressed"},
    FLOAT("shadow", shadow, "0.7", 1, NULL,
          "darkest shadow, of part of the picture: share of light taken"),
    FLOAT("cover", cover, "0.3", 1, NULL,
          "share with one to three things before the face"),
    FLOAT("cover-size", cover_size, "0.4", 1, NULL,
          "longest side of such a thing, in sides of the crop"),
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};

static const struct stage_desc desc = {
    .name = "face-augmenter",
    .help = "Cuts annotated faces out as a landmark network sees them, and "
            "changes them at random for training. Place, turn and size, "
            "mirror, colour, blur, noise, compression, shadows and things "
            "before the face; all choices follow from the item's id. A "
            "strength of 0 switches a change off.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct augmenter),
    .open = augmenter_open,
    .transform = augmenter_transform,
    .close = augmenter_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
