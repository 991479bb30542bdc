/* The training loop: samples into batches, steps, ends of epochs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/train/log.h"
#include "lib/train/trainer_impl.h"

#define MAX_VAL 65536
#define MAX_EPOCH (INT64_C(1) << 40)
#define MAX_COMMAND 4096 /* what files of weights can hold of a text */

struct nn_train_options train_plan_options(const struct train_options *o)
{
    return (struct nn_train_options){
        .mode = o->precision == TRAIN_EXACT ? NN_EXACT : NN_FAST,
        .bf16 = o->precision == TRAIN_BF16,
        .batch = o->batch,
        .seed = (uint64_t)o->seed,
    };
}

struct nn_optim *trainer_optim(const struct trainer *t, int i)
{
    return t->task.part[i].optim ? t->task.part[i].optim : t->optim[i];
}

struct nn_params *trainer_weights(const struct trainer *t)
{
    return t->average ? t->average : t->task.part[0].ps;
}

enum err_code trainer_refresh(struct trainer *t, struct err *e)
{
    return t->average ? nn_optim_ema(trainer_optim(t, 0), t->average, e) : OK;
}

double trainer_seconds(const struct trainer *t)
{
    return t->s.seconds + (double)(clock_ns() - t->began_ns) * 1e-9;
}

double trainer_rate(const struct trainer *t)
{
    double s = (double)(clock_ns() - t->began_ns) * 1e-9;
    return s > 0 ? (double)(t->s.samples - t->began_samples) / s : 0;
}

int64_t trainer_steps(const struct trainer *t)
{
    return (int64_t)t->s.steps;
}

/* ---- Beginning ---- */

static enum err_code check_options(const struct train_options *o, struct err *e)
{
    if (!o->out || !*o->out)
        return err_set(e, ERR_ARG, "a trainer needs a folder (out)");
    if (o->batch < 1 || o->batch > 4096)
        return err_set(e, ERR_ARG, "a batch of %lld", (long long)o->batch);
    if (o->epochs < 1)
        return err_set(e, ERR_ARG, "%lld epochs", (long long)o->epochs);
    if (o->precision == TRAIN_BF16 && !nn_has_bf16())
        return err_set(e, ERR_UNSUPPORTED,
                       "this CPU has no bf16 arithmetic (precision: bf16)");
    return OK;
}

static enum err_code make_optims(struct trainer *t, struct err *e)
{
    const struct train_options *o = &t->o;
    struct nn_optim_options x = {
        .kind = (enum nn_optim_kind)o->optimiser,
        .lr = o->lr,
        .momentum = o->optimiser == NN_SGD ? o->momentum : 0,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .weight_decay = o->weight_decay,
        .clip_norm = o->clip,
        .ema = o->ema,
        .ema_ramp = true,
    };
    t->schedule = (struct nn_schedule){
        .kind = (enum nn_schedule_kind)o->schedule,
        .lr = o->lr,
        .warmup = o->warmup,
        .factor = o->factor,
        .every = (double)o->every,
        .total = fmax((double)o->epochs - o->warmup, 1e-3),
        .lr_min = o->lr_min,
        .patience = o->patience,
        .threshold = o->threshold,
        .larger_is_better = t->task.larger_is_better,
    };
    enum err_code r = nn_schedule_check(&t->schedule, e);
    for (int i = 0; t->task.part[i].name && !r; i++) {
        if (!t->task.part[i].optim)
            r = nn_optim_new(t->task.part[i].ps, &x, &t->optim[i], e);
    }
    return r;
}

/* A set with the same names for the averaged weights. */
static enum err_code make_average(struct trainer *t, struct err *e)
{
    const struct nn_params *ps = t->task.part[0].ps;
    const struct nn_init_spec zero = {.kind = NN_INIT_ZERO};
    t->average = nn_params_new(0, e);
    enum err_code r = t->average ? OK : ERR_NOMEM;
    for (size_t i = 0; i < nn_params_count(ps) && !r; i++) {
        const struct nn_param *p = nn_params_at(ps, i);
        struct nn_param *q;
        r = nn_params_get(t->average, p->name, p->value->ndim, p->value->shape,
                          p->buffer, zero, &q, e);
    }
    return r;
}

/* A copy of as much of a command as can be saved: no run ends because of what
 * began it. */
static char *copy_command(const char *s)
{
    size_t n = strnlen(s, MAX_COMMAND + 1);
    if (n > MAX_COMMAND) {
        for (n = MAX_COMMAND; n > 0 && (s[n] & 0xC0) == 0x80;)
            n--; /* not within a character */
    }
    return mem_strndup(s, text_is_utf8(s, n) ? n : 0);
}

static enum err_code copy_texts(struct trainer *t, struct err *e)
{
    t->out = mem_strdup(t->o.out);
    t->init = mem_strdup(t->o.init ? t->o.init : "");
    t->config = mem_strdup(t->host.config ? t->host.config : "");
    t->command = copy_command(t->host.command ? t->host.command : "");
    if (!t->out || !t->init || !t->config || !t->command)
        return err_set(e, ERR_NOMEM, "no memory for a trainer");
    t->o.out = t->out;
    t->o.init = t->init;
    t->host.config = t->config;
    t->host.command = t->command;
    return OK;
}

