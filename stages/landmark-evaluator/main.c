/* landmark-evaluator: found points against annotated ones. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/stage.h"
#include "lib/geom/landmarks.h"
#include "stages/landmark-evaluator/worst.h"

/* One face. Errors are distances over the outer-eye distance. */
struct result {
    char *path;
    bool found;
    double nme, score, group[LANDMARK_GROUPS]; /* compared as bytes */
};

struct evaluator {
    const char *csv, *sheet;
    int64_t most;
    double limit; /* percent */
    struct worst worst;
    bool groups;
    struct result *row;
    size_t n, cap;
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for the results");
}

static struct result *new_row(struct evaluator *c, const struct item *it)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 256;
        void *p = mem_resize(c->row, cap, sizeof *c->row);
        if (!p)
            return NULL;
        c->row = p;
        c->cap = cap;
    }
    struct result *r = &c->row[c->n];
    *r = (struct result){.path = mem_strdup(item_str(it, "path", "")),
                         .score = item_f64(it, "score", (double)NAN)};
    if (!r->path)
        return NULL;
    c->n++;
    return r;
}

static void measure(const struct tensor *found, const struct tensor *truth,
                    double eyes, struct result *r)
{
    double error[LANDMARKS], sum = 0;
    size_t stride = (size_t)found->shape[1];
    size_t truth_stride = (size_t)truth->shape[1];
    for (size_t i = 0; i < LANDMARKS; i++) {
        const float *a = tensor_f32(found) + i * stride;
        const float *b = tensor_f32(truth) + i * truth_stride;
        error[i] =
            hypot((double)a[0] - (double)b[0], (double)a[1] - (double)b[1]) /
            eyes;
        sum += error[i];
    }
    r->nme = sum / LANDMARKS;
    for (int g = 0; g < LANDMARK_GROUPS; g++) {
        const struct landmark_group *x = &landmark_groups[g];
        double s = 0;
        for (int i = x->first; i <= x->last; i++)
            s += error[i];
        r->group[g] = s / (x->last - x->first + 1);
    }
}

static enum err_code evaluator_open(void *ctx, struct stage *s, struct err *e)
{
    struct evaluator *c = ctx;
    (void)s;
    return worst_start(&c->worst, *c->sheet ? (size_t)c->most : 0, e);
}

static enum err_code evaluator_transform(void *ctx, struct stage *s,
                                         struct item *const *in, size_t n,
                                         struct err *e)
{
    struct evaluator *c = ctx;
    (void)s;
    (void)n;
    const struct tensor *truth = item_tensor(in[0], "landmarks_true");
    const struct tensor *found = item_tensor(in[0], "landmarks");
    /* A face that an earlier stage has set aside was not found, whatever
     * fields it carries. */
    bool missed = !found || item_get(in[0], "error_code");
    if (truth->shape[1] < 2 || truth->shape[1] > 8)
        return err_set(e, ERR_DATA, "landmarks_true needs x and y");
    double eyes = landmark_outer_eye(tensor_f32(truth), (int)truth->shape[1]);
    if (!(eyes > 0) || !isfinite(eyes))
        return err_set(e, ERR_DATA, "the annotated outer eye corners coincide");
    if (found && found->shape[1] < 2)
        return err_set(e, ERR_DATA, "landmarks need x and y");
    struct result *r = new_row(c, in[0]);
    if (!r)
        return no_memory(e);
    if (missed)
        return OK;
    measure(found, truth, eyes, r);
    if (!isfinite(r->nme)) {
        mem_free(r->path);
        c->n--;
        return err_set(e, ERR_DATA, "the landmarks are not finite");
    }
    r->found = true;
    return worst_add(&c->worst, item_tensor(in[0], "frame"), r->path, r->nme,
                     tensor_f32(found), (size_t)found->shape[1],
                     tensor_f32(truth), (size_t)truth->shape[1], e);
}

static int by_path(const void *a, const void *b)
{
    const struct result *x = a, *y = b;
    int c = strcmp(x->path, y->path);
    /* Equal names in an order of their own, not that of their coming. */
    if (!c)
        c = x->found - y->found;
    const size_t from = offsetof(struct result, nme);
    return c ? c
             : memcmp((const char *)x + from, (const char *)y + from,
                      sizeof *x - from);
}

