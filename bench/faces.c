/* Times what a face costs: bench/faces PART DATA --landmarks W --lift W
 * [--detector W] [--threads N] [--passes N] [--exact] [--bf16] [--out FILE].
 * DATA is bench/faces_data.py's. Prints the median over passes in milliseconds
 * a face; --out writes what was found, for comparison with the peer
 * (bench/faces_torch.py), as raw f32[faces][ROW]. A part is one row of the
 * table below and one method there. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/geom/crop.h"
#include "lib/media/resize.h"
#include "lib/models/detector.h"
#include "lib/models/fan.h"
#include "lib/models/lifter.h"
#include "lib/nn/threads.h"

enum { LANDMARK = 1, LIFT = 2, DETECT = 4 };
#define ROW (LANDMARKS * 3) /* numbers told of a face */
#define CROP ((size_t)3 * FAN_SIDE * FAN_SIDE)
#define MAPS ((size_t)FAN_POINTS * FAN_MAP * FAN_MAP)
#define SIDE 320 /* the face-detector's look */
#define MOST 64  /* faces of a frame */

struct options {
    const char *part, *data, *landmarks, *lift, *detector, *out;
    int64_t threads, passes;
    struct nn_options nn;
};

struct bench {
    struct fan *fan;
    enum crop_rule rule;
    enum fan_decode decode;
    struct lifter *lifter;
    struct detector *detector;
    double min_score;
    struct tensor *frames, *boxes, *points; /* u8[N,H,W,3] f32[N,4] [N,68,2] */
    struct tensor **frame;                  /* views, one a face */
    int64_t n;
    struct tensor *crops; /* f32[N,3,256,256], for `landmarks` */
    float *crop, *maps;   /* one */
    float *planes;        /* a frame as the detector sees it */
    int64_t small_h, small_w, rows, cols;
    float (*found)[ROW]; /* [N] */
};

/* ---- parts: one face each, what was found to row[ROW] ---- */

/* Crop pixels to picture pixels. */
static void to_picture(struct crop c, float xy[FAN_POINTS][2])
{
    double k = c.side / FAN_SIDE;
    for (int i = 0; i < FAN_POINTS; i++) {
        xy[i][0] = (float)(c.x0 + ((double)xy[i][0] + 0.5) * k - 0.5);
        xy[i][1] = (float)(c.y0 + ((double)xy[i][1] + 0.5) * k - 0.5);
    }
}

static enum err_code lift_points(struct bench *b, const float *xy, float *row,
                                 struct err *e)
{
    struct lifted l;
    enum err_code r = lifter_lift(b->lifter, xy, 2, &l, e);
    memcpy(row, l.xyz, sizeof l.xyz);
    return r;
}

static enum err_code in_box(struct bench *b, int64_t i, const float box[4],
                            float *row, struct err *e)
{
    float xy[FAN_POINTS][2];
    const double d[4] = {(double)box[0], (double)box[1], (double)box[2],
                         (double)box[3]};
    struct crop c = crop_of_box(b->rule, d);
    enum err_code r =
        image_crop_f32(b->frame[i], c.x0, c.y0, c.side, FAN_SIDE, b->crop, e);
    if (!r)
        r = fan_heatmaps(b->fan, b->crop, 1, false, b->maps, e);
    if (r)
        return r;
    fan_decode(b->maps, b->decode, xy, NULL);
    to_picture(c, xy);
    return lift_points(b, xy[0], row, e);
}

static enum err_code part_landmarks(struct bench *b, int64_t i, float *row,
                                    struct err *e)
{
    float xy[FAN_POINTS][2];
    const float *crop = tensor_f32(b->crops) + (size_t)i * CROP;
    enum err_code r = fan_heatmaps(b->fan, crop, 1, false, b->maps, e);
    if (r)
        return r;
    fan_decode(b->maps, b->decode, xy, NULL);
    memcpy(row, xy, sizeof xy);
    return OK;
}

