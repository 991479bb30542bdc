/* The training loop, with a task so small that all of it can be seen: order,
 * empty places, resuming, stopping early, what is written. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/safetensors.h"
#include "lib/train/train.h"

#define BATCH 3
#define VALS 4
#define SIZE 10 /* training samples an epoch */
#define EPOCHS 6
#define WEIGHTS 8

static char *folder;

/* y = w . x, MSE: samples are made from their positions. */
struct task {
    struct nn_params *ps;
    struct nn_param *w;
    float x[BATCH][WEIGHTS], y[BATCH];
    int64_t seen[512];
    size_t n_seen;
    double forced; /* metric to give instead, NaN: the real one */
    int validations;
    bool nan_loss;
};

static void sample(int64_t seed, float *x, float *y)
{
    struct rng r;
    rng_seed(&r, (uint64_t)seed);
    *y = 0;
    for (int i = 0; i < WEIGHTS; i++) {
        x[i] = (float)rng_normal(&r);
        *y += x[i] * (float)(i + 1);
    }
}

static enum err_code put(void *ctx, int64_t row, const struct item *it,
                         struct err *e)
{
    struct task *t = ctx;
    (void)e;
    assert_true(row >= 0 && row < BATCH);
    assert_true(t->n_seen < 512);
    t->seen[t->n_seen++] = item_i64(it, "sample", -1);
    sample(item_i64(it, "data", 0), t->x[row], &t->y[row]);
    return OK;
}

static enum err_code step(void *ctx, double *loss, struct err *e)
{
    struct task *t = ctx;
    (void)e;
    const float *w = tensor_f32(t->w->value);
    *loss = 0;
    for (int b = 0; b < BATCH; b++) {
        float d = -t->y[b];
        for (int i = 0; i < WEIGHTS; i++)
            d += w[i] * t->x[b][i];
        *loss += (double)(d * d) / BATCH;
        for (int i = 0; i < WEIGHTS; i++)
            t->w->grad[i] += 2 * d * t->x[b][i] / BATCH;
    }
    if (t->nan_loss)
        *loss = (double)NAN;
    return OK;
}

static enum err_code validate(void *ctx, struct nn_params *ps,
                              struct item *const *val, size_t n, double *metric,
                              struct err *e)
{
    struct task *t = ctx;
    (void)e;
    const float *w = tensor_f32(nn_params_at(ps, 0)->value);
    t->validations++;
    *metric = 0;
    for (size_t k = 0; k < n; k++) {
        float x[WEIGHTS], y;
        assert_string_equal(item_str(val[k], "role", ""), "val");
        sample(item_i64(val[k], "data", 0), x, &y);
        for (int i = 0; i < WEIGHTS; i++)
            y -= w[i] * x[i];
        *metric += (double)(y * y) / (double)n;
    }
    if (!isnan(t->forced))
        *metric = t->forced;
    return OK;
}

struct seen_host {
    int enough, reports, statuses;
    bool stop;
};
static void on_text(void *arg, const char *text)
{
    assert_true(*text);
    ((struct seen_host *)arg)->statuses++;
}
static void on_report(void *arg, const char *text)
{
    assert_true(*text);
    ((struct seen_host *)arg)->reports++;
}
static void on_enough(void *arg)
{
    ((struct seen_host *)arg)->enough++;
}
static bool on_stopping(void *arg)
{
    return ((struct seen_host *)arg)->stop;
}

struct run {
    struct task task;
    struct seen_host host;
    struct trainer *t;
};

static const struct train_options options = {
    .epochs = EPOCHS,
    .batch = BATCH,
    .seed = 1,
    .optimiser = NN_ADAM,
    .lr = 0.5,
    .ema = 0.9,
    .schedule = NN_COSINE,
    .warmup = 1,
    .factor = 0.5,
    .every = 1,
    .log_every = 2,
};

static const char *command = "facet test";

