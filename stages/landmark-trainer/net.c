/* The landmark network in training: its plan and batch. */
#include "stages/landmark-trainer/net.h"

#include <math.h>

#include "lib/base/mem.h"
#include "lib/geom/landmarks.h"
#include "lib/models/fan.h"

#define PLANE (FAN_SIDE * FAN_SIDE)
#define CELLS (FAN_MAP * FAN_MAP)

enum err_code landmark_net_new(struct landmark_net *n,
                               const struct train_options *o, struct err *e)
{
    int maps[FAN_NET_MAX_STACKS] = {0};
    struct nn_train_options plan = train_plan_options(o);
    size_t b = (size_t)o->batch;
    n->batch = o->batch;
    n->ps = nn_params_new((uint64_t)o->seed, e);
    struct nn_graph *g = n->ps ? nn_graph_new(e) : NULL;
    enum err_code r = g ? OK : ERR_NOMEM;
    if (g) {
        struct nn_scope s = nn_scope(g, n->ps);
        (void)fan_net(&s, nn_input(g, 3, FAN_SIDE, FAN_SIDE), &n->spec, maps);
        for (int i = 0; i < n->spec.stacks; i++)
            nn_output(g, maps[i]);
        r = nn_train_new(g, &plan, &n->plan, e);
    }
    nn_graph_free(&g);
    n->crops = r ? NULL : mem_aligned(b * 3 * PLANE * sizeof(float));
    n->one = r ? NULL : mem_aligned(3 * PLANE * sizeof(float));
    n->truth = r ? NULL : mem_aligned(b * 2 * LANDMARKS * sizeof(float));
    n->maps = r ? NULL : mem_aligned(b * LANDMARKS * CELLS * sizeof(float));
    bool all = n->crops && n->one && n->truth && n->maps;
    for (int i = 0; i < n->spec.stacks && !r; i++) {
        n->grad[i] = mem_aligned(b * LANDMARKS * CELLS * sizeof(float));
        all = all && n->grad[i];
    }
    return r || all ? r : err_set(e, ERR_NOMEM, "no memory for a batch");
}

void landmark_net_free(struct landmark_net *n)
{
    nn_train_free(&n->plan);
    nn_params_free(&n->ps);
    mem_free(n->crops);
    mem_free(n->one);
    mem_free(n->truth);
    mem_free(n->maps);
    for (int i = 0; i < FAN_NET_MAX_STACKS; i++)
        mem_free(n->grad[i]);
    *n = (struct landmark_net){.batch = 0};
}

/* u8[256,256,3] to planes of 0..1. */
static enum err_code planes(const struct item *it, float *out, struct err *e)
{
    const struct tensor *frame = item_tensor(it, "frame");
    if (!frame || frame->dtype != DT_U8 || frame->ndim != 3 ||
        frame->shape[0] != FAN_SIDE || frame->shape[1] != FAN_SIDE ||
        frame->shape[2] != 3)
        return err_set(e, ERR_DATA, "a sample's frame is no u8[%d,%d,3]",
                       FAN_SIDE, FAN_SIDE);
    const uint8_t *px = frame->data;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < PLANE; i++)
            out[c * PLANE + i] = (float)px[3 * i + c] / 255.0F;
    return OK;
}

const float *landmark_net_truth(const struct item *it, size_t *stride,
                                struct err *e)
{
    const struct tensor *t = item_tensor(it, "landmarks_true");
    if (!t || t->dtype != DT_F32 || t->ndim != 2 || t->shape[0] != LANDMARKS ||
        t->shape[1] < 2) {
        err_set(e, ERR_DATA, "a sample's landmarks_true is no f32[%d,2]",
                LANDMARKS);
        return NULL;
    }
    *stride = (size_t)t->shape[1];
    return tensor_f32(t);
}