static enum err_code part_lift(struct bench *b, int64_t i, float *row,
                               struct err *e)
{
    return lift_points(b, tensor_f32(b->points) + i * 2 * LANDMARKS, row, e);
}

static enum err_code part_both(struct bench *b, int64_t i, float *row,
                               struct err *e)
{
    return in_box(b, i, tensor_f32(b->boxes) + 4 * i, row, e);
}

/* The face that the detector is surest of. */
static enum err_code detect(struct bench *b, int64_t i, struct scored_box *best,
                            struct err *e)
{
    struct scored_box box[MOST];
    size_t n = 0;
    struct tensor *small = image_resize(b->frame[i], b->small_h, b->small_w, e);
    if (!small)
        return e->code;
    const uint8_t *px = tensor_u8(small);
    for (int c = 0; c < 3; c++)
        for (int64_t y = 0; y < b->small_h; y++)
            for (int64_t x = 0; x < b->small_w; x++)
                b->planes[(c * b->rows + y) * b->cols + x] =
                    (float)px[3 * (y * b->small_w + x) + c] / 255.0F;
    tensor_free(&small);
    enum err_code r = detector_find(b->detector, b->planes, b->rows, b->cols,
                                    b->min_score, box, MOST, &n, e);
    if (!r && !n)
        r = err_set(e, ERR_NOFACE, "no face in frame %lld", (long long)i);
    if (r)
        return r;
    *best = box[0];
    double k[2] = {(double)b->frame[i]->shape[1] / (double)b->small_w,
                   (double)b->frame[i]->shape[0] / (double)b->small_h};
    for (int c = 0; c < 4; c++)
        best->box[c] = (float)(((double)box[0].box[c] + 0.5) * k[c % 2] - 0.5);
    return OK;
}

static enum err_code part_detect(struct bench *b, int64_t i, float *row,
                                 struct err *e)
{
    struct scored_box best;
    enum err_code r = detect(b, i, &best, e);
    if (!r)
        memcpy(row, best.box, sizeof best.box);
    return r;
}

static enum err_code part_all(struct bench *b, int64_t i, float *row,
                              struct err *e)
{
    struct scored_box best;
    enum err_code r = detect(b, i, &best, e);
    return r ? r : in_box(b, i, best.box, row, e);
}

static const struct part {
    const char *name;
    int needs;
    enum err_code (*run)(struct bench *b, int64_t i, float *row, struct err *e);
} parts[] = {
    /* crops to points in them */
    {"landmarks", LANDMARK, part_landmarks},
    /* picture points to points in 3-D */
    {"lift", LIFT, part_lift},
    /* frames and boxes to points in 3-D */
    {"both", LANDMARK | LIFT, part_both},
    /* frames to boxes */
    {"detect", DETECT, part_detect},
    /* frames to points in 3-D */
    {"all", LANDMARK | LIFT | DETECT, part_all},
};
#define N_PARTS (sizeof parts / sizeof *parts)

/* ---- what they need ---- */

static enum err_code load_data(struct bench *b, const char *path, struct err *e)
{
    struct safetensors *s = NULL;
    enum err_code r = safetensors_read(path, &s, e);
    if (!r)
        r = safetensors_tensor(s, "frames", &b->frames, e);
    if (!r)
        r = safetensors_tensor(s, "boxes", &b->boxes, e);
    if (!r)
        r = safetensors_tensor(s, "points", &b->points, e);
    if (!r)
        r = safetensors_tensor(s, "crops", &b->crops, e);
    safetensors_free(&s);
    if (r)
        return r;
    b->n = b->frames->shape[0];
    if (b->frames->dtype != DT_U8 || b->frames->ndim != 4 ||
        b->boxes->count != (size_t)b->n * 4 ||
        b->crops->count != (size_t)b->n * CROP ||
        b->points->count != (size_t)b->n * LANDMARKS * 2)
        return err_set(e, ERR_DATA, "'%s' is not faces_data.py's", path);
    b->frame = mem_calloc((size_t)b->n, sizeof(struct tensor *));
    b->found = mem_calloc((size_t)b->n, sizeof *b->found);
    if (!b->frame || !b->found)
        return err_set(e, ERR_NOMEM, "no memory");
    size_t each = b->frames->bytes / (size_t)b->n;
    for (int64_t i = 0; i < b->n; i++) {
        b->frame[i] = tensor_new(DT_U8, 3, b->frames->shape + 1, e);
        if (!b->frame[i])
            return ERR_NOMEM;
        memcpy(b->frame[i]->data, tensor_u8(b->frames) + (size_t)i * each,
               each);
    }
    return OK;
}