static enum err_code begin(struct run *r, const struct train_options *o,
                           const char *out, struct err *e)
{
    const int64_t shape = WEIGHTS;
    const struct nn_init_spec init = {.kind = NN_INIT_NORMAL, .scale = 1};
    struct train_options mine = *o;
    *r = (struct run){.task = {.forced = (double)NAN}};
    mine.out = out;
    r->task.ps = nn_params_new(7, e);
    assert_non_null(r->task.ps);
    assert_int_equal(
        nn_params_get(r->task.ps, "w", 1, &shape, false, init, &r->task.w, e),
        OK);
    assert_int_equal(nn_params_grads(r->task.ps, e), OK);
    const struct train_task task = {
        .name = "line",
        .metric = "MSE",
        .unit = "",
        .part = {{"net", r->task.ps, NULL}},
        .ctx = &r->task,
        .put = put,
        .step = step,
        .validate = validate,
        .card = "A line.",
    };
    const struct train_host host = {&r->host,  on_text,     on_report,
                                    on_enough, on_stopping, "lr: 0.05\n",
                                    command, NULL};
    return trainer_new(&mine, &task, &host, &r->t, e);
}

static void end(struct run *r)
{
    trainer_free(&r->t);
    nn_params_free(&r->task.ps);
}

/* The item of a position. What it holds depends on the position alone. */
static struct item *item_at(int64_t at, bool failed)
{
    struct err e = {0};
    struct item *it = item_new(&e);
    assert_non_null(it);
    assert_int_equal(item_set_i64(it, "sample", at, &e), OK);
    assert_int_equal(item_set_i64(it, "val_count", VALS, &e), OK);
    assert_int_equal(item_set_i64(it, "epoch_size", SIZE, &e), OK);
    assert_int_equal(item_set_str(it, "role", at < VALS ? "val" : "train", &e),
                     OK);
    assert_int_equal(item_set_i64(it, "data",
                                  at < VALS ? 1000 + at : (at - VALS) % SIZE,
                                  &e),
                     OK);
    if (failed)
        assert_int_equal(item_set_str(it, "error_code", "bad", &e), OK);
    return it;
}

static enum err_code give(struct run *r, int64_t at, bool failed, struct err *e)
{
    bool item_only = false;
    struct item *it = item_at(at, failed);
    enum err_code rc = trainer_item(r->t, it, &item_only, e);
    assert_false(item_only);
    item_free(&it);
    return rc;
}

/* Positions a..b-1, mixed up within windows of `mix`. */
static void feed(struct run *r, int64_t a, int64_t b, int64_t mix)
{
    struct err e = {0};
    for (int64_t w = a; w < b; w += mix)
        for (int64_t i = w + mix - 1; i >= w; i--)
            if (i < b && give(r, i, false, &e))
                fail_msg("%s", e.text);
}

static char *place(const char *name)
{
    char *p = mem_printf("%s/%s", folder, name);
    assert_non_null(p);
    return p;
}

static void finish(struct run *r)
{
    struct err e = {0};
    if (trainer_finish(r->t, &e))
        fail_msg("%s", e.text);
}

static void read_text(const char *out, const char *name, struct buf *b)
{
    struct err e = {0};
    char *p = path_join(out, name);
    if (file_read(p, 1 << 20, b, &e))
        fail_msg("%s", e.text);
    mem_free(p);
}

/* All bytes of two files are the same. */
static void same_file(const char *a, const char *b, const char *name)
{
    struct buf x, y;
    read_text(a, name, &x);
    read_text(b, name, &y);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    buf_free(&x);
    buf_free(&y);
}

static void same_weights(const struct run *a, const struct run *b)
{
    assert_memory_equal(a->task.w->value->data, b->task.w->value->data,
                        WEIGHTS * sizeof(float));
}

