/* A sheet of the worst faces. */
#include "stages/landmark-evaluator/worst.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/crop.h"
#include "lib/geom/landmarks.h"
#include "lib/media/affine.h"
#include "lib/media/draw.h"
#include "lib/media/effects.h"
#include "lib/media/image.h"

#define ACROSS 5

enum err_code worst_start(struct worst *w, size_t most, struct err *e)
{
    *w = (struct worst){.most = most};
    w->face = mem_calloc(most + 1, sizeof *w->face);
    return w->face ? OK : err_set(e, ERR_NOMEM, "no memory for worst faces");
}

static void forget(struct worst_face *f)
{
    mem_free(f->path);
    tensor_free(&f->cell);
}

void worst_free(struct worst *w)
{
    for (size_t i = 0; i < w->n; i++)
        forget(&w->face[i]);
    mem_free(w->face);
    *w = (struct worst){.n = 0};
}

static enum err_code cell_of(const struct tensor *frame, struct affine *to,
                             const float *truth, size_t stride,
                             struct tensor **out, struct err *e)
{
    const int64_t shape[3] = {WORST_SIDE, WORST_SIDE, 3};
    double box[4];
    struct affine back;
    landmark_box(truth, (int)stride, box);
    *to = crop_affine(crop_of_box(CROP_FACET, box), WORST_SIDE);
    if (!affine_invert(to, &back))
        return err_set(e, ERR_DATA, "a face without extent");
    float *px = mem_array((size_t)3 * WORST_SIDE * WORST_SIDE, sizeof *px);
    *out = px ? tensor_new(DT_U8, 3, shape, e) : NULL;
    enum err_code r = *out ? OK : err_set(e, ERR_NOMEM, "no memory for a face");
    if (!r)
        r = image_affine(frame, back.m, AFFINE_BLACK, WORST_SIDE, WORST_SIDE,
                         px, e);
    if (!r)
        effect_to_u8(px, (*out)->count, tensor_u8(*out));
    mem_free(px);
    return r;
}

static void place(const struct affine *to, const float *p, int64_t out[2])
{
    double q[2];
    affine_apply(to, (double)p[0], (double)p[1], q);
    for (int k = 0; k < 2; k++)
        out[k] = llround(fmin(fmax(q[k], -4.0 * WORST_SIDE), 4.0 * WORST_SIDE));
}

static enum err_code draw(struct tensor *cell, const struct affine *to,
                          const float *found, size_t found_stride,
                          const float *truth, size_t truth_stride,
                          struct err *e)
{
    static const uint8_t green[3] = {0, 230, 0}, red[3] = {255, 50, 50},
                         line[3] = {255, 220, 0};
    enum err_code r = OK;
    for (size_t i = 0; i < LANDMARKS && !r; i++) {
        int64_t a[2], b[2];
        place(to, found + i * found_stride, a);
        place(to, truth + i * truth_stride, b);
        r = draw_line(cell, a[0], a[1], b[0], b[1], line, e);
        if (!r)
            r = draw_disc(cell, b[0], b[1], 2, green, e);
        if (!r)
            r = draw_disc(cell, a[0], a[1], 2, red, e);
    }
    return r;
}

static bool worse(double error, const char *path, const struct worst_face *f)
{
    return error > f->error || (error == f->error && strcmp(path, f->path) < 0);
}

enum err_code worst_add(struct worst *w, const struct tensor *frame,
                        const char *path, double error, const float *found,
                        size_t found_stride, const float *truth,
                        size_t truth_stride, struct err *e)
{
    size_t at = w->n;
    while (at > 0 && worse(error, path, &w->face[at - 1]))
        at--;
    if (at >= w->most || !frame || !frame->count)
        return OK;
    struct worst_face f = {.error = error, .path = mem_strdup(path)};
    struct affine to;
    enum err_code r = f.path
                          ? cell_of(frame, &to, truth, truth_stride, &f.cell, e)
                          : err_set(e, ERR_NOMEM, "no memory for a face");
    if (!r)
        r = draw(f.cell, &to, found, found_stride, truth, truth_stride, e);
    if (r) {
        forget(&f);
        return r;
    }
    if (w->n == w->most)
        forget(&w->face[--w->n]);
    memmove(&w->face[at + 1], &w->face[at], (w->n - at) * sizeof *w->face);
    w->face[at] = f;
    w->n++;
    return OK;
}

enum err_code worst_write(const struct worst *w, const char *path,
                          struct err *e)
{
    if (!w->n)
        return OK;
    int64_t n = (int64_t)w->n, across = n < ACROSS ? n : ACROSS;
    int64_t down = (n + across - 1) / across;
    const int64_t shape[3] = {down * WORST_SIDE, across * WORST_SIDE, 3};
    struct tensor *sheet = tensor_new(DT_U8, 3, shape, e);
    if (!sheet)
        return ERR_NOMEM;
    size_t row = (size_t)3 * WORST_SIDE;
    for (int64_t i = 0; i < n; i++)
        for (int64_t y = 0; y < WORST_SIDE; y++)
            memcpy(tensor_u8(sheet) +
                       ((i / across * WORST_SIDE + y) * shape[1] +
                        i % across * WORST_SIDE) *
                           3,
                   tensor_u8(w->face[i].cell) + (size_t)y * row, row);
    enum err_code r = image_write(path, sheet, NULL, e);
    tensor_free(&sheet);
    return r;
}
