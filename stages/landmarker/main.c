/* landmarker: a frame in, the 68 points of its face out. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/flow/stage.h"
#include "lib/geom/fit.h"
#include "lib/nn/threads.h"
#include "stages/landmarker/model.h"

enum box_from { BOX_AUTO, BOX_ITEM, BOX_FRAME, BOX_TWO_PASS };

struct landmarker {
    const char *model;
    int box, crop, decode, kernels, flip;
    int64_t max_looks;
    double min_score, again, tilt;
    bool truncate, depth;
    struct finder finder;
    double threshold;
    int64_t frames, looks;
};

static enum err_code landmarker_open(void *ctx, struct stage *s, struct err *e)
{
    struct landmarker *c = ctx;
    struct finder *f = &c->finder;
    struct model_use use;
    static const struct fan_options kernels[] = {
        {.mode = NN_FAST},
        {.mode = NN_EXACT},
        {.bf16 = true},
        {.mode = NN_FAST, .fast_bytes = 1}};
    nn_threads_set(stage_threads(s));
    enum err_code r =
        model_load(c->model, &kernels[c->kernels], &f->fan, &use, e);
    if (r)
        return r;
    /* Choice 0 is "what the model was trained with". */
    f->crop = c->crop ? (enum crop_rule)(c->crop - 1) : use.crop;
    f->decode = c->decode ? (enum fan_decode)(c->decode - 1) : use.decode;
    c->threshold = c->min_score >= 0 ? c->min_score : use.min_score;
    f->flip = c->flip ? c->flip == 2 : use.flip;
    f->again = c->again;
    f->tilt = c->tilt;
    f->truncate = c->truncate;
    f->good = fmax(use.good_score, c->threshold);
    f->enough = c->threshold;
    f->likely = 0.8 * c->threshold;
    f->floor = 0.3 * c->threshold;
    f->max_looks = (int)c->max_looks;
    f->passes = 6;
    struct fan_info i = fan_info(f->fan);
    log_debug("%s: FAN, %d stacks of %d features, %lld parameters", c->model,
              i.stacks, i.features, (long long)i.parameters);
    return finder_start(f, e);
}

static void landmarker_close(void *ctx)
{
    struct landmarker *c = ctx;
    finder_stop(&c->finder);
}

static enum err_code find_face(struct landmarker *c, const struct item *in,
                               struct face *face, struct err *e)
{
    const struct tensor *frame = item_tensor(in, "frame");
    const struct tensor *given = item_tensor(in, "box");
    if (c->box == BOX_ITEM && !given)
        return err_set(e, ERR_DATA,
                       "box: item was asked for, but the item "
                       "has no field box");
    if (given && (c->box == BOX_ITEM || c->box == BOX_AUTO)) {
        double box[4];
        for (size_t i = 0; i < 4; i++)
            box[i] = tensor_get(given, i);
        return face_in_box(&c->finder, frame, box, face, e);
    }
    if (c->box == BOX_FRAME)
        return face_in_frame(&c->finder, frame, face, e);
    return face_search(&c->finder, frame, face, e);
}

static enum err_code fill(const struct landmarker *c, const struct face *face,
                          struct item *it, struct err *e)
{
    float xyz[LANDMARKS][3], box[4], weight[LANDMARKS];
    for (int i = 0; i < LANDMARKS; i++) {
        xyz[i][0] = face->xy[i][0];
        xyz[i][1] = face->xy[i][1];
        xyz[i][2] = 0;
        weight[i] = fminf(fmaxf(face->peak[i], 0.01F), 1.0F);
    }
    for (int i = 0; i < 4; i++)
        box[i] = (float)face->box[i];
    enum err_code r = OK;
    if (c->depth) {
        struct fit_pose pose;
        r = fit_landmark_depth(&face->xy[0][0], 2, weight, xyz, &pose, e);
        if (r)
            return err_wrap(e, "depth");
    }
    r = item_set_f32(it, "landmarks", LANDMARKS, 3, &xyz[0][0], e);
    if (!r)
        r = item_set_f32(it, "scores", LANDMARKS, 0, face->peak, e);
    if (!r)
        r = item_set_f64(it, "score", face->score, e);
    if (!r)
        r = item_set_f32(it, "box", 4, 0, box, e);
    return r;
}

static enum err_code landmarker_transform(void *ctx, struct stage *s,
                                          struct item *const *in, size_t n,
                                          struct err *e)
{
    struct landmarker *c = ctx;
    (void)n; /* batch is 1: crops are run one by one in any case */
    const struct tensor *frame = item_tensor(in[0], "frame");
    if (!frame || frame->shape[0] < 1 || frame->shape[1] < 1)
        return err_set(e, ERR_DATA, "the frame is empty");
    struct face face;
    enum err_code r = find_face(c, in[0], &face, e);
    if (r)
        return r;
    c->frames++;
    c->looks += face.looks;
    if (!(face.score >= c->threshold))
        return err_set(e, ERR_NOFACE,
                       "no face: the best score is %.3f, below %.3f",
                       face.score, c->threshold);
    struct item *it = item_child(in[0], e);
    if (!it)
        return ERR_NOMEM;
    r = fill(c, &face, it, e);
    if (r) {
        item_free(&it);
        return r;
    }
    return stage_emit(s, NULL, it, e);
}

