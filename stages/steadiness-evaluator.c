/* steadiness-evaluator: how much found points tremble, and how far behind they
 * are, in clips whose true points are known. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/stage.h"
#include "lib/geom/steadiness.h"

/* A truth that travels less is still: float rounding of a rendered head is
 * below, any real motion above. */
#define STILL_PX 0.01

struct row {
    int64_t order;
    struct steady_frame f;
};

struct clip {
    char *key;
    struct row *row;
    size_t n, cap;
    struct steadiness s;
    bool measured, still;
    double frame_s;
};

struct evaluator {
    const char *csv;
    struct clip *clip;
    size_t n, cap;
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for the results");
}

static struct clip *find_clip(struct evaluator *c, const char *key)
{
    for (size_t k = c->n; k-- > 0;) /* mostly the last */
        if (strcmp(c->clip[k].key, key) == 0)
            return &c->clip[k];
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 16;
        void *p = mem_resize(c->clip, cap, sizeof *c->clip);
        if (!p)
            return NULL;
        c->clip = p;
        c->cap = cap;
    }
    struct clip *k = &c->clip[c->n];
    *k = (struct clip){.key = mem_strdup(key)};
    if (!k->key)
        return NULL;
    c->n++;
    return k;
}

static struct row *new_row(struct clip *k, int64_t order, struct err *e)
{
    for (size_t i = k->n; i-- > 0;)
        if (k->row[i].order == order) {
            err_set(e, ERR_DATA,
                    "frame %lld of '%s' comes twice; one face a frame is "
                    "measured",
                    (long long)order, k->key);
            return NULL;
        }
    if (k->n == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : 64;
        void *p = mem_resize(k->row, cap, sizeof *k->row);
        if (!p) {
            (void)no_memory(e);
            return NULL;
        }
        k->row = p;
        k->cap = cap;
    }
    struct row *r = &k->row[k->n];
    memset(r, 0, sizeof *r);
    r->order = order;
    return r;
}

static bool copy_points(const struct tensor *t, float out[LANDMARKS][2])
{
    size_t stride = (size_t)t->shape[1];
    bool fine = true;
    for (size_t i = 0; i < LANDMARKS; i++)
        for (size_t c = 0; c < 2; c++) {
            out[i][c] = tensor_f32(t)[i * stride + c];
            fine = fine && isfinite(out[i][c]);
        }
    return fine;
}

static enum err_code fill(struct row *r, const struct item *it, struct err *e)
{
    const struct tensor *truth = item_tensor(it, "landmarks_true");
    const struct tensor *found = item_tensor(it, "landmarks");
    int64_t pts_ns = item_i64(it, "pts_ns", INT64_MIN);
    double fps = item_f64(it, "fps", 0);
    r->f.time_s =
        pts_ns != INT64_MIN ? (double)pts_ns * 1e-9 : (double)r->order / fps;
    r->f.found = found && !item_get(it, "error_code");
    if (r->order < 0 || (pts_ns == INT64_MIN && !(fps > 0)))
        return err_set(e, ERR_DATA,
                       "a frame needs frame_index, and pts_ns or fps");
    if (truth->shape[1] < 2 || (found && found->shape[1] < 2))
        return err_set(e, ERR_DATA, "points need x and y");
    if (!copy_points(truth, r->f.truth) ||
        (r->f.found && !copy_points(found, r->f.seen)))
        return err_set(e, ERR_DATA, "the landmarks are not finite");
    return OK;
}

static enum err_code evaluator_transform(void *ctx, struct stage *s,
                                         struct item *const *in, size_t n,
                                         struct err *e)
{
    struct evaluator *c = ctx;
    (void)s;
    (void)n;
    const char *key = item_str(in[0], "path", item_str(in[0], "clip", NULL));
    if (!key)
        return err_set(e, ERR_DATA,
                       "a frame needs the name of its clip (path, or clip)");
    struct clip *k = find_clip(c, key);
    if (!k)
        return no_memory(e);
    struct row *r = new_row(k, item_i64(in[0], "frame_index", -1), e);
    enum err_code rc = r ? fill(r, in[0], e) : e->code;
    k->n += rc == OK;
    return rc;
}

static int by_key(const void *a, const void *b)
{
    const struct clip *x = a, *y = b;
    return strcmp(x->key, y->key);
}

