/* The lifting network in training: its plan and batch. */
#include "stages/lift-trainer/net.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/linalg.h"
#include "lib/geom/rotation.h"

static int loss_of(struct nn_graph *g, int out, int target, double weight)
{
    return nn_scale(g, nn_mse_loss(g, out, target), weight, 0);
}

/* Inputs in the order of the enum. */
static void write_net(struct lift_train *n, struct nn_graph *g)
{
    struct nn_scope s = nn_scope(g, n->ps);
    struct lift_out out;
    int in[LIFT_INS];
    for (int i = 0; i < LIFT_INS; i++)
        in[i] = nn_input(g, (int64_t)n->size[i], 1, 1);
    if (!lift_net(&s, in[LIFT_IN_X], &n->spec, &out))
        return;
    int sum = loss_of(g, out.points, in[LIFT_IN_POINTS], n->w_points);
    sum = nn_add(g, sum,
                 loss_of(g, out.rotation, in[LIFT_IN_ROTATION], n->w_rotation));
    sum = nn_add(g, sum, loss_of(g, out.near, in[LIFT_IN_NEAR], n->w_near));
    sum = nn_add(g, sum, loss_of(g, out.head, in[LIFT_IN_HEAD], n->w_head));
    nn_output(g, sum);
}

/* The frame's reference goes with the weights. */
static enum err_code make_reference(struct lift_train *n, struct err *e)
{
    const int64_t shape[2] = {LANDMARKS, 2};
    const struct nn_init_spec zero = {.kind = NN_INIT_ZERO};
    float p[LANDMARKS][2];
    enum err_code r = nn_params_get(n->ps, "reference", 2, shape, true, zero,
                                    &n->reference, e);
    if (!r)
        r = face_frame_reference(p, e);
    if (!r)
        memcpy(n->reference->value->data, p, sizeof p);
    return r;
}

enum err_code lift_train_new(struct lift_train *n,
                             const struct train_options *o, struct err *e)
{
    struct nn_train_options plan = train_plan_options(o);
    const size_t size[LIFT_INS] = {2 * LANDMARKS, 3 * LANDMARKS, 9, 1,
                                   3 * (LANDMARKS + (size_t)n->spec.nodes)};
    n->batch = o->batch;
    memcpy(n->size, size, sizeof size);
    n->ps = nn_params_new((uint64_t)o->seed, e);
    struct nn_graph *g = n->ps ? nn_graph_new(e) : NULL;
    enum err_code r = g ? make_reference(n, e) : ERR_NOMEM;
    if (!r) {
        write_net(n, g);
        r = nn_train_new(g, &plan, &n->plan, e);
    }
    nn_graph_free(&g);
    for (int i = 0; i < LIFT_INS && !r; i++) {
        n->in[i] =
            mem_aligned((size_t)(n->batch + 1) * size[i] * sizeof(float));
        if (!n->in[i])
            r = err_set(e, ERR_NOMEM, "no memory for a batch");
    }
    return r;
}

void lift_train_free(struct lift_train *n)
{
    nn_train_free(&n->plan);
    nn_params_free(&n->ps);
    for (int i = 0; i < LIFT_INS; i++)
        mem_free(n->in[i]);
    *n = (struct lift_train){.batch = 0};
}

static const struct tensor *field(const struct item *it, const char *name,
                                  size_t count, struct err *e)
{
    const struct tensor *t = item_tensor(it, name);
    if (t && t->count == count && (t->dtype == DT_F32 || t->dtype == DT_F16))
        return t;
    err_set(e, ERR_DATA, "a sample's field %s is not of %zu numbers", name,
            count);
    return NULL;
}

/* One sample's rows, as the network is to see them. */
static enum err_code fill(const struct lift_train *n, const struct item *it,
                          float *const to[LIFT_INS], struct face_frame *f,
                          struct err *e)
{
    const struct tensor *p = field(it, "landmarks", 2 * LANDMARKS, e);
    const struct tensor *q =
        p ? field(it, "landmarks_true", 3 * LANDMARKS, e) : NULL;
    const struct tensor *h =
        q ? field(it, "head_true", 3 * LANDMARKS, e) : NULL;
    size_t nodes = (size_t)n->spec.nodes;
    const struct tensor *s =
        h && nodes ? field(it, "surface_true", 3 * nodes, e) : h;
    double r[9], turned[9];
    if (!s || p->dtype != DT_F32)
        return ERR_DATA;
    enum err_code rc = face_frame_fit(
        (const float(*)[2])n->reference->value->data, tensor_f32(p), 2, f, e);
    for (size_t i = 0; i < LANDMARKS && !rc; i++) {
        double a[3] = {tensor_get(p, 2 * i), tensor_get(p, 2 * i + 1), 0}, b[3];
        face_frame_in(f, a, b);
        for (size_t k = 0; k < 2; k++)
            to[LIFT_IN_X][2 * i + k] = (float)b[k];
        for (size_t k = 0; k < 3; k++)
            a[k] = tensor_get(q, 3 * i + k);
        face_frame_in(f, a, b);
        for (size_t k = 0; k < 3; k++) {
            to[LIFT_IN_POINTS][3 * i + k] = (float)b[k];
            to[LIFT_IN_HEAD][3 * i + k] = (float)tensor_get(h, 3 * i + k);
        }
    }
    for (size_t i = 0; i < 3 * nodes && !rc; i++)
        to[LIFT_IN_HEAD][3 * LANDMARKS + i] = (float)tensor_get(s, i);
    rotation_from_euler(item_f64(it, "pitch_true", (double)NAN),
                        item_f64(it, "yaw_true", (double)NAN),
                        item_f64(it, "roll_true", (double)NAN), r);
    if (!rc && !(isfinite(r[0] + r[1] + r[8])))
        rc = err_set(e, ERR_DATA, "a sample has no pose");
    if (rc)
        return rc;
    face_frame_turn_in(f, r, turned);
    for (int k = 0; k < 9; k++)
        to[LIFT_IN_ROTATION][k] = (float)turned[k];
    to[LIFT_IN_NEAR][0] = (float)item_f64(it, "near_true", 0);
    return OK;
}

