/* The training loop: the card that goes with a model's file. */
#include <math.h>
#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/train/trainer_impl.h"

#define MAX_CARD ((size_t)1 << 20)

static enum err_code put_facts(const struct trainer *t, struct buf *b,
                               struct err *e)
{
    char text[96], time[32];
    const struct train_state *s = &t->s;
    enum err_code r = buf_printf(
        b, e,
        "# %s\n\n"
        "| | |\n|---|---|\n"
        "| parameters | %lld |\n"
        "| training | %llu steps of %lld samples (%llu epochs of %llu), %s |\n"
        "| held back | %llu samples |\n",
        t->task.name, (long long)nn_params_total(t->task.part[0].ps),
        (unsigned long long)s->steps, (long long)t->o.batch,
        (unsigned long long)s->epochs, (unsigned long long)s->epoch_size,
        trainer_time(trainer_seconds(t), time, sizeof time),
        (unsigned long long)s->val_count);
    if (!r && isfinite(s->best))
        r = buf_printf(b, e, "| best | %s on the %s, epoch %llu |\n",
                       trainer_metric(t, s->best, text, sizeof text),
                       s->val_count ? "held-back samples" : "training samples",
                       (unsigned long long)s->best_epoch);
    if (!r)
        r = buf_printf(b, e, "| command | `%s` |\n\n",
                       *t->command ? t->command : "unknown");
    return r;
}

enum err_code trainer_card(const struct trainer *t, struct err *e)
{
    struct buf b;
    buf_init(&b, MAX_CARD);
    char *path = path_join(t->out, "model.md");
    enum err_code r =
        path ? put_facts(t, &b, e) : err_set(e, ERR_NOMEM, "no memory");
    if (!r && t->task.card)
        r = buf_printf(&b, e, "%s\n", t->task.card);
    if (!r)
        r = buf_printf(&b, e,
                       "## Configuration\n\n```yaml\n%s```\n\n"
                       "Curves: curves.png; every epoch: epochs.csv.\n",
                       t->config);
    if (!r)
        r = file_write_atomic(path, b.data, b.len, e);
    buf_free(&b);
    mem_free(path);
    return r;
}