static int by_error(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static enum err_code csv_head(struct buf *b, struct err *e)
{
    enum err_code r = buf_puts(b, "path,found,nme_percent,score", e);
    for (int g = 0; g < LANDMARK_GROUPS && !r; g++)
        r = buf_printf(b, e, ",%s_percent", landmark_groups[g].name);
    return r ? r : buf_puts(b, "\n", e);
}

static enum err_code csv_row(struct buf *b, const struct result *x,
                             struct err *e)
{
    enum err_code r = csv_put(b, x->path, e);
    if (!r)
        r = buf_puts(b, x->found ? ",1" : ",0", e);
    if (!r)
        r = x->found ? buf_printf(b, e, ",%.4f", 100 * x->nme)
                     : buf_puts(b, ",", e);
    if (!r)
        r = isfinite(x->score) ? buf_printf(b, e, ",%.4f", x->score)
                               : buf_puts(b, ",", e);
    for (int g = 0; g < LANDMARK_GROUPS && !r; g++)
        r = x->found ? buf_printf(b, e, ",%.4f", 100 * x->group[g])
                     : buf_puts(b, ",", e);
    return r ? r : buf_puts(b, "\n", e);
}

static enum err_code write_csv(struct evaluator *c, struct err *e)
{
    struct buf b;
    buf_init(&b, (size_t)1 << 30);
    enum err_code r = csv_head(&b, e);
    for (size_t i = 0; i < c->n && !r; i++)
        r = csv_row(&b, &c->row[i], e);
    if (!r)
        r = file_write_atomic(c->csv, b.data, b.len, e);
    buf_free(&b);
    return r;
}

/* The area under the curve "share of all faces with an error up to x", x from
 * 0 to limit, over the limit; faces not found never come under it. */
static double area(const double *sorted, size_t found, size_t all, double limit)
{
    double sum = 0;
    for (size_t i = 0; i < found; i++)
        sum += sorted[i] < limit ? limit - sorted[i] : 0;
    return sum / limit / (double)all;
}

static void report_groups(struct evaluator *c, struct stage *s, size_t found)
{
    for (int g = 0; g < LANDMARK_GROUPS; g++) {
        double sum = 0;
        for (size_t i = 0; i < c->n; i++)
            sum += c->row[i].found ? c->row[i].group[g] : 0;
        stage_report(s, "NME of %s %.2f %%", landmark_groups[g].name,
                     100 * sum / (double)found);
    }
}

static void report(struct evaluator *c, struct stage *s, const double *sorted,
                   size_t found)
{
    double sum = 0, limit = c->limit / 100;
    size_t beyond = 0;
    for (size_t i = 0; i < found; i++) {
        sum += sorted[i];
        beyond += sorted[i] > limit;
    }
    if (!found) {
        stage_report(s, "no face was found in %zu", c->n);
        return;
    }
    stage_report(s, "NME %.2f %%", 100 * sum / (double)found);
    stage_report(s,
                 "%zu faces, %zu not found; median %.2f %%; %zu beyond "
                 "%g %%; AUC up to %g %%: %.3f",
                 c->n, c->n - found, 100 * sorted[found / 2], beyond, c->limit,
                 c->limit, area(sorted, found, c->n, limit));
    if (c->groups)
        report_groups(c, s, found);
}

static enum err_code evaluator_finish(void *ctx, struct stage *s, struct err *e)
{
    struct evaluator *c = ctx;
    if (!c->n) {
        stage_report(s, "no faces came");
        return OK;
    }
    /* The order in which faces came must not show in sums or files. */
    qsort(c->row, c->n, sizeof *c->row, by_path);
    double *sorted = mem_array(c->n, sizeof *sorted);
    if (!sorted)
        return no_memory(e);
    size_t found = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->row[i].found)
            sorted[found++] = c->row[i].nme;
    }
    if (found)
        qsort(sorted, found, sizeof *sorted, by_error);
    report(c, s, sorted, found);
    mem_free(sorted);
    enum err_code r = *c->csv ? write_csv(c, e) : OK;
    return !r && *c->sheet ? worst_write(&c->worst, c->sheet, e) : r;
}

static void evaluator_close(void *ctx)
{
    struct evaluator *c = ctx;
    for (size_t i = 0; i < c->n; i++)
        mem_free(c->row[i].path);
    mem_free(c->row);
    worst_free(&c->worst);
    c->row = NULL;
    c->n = 0;
}

static const struct stage_port in_ports[] = {
    {"in",
     "landmarks_true f32[68,*], landmarks f32[68,*]?, score f64?, path str?, "
     "frame u8[H,W,3]?",
     "Faces with annotated and found points in pixels; one without found "
     "points (or set aside by an earlier stage) counts as not found."},
    {NULL, NULL, NULL},
};
static const struct stage_param params[] = {
    {"csv", PARAM_PATH, offsetof(struct evaluator, csv), "", 0, 0, NULL, NULL,
     "Write a table of all faces here: path, found, error, score, error by "
     "group of points."},
    {"sheet", PARAM_PATH, offsetof(struct evaluator, sheet), "", 0, 0, NULL,
     NULL,
     "Write a picture of the worst faces here: true points green, found ones "
     "red."},
    {"worst", PARAM_INT, offsetof(struct evaluator, most), "20", 1, 1000, NULL,
     NULL, "How many faces the sheet has."},
    {"limit", PARAM_FLOAT, offsetof(struct evaluator, limit), "8", 0.1, 100,
     NULL, "%", "An error beyond this is a failure; the end of the AUC."},
    {"groups", PARAM_BOOL, offsetof(struct evaluator, groups), "false", 0, 0,
     NULL, NULL, "Report the error of each group of points too."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "landmark-evaluator",
    .help = "Measures landmarks against annotations. NME is the mean over "
            "points and faces found of the distance over the annotated "
            "outer-eye distance.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .params = params,
    .ctx_size = sizeof(struct evaluator),
    .open = evaluator_open,
    .transform = evaluator_transform,
    .finish = evaluator_finish,
    .close = evaluator_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