static enum err_code load_fan(struct bench *b, const struct options *o,
                              struct err *e)
{
    struct safetensors *w = NULL;
    const struct fan_options f = {.mode = o->nn.mode, .bf16 = o->nn.bf16};
    enum err_code r = safetensors_open(o->landmarks, &w, e);
    if (!r)
        r = fan_new(w, &f, &b->fan, e);
    const char *crop = r ? NULL : safetensors_meta(w, "crop");
    const char *decode = r ? NULL : safetensors_meta(w, "decode");
    b->rule = crop && !strcmp(crop, "facet") ? CROP_FACET : CROP_FAN;
    b->decode = !decode                       ? FAN_QUARTER
                : !strcmp(decode, "softmax")  ? FAN_SOFTMAX
                : !strcmp(decode, "centroid") ? FAN_CENTROID
                                              : FAN_QUARTER;
    safetensors_free(&w);
    b->crop = mem_array(CROP, sizeof *b->crop);
    b->maps = mem_array(MAPS, sizeof *b->maps);
    if (!r && (!b->crop || !b->maps))
        r = err_set(e, ERR_NOMEM, "no memory");
    return r;
}

static enum err_code load_lifter(struct bench *b, const struct options *o,
                                 struct err *e)
{
    struct safetensors *w = NULL;
    const struct nn_options fast = {.mode = NN_FAST}; /* as the stage */
    enum err_code r = safetensors_open(o->lift, &w, e);
    if (!r)
        r = lifter_new(w, &fast, &b->lifter, e);
    safetensors_free(&w);
    return r;
}

static int64_t padded(int64_t v)
{
    return (v + DETECTOR_STEP - 1) / DETECTOR_STEP * DETECTOR_STEP;
}

static enum err_code load_detector(struct bench *b, const struct options *o,
                                   struct err *e)
{
    struct safetensors *w = NULL;
    if (!o->detector)
        return err_set(e, ERR_ARG, "%s needs --detector", o->part);
    enum err_code r = safetensors_open(o->detector, &w, e);
    if (!r)
        r = detector_new(w, &o->nn, &b->detector, e);
    const char *least = r ? NULL : safetensors_meta(w, "min_score");
    b->min_score = 0.5;
    if (least && !text_to_f64(least, &b->min_score))
        r = err_set(e, ERR_DATA, "'%s': min_score", o->detector);
    safetensors_free(&w);
    double h = (double)b->frames->shape[1], w_px = (double)b->frames->shape[2];
    double k = SIDE / fmax(h, w_px);
    b->small_h = llround(h * k);
    b->small_w = llround(w_px * k);
    b->rows = padded(b->small_h);
    b->cols = padded(b->small_w);
    b->planes = mem_calloc((size_t)(3 * b->rows * b->cols), sizeof(float));
    return r || b->planes ? r : err_set(e, ERR_NOMEM, "no memory");
}

