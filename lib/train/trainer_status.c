/* The training loop: what a person sees while it runs. */
#include <math.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/train/trainer_impl.h"

#define EVERY_NS (200 * INT64_C(1000000))

char *trainer_time(double seconds, char *out, size_t n)
{
    long long s = seconds > 0 && seconds < 1e12 ? (long long)seconds : 0;
    if (s >= 3600)
        snprintf(out, n, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, n, "%lld:%02lld", s / 60, s % 60);
    return out;
}

char *trainer_metric(const struct trainer *t, double v, char *out, size_t n)
{
    const char *space = *t->task.unit ? " " : "";
    snprintf(out, n, "%s %.4g%s%s", t->task.metric, v, space, t->task.unit);
    return out;
}

void trainer_status(struct trainer *t)
{
    int64_t now = clock_ns();
    if (now < t->next_status)
        return;
    t->next_status = now + EVERY_NS;
    const struct train_state *s = &t->s;
    double size = (double)s->epoch_size, rate = trainer_rate(t);
    double all = size * (double)t->o.epochs;
    double left = rate > 0 ? (all - (double)s->samples) / rate : 0;
    char metric[96] = "", shown[64], time[32], text[256];
    if (isfinite(s->metric))
        snprintf(metric, sizeof metric, "  %s (best %.4g)",
                 trainer_metric(t, s->metric, shown, sizeof shown), s->best);
    double part = ((double)s->samples - size * (double)s->epochs) / size;
    snprintf(text, sizeof text,
             "epoch %llu/%lld %3.0f %%  %.1f samples/s  loss %.4g  lr %.3g%s  "
             "%s left",
             (unsigned long long)s->epochs + 1, (long long)t->o.epochs,
             100 * fmin(fmax(part, 0), 1), rate,
             s->loss_n ? s->loss_sum / (double)s->loss_n : t->loss, t->lr,
             metric, trainer_time(left, time, sizeof time));
    t->host.status(t->host.arg, text);
}
