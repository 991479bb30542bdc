/* The training loop: checkpoints, the model's file, the configuration. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/nn/checkpoint.h"
#include "lib/train/trainer_impl.h"

#define N_VALUES 16

struct saved {
    struct nn_checkpoint_part part[TRAIN_MAX_PARTS + 1];
    struct nn_checkpoint_value value[N_VALUES + 1];
};

/* The first part carries the schedule, which is everybody's. */
static struct saved saved(struct trainer *t)
{
    struct train_state *s = &t->s;
    struct saved x = {.value = {{"position", &s->position, NULL},
                                {"steps", &s->steps, NULL},
                                {"samples", &s->samples, NULL},
                                {"epochs", &s->epochs, NULL},
                                {"val_count", &s->val_count, NULL},
                                {"epoch_size", &s->epoch_size, NULL},
                                {"loss_n", &s->loss_n, NULL},
                                {"log_n", &s->log_n, NULL},
                                {"best_epoch", &s->best_epoch, NULL},
                                {"bad", &s->bad, NULL},
                                {"runs", &s->runs, NULL},
                                {"loss_sum", NULL, &s->loss_sum},
                                {"log_sum", NULL, &s->log_sum},
                                {"best", NULL, &s->best},
                                {"metric", NULL, &s->metric},
                                {"seconds", NULL, &s->seconds}}};
    for (int i = 0; t->task.part[i].name; i++)
        x.part[i] = (struct nn_checkpoint_part){
            t->task.part[i].name, t->task.part[i].ps, trainer_optim(t, i),
            i ? NULL : &t->schedule};
    return x;
}

/* Where the source goes on (its parameter resume). Written after the
 * checkpoint: samples that it gives again are known to have been used. */
static enum err_code write_position(const struct trainer *t, uint64_t at,
                                    struct err *e)
{
    char text[32];
    char *path = path_join(t->out, "position");
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    int n = snprintf(text, sizeof text, "%" PRIu64 "\n", at);
    enum err_code r = file_write_atomic(path, text, (size_t)n, e);
    mem_free(path);
    return r;
}

enum err_code trainer_save(struct trainer *t, struct err *e)
{
    struct train_state now = t->s;
    char *path = path_join(t->out, "checkpoint.safetensors");
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    if (t->rows) /* samples of a batch that is not whole come again */
        t->s.position = (uint64_t)t->batch_first;
    t->s.seconds = trainer_seconds(t);
    if (t->task.runs)
        t->s.runs = t->task.runs(t->task.ctx);
    uint64_t at = t->s.position;
    struct saved x = saved(t);
    const struct safetensors_pair meta[] = {
        {"task", t->task.name}, {"command", t->command}, {NULL, NULL}};
    enum err_code r = nn_checkpoint_save(path, x.part, x.value, meta, e);
    t->s = now;
    mem_free(path);
    return r ? r : write_position(t, at, e);
}

static enum err_code begin_with(struct trainer *t, struct err *e)
{
    struct safetensors *w = NULL;
    size_t skipped = 0;
    struct nn_params *ps = t->task.part[0].ps;
    enum err_code r = safetensors_open(t->init, &w, e);
    /* A checkpoint, or a file of weights alone. */
    char *prefix = r ? NULL : mem_printf("%s.", t->task.part[0].name);
    if (!r && !prefix)
        r = err_set(e, ERR_NOMEM, "no memory for a name");
    if (!r)
        r = nn_params_load(
            ps, w, safetensors_meta(w, "facet.checkpoint") ? prefix : "", true,
            &skipped, e);
    size_t all = nn_params_count(ps);
    if (!r && skipped == all)
        r = err_set(e, ERR_DATA, "'%s' has none of the network's weights",
                    t->init);
    if (!r && skipped)
        log_warn("'%s': %zu of %zu tensors are missing or of another shape "
                 "and begin at random",
                 t->init, skipped, all);
    mem_free(prefix);
    safetensors_free(&w);
    return r;
}

enum err_code trainer_load(struct trainer *t, struct err *e)
{
    char *path = path_join(t->out, "checkpoint.safetensors");
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    enum err_code r = OK;
    if (file_exists(path)) {
        struct saved x = saved(t);
        r = nn_checkpoint_load(path, x.part, x.value, e);
        if (!r && t->task.set_runs)
            t->task.set_runs(t->task.ctx, t->s.runs);
        t->resumed = r == OK;
        if (r)
            err_wrap(e,
                     "cannot go on with the run in '%s' (another folder "
                     "begins anew)",
                     t->out);
        else
            log_info("going on after epoch %llu, step %llu",
                     (unsigned long long)t->s.epochs,
                     (unsigned long long)t->s.steps);
    } else if (*t->init) {
        r = begin_with(t, e);
    }
    mem_free(path);
    return r;
}

enum err_code trainer_export(struct trainer *t, struct err *e)
{
    char text[64], steps[32];
    char *path = path_join(t->out, "model.safetensors");
    struct safetensors_pair meta[32];
    size_t n = 0;
    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    for (const struct safetensors_pair *p = t->task.meta; p && p->key && n < 28;
         p++)
        meta[n++] = *p;
    trainer_metric(t, t->s.best, text, sizeof text);
    snprintf(steps, sizeof steps, "%" PRIu64, t->s.steps);
    meta[n++] = (struct safetensors_pair){"metric", text};
    meta[n++] = (struct safetensors_pair){"steps", steps};
    meta[n++] = (struct safetensors_pair){"command", t->command};
    meta[n] = (struct safetensors_pair){NULL, NULL};
    enum err_code r = nn_params_save(trainer_weights(t), path, meta, e);
    mem_free(path);
    return r;
}

enum err_code trainer_config(struct trainer *t, struct err *e)
{
    char *path = path_join(t->out, "config.yaml");
    char *text = mem_printf("# %s\n%s", t->command, t->config);
    enum err_code r =
        path && text ? file_write_atomic(path, text, strlen(text), e)
                     : err_set(e, ERR_NOMEM, "no memory for a configuration");
    mem_free(path);
    mem_free(text);
    return r;
}
