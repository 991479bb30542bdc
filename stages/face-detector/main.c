/* face-detector: a frame in, the boxes of its faces out. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/flow/stage.h"
#include "lib/nn/threads.h"
#include "stages/face-detector/finder.h"

#define LARGE_ENOUGH 16 /* pixels of a look: root of a box's area */

enum policy { LARGEST, CENTRAL, ALL };

struct face_detector {
    const char *model;
    int policy, kernels;
    int64_t side, max_side, max_faces;
    double min_score, min_size, margin;
    bool thorough, replace;
    struct finder finder;
    struct scored_box *box, *more; /* FINDER_MOST each */
};

static enum err_code detector_open(void *ctx, struct stage *s, struct err *e)
{
    struct face_detector *c = ctx;
    static const struct nn_options kernels[] = {
        {.mode = NN_FAST}, {.mode = NN_EXACT}, {.mode = NN_FAST, .bf16 = true}};
    double said;
    nn_threads_set(stage_threads(s));
    c->box = mem_array(2 * FINDER_MOST, sizeof *c->box);
    if (!c->box)
        return err_set(e, ERR_NOMEM, "no memory for boxes");
    c->more = c->box + FINDER_MOST;
    enum err_code r =
        finder_load(&c->finder, c->model, &kernels[c->kernels], &said, e);
    if (!r)
        c->min_score = c->min_score >= 0 ? c->min_score : said;
    return r;
}

static void detector_close(void *ctx)
{
    struct face_detector *c = ctx;
    finder_free(&c->finder);
    mem_free(c->box);
}

/* Boxes that are good enough: sure and large. */
static size_t keep_good(const struct face_detector *c, struct scored_box *b,
                        size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        double area = boxes_area(b[i].box, BOXES_SPAN);
        if ((double)b[i].score >= c->min_score && sqrt(area) >= c->min_size)
            b[kept++] = b[i];
    }
    return kept;
}

static enum err_code merge(struct face_detector *c, size_t *n, size_t more,
                           struct err *e)
{
    size_t room = FINDER_MOST - *n;
    more = more < room ? more : room;
    memcpy(c->box + *n, c->more, more * sizeof *c->box);
    *n += more;
    enum err_code r = boxes_sort(c->box, *n, e);
    if (!r)
        *n = boxes_nms(c->box, *n, 0.4, BOXES_SPAN);
    return r;
}

/* Is there a face that a look of this side shows large enough to trust its
 * box? */
static bool settled(const struct face_detector *c, size_t n, double scale)
{
    for (size_t i = 0; i < n; i++)
        if (sqrt(boxes_area(c->box[i].box, BOXES_SPAN)) * scale >= LARGE_ENOUGH)
            return true;
    return false;
}

/* Look at the frame, and at finer sizes while there is nothing but specks (or
 * always, where all faces are wanted); *best: the highest score, also of what
 * is not good enough. */
static enum err_code find_all(struct face_detector *c,
                              const struct tensor *frame, size_t *n,
                              double *best, struct err *e)
{
    int64_t h = frame->shape[0], w = frame->shape[1], longer = h > w ? h : w;
    enum err_code r = OK;
    *n = 0;
    *best = 0;
    c->finder.min_score = fmin(c->min_score, 0.05);
    /* S3FD sees small faces in the frame as it is. */
    int64_t first = c->side;
    if (c->finder.s3fd)
        first = longer < c->max_side ? longer : c->max_side;
    for (int64_t side = first; !r; side *= 2) {
        size_t found;
        r = finder_look(&c->finder, frame, side, c->more, &found, e);
        if (!r && found)
            *best = fmax(*best, (double)c->more[0].score);
        if (!r)
            r = merge(c, n, keep_good(c, c->more, found), e);
        /* Twice what the frame has shows nothing more. */
        if (side * 2 > c->max_side || side >= longer ||
            (!c->thorough && settled(c, *n, (double)side / (double)longer)))
            break;
    }
    return r;
}

static double how_central(const struct tensor *frame, const float b[4])
{
    double x =
        ((double)b[0] + (double)b[2] + 1) / 2 - (double)frame->shape[1] / 2;
    double y =
        ((double)b[1] + (double)b[3] + 1) / 2 - (double)frame->shape[0] / 2;
    return -hypot(x, y);
}

static size_t choose(const struct face_detector *c, const struct tensor *frame,
                     size_t n)
{
    size_t at = 0;
    double best = -(double)INFINITY;
    for (size_t i = 0; i < n; i++) {
        const float *b = c->box[i].box;
        if ((double)c->box[i].score < (double)c->box[0].score - c->margin)
            break; /* sorted: all others are less sure still */
        double v = c->policy == CENTRAL ? how_central(frame, b)
                                        : boxes_area(b, BOXES_SPAN);
        if (v > best) {
            best = v;
            at = i;
        }
    }
    return at;
}