static void test_order_does_not_matter(void **state)
{
    struct err e = {0};
    struct run a, b;
    (void)state;
    char *pa = place("straight"), *pb = place("mixed");
    assert_int_equal(begin(&a, &options, pa, &e), OK);
    assert_int_equal(begin(&b, &options, pb, &e), OK);
    feed(&a, 0, VALS + EPOCHS * SIZE, 1);
    feed(&b, 0, VALS + EPOCHS * SIZE, 9);
    assert_int_equal(a.host.enough, 1);
    assert_int_equal(a.task.validations, EPOCHS);
    finish(&a);
    finish(&b);
    assert_int_equal(a.task.n_seen, EPOCHS * SIZE);
    for (size_t i = 0; i < a.task.n_seen; i++) {
        assert_int_equal(a.task.seen[i], VALS + (int64_t)i);
        assert_int_equal(b.task.seen[i], VALS + (int64_t)i);
    }
    same_weights(&a, &b);
    same_file(pa, pb, "model.safetensors");
    assert_int_equal(trainer_steps(a.t), EPOCHS * SIZE / BATCH);
    /* It learns. */
    struct buf t;
    read_text(pa, "epochs.csv", &t);
    const char *first = strchr(buf_str(&t), '\n') + 1, *last = first;
    assert_int_equal(strncmp(buf_str(&t), "epoch,step,samples,loss,MSE,", 28),
                     0);
    int rows = 0;
    for (const char *p = first; (p = strchr(p, '\n')); p++) {
        rows++;
        last = p[1] ? p + 1 : last;
    }
    assert_int_equal(rows, EPOCHS);
    double loss[2], n;
    assert_int_equal(sscanf(first, "%lf,%lf,%lf,%lf", &n, &n, &n, &loss[0]), 4);
    assert_int_equal(sscanf(last, "%lf,%lf,%lf,%lf", &n, &n, &n, &loss[1]), 4);
    assert_true(loss[1] < loss[0] / 2);
    buf_free(&t);
    /* The card tells what it was. */
    read_text(pa, "model.md", &t);
    assert_non_null(strstr(buf_str(&t), "A line."));
    assert_non_null(strstr(buf_str(&t), "facet test"));
    assert_non_null(strstr(buf_str(&t), "lr: 0.05"));
    assert_non_null(strstr(buf_str(&t), "20 steps of 3 samples"));
    buf_free(&t);
    end(&a);
    end(&b);
    mem_free(pa);
    mem_free(pb);
}

/* A run that is killed after any number of samples and goes on from its
 * checkpoint gives the same bytes. */
static void resumed(int64_t stop, int64_t again, int64_t every, bool signal)
{
    struct err e = {0};
    struct run a, b;
    struct train_options o = options;
    o.checkpoint_every = every;
    char *pa = place("whole"), *pb = place("resumed");
    char *rm = mem_printf("rm -rf '%s' '%s'", pa, pb);
    assert_int_equal(system(rm), 0);
    assert_int_equal(begin(&a, &o, pa, &e), OK);
    feed(&a, 0, VALS + EPOCHS * SIZE, 1);
    finish(&a);
    assert_int_equal(begin(&b, &o, pb, &e), OK);
    feed(&b, 0, stop, 3);
    if (signal) {
        b.host.stop = true;
        enum err_code rc = OK;
        for (int64_t i = stop; !rc && i < stop + BATCH; i++)
            rc = give(&b, i, false, &e);
        assert_int_equal(rc, ERR_CANCEL);
    }
    end(&b); /* killed */
    assert_int_equal(begin(&b, &o, pb, &e), OK);
    struct buf t;
    long long at = 0;
    char *position = mem_printf("%s/position", pb);
    if (file_exists(position)) {
        read_text(pb, "position", &t);
        at = strtoll(buf_str(&t), NULL, 10);
        buf_free(&t);
        assert_true(at > 0 && at <= stop + BATCH);
    }
    feed(&b, 0, VALS, 1);
    /* The source may begin earlier than asked: what is known is dropped. */
    int64_t from = at - again > VALS ? at - again : VALS;
    feed(&b, from, VALS + EPOCHS * SIZE, 2);
    finish(&b);
    same_weights(&a, &b);
    same_file(pa, pb, "model.safetensors");
    assert_int_equal(trainer_steps(b.t), trainer_steps(a.t));
    end(&a);
    end(&b);
    mem_free(position);
    mem_free(rm);
    mem_free(pa);
    mem_free(pb);
}

static void test_resume(void **state)
{
    (void)state;
    resumed(VALS + 2, 0, 1, false);    /* before any checkpoint */
    resumed(VALS + SIZE, 0, 0, false); /* an epoch: a row waits */
    resumed(VALS + SIZE + 1, 5, 0, false);
    resumed(VALS + 2 * SIZE + 7, 1, 1, false); /* in the middle */
    resumed(VALS + 3 * SIZE + 4, 100, 1, false);
    resumed(VALS + 4 * SIZE + 2, 0, 0, true); /* stopped by a signal */
    resumed(VALS + EPOCHS * SIZE, 3, 0, false);
}

