/* landmark-depth: landmarks and their picture in, depths by ResNetDepth out. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/flow/stage.h"
#include "lib/geom/crop.h"
#include "lib/geom/landmarks.h"
#include "lib/media/resize.h"
#include "lib/models/point_depth.h"
#include "lib/models/weights.h"
#include "lib/nn/threads.h"

struct depth_stage {
    const char *model;
    int crop, kernels;
    struct point_depth *net;
    float *input; /* f32[3,256,256] */
};

static enum err_code depth_open(void *ctx, struct stage *s, struct err *e)
{
    struct depth_stage *c = ctx;
    static const struct nn_options kernels[] = {
        {.mode = NN_FAST}, {.mode = NN_EXACT}, {.mode = NN_FAST, .bf16 = true}};
    char *path = NULL;
    struct safetensors *w = NULL;
    nn_threads_set(stage_threads(s));
    enum err_code r = weights_find(c->model, &path, e);
    if (!r)
        r = safetensors_open(path, &w, e);
    if (!r)
        r = point_depth_new(w, &kernels[c->kernels], &c->net, e);
    safetensors_free(&w);
    mem_free(path);
    size_t side = POINT_DEPTH_SIDE;
    c->input = r ? NULL : mem_aligned(3 * side * side * sizeof *c->input);
    return r || c->input ? r : err_set(e, ERR_NOMEM, "no memory for a crop");
}

static void depth_close(void *ctx)
{
    struct depth_stage *c = ctx;
    point_depth_free(&c->net);
    mem_free(c->input);
}

/* The crop that the landmarker made of the box, and the points in it. */
static enum err_code look(struct depth_stage *c, const struct item *in,
                          struct crop *k, float xy[LANDMARKS][2], struct err *e)
{
    const struct tensor *frame = item_tensor(in, "frame");
    const struct tensor *t = item_tensor(in, "landmarks");
    const struct tensor *b = item_tensor(in, "box");
    double box[4];
    size_t stride = (size_t)t->shape[1];
    for (size_t i = 0; i < 4; i++)
        box[i] = tensor_get(b, i);
    if (!crop_box_ok(box))
        return err_set(e, ERR_DATA, "the face box is empty or not finite");
    if (stride < 2 || !frame->count)
        return err_set(e, ERR_DATA,
                       stride < 2 ? "landmarks need x and y"
                                  : "the frame is empty");
    *k = crop_of_box((enum crop_rule)c->crop, box);
    struct affine to = crop_affine(*k, POINT_DEPTH_SIDE);
    for (size_t i = 0; i < LANDMARKS; i++) {
        const float *p = tensor_f32(t) + i * stride;
        double q[2];
        if (!isfinite(p[0]) || !isfinite(p[1]))
            return err_set(e, ERR_DATA, "point %zu is not finite", i);
        affine_apply(&to, (double)p[0], (double)p[1], q);
        xy[i][0] = (float)q[0];
        xy[i][1] = (float)q[1];
    }
    return image_crop_f32(frame, k->x0, k->y0, k->side, POINT_DEPTH_SIDE,
                          c->input, e);
}

static enum err_code depth_transform(void *ctx, struct stage *s,
                                     struct item *const *in, size_t n,
                                     struct err *e)
{
    struct depth_stage *c = ctx;
    const int64_t shape[2] = {LANDMARKS, 3};
    struct crop k;
    float xy[LANDMARKS][2], z[LANDMARKS];
    (void)n; /* batches of one */
    enum err_code r = look(c, in[0], &k, xy, e);
    if (!r)
        r = point_depth_run(c->net, c->input, (const float(*)[2])xy, z, e);
    struct tensor *out = r ? NULL : tensor_new(DT_F32, 2, shape, e);
    struct item *it = out ? item_child(in[0], e) : NULL;
    if (!r && !it)
        r = ERR_NOMEM;
    if (r) {
        tensor_free(&out);
        return r;
    }
    const struct tensor *t = item_tensor(in[0], "landmarks");
    for (size_t i = 0; i < LANDMARKS; i++) {
        const float *p = tensor_f32(t) + i * (size_t)t->shape[1];
        float *q = tensor_f32(out) + 3 * i;
        q[0] = p[0];
        q[1] = p[1];
        q[2] = (float)((double)z[i] * k.side / POINT_DEPTH_SIDE);
    }
    r = item_set_tensor(it, "landmarks", out, e);
    if (r) {
        item_free(&it);
        return r;
    }
    return stage_emit(s, NULL, it, e);
}

static const struct stage_port in_ports[] = {
    {"in", "frame u8[H,W,3], landmarks f32[68,*], box f32[4]",
     "A frame, its landmarks, and the box that they were found in, as "
     "landmarker gives them."},
    {NULL, NULL, NULL},
};
static const struct stage_port out_ports[] = {
    {"out", "landmarks f32[68,3]",
     "The same x and y; z in pixels of the frame, towards the viewer, as the "
     "network gives it."},
    {NULL, NULL, NULL},
};
#define AT(member) offsetof(struct depth_stage, member)
static const struct stage_param params[] = {
    {"model", PARAM_MODEL, AT(model), "depth-2a464da4ea", 0, 0, NULL, NULL,
     "ResNetDepth's weights, which you bring (facet import-torch "
     "depth-2a464da4ea.pth.tar): a name in models/ or a .safetensors file."},
    {"crop", PARAM_ENUM, AT(crop), "fan", 0, 0, "facet|fan", NULL,
     "How the box became the landmarker's crop; the published weights know "
     "fan's."},
    {"kernels", PARAM_ENUM, AT(kernels), "fast", 0, 0, "fast|exact|bf16", NULL,
     "As landmarker's."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "landmark-depth",
    .help = "Gives landmarks the depth that ResNetDepth sees in the picture, "
            "as face-alignment does: the exact alternative to landmark-lifter "
            "for those who bring FAN's and its weights.",
    .kind = STAGE_TRANSFORM,
    .in = in_ports,
    .out = out_ports,
    .params = params,
    .ctx_size = sizeof(struct depth_stage),
    .open = depth_open,
    .transform = depth_transform,
    .close = depth_close,
};

int main(int argc, char **argv)
{
    nn_threads_start(argv);
    return stage_main(&desc, argc, argv);
}
