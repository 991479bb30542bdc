/* What the detector finds in held-back pictures: its average precision, and a
 * picture of it. */
#include "stages/detector-trainer/look.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/box_match.h"
#include "lib/media/draw.h"
#include "lib/media/image.h"

#define ACROSS 4
#define MOST 12
#define OVERLAP 0.5

enum err_code look_plan(const struct detector_train *n, struct nn_params *ps,
                        struct nn_net **out, struct err *e)
{
    int level[DETECTOR_LEVELS];
    const struct nn_options o = {.mode = NN_FAST};
    struct nn_graph *g = nn_graph_new(e);
    if (!g)
        return ERR_NOMEM;
    struct nn_scope s = nn_scope(g, ps);
    if (detector_net(&s, nn_input(g, 3, n->side, n->side), n->width, level))
        for (int i = 0; i < DETECTOR_LEVELS; i++)
            nn_output(g, level[i]);
    enum err_code r = nn_plan(g, &o, out, e);
    nn_graph_free(&g);
    return r;
}

enum err_code look_at(struct detector_train *n, struct nn_net *use,
                      const struct item *it, double min_score,
                      struct scored_box out[LOOK_MOST], size_t *found,
                      struct err *e)
{
    /* In the row behind the batch, which may be waiting half full. */
    const float *in[] = {n->in + n->batch * 3 * n->side * n->side};
    enum err_code r = detector_train_put(n, n->batch, it, e);
    if (!r)
        r = nn_run(use, in, n->maps, e);
    const float *const maps[] = {n->maps[0], n->maps[1], n->maps[2]};
    return r ? r
             : detector_decode(maps, n->side, n->side, min_score, out,
                               LOOK_MOST, found, e);
}

/* Boxes of one picture into votes; the number of its true faces to *truths. */
static enum err_code judge(struct detector_train *n, struct nn_net *use,
                           const struct item *it, struct box_vote *vote,
                           size_t *votes, size_t *truths, struct err *e)
{
    struct scored_box b[LOOK_MOST];
    enum box_verdict verdict[LOOK_MOST];
    int found[DETECTOR_ROW_BOXES];
    size_t count = 0;
    enum err_code r = look_at(n, use, it, 0.02, b, &count, e);
    if (r)
        return r;
    size_t m = (size_t)item_tensor(it, "boxes_true")->shape[0];
    size_t all = (size_t)n->truth[n->batch].n;
    const float(*truth)[4] = (const float(*)[4])n->row[n->batch].box;
    box_match(b, count, truth, m, truth + m, all - m, OVERLAP, verdict, found);
    for (size_t i = 0; i < count; i++) {
        if (verdict[i] == BOX_IGNORED)
            continue;
        vote[(*votes)++] =
            (struct box_vote){b[i].score, verdict[i] == BOX_FOUND};
    }
    *truths += m;
    return OK;
}

enum err_code detector_train_validate(void *net, struct nn_params *ps,
                                      struct item *const *val, size_t count,
                                      double *ap, struct err *e)
{
    struct detector_train *n = net;
    struct nn_net *use = NULL;
    struct box_vote *vote = mem_array(count * LOOK_MOST, sizeof *vote);
    size_t votes = 0, truths = 0;
    enum err_code r = vote ? look_plan(n, ps, &use, e)
                           : err_set(e, ERR_NOMEM, "no memory for boxes");
    for (size_t i = 0; i < count && !r; i++)
        r = judge(n, use, val[i], vote, &votes, &truths, e);
    if (!r && !truths)
        r = err_set(e, ERR_DATA, "no face in %zu held-back pictures", count);
    if (!r)
        *ap = 100 * box_average_precision(vote, votes, truths);
    mem_free(vote);
    nn_net_free(&use);
    return r;
}

/* Clipped to the picture's own cell of the sheet. */
static enum err_code frame_box(struct tensor *sheet, const float box[4],
                               int64_t x0, int64_t y0, int64_t side,
                               const uint8_t rgb[3], struct err *e)
{
    float v[4], last = (float)(side - 1);
    for (int i = 0; i < 4; i++)
        v[i] = fminf(fmaxf(box[i], 0), last) + (float)(i % 2 ? y0 : x0);
    return draw_box(sheet, v, 1, rgb, e);
}

static enum err_code draw_one(struct detector_train *n, struct nn_net *use,
                              const struct item *it, int64_t x0, int64_t y0,
                              struct tensor *sheet, struct err *e)
{
    static const uint8_t green[3] = {0, 220, 0}, red[3] = {255, 40, 40},
                         grey[3] = {150, 150, 150};
    struct scored_box b[LOOK_MOST];
    size_t count = 0, row = (size_t)n->side * 3;
    enum err_code r = look_at(n, use, it, 0.5, b, &count, e);
    if (r)
        return r;
    uint8_t *to = sheet->data;
    const uint8_t *from = item_tensor(it, "frame")->data;
    for (int64_t y = 0; y < n->side; y++)
        memcpy(to + ((y0 + y) * sheet->shape[1] + x0) * 3,
               from + (size_t)y * row, row);
    const struct detector_truth *t = &n->truth[n->batch];
    for (int i = 0; i < t->n && !r; i++)
        r = frame_box(sheet, t->box[i], x0, y0, n->side,
                      t->ignore[i] ? grey : green, e);
    for (size_t i = 0; i < count && !r; i++)
        r = frame_box(sheet, b[i].box, x0, y0, n->side, red, e);
    return r;
}

enum err_code detector_train_sheet(void *net, struct nn_params *ps,
                                   struct item *const *val, size_t count,
                                   const char *path, struct err *e)
{
    struct detector_train *n = net;
    struct nn_net *use = NULL;
    size_t shown = count < MOST ? count : MOST;
    int64_t across = shown < ACROSS ? (int64_t)shown : ACROSS;
    int64_t down = ((int64_t)shown + across - 1) / across;
    const int64_t shape[3] = {down * n->side, across * n->side, 3};
    struct tensor *sheet = tensor_new(DT_U8, 3, shape, e);
    enum err_code r = sheet ? look_plan(n, ps, &use, e) : ERR_NOMEM;
    for (size_t i = 0; i < shown && !r; i++)
        r = draw_one(n, use, val[i * count / shown],
                     (int64_t)i % across * n->side,
                     (int64_t)i / across * n->side, sheet, e);
    if (!r)
        r = image_write(path, sheet, NULL, e);
    tensor_free(&sheet);
    nn_net_free(&use);
    return r;
}