static void test_empty_places(void **state)
{
    struct err e = {0};
    struct run r;
    (void)state;
    char *p = place("holes");
    assert_int_equal(begin(&r, &options, p, &e), OK);
    for (int64_t i = 0; i < VALS + EPOCHS * SIZE; i++)
        assert_int_equal(give(&r, i, i == 1 || i % 4 == 3, &e), OK);
    finish(&r);
    size_t n = 0;
    for (int64_t i = VALS; i < VALS + EPOCHS * SIZE; i++)
        if (i % 4 != 3)
            assert_int_equal(r.task.seen[n++], i);
    assert_int_equal(n, r.task.n_seen);
    assert_int_equal(r.task.validations, EPOCHS);
    end(&r);
    mem_free(p);
}

static void test_stop_early(void **state)
{
    struct err e = {0};
    struct run r;
    struct train_options o = options;
    o.stop_early = 2;
    (void)state;
    char *p = place("early");
    assert_int_equal(begin(&r, &o, p, &e), OK);
    r.task.forced = 5;
    feed(&r, 0, VALS + SIZE, 1); /* the best */
    feed(&r, VALS + SIZE, VALS + 2 * SIZE, 1);
    assert_int_equal(r.host.enough, 0);
    feed(&r, VALS + 2 * SIZE, VALS + EPOCHS * SIZE, 1);
    assert_int_equal(r.host.enough, 1);
    assert_int_equal(r.task.validations, 3);
    finish(&r);
    assert_int_equal(r.host.reports, 2);
    end(&r);
    mem_free(p);
}

/* A command that is too long, or of odd bytes, is no reason not to save. */
static void test_commands(void **state)
{
    static char longer[6000];
    struct err e = {0};
    struct run r;
    struct safetensors *w = NULL;
    (void)state;
    char *p = place("commands");
    char *file = path_join(p, "checkpoint.safetensors");
    longer[0] = 'x'; /* so that the cut is within a character */
    for (size_t i = 1; i + 2 < sizeof longer; i += 2)
        memcpy(longer + i, "\xc3\xa9", 2);
    const char *const tries[] = {longer, "facet \xff"};
    for (size_t i = 0; i < 2; i++) {
        command = tries[i];
        assert_int_equal(begin(&r, &options, p, &e), OK);
        feed(&r, 0, VALS + EPOCHS * SIZE, 1);
        finish(&r);
        end(&r);
        assert_int_equal(safetensors_read(file, &w, &e), OK);
        const char *kept = safetensors_meta(w, "command");
        assert_int_equal(strlen(kept), i == 0 ? 4095 : 0);
        assert_memory_equal(kept, tries[i], strlen(kept));
        safetensors_free(&w);
        assert_int_equal(unlink(file), 0);
    }
    command = "facet test";
    mem_free(file);
    mem_free(p);
}

static void wants(enum err_code got, enum err_code code, const struct err *e,
                  const char *text)
{
    assert_int_equal(got, code);
    if (!strstr(e->text, text))
        fail_msg("'%s' does not say '%s'", e->text, text);
}

static void test_errors(void **state)
{
    struct err e = {0};
    struct run r;
    bool item_only = false;
    (void)state;
    char *p = place("errors");
    assert_int_equal(begin(&r, &options, p, &e), OK);
    wants(trainer_finish(r.t, &e), ERR_DATA, &e, "no samples came");
    struct item *it = item_new(&e);
    wants(trainer_item(r.t, it, &item_only, &e), ERR_DATA, &e, "sample");
    assert_true(item_only);
    assert_int_equal(item_set_i64(it, "sample", 0, &e), OK);
    wants(trainer_item(r.t, it, &item_only, &e), ERR_DATA, &e, "epoch_size");
    assert_true(item_only);
    item_free(&it);
    feed(&r, 0, VALS + SIZE, 1);
    /* Another number of samples: other data. */
    it = item_at(VALS + SIZE, false);
    assert_int_equal(item_set_i64(it, "epoch_size", SIZE + 1, &e), OK);
    wants(trainer_item(r.t, it, &item_only, &e), ERR_DATA, &e,
          "the data changed");
    assert_false(item_only);
    end(&r);
    assert_int_equal(begin(&r, &options, p, &e), OK); /* also after a pause */
    wants(trainer_item(r.t, it, &item_only, &e), ERR_DATA, &e,
          "when the run began");
    item_free(&it);
    end(&r);
    struct train_options o = options;
    o.optimiser = NN_SGD;
    wants(begin(&r, &o, p, &e), ERR_DATA, &e, "adam");
    assert_non_null(strstr(e.text, "another folder begins anew"));
    end(&r);
    o.out = NULL;
    o.epochs = 0;
    wants(begin(&r, &o, p, &e), ERR_ARG, &e, "epochs");
    end(&r);
    mem_free(p);
    /* A loss that is no number ends it; the checkpoint stays. */
    p = place("nan");
    assert_int_equal(begin(&r, &options, p, &e), OK);
    feed(&r, 0, VALS + SIZE, 1);
    r.task.nan_loss = true;
    enum err_code rc = OK;
    for (int64_t i = VALS + SIZE; !rc && i < VALS + 2 * SIZE; i++)
        rc = give(&r, i, false, &e);
    wants(rc, ERR_DATA, &e, "the loss is not finite");
    end(&r);
    assert_int_equal(begin(&r, &options, p, &e), OK);
    assert_int_equal(trainer_steps(r.t), 3);
    end(&r);
    mem_free(p);
}

