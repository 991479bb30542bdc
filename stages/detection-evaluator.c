/* detection-evaluator: found boxes against true ones. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/stage.h"
#include "lib/geom/box_match.h"
#include "lib/geom/landmarks.h"

#define MOST 1024 /* boxes of a picture */

enum truth { TRUTH_AUTO, TRUTH_BOXES, TRUTH_ANNOTATED, TRUTH_FOUND };

/* One picture. */
struct result {
    char *path;
    int64_t frame;
    size_t truths, found, others; /* boxes that found none */
    double overlap;               /* sum over those found */
    float least, worst; /* score of the weakest find, of the best other box */
};

struct evaluator {
    const char *csv;
    int truth;
    double overlap;
    struct result *row;
    size_t n, cap;
    struct box_vote *vote;
    size_t votes, vote_cap;
    size_t failed; /* pictures that were set aside for another reason than that
                      no face was found */
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for the results");
}

/* True boxes of an item into box[MOST]; a face's box is that of its points. */
static enum err_code true_boxes(const struct evaluator *c,
                                const struct item *it, float box[MOST][4],
                                size_t *n, struct err *e)
{
    const struct tensor *b = item_tensor(it, "boxes_true");
    const struct tensor *p = item_tensor(it, "landmarks_true");
    const struct tensor *l = item_tensor(it, "landmarks");
    double v[4];
    if (c->truth == TRUTH_ANNOTATED || (c->truth == TRUTH_AUTO && !b))
        l = p;
    *n = 0;
    if (b && (c->truth == TRUTH_AUTO || c->truth == TRUTH_BOXES)) {
        if (b->shape[0] > MOST)
            return err_set(e, ERR_DATA, "more than %d true boxes", MOST);
        *n = (size_t)b->shape[0];
        memcpy(box, b->data, b->bytes);
        return OK;
    }
    if (c->truth == TRUTH_BOXES || !l)
        return err_set(e, ERR_DATA,
                       "the item does not tell where its faces "
                       "are (boxes_true, landmarks_true)");
    if (l->shape[1] < 2)
        return err_set(e, ERR_DATA, "landmarks need x and y");
    landmark_box(tensor_f32(l), (int)l->shape[1], v);
    for (int i = 0; i < 4; i++)
        box[0][i] = (float)v[i];
    *n = 1;
    return OK;
}

static enum err_code found_boxes(const struct item *it,
                                 struct scored_box b[MOST], size_t *n,
                                 struct err *e)
{
    const struct tensor *t = item_tensor(it, "boxes");
    const struct tensor *s = item_tensor(it, "box_scores");
    *n = 0;
    /* What an earlier stage has set aside holds nothing of a detector's. */
    if (item_get(it, "error_code") || !t || !s)
        return OK;
    if (t->shape[0] != s->shape[0] || t->shape[0] > MOST)
        return err_set(e, ERR_DATA, "boxes and box_scores do not fit");
    *n = (size_t)t->shape[0];
    for (size_t i = 0; i < *n; i++) {
        memcpy(b[i].box, tensor_f32(t) + 4 * i, sizeof b[i].box);
        b[i].score = tensor_f32(s)[i];
    }
    return boxes_sort(b, *n, e);
}

static enum err_code new_row(struct evaluator *c, const struct item *it,
                             struct result **out, struct err *e)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 256;
        void *p = mem_resize(c->row, cap, sizeof *c->row);
        if (!p)
            return no_memory(e);
        c->row = p;
        c->cap = cap;
    }
    struct result *r = &c->row[c->n];
    *r = (struct result){.path = mem_strdup(item_str(it, "path", "")),
                         .frame = item_i64(it, "frame_index", 0),
                         .least = 1};
    if (!r->path)
        return no_memory(e);
    c->n++;
    *out = r;
    return OK;
}

static enum err_code add_vote(struct evaluator *c, float score, bool found,
                              struct err *e)
{
    if (c->votes == c->vote_cap) {
        size_t cap = c->vote_cap ? c->vote_cap * 2 : 1024;
        void *p = mem_resize(c->vote, cap, sizeof *c->vote);
        if (!p)
            return no_memory(e);
        c->vote = p;
        c->vote_cap = cap;
    }
    c->vote[c->votes++] = (struct box_vote){score, found};
    return OK;
}

static enum err_code judge(struct evaluator *c, struct result *row,
                           const struct scored_box *b, size_t n,
                           float truth[MOST][4], size_t m, struct err *e)
{
    enum box_verdict verdict[MOST];
    int found[MOST];
    enum err_code r = OK;
    box_match(b, n, (const float(*)[4])truth, m, NULL, 0, c->overlap, verdict,
              found);
    row->truths = m;
    for (size_t j = 0; j < m; j++) {
        if (found[j] < 0)
            continue;
        row->found++;
        row->overlap += boxes_iou(b[found[j]].box, truth[j], BOXES_SPAN);
    }
    for (size_t i = 0; i < n && !r; i++) {
        bool good = verdict[i] == BOX_FOUND;
        row->others += !good;
        if (good)
            row->least = fminf(row->least, b[i].score);
        else
            row->worst = fmaxf(row->worst, b[i].score);
        r = add_vote(c, b[i].score, good, e);
    }
    return r;
}

