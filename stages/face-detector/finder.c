/* A frame as the detector wants it, and its boxes back. */
#include "stages/face-detector/finder.h"

#include <math.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/media/resize.h"
#include "lib/models/weights.h"

static enum err_code read_score(const struct safetensors *w, double *out,
                                struct err *e)
{
    const char *v = safetensors_meta(w, "min_score");
    *out = 0.5;
    if (v && (!text_to_f64(v, out) || *out < 0 || *out > 1))
        return err_set(e, ERR_DATA,
                       "'%s': metadata min_score: '%.40s' is not a number 0..1",
                       safetensors_origin(w), v);
    return OK;
}

enum err_code finder_load(struct finder *f, const char *model,
                          const struct nn_options *o, double *min_score,
                          struct err *e)
{
    char *path = NULL;
    struct safetensors *w = NULL;
    enum err_code r = weights_find(model, &path, e);
    if (!r)
        r = safetensors_open(path, &w, e);
    if (!r)
        r = read_score(w, min_score, e);
    int width;
    if (!r && s3fd_read(w, "", &width, NULL) == OK) {
        /* Weak boxes too: the stage chooses, and says what was seen. */
        const struct s3fd_options s3fd = {.mode = o->mode,
                                          .path = o->path,
                                          .bf16 = o->bf16,
                                          .keep = S3FD_CANDIDATE};
        r = s3fd_detector_new(w, &s3fd, &f->s3fd, e);
    } else if (!r) {
        r = detector_new(w, o, &f->net, e);
    }
    safetensors_free(&w);
    mem_free(path);
    return r;
}

void finder_free(struct finder *f)
{
    detector_free(&f->net);
    s3fd_detector_free(&f->s3fd);
    mem_free(f->planes);
    *f = (struct finder){.net = NULL};
}

static int64_t padded(int64_t v)
{
    return (v + DETECTOR_STEP - 1) / DETECTOR_STEP * DETECTOR_STEP;
}

/* u8[h,w,3] to planes of 0..1, H x W, black right and below. */
static void to_planes(const struct tensor *img, int64_t rows, int64_t cols,
                      float *out)
{
    const uint8_t *px = img->data;
    int64_t h = img->shape[0], w = img->shape[1];
    for (int64_t y = 0; y < rows; y++) {
        for (int64_t x = 0; x < cols; x++) {
            bool in = y < h && x < w;
            for (int64_t c = 0; c < 3; c++)
                out[(c * rows + y) * cols + x] =
                    in ? (float)px[3 * (y * w + x) + c] / 255.0F : 0;
        }
    }
}

/* Corners are pixel centres in both pictures. */
static void rescale(struct scored_box *b, size_t n, double kx, double ky)
{
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 4; c++)
            b[i].box[c] =
                (float)(((double)b[i].box[c] + 0.5) * (c % 2 ? ky : kx) - 0.5);
}

static enum err_code look_s3fd(struct finder *f, const struct tensor *img,
                               struct scored_box *out, size_t *n, struct err *e)
{
    const struct scored_box *all;
    size_t found = 0;
    enum err_code r = s3fd_detect(f->s3fd, tensor_u8(img), (int)img->shape[0],
                                  (int)img->shape[1], &all, &found, e);
    for (size_t i = 0; i < found && !r && *n < FINDER_MOST; i++)
        if ((double)all[i].score >= f->min_score)
            out[(*n)++] = all[i];
    return r;
}

static enum err_code look_ours(struct finder *f, const struct tensor *img,
                               struct scored_box *out, size_t *n, struct err *e)
{
    int64_t rows = padded(img->shape[0]), cols = padded(img->shape[1]);
    size_t want = 3 * (size_t)rows * (size_t)cols;
    if (want > f->room) {
        mem_free(f->planes);
        f->room = 0;
        f->planes = mem_aligned(want * sizeof *f->planes);
        if (!f->planes)
            return err_set(e, ERR_NOMEM, "no memory for a picture of %lld px",
                           (long long)(rows > cols ? rows : cols));
        f->room = want;
    }
    to_planes(img, rows, cols, f->planes);
    return detector_find(f->net, f->planes, rows, cols, f->min_score, out,
                         FINDER_MOST, n, e);
}

enum err_code finder_look(struct finder *f, const struct tensor *frame,
                          int64_t side, struct scored_box out[FINDER_MOST],
                          size_t *n, struct err *e)
{
    int64_t fh = frame->shape[0], fw = frame->shape[1];
    double k = (double)side / (double)(fh > fw ? fh : fw);
    int64_t h = llround(fmax((double)fh * k, 1));
    int64_t w = llround(fmax((double)fw * k, 1));
    struct tensor *img = image_resize(frame, h, w, e);
    *n = 0;
    if (!img)
        return e->code;
    enum err_code r =
        f->s3fd ? look_s3fd(f, img, out, n, e) : look_ours(f, img, out, n, e);
    tensor_free(&img);
    if (!r)
        rescale(out, *n, (double)fw / (double)w, (double)fh / (double)h);
    return r;
}
