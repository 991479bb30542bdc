/* Lifting from picture points to points in 3-D. */
#include "lib/models/lifter.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/geom/linalg.h"
#include "lib/geom/rotation.h"

enum { OUT_POINTS, OUT_ROTATION, OUT_NEAR, OUT_HEAD, OUTS };

struct lifter {
    struct lift_spec spec;
    struct nn_net *net;
    float reference[LANDMARKS][2];
    float *out[OUTS];
};

static enum err_code plan(struct lifter *l, const struct safetensors *w,
                          const struct nn_options *o, struct err *e)
{
    struct nn_params *ps = nn_params_new(0, e);
    struct nn_graph *g = ps ? nn_graph_new(e) : NULL;
    struct lift_out node;
    enum err_code r = g ? OK : ERR_NOMEM;
    if (g) {
        struct nn_scope s = nn_scope(g, ps);
        nn_params_source(ps, w, "");
        if (lift_net(&s, nn_input(g, 2 * LANDMARKS, 1, 1), &l->spec, &node)) {
            nn_output(g, node.points);
            nn_output(g, node.rotation);
            nn_output(g, node.near);
            nn_output(g, node.head);
        }
        nn_params_source(ps, NULL, NULL);
        r = nn_plan(g, o, &l->net, e);
    }
    nn_graph_free(&g);
    nn_params_free(&ps);
    return r;
}

static enum err_code read_weights(struct lifter *l, const struct safetensors *w,
                                  struct err *e)
{
    const int64_t shape[2] = {LANDMARKS, 2};
    struct tensor *t = NULL;
    enum err_code r = lift_read(w, &l->spec, e);
    if (!r)
        r = safetensors_weight(w, "reference", 2, shape, &t, e);
    if (!r)
        memcpy(l->reference, t->data, sizeof l->reference);
    tensor_free(&t);
    return r;
}

enum err_code lifter_new(const struct safetensors *weights,
                         const struct nn_options *o, struct lifter **out,
                         struct err *e)
{
    *out = NULL;
    struct lifter *l = mem_calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for the lifter");
    enum err_code r = read_weights(l, weights, e);
    if (!r)
        r = plan(l, weights, o, e);
    const size_t size[OUTS] = {3 * LANDMARKS, 9, 1,
                               3 * (LANDMARKS + (size_t)l->spec.nodes)};
    for (int i = 0; i < OUTS && !r; i++) {
        l->out[i] = mem_aligned(size[i] * sizeof(float));
        if (!l->out[i])
            r = err_set(e, ERR_NOMEM, "no memory for the lifter");
    }
    if (r)
        lifter_free(&l);
    *out = l;
    return r;
}

void lifter_free(struct lifter **l)
{
    if (!l || !*l)
        return;
    nn_net_free(&(*l)->net);
    for (int i = 0; i < OUTS; i++)
        mem_free((*l)->out[i]);
    mem_free(*l);
    *l = NULL;
}

int lifter_nodes(const struct lifter *l)
{
    return l->spec.nodes;
}

/* The network's points from the face's frame to the picture. */
static void points_out(const struct lifter *l, const struct face_frame *f,
                       struct lifted *out)
{
    double mean = 0;
    for (int i = 0; i < LANDMARKS; i++) {
        const float *o = l->out[OUT_POINTS] + 3 * i;
        double p[3] = {(double)o[0], (double)o[1], (double)o[2]}, q[3];
        face_frame_out(f, p, q);
        for (int k = 0; k < 3; k++)
            out->xyz[i][k] = (float)q[k];
        mean += q[2] / LANDMARKS;
    }
    for (int i = 0; i < LANDMARKS; i++)
        out->xyz[i][2] -= (float)mean;
}

enum err_code lifter_lift(struct lifter *l, const float *pts, int stride,
                          struct lifted *out, struct err *e)
{
    struct face_frame f;
    float x[LANDMARKS][2];
    double m[9], near[9];
    enum err_code r =
        face_frame_fit((const float(*)[2])l->reference, pts, stride, &f, e);
    for (int i = 0; i < LANDMARKS && !r; i++) {
        double p[3] = {(double)pts[i * stride], (double)pts[i * stride + 1], 0};
        double q[3];
        face_frame_in(&f, p, q);
        x[i][0] = (float)q[0];
        x[i][1] = (float)q[1];
    }
    const float *in[] = {x[0]};
    if (!r)
        r = nn_run(l->net, in, l->out, e);
    if (r)
        return r;
    points_out(l, &f, out);
    for (int k = 0; k < 9; k++)
        m[k] = (double)l->out[OUT_ROTATION][k];
    linalg_nearest_rotation(m, near);
    face_frame_turn_out(&f, near, out->place.r);
    rotation_to_euler(out->place.r, &out->pitch, &out->yaw, &out->roll);
    out->place.near = fmin(fmax((double)l->out[OUT_NEAR][0], 0), 0.5);
    return face_place_fit((const float(*)[3])l->out[OUT_HEAD],
                          (const float(*)[3])out->xyz, &out->place, e);
}

void lifter_surface(const struct lifter *l, const struct lifted *of,
                    float (*out)[3])
{
    float *map = l->out[OUT_HEAD] + 3 * LANDMARKS;
    face_place_at(&of->place, (const float(*)[3])map, l->spec.nodes, out);
}