static enum err_code emit_face(const struct face_detector *c, struct stage *s,
                               const struct item *in, size_t at, size_t n,
                               struct err *e)
{
    float all[FINDER_MOST][4], scores[FINDER_MOST];
    struct item *it = item_child(in, e);
    enum err_code r = it ? OK : ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        memcpy(all[i], c->box[i].box, sizeof all[i]);
        scores[i] = c->box[i].score;
    }
    if (!r)
        r = item_set_f32(it, "box", 4, 0, c->box[at].box, e);
    if (!r)
        r = item_set_f64(it, "box_score", (double)c->box[at].score, e);
    if (!r)
        r = item_set_f32(it, "boxes", (int64_t)n, 4, &all[0][0], e);
    if (!r)
        r = item_set_f32(it, "box_scores", (int64_t)n, 0, scores, e);
    if (!r)
        r = item_set_i64(it, "face", (int64_t)at, e);
    if (!r)
        r = item_set_i64(it, "faces", (int64_t)n, e);
    if (!r && c->policy == ALL) /* for those who wait for all of them */
        r = item_set_i64(it, "n_faces", (int64_t)n, e);
    if (r) {
        item_free(&it);
        return r;
    }
    return stage_emit(s, NULL, it, e);
}

static enum err_code detector_transform(void *ctx, struct stage *s,
                                        struct item *const *in, size_t count,
                                        struct err *e)
{
    struct face_detector *c = ctx;
    const struct tensor *frame = item_tensor(in[0], "frame");
    size_t n;
    double best;
    (void)count; /* batches of one */
    if (!c->replace && item_tensor(in[0], "box")) {
        struct item *it = item_child(in[0], e);
        return it ? stage_emit(s, NULL, it, e) : ERR_NOMEM;
    }
    if (!frame || frame->shape[0] < 1 || frame->shape[1] < 1)
        return err_set(e, ERR_DATA, "the frame is empty");
    enum err_code r = find_all(c, frame, &n, &best, e);
    if (r)
        return r;
    if (!n)
        return err_set(
            e, ERR_NOFACE, "no face: the best score is %.3f, below %.3f%s",
            best, c->min_score, best >= c->min_score ? ", or too small" : "");
    n = n < (size_t)c->max_faces ? n : (size_t)c->max_faces;
    if (c->policy != ALL)
        return emit_face(c, s, in[0], choose(c, frame, n), n, e);
    for (size_t i = 0; i < n && !r; i++)
        r = emit_face(c, s, in[0], i, n, e);
    return r;
}

static const struct stage_port in_ports[] = {
    {"in", "frame u8[H,W,3], box f32[4]?",
     "Frames; a box that is there is replaced, or kept on demand."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out",
     "box f32[4], box_score f64?, boxes f32[*,4]?, box_scores f32[*]?, face "
     "i64?, faces i64?, n_faces i64?",
     "The face: its box x0,y0,x1,y1 in pixels, (0,0) the centre of the first "
     "(it may reach beyond the frame); all faces of the frame, the surest "
     "first, their number, and which of them this is; n_faces where all go "
     "on."},
    {NULL, NULL, NULL},
};

#define AT(member) offsetof(struct face_detector, member)
static const struct stage_param params[] = {
    {"model", PARAM_MODEL, AT(model), "faces-16", 0, 0, NULL, NULL,
     "Detector weights, ours or S3FD's: a name in models/ (FACET_MODELS adds "
     "folders), or a .safetensors file."},
    {"policy", PARAM_ENUM, AT(policy), "largest", 0, 0, "largest|central|all",
     NULL,
     "Which faces go on: the largest, the one nearest to the middle, or all, "
     "an item each."},
    {"min-score", PARAM_FLOAT, AT(min_score), "-1", -1, 1, NULL, NULL,
     "Below this a box is no face; a frame without one fails (noface). -1: "
     "what the model says."},
    {"min-size", PARAM_FLOAT, AT(min_size), "0", 0, 100000, NULL, "px",
     "Smaller faces (root of the box's area) are left out."},
    {"margin", PARAM_FLOAT, AT(margin), "0.25", 0, 1, NULL, NULL,
     "largest and central choose among boxes whose score is at most this much "
     "below the surest one's: a large pattern is no match for a small face."},
    {"side", PARAM_INT, AT(side), "320", 32, 8192, NULL, "px",
     "The frame's longer side when it is looked at (S3FD: as it is, up to "
     "max-side)."},
    {"max-side", PARAM_INT, AT(max_side), "1280", 32, 8192, NULL, "px",
     "While no face is found it is looked at twice as large, up to this."},
    {"thorough", PARAM_BOOL, AT(thorough), "no", 0, 0, NULL, NULL,
     "Look at all these sizes in any case: small faces beside large ones."},
    {"max-faces", PARAM_INT, AT(max_faces), "100", 1, FINDER_MOST, NULL, NULL,
     "The surest so many of a frame."},
    {"replace", PARAM_BOOL, AT(replace), "yes", 0, 0, NULL, NULL,
     "no: items that have a box go through as they are."},
    {"kernels", PARAM_ENUM, AT(kernels), "fast", 0, 0, "fast|exact|bf16", NULL,
     "fast uses Winograd convolutions where the CPU has them; exact never; "
     "bf16 on CPUs that have it."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "face-detector",
    .help = "Finds the boxes of faces in whole frames. The largest, the most "
            "central or all go on; a frame without a face is a bad item.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct face_detector),
    .open = detector_open,
    .transform = detector_transform,
    .close = detector_close,
};

int main(int argc, char **argv)
{
    nn_threads_start(argv);
    return stage_main(&desc, argc, argv);
}
