/* Learning-rate schedules: closed forms, and the reaction to a plateau. */
#include "lib/nn/schedule.h"

#include <math.h>

#define PLATEAU_EPS 1e-8 /* ReduceLROnPlateau: a smaller fall is no fall */

static bool finite_from(double x, double lo)
{
    return isfinite(x) && x >= lo;
}

/* The state of a plateau, which may come from a file. */
static enum err_code check_state(const struct nn_schedule *s, struct err *e)
{
    if (!s->started)
        return OK;
    if (isnan(s->best) || s->bad < 0 || s->bad > s->patience ||
        s->cooling < 0 || s->cooling > s->cooldown || !(s->scale > 0.0) ||
        s->scale > 1.0)
        return err_set(e, ERR_ARG,
                       "schedule: a plateau cannot be at best %g, bad %lld, "
                       "cooling %lld, scale %g",
                       s->best, (long long)s->bad, (long long)s->cooling,
                       s->scale);
    return OK;
}

static enum err_code check_plateau(const struct nn_schedule *s, struct err *e)
{
    if (!(s->factor > 0.0 && s->factor < 1.0))
        return err_set(e, ERR_ARG,
                       "schedule: a plateau's factor is between 0 and 1, not "
                       "%g",
                       s->factor);
    if (s->patience < 0 || s->cooldown < 0)
        return err_set(e, ERR_ARG,
                       "schedule: patience %lld, cooldown %lld: less than 0",
                       (long long)s->patience, (long long)s->cooldown);
    if (!(s->threshold >= 0.0 && s->threshold < 1.0))
        return err_set(e, ERR_ARG,
                       "schedule: threshold is from 0 to below 1, not %g",
                       s->threshold);
    return check_state(s, e);
}

enum err_code nn_schedule_check(const struct nn_schedule *s, struct err *e)
{
    if (!finite_from(s->lr, 0.0))
        return err_set(e, ERR_ARG, "schedule: lr cannot be %g", s->lr);
    if (s->warmup != 0.0 && !finite_from(s->warmup, 1.0))
        return err_set(e, ERR_ARG,
                       "schedule: warmup is 0 or at least 1, not %g",
                       s->warmup);
    if ((s->kind == NN_COSINE || s->kind == NN_PLATEAU) &&
        !(s->lr_min >= 0.0 && s->lr_min <= s->lr))
        return err_set(e, ERR_ARG, "schedule: lr_min is from 0 to lr, not %g",
                       s->lr_min);
    switch (s->kind) {
    case NN_CONSTANT:
        return OK;
    case NN_STEP_DECAY:
        if (!finite_from(s->factor, 0.0) || !(s->factor > 0.0))
            return err_set(e, ERR_ARG, "schedule: factor cannot be %g",
                           s->factor);
        if (!finite_from(s->every, 0.0) || !(s->every > 0.0))
            return err_set(e, ERR_ARG, "schedule: every cannot be %g",
                           s->every);
        return OK;
    case NN_COSINE:
        if (!finite_from(s->total, 0.0) || !(s->total > 0.0))
            return err_set(e, ERR_ARG, "schedule: total cannot be %g",
                           s->total);
        return OK;
    case NN_PLATEAU:
        return check_plateau(s, e);
    }
    return err_set(e, ERR_ARG, "schedule: no kind %d", (int)s->kind);
}

double nn_schedule_lr(const struct nn_schedule *s, double unit)
{
    if (unit < s->warmup) {
        double rise = (unit + 1.0) / s->warmup;
        return s->lr * (rise < 1.0 ? rise : 1.0);
    }
    double t = unit - s->warmup;
    switch (s->kind) {
    case NN_CONSTANT:
        break;
    case NN_STEP_DECAY:
        return s->lr * pow(s->factor, floor(t / s->every));
    case NN_COSINE:
        if (t >= s->total)
            return s->lr_min;
        return s->lr_min + (s->lr - s->lr_min) * 0.5 *
                               (1.0 + cos(3.141592653589793 * t / s->total));
    case NN_PLATEAU:
        return s->started ? s->lr * s->scale : s->lr;
    }
    return s->lr;
}

bool nn_schedule_report(struct nn_schedule *s, double metric)
{
    if (s->kind != NN_PLATEAU)
        return false;
    if (!s->started) {
        s->started = true;
        s->best = s->larger_is_better ? -HUGE_VAL : HUGE_VAL;
        s->bad = 0;
        s->cooling = 0;
        s->scale = 1.0;
    }
    bool better = s->larger_is_better ? metric > s->best * (1.0 + s->threshold)
                                      : metric < s->best * (1.0 - s->threshold);
    if (better)
        s->best = metric;
    s->bad = better ? 0 : s->bad + 1;
    if (s->cooling > 0) {
        s->cooling--;
        s->bad = 0;
    }
    if (s->bad <= s->patience)
        return false;
    s->cooling = s->cooldown;
    s->bad = 0;
    double old = s->lr * s->scale;
    double lower = old * s->factor > s->lr_min ? old * s->factor : s->lr_min;
    if (!(old - lower > PLATEAU_EPS))
        return false;
    s->scale = lower / s->lr;
    return true;
}