static enum err_code evaluator_transform(void *ctx, struct stage *s,
                                         struct item *const *in, size_t count,
                                         struct err *e)
{
    struct evaluator *c = ctx;
    float truth[MOST][4];
    struct scored_box b[MOST];
    size_t n, m;
    struct result *row = NULL;
    (void)s;
    (void)count;
    const char *why = item_str(in[0], "error_code", NULL);
    if (why && strcmp(why, "noface") != 0) {
        c->failed++;
        return OK;
    }
    enum err_code r = true_boxes(c, in[0], truth, &m, e);
    if (!r)
        r = found_boxes(in[0], b, &n, e);
    if (!r)
        r = new_row(c, in[0], &row, e);
    return r ? r : judge(c, row, b, n, truth, m, e);
}

static int by_path(const void *a, const void *b)
{
    const struct result *x = a, *y = b;
    int c = strcmp(x->path, y->path);
    if (!c)
        c = (x->frame > y->frame) - (x->frame < y->frame);
    /* Equal names in an order of their own, not that of their coming. */
    const size_t from = offsetof(struct result, truths);
    return c ? c
             : memcmp((const char *)x + from, (const char *)y + from,
                      sizeof *x - from);
}

static enum err_code write_csv(struct evaluator *c, struct err *e)
{
    struct buf b;
    buf_init(&b, (size_t)1 << 30);
    enum err_code r = buf_puts(
        &b, "path,frame,faces,found,overlap,least_score,others,other_score\n",
        e);
    for (size_t i = 0; i < c->n && !r; i++) {
        const struct result *x = &c->row[i];
        r = csv_put(&b, x->path, e);
        if (!r)
            r = buf_printf(&b, e, ",%lld,%zu,%zu,%.4f,%.4f,%zu,%.4f\n",
                           (long long)x->frame, x->truths, x->found,
                           x->found ? x->overlap / (double)x->found : 0,
                           x->found ? (double)x->least : 0, x->others,
                           (double)x->worst);
    }
    if (!r)
        r = file_write_atomic(c->csv, b.data, b.len, e);
    buf_free(&b);
    return r;
}

static enum err_code evaluator_finish(void *ctx, struct stage *s, struct err *e)
{
    struct evaluator *c = ctx;
    size_t truths = 0, found = 0, others = 0, with = 0;
    double overlap = 0;
    if (!c->n) {
        stage_report(s, "no pictures came");
        return OK;
    }
    qsort(c->row, c->n, sizeof *c->row, by_path);
    for (size_t i = 0; i < c->n; i++) {
        truths += c->row[i].truths;
        found += c->row[i].found;
        others += c->row[i].others;
        with += c->row[i].others > 0;
        overlap += c->row[i].overlap;
    }
    if (truths)
        stage_report(s, "recall %.2f %%: %zu of %zu faces in %zu pictures",
                     100 * (double)found / (double)truths, found, truths, c->n);
    stage_report(s, "%zu other boxes, in %zu of %zu pictures", others, with,
                 c->n);
    if (found)
        stage_report(s, "overlap with the true boxes %.3f; AP %.2f %%",
                     overlap / (double)found,
                     100 * box_average_precision(c->vote, c->votes, truths));
    if (c->failed)
        stage_report(s, "%zu pictures could not be looked at", c->failed);
    return *c->csv ? write_csv(c, e) : OK;
}

static void evaluator_close(void *ctx)
{
    struct evaluator *c = ctx;
    for (size_t i = 0; i < c->n; i++)
        mem_free(c->row[i].path);
    mem_free(c->row);
    mem_free(c->vote);
    c->row = NULL;
    c->vote = NULL;
}

static const struct stage_port in_ports[] = {
    {"in",
     "boxes f32[*,4]?, box_scores f32[*]?, boxes_true f32[*,4]?, "
     "landmarks_true f32[68,*]?, landmarks f32[68,*]?, path str?, frame_index "
     "i64?, error_code str?",
     "Pictures with found and true boxes (or true points, whose box counts); "
     "one that failed for want of a face counts as one where none was found."},
    {NULL, NULL, NULL},
};
static const struct stage_param params[] = {
    {"truth", PARAM_ENUM, offsetof(struct evaluator, truth), "auto", 0, 0,
     "auto|boxes|annotated|found", NULL,
     "What is true: boxes_true; the box of landmarks_true; that of landmarks, "
     "which another stage has found; auto, the first of these that is there."},
    {"overlap", PARAM_FLOAT, offsetof(struct evaluator, overlap), "0.5", 0, 1,
     NULL, NULL, "Intersection over union from which a face is found."},
    {"csv", PARAM_PATH, offsetof(struct evaluator, csv), "", 0, 0, NULL, NULL,
     "Write a table of all pictures here."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "detection-evaluator",
    .help = "Measures face boxes: recall, boxes where no face is known, "
            "overlap, average precision.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .params = params,
    .ctx_size = sizeof(struct evaluator),
    .transform = evaluator_transform,
    .finish = evaluator_finish,
    .close = evaluator_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