static enum err_code open_logs(const struct trainer *t, struct err *e)
{
    char head[160];
    enum err_code r =
        train_log_open(t->out, "steps.csv",
                       "step,epoch,samples,loss,lr,gradient_norm,samples_per_s",
                       (int64_t)t->s.steps, e);
    snprintf(head, sizeof head, "epoch,step,samples,loss,%s,best,lr,seconds",
             t->task.metric);
    return r ? r
             : train_log_open(t->out, "epochs.csv", head, (int64_t)t->s.epochs,
                              e);
}

enum err_code trainer_new(const struct train_options *o,
                          const struct train_task *task,
                          const struct train_host *host, struct trainer **out,
                          struct err *e)
{
    *out = NULL;
    enum err_code r = check_options(o, e);
    if (r)
        return r;
    struct trainer *t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory for a trainer");
    t->o = *o;
    t->task = *task;
    t->host = *host;
    t->s.best = t->s.metric = (double)NAN;
    r = copy_texts(t, e);
    if (!r)
        r = file_mkdirs(t->out, e);
    if (!r)
        r = make_optims(t, e);
    struct nn_optim *first = r ? NULL : trainer_optim(t, 0);
    if (!r && o->ema > 0 && first)
        r = make_average(t, e);
    if (!r)
        r = trainer_load(t, e);
    if (!r)
        r = open_logs(t, e);
    if (!r)
        r = trainer_config(t, e);
    if (!r)
        r = trainer_recipe(t, e);
    t->host.recipe = NULL; /* the caller's */
    t->began_ns = clock_ns();
    t->began_samples = t->s.samples;
    if (r)
        trainer_free(&t);
    *out = t;
    return r;
}

void trainer_free(struct trainer **tp)
{
    struct trainer *t = *tp;
    if (!t)
        return;
    for (size_t i = 0; i < t->n_val; i++)
        item_free(&t->val[i]);
    mem_free(t->val);
    train_order_free(&t->order);
    for (int i = 0; i < TRAIN_MAX_PARTS; i++)
        nn_optim_free(&t->optim[i]);
    nn_params_free(&t->average);
    mem_free(t->out);
    mem_free(t->init);
    mem_free(t->config);
    mem_free(t->command);
    mem_free(t);
    *tp = NULL;
}

/* ---- Steps ---- */

static enum err_code log_step(struct trainer *t, struct err *e)
{
    if (t->s.log_n < (uint64_t)t->o.log_every)
        return OK;
    double epoch = (double)t->s.samples / (double)t->s.epoch_size;
    enum err_code r = train_log_row(
        t->out, "steps.csv", e, "%llu,%.4f,%llu,%.6g,%.6g,%.4g,%.2f",
        (unsigned long long)t->s.steps, epoch, (unsigned long long)t->s.samples,
        t->s.log_sum / (double)t->s.log_n, t->lr, t->norm, trainer_rate(t));
    t->s.log_sum = 0;
    t->s.log_n = 0;
    return r;
}

static enum err_code take_steps(struct trainer *t, struct err *e)
{
    enum err_code r = OK;
    double squares = 0;
    t->lr = nn_schedule_lr(&t->schedule,
                           (double)t->s.samples / (double)t->s.epoch_size);
    for (int i = 0; t->task.part[i].name; i++) {
        nn_optim_set_lr(trainer_optim(t, i), t->lr);
        if (t->optim[i])
            nn_params_zero_grad(t->task.part[i].ps);
    }
    r = t->task.step(t->task.ctx, &t->loss, e);
    if (!r && !isfinite(t->loss))
        r = err_set(e, ERR_DATA, "the loss is not finite");
    for (int i = 0; t->task.part[i].name && !r; i++) {
        double norm = 0;
        if (t->optim[i])
            r = nn_optim_step(t->optim[i], &norm, e);
        squares += norm * norm;
    }
    t->norm = sqrt(squares);
    if (r)
        err_wrap(e, "step %llu (samples to %llu)",
                 (unsigned long long)t->s.steps + 1,
                 (unsigned long long)t->s.position);
    return r;
}

static enum err_code step(struct trainer *t, struct err *e)
{
    enum err_code r = take_steps(t, e);
    if (r)
        return r;
    t->rows = 0;
    t->s.steps++;
    t->s.samples += (uint64_t)t->o.batch;
    t->s.loss_sum += t->loss;
    t->s.log_sum += t->loss;
    t->s.loss_n++;
    t->s.log_n++;
    r = log_step(t, e);
    trainer_status(t);
    bool stop = t->host.stopping && t->host.stopping(t->host.arg);
    bool due = t->o.checkpoint_every > 0 &&
               t->s.steps % (uint64_t)t->o.checkpoint_every == 0;
    if (!r && (stop || due))
        r = trainer_save(t, e);
    return !r && stop ? err_set(e, ERR_CANCEL, "stopped") : r;
}

