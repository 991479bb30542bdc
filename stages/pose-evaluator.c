/* pose-evaluator: found yaw against known yaw. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/stage.h"

struct row {
    char *path;
    bool found;
    double truth, yaw, pitch, roll; /* compared as 32 bytes by by_path */
};

struct pose_evaluator {
    const char *csv;
    double limit, bin;
    struct row *row;
    size_t n, cap;
};

static struct row *new_row(struct pose_evaluator *c, const struct item *it)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 256;
        void *p = mem_resize(c->row, cap, sizeof *c->row);
        if (!p)
            return NULL;
        c->row = p;
        c->cap = cap;
    }
    struct row *r = &c->row[c->n];
    *r = (struct row){.path = mem_strdup(item_str(it, "path", "")),
                      .truth = item_f64(it, "yaw_true", (double)NAN),
                      .yaw = item_f64(it, "yaw_deg", (double)NAN),
                      .pitch = item_f64(it, "pitch_deg", (double)NAN),
                      .roll = item_f64(it, "roll_deg", (double)NAN)};
    return r->path ? r : NULL;
}

static enum err_code evaluator_transform(void *ctx, struct stage *s,
                                         struct item *const *in, size_t n,
                                         struct err *e)
{
    struct pose_evaluator *c = ctx;
    (void)s;
    (void)n;
    if (!isfinite(item_f64(in[0], "yaw_true", (double)NAN)))
        return err_set(e, ERR_DATA, "no known yaw (yaw_true)");
    struct row *r = new_row(c, in[0]);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for the results");
    /* What an earlier stage has set aside was not found. */
    r->found = isfinite(r->yaw) && !item_get(in[0], "error_code");
    c->n++;
    return OK;
}

/* Degrees from a to b the short way round, -180..180. */
static double turn(double a, double b)
{
    return remainder(b - a, 360);
}

static int by_path(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int c = strcmp(x->path, y->path);
    /* Equal names in an order of their own, not that of their coming. */
    if (!c)
        c = x->found - y->found;
    return c ? c : memcmp(&x->truth, &y->truth, 4 * sizeof x->truth);
}

struct sum {
    size_t n, found;
    double error, outward;
};

static void add(struct sum *s, const struct row *r)
{
    s->n++;
    if (!r->found)
        return;
    double d = turn(r->truth, r->yaw);
    s->found++;
    s->error += fabs(d);
    s->outward += r->truth < 0 ? -d : d;
}

/* The bin of a yaw: its side does not count. */
static int64_t bin_of(const struct pose_evaluator *c, const struct row *r)
{
    return llround(fabs(r->truth) / c->bin);
}

static void report(const struct pose_evaluator *c, struct stage *s)
{
    struct sum all = {0};
    int64_t last = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (fabs(c->row[i].truth) <= c->limit + 1e-9)
            add(&all, &c->row[i]);
        if (bin_of(c, &c->row[i]) > last)
            last = bin_of(c, &c->row[i]);
    }
    if (all.found)
        stage_report(s, "yaw MAE %.2f deg", all.error / (double)all.found);
    stage_report(s, "to %g deg: %zu pictures, %zu without a face", c->limit,
                 all.n, all.n - all.found);
    for (int64_t b = 0; b <= last; b++) {
        struct sum x = {0};
        for (size_t i = 0; i < c->n; i++)
            if (bin_of(c, &c->row[i]) == b)
                add(&x, &c->row[i]);
        if (x.found)
            stage_report(s,
                         "|yaw| %g: MAE %.2f deg, outward %+.2f; %zu pictures, "
                         "%zu without a face",
                         (double)b * c->bin, x.error / (double)x.found,
                         x.outward / (double)x.found, x.n, x.n - x.found);
        else if (x.n)
            stage_report(s, "|yaw| %g: no face in %zu pictures",
                         (double)b * c->bin, x.n);
    }
}

static enum err_code write_csv(const struct pose_evaluator *c, struct err *e)
{
    struct buf b;
    buf_init(&b, (size_t)1 << 30);
    enum err_code r =
        buf_puts(&b, "path,found,yaw_true,yaw_deg,pitch_deg,roll_deg\n", e);
    for (size_t i = 0; i < c->n && !r; i++) {
        const struct row *x = &c->row[i];
        r = csv_put(&b, x->path, e);
        if (!r && x->found)
            r = buf_printf(&b, e, ",1,%g,%.3f,%.3f,%.3f\n", x->truth, x->yaw,
                           x->pitch, x->roll);
        else if (!r)
            r = buf_printf(&b, e, ",0,%g,,,\n", x->truth);
    }
    if (!r)
        r = file_write_atomic(c->csv, b.data, b.len, e);
    buf_free(&b);
    return r;
}

static enum err_code evaluator_finish(void *ctx, struct stage *s, struct err *e)
{
    struct pose_evaluator *c = ctx;
    if (!c->n) {
        stage_report(s, "no pictures came");
        return OK;
    }
    /* The order in which pictures came must not show in sums or files. */
    qsort(c->row, c->n, sizeof *c->row, by_path);
    report(c, s);
    return *c->csv ? write_csv(c, e) : OK;
}

static void evaluator_close(void *ctx)
{
    struct pose_evaluator *c = ctx;
    for (size_t i = 0; i < c->n; i++)
        mem_free(c->row[i].path);
    mem_free(c->row);
}

static const struct stage_port in_ports[] = {
    {"in",
     "yaw_true f64?, yaw_deg f64?, pitch_deg f64?, roll_deg f64?, path str?",
     "Heads with known and found angles in degrees; one without found yaw (or "
     "set aside by an earlier stage) counts as not found."},
    {NULL, NULL, NULL},
};
static const struct stage_param params[] = {
    {"csv", PARAM_PATH, offsetof(struct pose_evaluator, csv), "", 0, 0, NULL,
     NULL, "Write a table of all pictures here."},
    {"limit", PARAM_FLOAT, offsetof(struct pose_evaluator, limit), "60", 0, 180,
     NULL, "deg", "The first line is of heads turned up to here."},
    {"bin", PARAM_FLOAT, offsetof(struct pose_evaluator, bin), "15", 1, 180,
     NULL, "deg", "Width of the bins, whose middles are its multiples."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "pose-evaluator",
    .help = "Measures head yaw against known yaw: mean absolute error, as a "
            "whole and by how far heads are turned, and how far to the outside "
            "it errs on average.",
    .kind = STAGE_SINK,
    .in = in_ports,
    .params = params,
    .ctx_size = sizeof(struct pose_evaluator),
    .transform = evaluator_transform,
    .finish = evaluator_finish,
    .close = evaluator_close,
};

int main(int argc, char **argv)
{
    return stage_main(&desc, argc, argv);
}