enum err_code lift_train_put(void *net, int64_t row, const struct item *it,
                             struct err *e)
{
    struct lift_train *n = net;
    struct face_frame f;
    float *to[LIFT_INS];
    for (int i = 0; i < LIFT_INS; i++)
        to[i] = n->in[i] + (size_t)row * n->size[i];
    return fill(n, it, to, &f, e);
}

enum err_code lift_train_step(void *net, double *loss, struct err *e)
{
    struct lift_train *n = net;
    float value = 0;
    const float *in[LIFT_INS];
    for (int i = 0; i < LIFT_INS; i++)
        in[i] = n->in[i];
    enum err_code r = nn_train_forward(n->plan, in, e);
    if (r)
        return r;
    nn_train_output(n->plan, 0, &value);
    *loss = (double)value;
    if (!isfinite(value)) /* said by the loop */
        return OK;
    return nn_train_backward(n->plan, NULL, e);
}

uint64_t lift_train_runs(void *net)
{
    const struct lift_train *n = net;
    return nn_train_runs(n->plan);
}

void lift_train_set_runs(void *net, uint64_t runs)
{
    struct lift_train *n = net;
    nn_train_set_runs(n->plan, runs);
}

/* ---- Validation ---- */

static enum err_code use_net(const struct lift_train *n, struct nn_params *ps,
                             struct nn_net **out, struct err *e)
{
    struct nn_graph *g = nn_graph_new(e);
    const struct nn_options o = {.mode = NN_FAST};
    struct lift_out node;
    if (!g)
        return ERR_NOMEM;
    struct nn_scope s = nn_scope(g, ps);
    if (lift_net(&s, nn_input(g, 2 * LANDMARKS, 1, 1), &n->spec, &node)) {
        nn_output(g, node.points);
        nn_output(g, node.rotation);
    }
    enum err_code r = nn_plan(g, &o, out, e);
    nn_graph_free(&g);
    return r;
}

/* What the network makes of one sample: error of points in %, of yaw. */
static enum err_code judge(const struct lift_train *n, struct nn_net *use,
                           const struct item *it, double *points, double *yaw,
                           struct err *e)
{
    float xyz[3 * LANDMARKS], rot[9], *out[] = {xyz, rot};
    float *to[LIFT_INS];
    struct face_frame f;
    for (int i = 0; i < LIFT_INS; i++) /* the batch may be waiting half full */
        to[i] = n->in[i] + (size_t)n->batch * n->size[i];
    enum err_code r = fill(n, it, to, &f, e);
    const float *in[] = {to[LIFT_IN_X]}, *q = to[LIFT_IN_POINTS];
    if (!r)
        r = nn_run(use, in, out, e);
    if (r)
        return r;
    double sum = 0, eyes = 0, m[9], near[9], turned[9], angle[3];
    for (int k = 0; k < 3; k++)
        eyes += pow((double)q[3 * 45 + k] - (double)q[3 * 36 + k], 2);
    for (int i = 0; i < LANDMARKS; i++) {
        double d = 0;
        for (int k = 0; k < 3; k++)
            d += pow((double)xyz[3 * i + k] - (double)q[3 * i + k], 2);
        sum += sqrt(d) / LANDMARKS;
    }
    for (int k = 0; k < 9; k++)
        m[k] = (double)rot[k];
    linalg_nearest_rotation(m, near);
    face_frame_turn_out(&f, near, turned);
    rotation_to_euler(turned, &angle[0], &angle[1], &angle[2]);
    *points += 100 * sum / sqrt(eyes);
    *yaw += fabs(angle[1] - item_f64(it, "yaw_true", 0));
    return OK;
}

enum err_code lift_train_validate(void *net, struct nn_params *ps,
                                  struct item *const *val, size_t count,
                                  double *metric, struct err *e)
{
    struct lift_train *n = net;
    struct nn_net *use = NULL;
    double points = 0, yaw = 0;
    enum err_code r = use_net(n, ps, &use, e);
    for (size_t i = 0; i < count && !r; i++)
        r = judge(n, use, val[i], &points, &yaw, e);
    nn_net_free(&use);
    *metric = points / (double)count;
    n->yaw_mae = yaw / (double)count;
    return r;
}