/* ---- The stream ---- */

static enum err_code keep_val(struct trainer *t, struct item *it, struct err *e)
{
    if (!t->val) {
        t->val = mem_calloc((size_t)t->s.val_count, sizeof(struct item *));
        if (!t->val) {
            item_free(&it);
            return err_set(e, ERR_NOMEM, "no memory for held-back samples");
        }
    }
    t->val[t->n_val++] = it;
    return OK;
}

/* One place of the stream, in its order; it may be empty. */
static enum err_code consume(struct trainer *t, int64_t at, struct item *it,
                             struct err *e)
{
    int64_t vals = (int64_t)t->s.val_count, size = (int64_t)t->s.epoch_size;
    enum err_code r = OK;
    if (at < vals) {
        if (it)
            r = keep_val(t, it, e);
        if (at + 1 == vals && !r)
            train_order_skip(&t->order, (int64_t)t->s.position > vals
                                            ? (int64_t)t->s.position
                                            : vals);
        return r;
    }
    if (it) {
        if (t->rows == 0)
            t->batch_first = at;
        r = t->task.put(t->task.ctx, t->rows, it, e);
        item_free(&it);
        t->rows++;
    }
    t->s.position = (uint64_t)at + 1;
    if (!r && t->rows == t->o.batch)
        r = step(t, e);
    int64_t done = at + 1 - vals;
    if (!r && done % size == 0 && (uint64_t)(done / size) > t->s.epochs)
        r = trainer_end_epoch(t, e);
    return r;
}

/* The first item says how long the stream's parts are. */
static enum err_code learn_sizes(struct trainer *t, const struct item *it,
                                 bool *item_only, struct err *e)
{
    int64_t vals = item_i64(it, "val_count", -1);
    int64_t size = item_i64(it, "epoch_size", -1);
    if (vals < 0 || vals > MAX_VAL || size < 1 || size > MAX_EPOCH) {
        *item_only = true;
        return err_set(e, ERR_DATA,
                       "val_count and epoch_size are %lld and %lld: is the "
                       "source told how many epochs?",
                       (long long)vals, (long long)size);
    }
    bool before = t->known || t->resumed;
    if (before &&
        ((uint64_t)vals != t->s.val_count || (uint64_t)size != t->s.epoch_size))
        return err_set(e, ERR_DATA,
                       "the data changed: %lld held-back and %lld training "
                       "samples now, %llu and %llu %s",
                       (long long)vals, (long long)size,
                       (unsigned long long)t->s.val_count,
                       (unsigned long long)t->s.epoch_size,
                       t->known ? "before" : "when the run began");
    t->s.val_count = (uint64_t)vals;
    t->s.epoch_size = (uint64_t)size;
    if (!t->known && vals == 0)
        train_order_skip(&t->order, (int64_t)t->s.position);
    t->known = true;
    return OK;
}

enum err_code trainer_item(struct trainer *t, const struct item *it,
                           bool *item_only, struct err *e)
{
    *item_only = false;
    if (t->enough)
        return OK;
    int64_t at = item_i64(it, "sample", -1);
    if (at < 0 || at > INT64_MAX / 2) {
        *item_only = true;
        return err_set(e, ERR_DATA,
                       "no field 'sample': the source must give a stream "
                       "(epochs)");
    }
    enum err_code r = learn_sizes(t, it, item_only, e);
    if (r)
        return r;
    struct item *keep = NULL;
    if (!item_get(it, "error_code")) {
        keep = item_child(it, e);
        if (!keep)
            return ERR_NOMEM;
    }
    r = train_order_put(&t->order, at, keep, e);
    while (!r && !t->enough && train_order_take(&t->order, &keep))
        r = consume(t, t->order.next - 1, keep, e);
    return r;
}

enum err_code trainer_finish(struct trainer *t, struct err *e)
{
    char text[96], line[256];
    enum err_code r = OK;
    if (!t->known)
        return err_set(e, ERR_DATA, "no samples came");
    if (t->n_val == 0 && t->s.val_count)
        return err_set(e, ERR_DATA, "none of the %llu held-back samples came",
                       (unsigned long long)t->s.val_count);
    r = trainer_save(t, e);
    if (!r)
        r = trainer_card(t, e);
    if (r)
        return r;
    if (isfinite(t->s.best)) {
        snprintf(line, sizeof line, "best %s, epoch %llu of %llu",
                 trainer_metric(t, t->s.best, text, sizeof text),
                 (unsigned long long)t->s.best_epoch,
                 (unsigned long long)t->s.epochs);
        t->host.report(t->host.arg, line);
    }
    snprintf(line, sizeof line,
             "%llu steps, %llu samples, %.1f samples/s, "
             "weights in %.150s/model.safetensors",
             (unsigned long long)t->s.steps, (unsigned long long)t->s.samples,
             trainer_rate(t), t->out);
    t->host.report(t->host.arg, line);
    return OK;
}