enum err_code landmark_net_put(void *net, int64_t row, const struct item *it,
                               struct err *e)
{
    struct landmark_net *n = net;
    size_t stride = 2;
    const float *p = landmark_net_truth(it, &stride, e);
    if (!p)
        return ERR_DATA;
    float *to = n->truth + row * 2 * LANDMARKS;
    for (size_t i = 0; i < LANDMARKS; i++)
        for (size_t k = 0; k < 2; k++)
            to[2 * i + k] = (p[i * stride + k] - 1.5F) / 4.0F;
    return planes(it, n->crops + row * 3 * PLANE, e);
}

enum err_code landmark_net_step(void *net, double *loss, struct err *e)
{
    struct landmark_net *n = net;
    const float *in[] = {n->crops};
    const float *grad[FAN_NET_MAX_STACKS];
    enum err_code r = nn_train_forward(n->plan, in, e);
    *loss = 0;
    for (int i = 0; i < n->spec.stacks && !r; i++) {
        nn_train_output(n->plan, i, n->maps);
        *loss += fan_loss(&n->loss, n->maps, n->truth, n->batch, LANDMARKS,
                          FAN_MAP, 1.0 / n->spec.stacks, n->grad[i]);
        grad[i] = n->grad[i];
    }
    if (!r && !isfinite(*loss)) /* said by the loop */
        return OK;
    return r ? r : nn_train_backward(n->plan, grad, e);
}

uint64_t landmark_net_runs(void *net)
{
    const struct landmark_net *n = net;
    return nn_train_runs(n->plan);
}

void landmark_net_set_runs(void *net, uint64_t runs)
{
    struct landmark_net *n = net;
    nn_train_set_runs(n->plan, runs);
}

/* ---- Validation ---- */

/* The network as it is used, with other weights. */
enum err_code landmark_net_use(const struct landmark_net *n,
                               struct nn_params *ps, struct nn_net **out,
                               struct err *e)
{
    struct nn_graph *g = nn_graph_new(e);
    const struct nn_options o = {.mode = NN_FAST};
    if (!g)
        return ERR_NOMEM;
    struct nn_scope s = nn_scope(g, ps);
    nn_output(g,
              fan_net(&s, nn_input(g, 3, FAN_SIDE, FAN_SIDE), &n->spec, NULL));
    enum err_code r = nn_plan(g, &o, out, e);
    nn_graph_free(&g);
    return r;
}

enum err_code landmark_net_find(const struct landmark_net *n,
                                struct nn_net *use, const struct item *it,
                                float xy[FAN_POINTS][2], struct err *e)
{
    enum err_code r = planes(it, n->one, e);
    const float *in[] = {n->one};
    float *out[] = {n->maps};
    if (!r)
        r = nn_run(use, in, out, e);
    if (!r)
        fan_decode(n->maps, FAN_SOFTMAX, xy, NULL);
    return r;
}

static double error_of(float xy[LANDMARKS][2], const float *truth,
                       size_t stride)
{
    double eyes = landmark_outer_eye(truth, (int)stride), sum = 0;
    for (size_t i = 0; i < LANDMARKS; i++)
        sum += hypot((double)(xy[i][0] - truth[i * stride]),
                     (double)(xy[i][1] - truth[i * stride + 1]));
    return 100 * sum / LANDMARKS / eyes;
}

enum err_code landmark_net_validate(void *net, struct nn_params *ps,
                                    struct item *const *val, size_t count,
                                    double *nme, struct err *e)
{
    struct landmark_net *n = net;
    struct nn_net *use = NULL;
    double sum = 0;
    enum err_code r = landmark_net_use(n, ps, &use, e);
    for (size_t i = 0; i < count && !r; i++) {
        float xy[LANDMARKS][2];
        size_t stride = 2;
        const float *truth = landmark_net_truth(val[i], &stride, e);
        r = truth ? landmark_net_find(n, use, val[i], xy, e) : ERR_DATA;
        if (!r)
            sum += error_of(xy, truth, stride);
    }
    *nme = sum / (double)count;
    nn_net_free(&use);
    return r;
}
