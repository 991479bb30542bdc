/* The face detector in training. */
#include "stages/detector-trainer/net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

static size_t level_floats(const struct detector_train *n, int i)
{
    size_t cells = (size_t)(n->side / detector_level[i].stride);
    return DETECTOR_CHANNELS * cells * cells;
}

/* The score begins at one face in a hundred cells (Lin et al., ICCV 2017):
 * else the many that are none drown the first steps. */
static void begin_scores(struct nn_params *ps)
{
    for (int i = 0; i < DETECTOR_LEVELS; i++) {
        char name[32];
        snprintf(name, sizeof name, "head%d.out.bias", i);
        struct nn_param *p = nn_params_find(ps, name);
        if (p)
            tensor_f32(p->value)[0] = -4.6F;
    }
}

enum err_code detector_train_new(struct detector_train *n,
                                 const struct train_options *o, struct err *e)
{
    struct nn_train_options plan = train_plan_options(o);
    size_t b = (size_t)o->batch, plane = (size_t)(n->side * n->side);
    int level[DETECTOR_LEVELS];
    n->batch = o->batch;
    n->ps = nn_params_new((uint64_t)o->seed, e);
    struct nn_graph *g = n->ps ? nn_graph_new(e) : NULL;
    enum err_code r = g ? OK : ERR_NOMEM;
    if (g) {
        struct nn_scope s = nn_scope(g, n->ps);
        if (detector_net(&s, nn_input(g, 3, n->side, n->side), n->width, level))
            for (int i = 0; i < DETECTOR_LEVELS; i++)
                nn_output(g, level[i]);
        r = nn_train_new(g, &plan, &n->plan, e);
    }
    nn_graph_free(&g);
    if (r)
        return r;
    begin_scores(n->ps);
    n->in = mem_aligned((b + 1) * 3 * plane * sizeof(float));
    n->row = mem_calloc(b + 1, sizeof *n->row);
    n->truth = mem_calloc(b + 1, sizeof *n->truth);
    bool all = n->in && n->row && n->truth;
    for (int i = 0; i < DETECTOR_LEVELS; i++) {
        n->maps[i] = mem_aligned(b * level_floats(n, i) * sizeof(float));
        n->grad[i] = mem_aligned(b * level_floats(n, i) * sizeof(float));
        all = all && n->maps[i] && n->grad[i];
    }
    return all ? OK : err_set(e, ERR_NOMEM, "no memory for a batch");
}

void detector_train_free(struct detector_train *n)
{
    nn_train_free(&n->plan);
    nn_params_free(&n->ps);
    mem_free(n->in);
    mem_free(n->row);
    mem_free(n->truth);
    for (int i = 0; i < DETECTOR_LEVELS; i++) {
        mem_free(n->maps[i]);
        mem_free(n->grad[i]);
    }
    *n = (struct detector_train){.batch = 0};
}

/* u8[side,side,3] to planes of 0..1. */
static enum err_code planes(const struct detector_train *n,
                            const struct item *it, float *out, struct err *e)
{
    const struct tensor *frame = item_tensor(it, "frame");
    if (!frame || frame->dtype != DT_U8 || frame->ndim != 3 ||
        frame->shape[0] != n->side || frame->shape[1] != n->side ||
        frame->shape[2] != 3)
        return err_set(e, ERR_DATA, "a sample's frame is no u8[%lld,%lld,3]",
                       (long long)n->side, (long long)n->side);
    const uint8_t *px = frame->data;
    size_t plane = (size_t)(n->side * n->side);
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < plane; i++)
            out[c * plane + i] = (float)px[3 * i + c] / 255.0F;
    return OK;
}

/* Boxes of a field behind those that are there. */
static enum err_code boxes(const struct item *it, const char *name, bool ignore,
                           struct detector_row *row, int *n, struct err *e)
{
    const struct tensor *t = item_tensor(it, name);
    if (!t || t->dtype != DT_F32 || t->ndim != 2 || t->shape[1] != 4)
        return err_set(e, ERR_DATA, "a sample's %s is no f32[*,4]", name);
    if (t->shape[0] > DETECTOR_ROW_BOXES - *n)
        return err_set(e, ERR_DATA, "a sample has more than %d boxes",
                       DETECTOR_ROW_BOXES);
    for (int64_t i = 0; i < t->shape[0]; i++) {
        memcpy(row->box[*n], tensor_f32(t) + 4 * i, sizeof row->box[0]);
        row->ignore[(*n)++] = ignore;
    }
    return OK;
}

enum err_code detector_train_put(void *net, int64_t row, const struct item *it,
                                 struct err *e)
{
    struct detector_train *n = net;
    struct detector_row *to = &n->row[row];
    int count = 0;
    enum err_code r = boxes(it, "boxes_true", false, to, &count, e);
    if (!r)
        r = boxes(it, "boxes_ignore", true, to, &count, e);
    n->truth[row] =
        (struct detector_truth){(const float(*)[4])to->box, to->ignore, count};
    return r ? r : planes(n, it, n->in + row * 3 * n->side * n->side, e);
}

enum err_code detector_train_step(void *net, double *loss, struct err *e)
{
    struct detector_train *n = net;
    const float *in[] = {n->in}, *grad[DETECTOR_LEVELS];
    enum err_code r = nn_train_forward(n->plan, in, e);
    int64_t faces = detector_positives(n->truth, n->batch, n->side, n->side);
    *loss = 0;
    for (int i = 0; i < DETECTOR_LEVELS && !r; i++) {
        int64_t cells = n->side / detector_level[i].stride;
        nn_train_output(n->plan, i, n->maps[i]);
        *loss += detector_loss(&n->loss, &detector_level[i], n->maps[i],
                               n->truth, n->batch, cells, cells,
                               1.0 / (double)(faces ? faces : 1), n->grad[i]);
        grad[i] = n->grad[i];
    }
    if (!r && !isfinite(*loss)) /* said by the loop */
        return OK;
    return r ? r : nn_train_backward(n->plan, grad, e);
}

uint64_t detector_train_runs(void *net)
{
    const struct detector_train *n = net;
    return nn_train_runs(n->plan);
}

void detector_train_set_runs(void *net, uint64_t runs)
{
    struct detector_train *n = net;
    nn_train_set_runs(n->plan, runs);
}