static void test_init(void **state)
{
    struct err e = {0};
    struct run a, b;
    struct train_options o = options;
    (void)state;
    char *pa = place("first"), *pb = place("second");
    char *model = mem_printf("%s/model.safetensors", pa);
    char *whole = mem_printf("%s/checkpoint.safetensors", pa);
    assert_int_equal(begin(&a, &o, pa, &e), OK);
    feed(&a, 0, VALS + EPOCHS * SIZE, 1);
    finish(&a);
    o.init = whole; /* the weights as they are, not the average */
    assert_int_equal(begin(&b, &o, pb, &e), OK);
    same_weights(&a, &b);
    end(&b);
    o.init = model; /* the best average */
    assert_int_equal(begin(&b, &o, pb, &e), OK);
    assert_memory_not_equal(a.task.w->value->data, b.task.w->value->data,
                            WEIGHTS * sizeof(float));
    end(&b);
    o.init = "no/such.safetensors";
    wants(begin(&b, &o, pb, &e), ERR_NOTFOUND, &e, "no/such.safetensors");
    end(&b);
    end(&a);
    mem_free(model);
    mem_free(whole);
    mem_free(pa);
    mem_free(pb);
}

/* No allocation that fails leaves anything behind. */
static void test_memory(void **state)
{
    (void)state;
    char *p = place("memory");
    char *rm = mem_printf("rm -rf '%s'", p);
    int64_t before = mem_live();
    for (uint64_t n = 1; n < 5000; n++) {
        struct err e = {0};
        struct run r;
        assert_int_equal(system(rm), 0);
        const int64_t shape = WEIGHTS;
        (void)shape;
        enum err_code rc = begin(&r, &options, p, &e);
        assert_int_equal(rc, OK);
        mem_fail_nth(n);
        for (int64_t i = 0; !rc && i < VALS + 2 * SIZE; i++) {
            bool item_only;
            struct err mine = {0};
            struct item *it = item_new(&mine);
            if (!it || item_set_i64(it, "sample", i, &mine) ||
                item_set_i64(it, "val_count", VALS, &mine) ||
                item_set_i64(it, "epoch_size", SIZE, &mine) ||
                item_set_str(it, "role", i < VALS ? "val" : "train", &mine))
                rc = ERR_NOMEM;
            else
                rc = trainer_item(r.t, it, &item_only, &e);
            item_free(&it);
        }
        if (!rc)
            rc = trainer_finish(r.t, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        end(&r);
        assert_int_equal(mem_live(), before);
        if (!hit) {
            assert_int_equal(rc, OK);
            break;
        }
        n += n / 3; /* all of the beginning, and then some */
    }
    mem_free(rm);
    mem_free(p);
}

int main(void)
{
    char name[] = "/tmp/facet-train-XXXXXX";
    folder = mkdtemp(name);
    if (!folder)
        return 3;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_empty_places),
        cmocka_unit_test(test_stop_early),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_memory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char *rm = mem_printf("rm -rf '%s'", folder);
    if (!rm || system(rm) != 0)
        failed++;
    mem_free(rm);
    return failed;
}
