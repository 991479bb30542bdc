/* checkpoint-trainer FILE STEPS [EVERY]: train a small network until it has
 * made STEPS steps, going on from the checkpoint FILE if there is one; save
 * into it after every EVERY steps (1) and at the end. Says "from N" first, and
 * then the number of each step that is on the disk. For tests that kill it. */
#include <stdio.h>

#include "lib/base/rng.h"
#include "lib/base/text.h"
#include "lib/nn/checkpoint.h"
#include "lib/nn/layer.h"
#include "lib/nn/threads.h"
#include "lib/nn/train.h"

#define BATCH 2
#define SIDE 8
#define CLASSES 10

struct run {
    struct nn_params *ps;
    struct nn_graph *g;
    struct nn_train *train;
    struct nn_optim *optim;
    struct nn_schedule schedule;
    struct rng data;
    uint64_t step, runs;
};

static int network(struct nn_graph *g, struct nn_params *ps)
{
    const struct nn_conv_layer c = {.out = 8, .kernel = 3, .pad = 1};
    struct nn_scope s = nn_scope(g, ps);
    int x = nn_input(g, 3, SIDE, SIDE), label = nn_input(g, 1, 1, 1);
    x = nn_batch_norm_layer(&s, nn_conv_layer(&s, x, "conv", &c), "bn");
    x = nn_flatten(g, nn_dropout(g, nn_relu(g, x), 0.3));
    x = nn_relu(g, nn_linear_layer(&s, x, "hidden", 256, false));
    x = nn_linear_layer(&s, x, "out", CLASSES, false);
    return nn_cross_entropy(g, x, label, 0);
}

static enum err_code make(struct run *r, struct err *e)
{
    const struct nn_train_options o = {.batch = BATCH, .seed = 3};
    const struct nn_optim_options adamw = {
        .kind = NN_ADAMW, .weight_decay = 0.05, .ema = 0.9};
    *r = (struct run){.schedule = {.kind = NN_PLATEAU,
                                   .lr = 1e-3,
                                   .factor = 0.9,
                                   .patience = 5,
                                   .threshold = 0.01}};
    rng_seed(&r->data, 1);
    r->ps = nn_params_new(1, e);
    r->g = r->ps ? nn_graph_new(e) : NULL;
    if (!r->g)
        return ERR_NOMEM;
    nn_output(r->g, network(r->g, r->ps));
    enum err_code c = nn_train_new(r->g, &o, &r->train, e);
    return c ? c : nn_optim_new(r->ps, &adamw, &r->optim, e);
}

static void release(struct run *r)
{
    nn_optim_free(&r->optim);
    nn_train_free(&r->train);
    nn_graph_free(&r->g);
    nn_params_free(&r->ps);
}

static enum err_code step(struct run *r, struct err *e)
{
    float x[BATCH * 3 * SIDE * SIDE], label[BATCH], loss;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)rng_normal(&r->data);
    for (size_t i = 0; i < BATCH; i++)
        label[i] = (float)rng_below(&r->data, CLASSES);
    nn_optim_set_lr(r->optim, nn_schedule_lr(&r->schedule, (double)r->step));
    nn_params_zero_grad(r->ps);
    enum err_code c =
        nn_train_forward(r->train, (const float *[]){x, label}, e);
    if (!c)
        c = nn_train_backward(r->train, NULL, e);
    if (!c)
        c = nn_optim_step(r->optim, NULL, e);
    if (c)
        return c;
    nn_train_output(r->train, 0, &loss);
    (void)nn_schedule_report(&r->schedule, (double)loss);
    r->step++;
    r->runs = nn_train_runs(r->train);
    return OK;
}

static enum err_code file(struct run *r, const char *path, bool save,
                          struct err *e)
{
    const struct nn_checkpoint_part parts[] = {
        {"net", r->ps, r->optim, &r->schedule}, {0}};
    const struct nn_checkpoint_value values[] = {{"step", &r->step, NULL},
                                                 {"runs", &r->runs, NULL},
                                                 {"rng0", &r->data.s[0], NULL},
                                                 {"rng1", &r->data.s[1], NULL},
                                                 {"rng2", &r->data.s[2], NULL},
                                                 {"rng3", &r->data.s[3], NULL},
                                                 {0}};
    if (save)
        return nn_checkpoint_save(path, parts, values, NULL, e);
    enum err_code c = nn_checkpoint_load(path, parts, values, e);
    if (!c)
        nn_train_set_runs(r->train, r->runs);
    return c == ERR_NOTFOUND ? OK : c;
}

static void say(const char *what, uint64_t n)
{
    printf("%s%llu\n", what, (unsigned long long)n);
    (void)fflush(stdout);
}

static enum err_code train(struct run *r, const char *path, uint64_t steps,
                           uint64_t every, struct err *e)
{
    enum err_code c = make(r, e);
    if (!c)
        c = file(r, path, false, e);
    if (!c)
        say("from ", r->step);
    while (!c && r->step < steps) {
        c = step(r, e);
        if (c || (r->step % every && r->step < steps))
            continue;
        c = file(r, path, true, e);
        if (!c)
            say("", r->step);
    }
    return c;
}

int main(int argc, char **argv)
{
    struct run r = {0};
    struct err e = {0};
    int64_t steps = -1, every = 1;
    nn_threads_start(argv);
    nn_threads_set(1);
    if (argc < 3 || argc > 4 || !text_to_i64(argv[2], &steps) || steps < 0 ||
        (argc == 4 && (!text_to_i64(argv[3], &every) || every < 1))) {
        fputs("usage: checkpoint-trainer FILE STEPS [EVERY]\n", stderr);
        return 2;
    }
    enum err_code c = train(&r, argv[1], (uint64_t)steps, (uint64_t)every, &e);
    if (c)
        fprintf(stderr, "checkpoint-trainer: %s\n", e.text);
    release(&r);
    return c ? 1 : 0;
}
