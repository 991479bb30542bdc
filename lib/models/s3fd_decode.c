/* S3FD's maps to boxes. */
#include <math.h>

#include "lib/base/mem.h"
#include "lib/models/s3fd_detector.h"

/* 1adrianb/face-alignment (608505f), detection/sfd. */
#define FINEST_STRIDE 4 /* pixels; twice as many at each level */
#define PRIOR 4.0       /* strides that a prior is wide and high */
#define VARIANCE_CENTRE 0.1
#define VARIANCE_SIZE 0.2

/* Of softmax over (background, face) the second. */
static float score_of(const struct s3fd_maps *m, int64_t cell)
{
    double face = (double)m->score[m->height * m->width + cell];
    double ground = (double)m->score[cell];
    return (float)(1 / (1 + exp(ground - face)));
}

static struct scored_box box_of(const struct s3fd_maps *m, double stride,
                                int64_t cell, float score)
{
    int64_t cells = m->height * m->width;
    const int64_t at[2] = {cell % m->width, cell / m->width};
    double prior = PRIOR * stride;
    struct scored_box b = {.score = score};
    for (int axis = 0; axis < 2; axis++) {
        double shift = (double)m->box[axis * cells + cell];
        double growth = (double)m->box[(axis + 2) * cells + cell];
        double size = prior * exp(growth * VARIANCE_SIZE);
        double centre =
            ((double)at[axis] + 0.5) * stride + shift * VARIANCE_CENTRE * prior;
        b.box[axis] = (float)(centre - size / 2);
        b.box[axis + 2] = (float)(centre + size / 2);
    }
    return b;
}

static bool finite_box(const struct scored_box *b)
{
    return isfinite(b->box[0]) && isfinite(b->box[1]) && isfinite(b->box[2]) &&
           isfinite(b->box[3]);
}

/* How many cells score more than `least`; -1: a score is no number. */
static int64_t count(const struct s3fd_maps *m, double least)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->height * m->width; i++) {
        float score = score_of(m, i);
        if (isnan(score))
            return -1;
        n += (double)score > least;
    }
    return n;
}

enum err_code s3fd_decode(const struct s3fd_maps level[S3FD_LEVELS],
                          double least, struct scored_box **out, size_t *n,
                          struct err *e)
{
    size_t all = 0, at = 0;
    *out = NULL;
    *n = 0;
    for (int i = 0; i < S3FD_LEVELS; i++) {
        int64_t more = count(&level[i], least);
        if (more < 0)
            return err_set(e, ERR_DATA, "S3FD: a score at stride %d is NaN",
                           FINEST_STRIDE << i);
        all += (size_t)more;
    }
    if (!all)
        return OK;
    struct scored_box *b = mem_array(all, sizeof *b);
    if (!b)
        return err_set(e, ERR_NOMEM, "no memory for %zu boxes", all);
    for (int i = 0; i < S3FD_LEVELS; i++) {
        const struct s3fd_maps *m = &level[i];
        for (int64_t cell = 0; cell < m->height * m->width; cell++) {
            float score = score_of(m, cell);
            if (!((double)score > least))
                continue;
            b[at] = box_of(m, FINEST_STRIDE << i, cell, score);
            if (!finite_box(&b[at++])) {
                mem_free(b);
                return err_set(e, ERR_DATA,
                               "S3FD: a box at stride %d is not finite",
                               FINEST_STRIDE << i);
            }
        }
    }
    *out = b;
    *n = all;
    return OK;
}