static void bench_free(struct bench *b)
{
    for (int64_t i = 0; b->frame && i < b->n; i++)
        tensor_free(&b->frame[i]);
    mem_free(b->frame);
    mem_free(b->found);
    tensor_free(&b->crops);
    mem_free(b->crop);
    mem_free(b->maps);
    mem_free(b->planes);
    tensor_free(&b->frames);
    tensor_free(&b->boxes);
    tensor_free(&b->points);
    fan_free(&b->fan);
    lifter_free(&b->lifter);
    detector_free(&b->detector);
}

/* ---- running ---- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static enum err_code measure(struct bench *b, const struct part *p,
                             const struct options *o, struct err *e)
{
    double *ms = mem_array((size_t)o->passes, sizeof *ms);
    enum err_code r = ms ? OK : err_set(e, ERR_NOMEM, "no memory");
    /* The first pass warms up. */
    for (int64_t k = -1; k < o->passes && !r; k++) {
        int64_t start = clock_ns();
        for (int64_t i = 0; i < b->n && !r; i++)
            r = p->run(b, i, b->found[i], e);
        if (k >= 0)
            ms[k] = (double)(clock_ns() - start) * 1e-6 / (double)b->n;
    }
    if (!r) {
        qsort(ms, (size_t)o->passes, sizeof *ms, by_value);
        printf("%.4f\n", ms[o->passes / 2]);
    }
    mem_free(ms);
    if (!r && o->out)
        r = file_write_atomic(o->out, b->found, (size_t)b->n * sizeof *b->found,
                              e);
    return r;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){.threads = 2, .passes = 5, .nn = {.mode = NN_FAST}};
    for (int i = 1; i < argc; i++) {
        const char **text = !strcmp(argv[i], "--landmarks")  ? &o->landmarks
                            : !strcmp(argv[i], "--lift")     ? &o->lift
                            : !strcmp(argv[i], "--detector") ? &o->detector
                            : !strcmp(argv[i], "--out")      ? &o->out
                                                             : NULL;
        int64_t *number = !strcmp(argv[i], "--threads")  ? &o->threads
                          : !strcmp(argv[i], "--passes") ? &o->passes
                                                         : NULL;
        if ((text || number) && i + 1 >= argc)
            return false;
        if (text)
            *text = argv[++i];
        else if (number && (!text_to_i64(argv[++i], number) || *number < 1 ||
                            *number > 10000))
            return false;
        else if (!number && !strcmp(argv[i], "--exact"))
            o->nn.mode = NN_EXACT;
        else if (!number && !strcmp(argv[i], "--bf16"))
            o->nn.bf16 = true;
        else if (!number && argv[i][0] != '-' && !o->part)
            o->part = argv[i];
        else if (!number && argv[i][0] != '-' && !o->data)
            o->data = argv[i];
        else if (!number)
            return false;
    }
    return o->part && o->data && o->landmarks && o->lift;
}

int main(int argc, char **argv)
{
    nn_threads_start(argv);
    struct options o;
    struct err e = {0};
    struct bench b = {.n = 0};
    const struct part *p = NULL;
    bool read = read_options(argc, argv, &o);
    for (size_t i = 0; i < N_PARTS && read; i++)
        if (!strcmp(parts[i].name, o.part))
            p = &parts[i];
    if (!p) {
        fprintf(stderr, "usage: faces landmarks|lift|both|detect|all DATA "
                        "--landmarks W --lift W [--detector W] "
                        "[--threads N] [--passes N] [--exact] [--bf16] "
                        "[--out FILE]\n");
        return 2;
    }
    nn_threads_set((int)o.threads);
    enum err_code r = load_data(&b, o.data, &e);
    if (!r && p->needs & LANDMARK)
        r = load_fan(&b, &o, &e);
    if (!r && p->needs & LIFT)
        r = load_lifter(&b, &o, &e);
    if (!r && p->needs & DETECT)
        r = load_detector(&b, &o, &e);
    if (!r)
        r = measure(&b, p, &o, &e);
    if (r)
        fprintf(stderr, "faces: %s\n", e.text);
    bench_free(&b);
    return r ? 1 : 0;
}
