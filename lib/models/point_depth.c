/* ResNetDepth in use: its 71 planes, its plan. */
#include "lib/models/point_depth.h"

#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/models/resnet_depth.h"

#define PLANE (POINT_DEPTH_SIDE * POINT_DEPTH_SIDE)
#define PLANES (3 + POINT_DEPTH_POINTS)
#define REACH 6 /* pixels from the middle of a Gaussian to its end */
#define SIGMA 3.25

struct point_depth {
    struct nn_net *net;
    float *in; /* f32[71,256,256] */
};

static double bell(int d)
{
    return exp(-0.5 * (d / SIGMA) * (d / SIGMA));
}

/* Where a Gaussian is cut at the left or above, face-alignment's indices run
 * one or two pixels behind: so the published network was trained and is run. */
static int cut_shift(int first)
{
    return first < 0 ? 2 : first == 0 ? 1 : 0;
}

void point_depth_draw(float *map, int side, double x, double y)
{
    /* From (0,0) at the first pixel's centre to face-alignment's: half a pixel
     * beside its one-based numbers. Points on halves are whole numbers there,
     * and are to stay these whatever rounding they have been through. */
    double px = round((x + 0.5) * 1024) / 1024;
    double py = round((y + 0.5) * 1024) / 1024;
    memset(map, 0, sizeof *map * (size_t)side * (size_t)side);
    if (!(px > 0 && py > 0 && px < 2 * side && py < 2 * side))
        return;
    int left = (int)floor(px - REACH), top = (int)floor(py - REACH);
    for (int j = top; j <= top + 2 * REACH; j++) {
        for (int i = left; i <= left + 2 * REACH; i++) {
            if (i < 1 || j < 1 || i > side || j > side)
                continue;
            int u = i - left - REACH - cut_shift(left);
            int v = j - top - REACH - cut_shift(top);
            map[(j - 1) * side + i - 1] = (float)(bell(u) * bell(v));
        }
    }
}

static enum err_code plan(struct point_depth *d, const struct safetensors *w,
                          const struct nn_options *o, struct err *e)
{
    struct resnet_info info;
    enum err_code r = resnet_read(w, "", &info, e);
    if (r)
        return r;
    if (info.head != RESNET_CLASSES || info.classes != POINT_DEPTH_POINTS ||
        info.channels != PLANES || !info.spec.bottleneck)
        return err_set(e, ERR_DATA, "'%s' holds no ResNetDepth of %d points",
                       safetensors_origin(w), POINT_DEPTH_POINTS);
    struct nn_params *ps = nn_params_new(0, e);
    struct nn_graph *g = ps ? nn_graph_new(e) : NULL;
    r = g ? OK : ERR_NOMEM;
    if (g) {
        struct nn_scope s = nn_scope(g, ps);
        nn_params_source(ps, w, "");
        int x = nn_input(g, PLANES, POINT_DEPTH_SIDE, POINT_DEPTH_SIDE);
        nn_output(g, resnet_depth(&s, x, &info.spec, POINT_DEPTH_POINTS));
        nn_params_source(ps, NULL, NULL);
        r = nn_plan(g, o, &d->net, e);
    }
    nn_graph_free(&g);
    nn_params_free(&ps);
    return r;
}

enum err_code point_depth_new(const struct safetensors *weights,
                              const struct nn_options *o,
                              struct point_depth **out, struct err *e)
{
    *out = NULL;
    struct point_depth *d = mem_calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory for depth");
    enum err_code r = plan(d, weights, o, e);
    d->in = r ? NULL : mem_aligned((size_t)PLANES * PLANE * sizeof *d->in);
    if (!r && !d->in)
        r = err_set(e, ERR_NOMEM, "no memory for depth");
    if (r)
        point_depth_free(&d);
    *out = d;
    return r;
}

void point_depth_free(struct point_depth **d)
{
    if (!d || !*d)
        return;
    nn_net_free(&(*d)->net);
    mem_free((*d)->in);
    mem_free(*d);
    *d = NULL;
}

enum err_code point_depth_run(struct point_depth *d, const float *crop,
                              const float (*xy)[2], float z[POINT_DEPTH_POINTS],
                              struct err *e)
{
    const float *in[] = {d->in};
    float *out[] = {z};
    memcpy(d->in, crop, sizeof *crop * 3 * PLANE);
    for (int i = 0; i < POINT_DEPTH_POINTS; i++)
        point_depth_draw(d->in + (3 + i) * PLANE, POINT_DEPTH_SIDE,
                         (double)xy[i][0], (double)xy[i][1]);
    return nn_run(d->net, in, out, e);
}