static enum err_code landmarker_finish(void *ctx, struct stage *s,
                                       struct err *e)
{
    struct landmarker *c = ctx;
    (void)s;
    (void)e;
    if (c->frames)
        log_debug("%lld frames, %.2f looks at each", (long long)c->frames,
                  (double)c->looks / (double)c->frames);
    return OK;
}

static const struct stage_port in_ports[] = {
    {"in", "frame u8[H,W,3], box f32[4]?",
     "Frames; box is x0,y0,x1,y1 of the face in pixels."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out", "landmarks f32[68,3], scores f32[68], score f64, box f32[4]",
     "Points x,y,z in frame pixels, (0,0) the centre of the first, z fitted, "
     "towards the viewer; each point's heatmap peak; their mean; the box that "
     "the crop was made from."},
    {NULL, NULL, NULL},
};

#define AT(member) offsetof(struct landmarker, member)
static const struct stage_param params[] = {
    {"model", PARAM_MODEL, AT(model), "points-128", 0, 0, NULL, NULL,
     "FAN weights: a name in models/ (FACET_MODELS adds folders), or a "
     ".safetensors file; stacks and features are read from it."},
    {"box", PARAM_ENUM, AT(box), "auto", 0, 0, "auto|item|frame|two-pass", NULL,
     "Where the face is: item, the field box; frame, the whole frame is the "
     "crop; two-pass, the frame first, finer places if need be, then the box "
     "of the points found; auto, item if there is a box, else two-pass."},
    {"crop", PARAM_ENUM, AT(crop), "auto", 0, 0, "auto|facet|fan", NULL,
     "How a box becomes the crop: facet, from the landmarks' box; fan, from a "
     "detector's box as face-alignment does; auto, what the model says."},
    {"min-score", PARAM_FLOAT, AT(min_score), "-1", -1, 1, NULL, NULL,
     "Below this mean heatmap peak a frame has no face and fails (noface). -1: "
     "what the model says (see docs/bench-landmarker.md)."},
    {"max-looks", PARAM_INT, AT(max_looks), "100", 1, 100000, NULL, NULL,
     "About the most looks that the search of one frame takes (refining what "
     "was "
     "seen may take a few more); most frames take 2."},
    {"again", PARAM_FLOAT, AT(again), "0.12", 0, 100, NULL, NULL,
     "With a box: a second look, at the crop that the points of the first ask "
     "for, where that differs by more than this part of its side (a detector's "
     "box may be off). 100: never."},
    {"upright", PARAM_FLOAT, AT(tilt), "3", 0, 360, NULL, "deg",
     "With a box: a second look at an upright crop where the eyes of the first "
     "are tilted by more than this. 360: never."},
    {"decode", PARAM_ENUM, AT(decode), "auto", 0, 0,
     "auto|centroid|quarter|softmax", NULL,
     "How a heatmap becomes a point: centroid of 5x5 cells; FAN's quarter "
     "step; auto, what the model says."},
    {"flip", PARAM_ENUM, AT(flip), "auto", 0, 0, "auto|no|yes", NULL,
     "Add the mirrored crop's heatmaps: twice the time, a little steadier and "
     "nearer; auto, what the model says."},
    {"truncate", PARAM_BOOL, AT(truncate), "false", 0, 0, NULL, NULL,
     "Cut points to whole pixels, as face-alignment does."},
    {"depth", PARAM_BOOL, AT(depth), "true", 0, 0, NULL, NULL,
     "Fit z from the 68-point head; false leaves z at 0."},
    {"kernels", PARAM_ENUM, AT(kernels), "fast", 0, 0, "fast|exact|bf16|lean",
     NULL,
     "fast uses Winograd convolutions where oneDNN has them (version 2, on "
     "CPUs "
     "with AVX-512); exact never; "
     "lean is fast with less memory and a little slower; bf16 is faster still "
     "on CPUs that have it, and off by some 0.1 px."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "landmarker",
    .help = "Finds the 68 landmarks of a face. Runs FAN on the crop round the "
            "face and fits depth; a frame without a face is a bad item.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct landmarker),
    .open = landmarker_open,
    .transform = landmarker_transform,
    .finish = landmarker_finish,
    .close = landmarker_close,
};

int main(int argc, char **argv)
{
    nn_threads_start(argv);
    return stage_main(&desc, argc, argv);
}
