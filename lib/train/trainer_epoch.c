/* The training loop: what happens at the end of an epoch. */
#include <math.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/train/curves.h"
#include "lib/train/log.h"
#include "lib/train/trainer_impl.h"

static bool better(const struct trainer *t, double v)
{
    if (!isfinite(t->s.best))
        return true;
    return t->task.larger_is_better ? v > t->s.best : v < t->s.best;
}

/* What decides is the metric; without held-back samples, the loss. */
static enum err_code judge(struct trainer *t, double loss, struct err *e)
{
    struct nn_params *ps = trainer_weights(t);
    enum err_code r = OK;
    double v = t->task.larger_is_better ? -loss : loss;
    if (t->n_val)
        r = t->task.validate(t->task.ctx, ps, t->val, t->n_val, &v, e);
    if (r)
        return err_wrap(e, "validation after epoch %llu",
                        (unsigned long long)t->s.epochs);
    if (!isfinite(v))
        return err_set(e, ERR_DATA, "%s is not finite after epoch %llu",
                       t->task.metric, (unsigned long long)t->s.epochs);
    t->s.metric = t->n_val ? v : (double)NAN;
    (void)nn_schedule_report(&t->schedule, v);
    t->s.bad++;
    if (!better(t, v))
        return OK;
    t->s.best = v;
    t->s.best_epoch = t->s.epochs;
    t->s.bad = 0;
    return trainer_export(t, e);
}

static enum err_code draw_sheet(struct trainer *t, struct err *e)
{
    if (!t->task.sheet || !t->n_val || t->o.sheet_every < 1 ||
        t->s.epochs % (uint64_t)t->o.sheet_every != 0)
        return OK;
    char *path = mem_printf("%s/sheets/epoch-%04llu.png", t->out,
                            (unsigned long long)t->s.epochs);
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code r = t->task.sheet(t->task.ctx, trainer_weights(t), t->val,
                                    t->n_val, path, e);
    mem_free(path);
    return r;
}

/* A chart is not worth a run: say once why there is none. */
static void draw_curves(struct trainer *t)
{
    struct err why = {0};
    if (train_curves(t->out, t->task.name, t->task.metric, t->task.unit,
                     &why) &&
        !t->drawn)
        log_warn("no curves: %s", why.text);
    t->drawn = true;
}

enum err_code trainer_end_epoch(struct trainer *t, struct err *e)
{
    double loss =
        t->s.loss_n ? t->s.loss_sum / (double)t->s.loss_n : (double)NAN;
    t->s.epochs++;
    t->s.loss_sum = 0;
    t->s.loss_n = 0;
    enum err_code r = OK;
    if (isfinite(loss)) { /* an epoch of few samples may have had no step */
        r = trainer_refresh(t, e);
        if (!r)
            r = judge(t, loss, e);
        if (!r)
            r = train_log_row(
                t->out, "epochs.csv", e,
                "%llu,%llu,%llu,%.6g,%.6g,%.6g,%.6g,%.1f",
                (unsigned long long)t->s.epochs, (unsigned long long)t->s.steps,
                (unsigned long long)t->s.samples, loss, t->s.metric, t->s.best,
                t->lr, trainer_seconds(t));
        if (!r)
            r = draw_sheet(t, e);
        if (!r)
            draw_curves(t);
    }
    if (!r)
        r = trainer_save(t, e);
    bool stop = t->o.stop_early > 0 && t->s.bad >= (uint64_t)t->o.stop_early;
    if (!r && (stop || t->s.epochs >= (uint64_t)t->o.epochs)) {
        if (stop && t->s.epochs < (uint64_t)t->o.epochs)
            log_info("stopping early: no better %s for %llu epochs",
                     t->task.metric, (unsigned long long)t->s.bad);
        t->enough = true;
        t->host.enough(t->host.arg);
    }
    return r;
}