static int by_order(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

static enum err_code measure(struct clip *k, struct stage *s, struct err *e)
{
    struct err why = {0};
    qsort(k->row, k->n, sizeof *k->row, by_order);
    struct steady_frame *f = mem_array(k->n, sizeof *f);
    if (!f)
        return no_memory(e);
    for (size_t i = 0; i < k->n; i++)
        f[i] = k->row[i].f;
    k->measured = steadiness_measure(f, k->n, &k->s, &why) == OK;
    k->still = k->s.travel < STILL_PX;
    k->frame_s =
        k->n > 1 ? (f[k->n - 1].time_s - f[0].time_s) / (double)(k->n - 1) : 0;
    mem_free(f);
    if (!k->measured && k->n)
        stage_report(s, "'%s': %s", k->key, why.text);
    return OK;
}

/* Means over clips of the squares or of the values; percentages are of each
 * clip's own eye distance. */
struct summary {
    double clips, lags, jitter[2], step[2], error[2], lag_s, lag_frames;
    size_t frames, found;
};

static struct summary sum_up(const struct evaluator *c, bool still)
{
    struct summary m = {0};
    for (size_t i = 0; i < c->n; i++) {
        const struct clip *k = &c->clip[i];
        if (!k->measured || k->still != still)
            continue;
        m.clips++;
        m.frames += k->s.frames;
        m.found += k->s.found;
        for (int p = 0; p < 2; p++) {
            double unit = p ? k->s.size / 100 : 1;
            m.jitter[p] += pow(k->s.jitter / unit, 2);
            m.step[p] += pow(k->s.step / unit, 2);
            m.error[p] += k->s.error / unit;
        }
        if (k->s.has_lag) {
            m.lags++;
            m.lag_s += k->s.lag_s;
            m.lag_frames += k->s.lag_s / k->frame_s;
        }
    }
    for (int p = 0; p < 2 && m.clips > 0; p++) {
        m.jitter[p] = sqrt(m.jitter[p] / m.clips);
        m.step[p] = sqrt(m.step[p] / m.clips);
        m.error[p] /= m.clips;
    }
    return m;
}

static void report(const struct evaluator *c, struct stage *s)
{
    struct summary a = sum_up(c, true), b = sum_up(c, false);
    const char *who = stage_instance(s); /* a pipeline may have several */
    if (a.clips > 0)
        stage_report(s,
                     "%s, still: jitter %.3f px, %.3f %% of the outer-eye "
                     "distance; frame to frame %.3f px, %.3f %%; error %.2f "
                     "%%; %g clips, %zu frames, %zu without points",
                     who, a.jitter[0], a.jitter[1], a.step[0], a.step[1],
                     a.error[1], a.clips, a.frames, a.frames - a.found);
    if (b.clips > 0)
        stage_report(
            s,
            "%s, moving: error %.3f px, %.3f %%; frame to frame %.3f px, "
            "%.3f %%; %g clips, %zu frames, %zu without points",
            who, b.error[0], b.error[1], b.step[0], b.step[1], b.clips,
            b.frames, b.frames - b.found);
    if (b.lags > 0)
        stage_report(s, "%s, moving: lag %.1f ms, %.2f frames", who,
                     1000 * b.lag_s / b.lags, b.lag_frames / b.lags);
    if (a.clips + b.clips <= 0)
        stage_report(s, "no clip could be measured");
}

static enum err_code write_csv(const struct evaluator *c, struct err *e)
{
    struct buf b;
    buf_init(&b, (size_t)1 << 30);
    enum err_code r =
        buf_puts(&b,
                 "clip,kind,frames,found,eyes_px,travel_px,jitter_px,"
                 "jitter_percent,step_px,step_percent,error_px,error_percent,"
                 "lag_ms,lag_frames\n",
                 e);
    for (size_t i = 0; i < c->n && !r; i++) {
        const struct clip *k = &c->clip[i];
        const struct steadiness *s = &k->s;
        double unit = s->size / 100;
        if (!k->measured)
            continue;
        r = csv_put(&b, k->key, e);
        if (!r)
            r = buf_printf(&b, e,
                           ",%s,%zu,%zu,%.3f,%.3f,%.5f,%.5f,%.5f,%.5f,%.4f,"
                           "%.4f,",
                           k->still ? "still" : "moving", s->frames, s->found,
                           s->size, s->travel, s->jitter, s->jitter / unit,
                           s->step, s->step / unit, s->error, s->error / unit);
        if (!r)
            r = s->has_lag ? buf_printf(&b, e, "%.2f,%.3f\n", 1000 * s->lag_s,
                                        s->lag_s / k->frame_s)
                           : buf_puts(&b, ",\n", e);
    }
    if (!r)
        r = file_write_atomic(c->csv, b.data, b.len, e);
    buf_free(&b);
    return r;
}

static enum err_code evaluator_finish(void *ctx, struct stage *s, struct err *e)
{
    struct evaluator *c = ctx;
    enum err_code r = OK;
    if (!c->n) {
        stage_report(s, "no frames came");
        return OK;
    }
    /* The order in which frames came must not show in sums or files. */
    qsort(c->clip, c->n, sizeof *c->clip, by_key);
    for (size_t i = 0; i < c->n && !r; i++)
        r = measure(&c->clip[i], s, e);
    if (r)
        return r;
    report(c, s);
    return *c->csv ? write_csv(c, e) : OK;
}

static void evaluator_close(void *ctx)
{
    struct evaluator *c = ctx;
    for (size_t i = 0; i < c->n; i++) {
        mem_free(c->clip[i].key);
        mem_free(c->clip[i].row);
    }
    mem_free(c->clip);
    c->clip = NULL;
    c->n = 0;
}

static const struct stage_port in_ports[] = {
    {"in",
     "landmarks_true f32[68,*], landmarks f32[68,*]?, path str?, clip str?, "
     "frame_index i64, pts_ns i64?, fps f64?",
     "Frames of clips with true and found points in pixels, one face each; "
     "one without found points (or set aside by an earlier stage) counts as "
     "not found."},
    {NULL, NULL, NULL},
};
static const struct stage_param params[] = {
    {"csv", PARAM_PATH, offsetof(struct evaluator, csv), "", 0, 0, NULL, NULL,
     "Write a table of all clips here."},
    {NULL, PARAM_BOOL, 0, NULL, 0, 0, NULL, NULL, NULL},
};
static const struct stage_desc desc = {
    .name = "steadiness-evaluator",
    .help = "Measures how much landmarks tremble and lag in clips whose true "
            "points are known. Jitter is the root mean square of found less "
            "true points about their mean over a clip; frame to frame, of its "
            "change; lag is the delay of the truth that fits the found points "
            "best. A clip whose true points rest is still, others are moving.",
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
